//! The encoder: finds where each stretch of the target comes from, and how addresses have moved, then runs the same
//! machine as the decoder.
//!
//! ```text
//! parse (lenient) -> address map -> encode, measuring costs -> parse (with map and costs) -> address map -> encode …
//! ```
//!
//! The smallest of the encodings wins, and is tried in smaller classes. Memory: some 40 bytes for each byte of either image,
//! and 12 for each start of a copy that survives at some target byte: few where little has changed, at most as many as states
//! are kept.

mod anchors;
mod assign;
mod costs;
mod effort;
mod frontier;
mod images;
mod ledger;
mod map_builder;
mod matches;
mod parse;
mod progress;
mod rearrange;
mod side;
mod units;

use alloc::vec::Vec;

use super::class::{self, Class};
use super::isa::{InstructionSet, References};
use super::map::Entry;
use super::stream::{Machine, Segment};
use crate::{EncodeError, Encoded, InPlace, Sizes};

use anchors::Anchors;
use costs::Costs;
pub use effort::Effort;
use images::Known;
use ledger::Ledger;
pub use ledger::{
    AddressMove, ByteCost, CopiedFrom, Explained, ImagePiece, Told, encode_explained,
};
use progress::Progress;
use side::{EncoderSide, SliceView};
use units::Units;

/// Revision of the encoder: the same revision gives the same bytes for the same input.
pub const ENCODER_REVISION: u16 = 8;

/// What is known of the images' code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeHint {
    /// Nothing: headers and references tell.
    #[default]
    Find,
    /// Whose it is.
    Set(InstructionSet),
    /// That it is none that this codec knows.
    Unknown,
}

/// What the encoder may use, and how hard it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// RAM that the decoder may need, in bytes.
    pub decoder_ram_bytes: u64,
    /// Where the first byte of the image lies, if it is known.
    pub load_address: Option<u32>,
    /// Where that of the base lies, if it is known to be somewhere else; nothing where `load_address` is not known.
    pub base_load_address: Option<u32>,
    /// Whose code the images are.
    pub code: CodeHint,
    /// How hard it tries.
    pub effort: Effort,
    /// Which memory class it codes for.
    pub class: ClassChoice,
}

/// Which of the classes that fit the device's RAM is coded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassChoice {
    /// The largest one.
    Largest,
    /// The largest one, or smaller ones as long as they make the payload no larger.
    Smallest,
}

impl Options {
    /// Codes for exactly this class.
    #[must_use]
    pub fn of_class(class: Class) -> Self {
        let decoder_ram_bytes = class.ram_bytes();
        Self { decoder_ram_bytes, class: ClassChoice::Largest, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decoder_ram_bytes: 32 << 10,
            load_address: None,
            base_load_address: None,
            code: CodeHint::Find,
            effort: Effort::Thorough,
            class: ClassChoice::Smallest,
        }
    }
}

/// Encodes `target`, against `base` if there is one.
///
/// # Errors
/// [`EncodeError::Memory`] if not even the smallest class fits the device, [`EncodeError::TooLarge`] for images above
/// 16 MiB, which this codec is not made for.
pub fn encode(
    base: Option<&[u8]>,
    target: &[u8],
    options: Options,
) -> Result<Encoded, EncodeError> {
    encode_reporting(base, target, options, &|_| {})
}

/// Encodes as [`encode`], and tells how far it is: of 1000, rising.
///
/// # Errors
/// Those of [`encode`].
pub fn encode_reporting(
    base: Option<&[u8]>,
    target: &[u8],
    options: Options,
    report: &dyn Fn(u32),
) -> Result<Encoded, EncodeError> {
    best(base.unwrap_or_default(), target, options, None, report).map(|found| found.encoded)
}

/// Encodes `target` for a decoder whose target takes the room of the base ([`CompactDecoder::in_place`]).
///
/// [`CompactDecoder::in_place`]: super::CompactDecoder::in_place
///
/// # Errors
/// Those of [`encode`].
pub fn encode_in_place(
    base: &[u8],
    target: &[u8],
    options: Options,
    in_place: InPlace<'_>,
) -> Result<Encoded, EncodeError> {
    best(base, target, options, Some(in_place), &|_| {}).map(|found| found.encoded)
}

