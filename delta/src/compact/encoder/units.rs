//! What each byte of the images is part of: of the base by sweeping it, of the target as far as it is told without.
//!
//! Where the target takes the room of the base, what the bytes of a sector are part of depends on which sectors around it
//! are gone: it is told afresh whenever one of them goes.

use alloc::vec::Vec;

use super::super::isa::{self, Bytes, Form, References};
use super::super::sweep::{Cell, Sweep};
use super::super::view::{Rest, Unit};
use super::Job;
use crate::InPlace;
use crate::in_place::Gone;

/// Stands for a byte that is part of something else than itself.
const REFERENCE: u16 = u16::MAX;

/// What each byte is part of; nothing is known of images that are no code.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    /// As if nothing were gone.
    pub(super) base: Vec<Cell>,
    target: Vec<Cell>,
    /// Bytes of the base, and behind them those of the target, that are predicted as they are, or [`REFERENCE`]: the parse
    /// asks for little else. Empty where that depends on what is gone.
    plain: Vec<u16>,
    /// For each sector of the base: from which seat on its bytes are part of what, in the order of seats.
    later: Vec<Vec<(u32, Vec<Cell>)>>,
}

impl Units {
    pub(super) fn new(
        base: &[u8],
        target: &[u8],
        references: Option<&References>,
        in_place: Option<InPlace<'_>>,
    ) -> Self {
        let mut units = Self::default();
        if let Some(references) = references {
            let call = |offset| {
                let mut bytes = Slice(target);
                Unit::call(references, &mut bytes, offset).cell
            };
            let later = in_place.map(|in_place| later(base, references, in_place));
            units.base = swept(base, references);
            units.target = (0..len_of(target)).map(call).collect();
            units.later = later.unwrap_or_default();
        }
        if in_place.is_none() {
            units.plain = plain(base, &units.base).chain(plain(target, &units.target)).collect();
        }
        units
    }

    /// The byte at a place in the space of base and target, if it is known to be predicted as it is.
    pub(super) fn plain(&self, place: u32) -> Option<u8> {
        self.plain.get(place as usize).and_then(|byte| u8::try_from(*byte).ok())
    }

    pub(super) fn target_cell(&self, offset: u32) -> Option<Cell> {
        self.target.get(offset as usize).copied()
    }
}

/// [`Units::plain`] of one image.
fn plain(image: &[u8], cells: &[Cell]) -> impl Iterator<Item = u16> {
    image.iter().enumerate().map(|(offset, byte)| {
        let is_plain = cells.get(offset).is_none_or(|cell| cell.form == Form::Plain);
        if is_plain { u16::from(*byte) } else { REFERENCE }
    })
}

/// What each byte of a base is part of.
pub(super) fn swept(base: &[u8], references: &References) -> Vec<Cell> {
    let mut sweep = Sweep::EMPTY;
    let cell = |offset| sweep.cell(references, &mut Slice(base), offset);
    (0..len_of(base)).map(cell).collect()
}

/// [`Units::later`].
fn later(
    base: &[u8],
    references: &References,
    in_place: InPlace<'_>,
) -> Vec<Vec<(u32, Vec<Cell>)>> {
    let (sector_bytes, seats) = (in_place.sector_bytes(), in_place.seats());
    let (before, behind) = references.set.looks_at_bytes();
    let [before, behind] = [before, behind].map(|bytes| bytes.div_ceil(sector_bytes) as usize);
    let of_sector = |(sector, own): (usize, &u16)| {
        let around = seats.iter().take(sector + behind + 1).skip(sector.saturating_sub(before));
        let mut times: Vec<u16> = around.copied().filter(|seat| seat < own).collect();
        times.sort_unstable();
        let start = u32::try_from(sector).unwrap_or(u32::MAX) * sector_bytes;
        let end = (start + sector_bytes).min(len_of(base));
        let cells = |time: u16| {
            let gone = in_place.gone(u32::from(time) * sector_bytes);
            let (mut sweep, mut rest) = (Sweep::EMPTY, Rest { bytes: Slice(base), gone });
            let cell = |offset| sweep.cell(references, &mut rest, offset);
            (u32::from(time), (start..end).map(cell).collect())
        };
        times.into_iter().map(cells).collect()
    };
    seats.iter().enumerate().map(of_sector).collect()
}

impl<'a> Job<'a> {
    /// What of the base is gone while the target byte at `n` is made.
    pub(super) fn gone(&self, n: u32) -> Gone<'a> {
        self.in_place.map_or(Gone::NOTHING, |in_place| in_place.gone(n))
    }

    /// What is there of the base then.
    pub(super) fn rest(&self, n: u32) -> Rest<'a, Slice<'a>> {
        Rest { bytes: Slice(self.base), gone: self.gone(n) }
    }

    /// What the byte of the base at an offset is part of then; `None` if that is not known of any.
    pub(super) fn base_cell(&self, offset: u32, n: u32) -> Option<Cell> {
        let known = self.units.base.get(offset as usize).copied()?;
        let (Some(in_place), Some(references)) = (self.in_place, self.references()) else {
            return Some(known);
        };
        if let Some(cell) = self.distance_cell(references, offset, n) {
            return Some(cell);
        }
        let later = self.units.later.get(in_place.sector(offset) as usize)?;
        let passed = later.partition_point(|(seat, _)| *seat <= in_place.sector(n));
        let Some((_, cells)) = passed.checked_sub(1).and_then(|last| later.get(last)) else {
            return Some(known);
        };
        cells.get((offset % in_place.sector_bytes()) as usize).copied()
    }

    /// What a word of data is now, if it may be a distance to something that is gone.
    fn distance_cell(&self, references: &References, offset: u32, n: u32) -> Option<Cell> {
        let ((piece, end), word) = (references.base.piece_at(offset), offset & !3);
        let is_word = word >= piece.start && word + 4 <= end;
        if piece.is_code || !is_word || !references.set.has_far_distances() {
            return None;
        }
        let step = isa::step_data(references, &mut self.rest(n), word);
        let index = u8::try_from(offset & 3).unwrap_or(0);
        Some(Cell { form: step.form, index, distance: 0 })
    }
}

fn len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Bytes in memory.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a>(pub(super) &'a [u8]);

impl Bytes for Slice<'_> {
    fn len(&self) -> u32 {
        len_of(self.0)
    }

    fn up_to_four(&mut self, offset: u32) -> u32 {
        let bytes = self.0.get(offset as usize..).unwrap_or_default();
        if let Some(word) = bytes.first_chunk() {
            return u32::from_le_bytes(*word);
        }
        bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }
}
