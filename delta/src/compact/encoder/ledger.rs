//! Where a payload's bits go: to which byte of the target, and for what.

use alloc::vec::Vec;
use core::ops::Range;

use super::super::layout::{Layout, Piece};
use super::super::stream::{Event, Segment};
use super::progress::Progress;
use super::{Coded, Job, Options, best, code};
use crate::{EncodeError, Encoded};

/// A payload, and what each of its bits is spent on.
///
/// All bits together are those of the payload, down to rounding: what the coder's end takes more or less is a figure of its own.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The payload, the same as without an explanation.
    pub encoded: Encoded,
    /// Bits in front of everything: memory class, instruction set, where the images lie, how many moves there are.
    pub header_bits: f64,
    /// How addresses have moved.
    pub moves: Vec<AddressMove>,
    /// What each byte of the target takes.
    pub bytes: Vec<ByteCost>,
    /// What the stream's end takes: it is a whole number of bytes, and trailing zeros are left out; so it may be negative.
    pub end_bits: f64,
    /// Where the base lies; nothing where no instruction set is known.
    pub base_pieces: Vec<ImagePiece>,
    /// Where the target lies.
    pub target_pieces: Vec<ImagePiece>,
    /// First address of the RAM that code refers to, and its length in bytes.
    pub ram: (u32, u32),
}

impl Explained {
    /// All bits of the payload.
    #[must_use]
    pub fn total_bits(&self) -> f64 {
        let moves: f64 = self.moves.iter().map(|entry| entry.bits).sum();
        let bytes: f64 = self.bytes.iter().map(ByteCost::bits).sum();
        self.header_bits + moves + bytes + self.end_bits
    }
}

/// Addresses of the base from a place on have moved by so much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddressMove {
    /// Offset in the base; places in RAM follow behind its end.
    pub from: u32,
    /// How far they have moved, in bytes.
    pub shift: i32,
    /// What telling it takes.
    pub bits: f64,
}

/// What one byte of the target takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ByteCost {
    /// Bits for leaving the copy before, and for the start of the copy or literal that begins here.
    pub start_bits: f32,
    /// Bits for the byte itself: whether it is as predicted, and what it is if not.
    pub byte_bits: f32,
    /// How it is told.
    pub told: Told,
    /// Whether it is part of a reference: of an instruction or a pointer that holds an address.
    pub is_reference: bool,
    /// Which byte it is predicted from.
    pub source: Option<CopiedFrom>,
}

impl ByteCost {
    /// All bits that are spent at this byte.
    #[must_use]
    pub fn bits(&self) -> f64 {
        f64::from(self.start_bits) + f64::from(self.byte_bits)
    }
}

/// How a byte is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// It is as predicted.
    #[default]
    Hit,
    /// It is another one than predicted.
    Missed,
    /// Nothing predicts it.
    Literal,
}

/// Where a byte is copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopiedFrom {
    /// An offset in the base.
    Base(u32),
    /// An offset in the target.
    Target(u32),
}

/// A stretch of an image with its address; it ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePiece {
    /// Offset of its first byte.
    pub start: u32,
    /// Address of its first byte.
    pub address: u32,
    /// Whether instructions are looked for in it.
    pub is_code: bool,
}

/// Encodes as [`encode`](super::encode), with an account of every bit; `report` is told how far it is, of 1000.
///
/// # Errors
/// Those of [`encode`](super::encode).
pub fn encode_explained(
    base: Option<&[u8]>,
    target: &[u8],
    options: Options,
    report: &dyn Fn(u32),
) -> Result<Explained, EncodeError> {
    let base = base.unwrap_or_default();
    let found = best(base, target, options, None, report)?;
    let progress = Progress::new(1, &|_| {});
    let Coded { class, map, segments, .. } = &found.coded;
    let job = Job::new(base, target, *class, &options, None, found.known, &progress);
    let mut ledger = Ledger::new(target.len());
    // The same plan and map lead to the same payload.
    let _ = code(&job, segments, map, Some(&mut ledger));
    ledger.trace(&job, segments);
    let (heads, entries) = ledger.heads.split_at(ledger.heads.len().saturating_sub(map.len()));
    let moves = map.iter().zip(entries).map(|(entry, bits)| AddressMove {
        from: entry.from,
        shift: entry.shift,
        bits: *bits,
    });
    let payload_bits = 8.0 * bytes_of(&found.encoded.payload);
    let references = job.references();
    Ok(Explained {
        header_bits: 8.0 + heads.iter().sum::<f64>(),
        moves: moves.collect(),
        end_bits: payload_bits - 8.0 - ledger.total,
        base_pieces: references.map(|known| pieces(&known.base)).unwrap_or_default(),
        target_pieces: job.known.map(|known| pieces(&known.target_as_base)).unwrap_or_default(),
        ram: references.map_or((0, 0), |known| (known.ram.start, known.ram.len)),
        bytes: ledger.bytes,
        encoded: found.encoded,
    })
}

