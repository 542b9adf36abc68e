//! The encoder: finds where each stretch of the target comes from, and how addresses have moved, then runs the same
//! machine as the decoder.
//!
//! ```text
//! parse (lenient) -> address map -> encode, measuring costs -> parse (with map and costs) -> address map -> encode …
//! ```
//!
//! The smallest of the encodings wins, and is tried in smaller classes. Small images have a second chain of parses behind the first
//! one, with other maps. Memory: some 40 bytes for each byte of either image,
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
pub const ENCODER_REVISION: u16 = 9;

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
        &found.coded.segments,
        sector_bytes,
        room_sectors,
    ))
}

/// Images of so many bytes together take so little time that two chains of parses are tried.
const SMALL_BYTES: usize = 512 << 10;

/// The best payload, and what led to it.
struct Found {
    encoded: Encoded,
    known: Option<Known>,
    coded: Coded,
}

/// A payload, and what it codes in which class.
#[derive(Clone)]
struct Coded {
    class: Class,
    map: Vec<Entry>,
    payload: Vec<u8>,
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
    let mut max_votes = options.effort.search().max_votes;
    let is_small = base.len() + target.len() <= SMALL_BYTES;
    // Where nothing refers to a base there is no map.
    if !is_small || base.is_empty() || candidates.is_empty() {
        max_votes = max_votes.get(..1).unwrap_or_default();
    }
    // Each candidate is parsed twice before the best one is known, a single one once.
    let (before, refining) = match candidates.len() {
        0 | 1 => (1, passes),
        count => (2 * count as u64, passes.saturating_sub(1)),
    };
    let parses = before + u64::from(refining) * max_votes.len() as u64;
    let progress = Progress::new(parses * target.len() as u64, report);
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
    let best = trials.into_iter().min_by_key(|trial| trial.best.payload.len());
    let best = best.map(|trial| trial.refined(passes, max_votes, options.class));
    let known = best.as_ref().and_then(|trial| trial.job.known);
    let nothing = Coded { class, map: vec![], payload: vec![], segments: vec![] };
    let coded = best.map_or(nothing, |trial| trial.best);
    let encoded = Encoded {
        payload: coded.payload.clone(),
        decoder_ram_bytes: coded.class.ram_bytes(),
        encoder: ENCODER_REVISION,
        instruction_set: known.map(|known| known.references.set),
    };
    Ok(Found { encoded, known, coded })
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
    /// How often references to one target count in its maps.
    max_votes: u32,
    map: Vec<Entry>,
    costs: Costs,
    /// The smallest payload so far.
    best: Coded,
}

impl<'a> Trial<'a> {
    /// Encodes after a parse that knows nothing of how addresses have moved; `None` if a stream cannot tell it.
    fn new(job: Job<'a>) -> Option<Self> {
        let anchors = Anchors::new(&job);
        let lenient = parse::References::Lenient;
        let segments = parse::parse(&job, &anchors, &[], &Costs::default(), lenient);
        let max_votes = map_builder::MANY_VOTES;
        let (best, costs) = code_best(&job, segments, max_votes)?;
        Some(Self { job, anchors, max_votes, map: best.map.clone(), costs, best })
    }

    /// Improves the parse as often as that, once with maps of each of these votes, and keeps the smallest payload.
    fn refined(mut self, passes: u32, max_votes: &[u32], choice: ClassChoice) -> Self {
        let begun = self.best.clone();
        let mut smallest: Option<Coded> = None;
        for max_votes in max_votes {
            if *max_votes != self.max_votes {
                self.job.class = begun.class;
                let coded = code_best(&self.job, begun.segments.clone(), *max_votes);
                let Some((best, costs)) = coded else { continue };
                let (max_votes, map) = (*max_votes, best.map.clone());
                self = Self { max_votes, map, costs, best, ..self };
            }
            self = (0..passes).fold(self, |trial, _| trial.improved());
            if choice == ClassChoice::Smallest {
                self = self.in_smaller_class();
            }
            let is_smaller = |known: &Coded| self.best.payload.len() < known.payload.len();
            if smallest.as_ref().is_none_or(is_smaller) {
                smallest = Some(self.best.clone());
            }
        }
        Self { best: smallest.unwrap_or(begun), ..self }
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
        let Some((coded, costs)) = code_best(&self.job, segments, self.max_votes) else {
            return self;
        };
        let map = coded.map.clone();
        let is_better = coded.payload.len() < self.best.payload.len();
        let best = if is_better { coded } else { self.best };
        Self { map, costs, best, ..self }
    }

    /// The same parse in smaller classes, until one makes it larger: less to learn suits what changes little.
    fn in_smaller_class(mut self) -> Self {
        let smaller = |class: Class| Class::ALL.into_iter().rev().find(|other| *other < class);
        while let Some(class) = smaller(self.job.class) {
            self.job.class = class;
            let coded = code_best(&self.job, self.best.segments.clone(), self.max_votes);
            let coded = coded.map(|(coded, _)| coded);
            match coded.filter(|coded| coded.payload.len() <= self.best.payload.len()) {
                Some(coded) => self.best = coded,
                None => break,
            }
        }
        self.job.class = self.best.class;
        self
    }
}

/// The smallest payload that a map of any style leads to, and what things cost in it.
fn code_best(job: &Job<'_>, segments: Vec<Segment>, max_votes: u32) -> Option<(Coded, Costs)> {
    let mut maps = map_builder::STYLES
        .map(|style| map_builder::build(job, &segments, style, max_votes))
        .to_vec();
    // Where little refers to anything, styles agree.
    maps.dedup();
    let coded = maps.into_iter().filter_map(|map| {
        let (payload, costs) = code(job, &segments, &map, None)?;
        Some((map, payload, costs))
    });
    let (map, payload, costs) = coded.min_by_key(|(_, payload, _)| payload.len())?;
    Some((Coded { class: job.class, map, payload, segments }, costs))
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
