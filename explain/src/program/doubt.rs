//! Whether a map may be that of another build. Maps tell no bytes, so it only shows in how well they fit the image.

use std::collections::BTreeSet;
use std::fmt;

use super::Program;

/// Of 100 bytes of an image, so many are in sections of its program: signatures and checksums are put behind it.
const MIN_COVERED_PERCENT: usize = 90;

/// Fewer addresses tell nothing.
const MIN_ADDRESSES: usize = 8;

/// Why a map may be that of another build than the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The image has many bytes behind the map's last section.
    Covers {
        /// Bytes up to the end of that section.
        covered: usize,
        /// Bytes of the image, without what fills it up.
        of: usize,
    },
    /// Addresses in the image point into the map's code, but not at its functions.
    Addresses {
        /// How many are where a function begins: no more than by chance.
        begin: usize,
        /// How many different ones there are.
        of: usize,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Covers { covered, of } => {
                write!(formatter, "its sections end after {covered} of {of} bytes")
            }
            Self::Addresses { begin, of } => write!(
                formatter,
                "of {of} addresses in the image that point into its code, {begin} are where a function begins"
            ),
        }
    }
}

pub(super) fn of_map(program: &Program, image: &[u8]) -> Vec<Doubt> {
    [covers(program, image), addresses(program, image)].into_iter().flatten().collect()
}

fn covers(program: &Program, image: &[u8]) -> Option<Doubt> {
    let of = without_filler(image);
    let end = program.sections.last().map_or(0, |section| section.range.end);
    let covered = usize::try_from(end).unwrap_or(usize::MAX).min(of);
    (covered * 100 < of * MIN_COVERED_PERCENT).then_some(Doubt::Covers { covered, of })
}

/// Length of an image without the equal bytes at its end.
fn without_filler(image: &[u8]) -> usize {
    let differs = |byte: &u8| Some(byte) != image.last();
    image.iter().rposition(differs).map_or(0, |last| last + 1)
}

/// Tables of functions, literals and vectors point at functions where the map is right; where it is not, at one as rarely as any
/// number does.
fn addresses(program: &Program, image: &[u8]) -> Option<Doubt> {
    let code = || program.sections.iter().filter(|section| section.is_code);
    // The lowest bit tells Thumb code from Arm code.
    let is_inside = |address: &u32| {
        let inside = |start: u32| address.checked_sub(start);
        code().any(|section| {
            inside(section.address).is_some_and(|at| (at as usize) < section.range.len())
        })
    };
    let words =
        image.chunks_exact(4).filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?)));
    let found: BTreeSet<u32> = words.map(|word| word & !1).filter(is_inside).collect();
    let starts: BTreeSet<u32> = program
        .symbols
        .iter()
        .filter(|symbol| symbol.is_code)
        .map(|symbol| symbol.address & !1)
        .collect();
    let (begin, of) = (found.intersection(&starts).count(), found.len());
    let places = code().map(|section| section.range.len() / 2).sum::<usize>();
    let is_doubtful = of >= MIN_ADDRESSES && !is_more_than_chance(begin, of, starts.len(), places);
    is_doubtful.then_some(Doubt::Addresses { begin, of })
}

/// Whether so many of `of` numbers hit one of `targets` places of `places` that it is no accident: four standard deviations.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn is_more_than_chance(hits: usize, of: usize, targets: usize, places: usize) -> bool {
    let expected = of as f64 * targets as f64 / places.max(1) as f64;
    hits as f64 > expected + 4.0 * expected.sqrt()
}