#[allow(clippy::cast_precision_loss, reason = "payloads are small")]
fn bytes_of(payload: &[u8]) -> f64 {
    payload.len() as f64
}

fn pieces(layout: &Layout) -> Vec<ImagePiece> {
    let of = |piece: &Piece| ImagePiece {
        start: piece.start,
        address: piece.address,
        is_code: piece.is_code,
    };
    layout.pieces().iter().map(of).collect()
}

/// Notes what events cost, step by step.
pub(super) struct Ledger {
    bytes: Vec<ByteCost>,
    /// Each part of the header, and then each entry of the map.
    heads: Vec<f64>,
    total: f64,
    /// What was coded in the step at hand.
    step: Vec<(Event, f64)>,
    /// What has been spent on looking for a miss that is known to come.
    doubt: f64,
}

impl Ledger {
    fn new(target_bytes: usize) -> Self {
        Self {
            bytes: alloc::vec![ByteCost::default(); target_bytes],
            heads: Vec::new(),
            total: 0.0,
            step: Vec::new(),
            doubt: 0.0,
        }
    }

    pub(super) fn note(&mut self, event: Event, bits: f64) {
        self.total += bits;
        self.step.push((event, bits));
    }

    /// Books a step that has made these bytes of the target.
    pub(super) fn book(&mut self, made: Range<u32>) {
        let step = core::mem::take(&mut self.step);
        let leaves = step.iter().any(|(event, _)| *event == Event::Leave { leave: true });
        // A halfword: first what concerns the high byte, then the low one.
        let is_half = made.len() == 2;
        let mut flags = 0;
        for (event, bits) in &step {
            let bits = *bits;
            flags += u32::from(matches!(event, Event::Hit { .. } | Event::Doubted { .. }));
            let at = if is_half && flags == 1 { made.start + 1 } else { made.start };
            match event {
                Event::Map => self.heads.push(bits),
                _ if leaves => self.start(at, bits),
                Event::Jump { .. } | Event::LiteralStart => self.start(at, bits),
                Event::Stride { hit: true } => self.spread(made.clone(), bits, Told::Hit),
                Event::Literal { .. } => self.spread(made.clone(), bits, Told::Literal),
                // The price of the first miss.
                Event::Stride { hit: false } | Event::Doubted { hit: true } => self.doubt += bits,
                Event::Hit { hit: false, .. } | Event::Doubted { hit: false } => {
                    let doubt = core::mem::take(&mut self.doubt);
                    self.byte(at, bits + doubt, Told::Missed);
                }
                Event::Hit { hit: true, .. } => self.byte(at, bits, Told::Hit),
                Event::Leave { .. } | Event::Substitute { .. } => self.byte(at, bits, Told::Missed),
            }
        }
        self.step = step;
        self.step.clear();
    }

    fn start(&mut self, at: u32, bits: f64) {
        let bits = bits + core::mem::take(&mut self.doubt);
        if let Some(cost) = self.bytes.get_mut(at as usize) {
            cost.start_bits += narrowed(bits);
        }
    }

    fn byte(&mut self, at: u32, bits: f64, told: Told) {
        if let Some(cost) = self.bytes.get_mut(at as usize) {
            cost.byte_bits += narrowed(bits);
            cost.told = told;
        }
    }

    fn spread(&mut self, over: Range<u32>, bits: f64, told: Told) {
        let each = bits / f64::from(over.end - over.start).max(1.0);
        over.for_each(|at| self.byte(at, each, told));
    }

    /// Notes where each byte comes from, and whether it is part of a reference there.
    fn trace(&mut self, job: &Job<'_>, segments: &[Segment]) {
        let base_size = job.sizes().base;
        for segment in segments {
            let Some(source) = segment.source else { continue };
            for at in segment.start..segment.end() {
                let place = source + (at - segment.start);
                let (from, cell) = match place.checked_sub(base_size) {
                    None => (CopiedFrom::Base(place), job.base_cell(place, at)),
                    Some(offset) => (CopiedFrom::Target(offset), job.units.target_cell(offset)),
                };
                let Some(cost) = self.bytes.get_mut(at as usize) else { continue };
                cost.source = Some(from);
                cost.is_reference =
                    cell.is_some_and(|cell| cell.form.moving() >> cell.index.min(7) & 1 == 1);
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "bits of one event")]
fn narrowed(bits: f64) -> f32 {
    bits as f32
}