/// Where the sectors of a base are best rearranged to, in a room of so many sectors, before `target` takes their place: the
/// seats for an [`InPlace`]. `None` if a seat has no number, or the room is too small: for the base and one sector more, or
/// for the target.
///
/// # Errors
/// Those of [`encode`].
pub fn rearrange(
    base: &[u8],
    target: &[u8],
    options: Options,
    sector_bytes: u32,
    room_sectors: u32,
) -> Result<Option<Vec<u16>>, EncodeError> {
    let options = Options { effort: Effort::Quick, class: ClassChoice::Largest, ..options };
    let found = best(base, target, options, None, &|_| {})?;
    Ok(rearrange::seats(
        [base, target].map(<[u8]>::len),
        &found.segments,
        sector_bytes,
        room_sectors,
    ))
}

/// The best payload, and what led to it.
struct Found {
    encoded: Encoded,
    class: Class,
    known: Option<Known>,
    segments: Vec<Segment>,
}

fn best(
    base: &[u8],
    target: &[u8],
    options: Options,
    in_place: Option<InPlace<'_>>,
    report: &dyn Fn(u32),
) -> Result<Found, EncodeError> {
    let largest = base.len().max(target.len()) as u64;
    if largest > 16 << 20 {
        return Err(EncodeError::TooLarge { got: largest });
    }
    let limit = options.decoder_ram_bytes;
    let smallest = Class::ALL.iter().map(|class| class.ram_bytes()).min().unwrap_or(0);
    let fitting = Class::ALL.iter().rev().find(|class| class.ram_bytes() <= limit);
    let class = *fitting.ok_or(EncodeError::Memory { needed: smallest, limit })?;

    let candidates = images::candidates(base, target, &options);
    let mut passes = options.effort.search().passes;
    // Each candidate is parsed twice before the best one is known, a single one once.
    let trials = match candidates.len() {
        0 | 1 => 1 + u64::from(passes),
        count => 2 * count as u64 + u64::from(passes.saturating_sub(1)),
    };
    let progress = Progress::new(trials * target.len() as u64, report);
    let job = |known| Job::new(base, target, class, &options, in_place, known, &progress);
    let mut trials: Vec<Trial<'_>> =
        candidates.iter().filter_map(|known| Trial::new(job(Some(*known)))).collect();
    if trials.is_empty() {
        trials.extend(Trial::new(job(None)));
    }
    // One pass tells which address is right; only that one is refined further.
    if trials.len() > 1 {
        trials = trials.into_iter().map(Trial::improved).collect();
        passes = passes.saturating_sub(1);
    }
    let best = trials.into_iter().min_by_key(|trial| trial.best.len());
    let best = best.map(|trial| (0..passes).fold(trial, |trial, _| trial.improved()));
    let best = match options.class {
        ClassChoice::Largest => best,
        ClassChoice::Smallest => best.map(Trial::in_smaller_class),
    };
    let class = best.as_ref().map_or(class, |trial| trial.job.class);
    let known = best.as_ref().and_then(|trial| trial.job.known);
    let instruction_set = known.map(|known| known.references.set);
    let (payload, segments) = best.map(|trial| (trial.best, trial.segments)).unwrap_or_default();
    let encoded = Encoded {
        payload,
        decoder_ram_bytes: class.ram_bytes(),
        encoder: ENCODER_REVISION,
        instruction_set,
    };
    Ok(Found { encoded, class, known, segments })
}

/// What one encoding is made from.
struct Job<'a> {
    base: &'a [u8],
    target: &'a [u8],
    class: Class,
    effort: Effort,
    in_place: Option<InPlace<'a>>,
    known: Option<Known>,
    units: Units,
    progress: &'a Progress<'a>,
}

impl<'a> Job<'a> {
    fn new(
        base: &'a [u8],
        target: &'a [u8],
        class: Class,
        options: &Options,
        in_place: Option<InPlace<'a>>,
        known: Option<Known>,
        progress: &'a Progress<'a>,
    ) -> Self {
        let references = known.as_ref().map(|known| &known.references);
        let units = Units::new(base, target, references, in_place);
        Self { base, target, class, effort: options.effort, in_place, known, units, progress }
    }

    fn references(&self) -> Option<&References> {
        self.known.as_ref().map(|known| &known.references)
    }

    /// Whether the machine codes halfwords.
    fn in_halfwords(&self) -> bool {
        self.references().is_some_and(|known| known.set == InstructionSet::Thumb)
    }

    fn sizes(&self) -> Sizes {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Sizes { base: len(self.base), target: len(self.target), payload: 0 }
    }
}

/// An encoding that can be improved.
struct Trial<'a> {
    job: Job<'a>,
    anchors: Anchors,
    map: Vec<Entry>,
    costs: Costs,
    /// The smallest payload so far, and the parse behind it.
    best: Vec<u8>,
    segments: Vec<Segment>,
}

impl<'a> Trial<'a> {
    /// Encodes after a parse that knows nothing of how addresses have moved; `None` if a stream cannot tell it.
    fn new(job: Job<'a>) -> Option<Self> {
        let anchors = Anchors::new(&job);
        let lenient = parse::References::Lenient;
        let segments = parse::parse(&job, &anchors, &[], &Costs::default(), lenient);
        let (map, best, costs) = code_best(&job, &segments)?;
        Some(Self { job, anchors, map, costs, best, segments })
    }

    /// Parses with what the last encoding has taught, and encodes again.
    fn improved(self) -> Self {
        let segments = parse::parse(
            &self.job,
            &self.anchors,
            &self.map,
            &self.costs,
            parse::References::Predicted,
        );
        let Some((map, payload, costs)) = code_best(&self.job, &segments) else { return self };
        let is_better = payload.len() < self.best.len();
        let (best, segments) =
            if is_better { (payload, segments) } else { (self.best, self.segments) };
        Self { map, costs, best, segments, ..self }
    }

    /// The same parse in smaller classes, until one makes it larger: less to learn suits what changes little.
    fn in_smaller_class(mut self) -> Self {
        let smaller = |class: Class| Class::ALL.into_iter().rev().find(|other| *other < class);
        while let Some(class) = smaller(self.job.class) {
            let larger = core::mem::replace(&mut self.job.class, class);
            let coded = code_best(&self.job, &self.segments).map(|(_, payload, _)| payload);
            let Some(payload) = coded.filter(|payload| payload.len() <= self.best.len()) else {
                self.job.class = larger;
                break;
            };
            self.best = payload;
        }
        self
    }
}

/// The smallest payload that a map of any style leads to, with that map and what things cost.
fn code_best(job: &Job<'_>, segments: &[Segment]) -> Option<(Vec<Entry>, Vec<u8>, Costs)> {
    let mut maps =
        map_builder::STYLES.map(|style| map_builder::build(job, segments, style)).to_vec();
    // Where little refers to anything, styles agree.
    maps.dedup();
    let coded = maps.into_iter().filter_map(|map| {
        let (payload, costs) = code(job, segments, &map, None)?;
        Some((map, payload, costs))
    });
    coded.min_by_key(|(_, payload, _)| payload.len())
}

/// Runs the machine over a plan; returns the payload and what things cost, or nothing if the plan cannot be told. A ledger
/// learns what each byte costs.
fn code(
    job: &Job<'_>,
    segments: &[Segment],
    map: &[Entry],
    ledger: Option<&mut Ledger>,
) -> Option<(Vec<u8>, Costs)> {
    let mut side = EncoderSide::new(job, segments, map, ledger);
    let mut view = SliceView::new(job);
    class::with_memory(job.class, |memory| {
        let mut machine: Machine<'_> = memory.into_machine(job.sizes(), job.in_place);
        machine.keep(job.class);
        while !machine.is_done() {
            let written = machine.written();
            machine.step(&mut side, &mut view).ok()?;
            side.book(written..machine.written());
        }
        Some(())
    })?;
    let (stream, costs) = side.finish();
    let mut payload = Vec::with_capacity(stream.len() + 1);
    payload.push(job.class.code());
    payload.extend(stream);
    Some((payload, costs))
}
