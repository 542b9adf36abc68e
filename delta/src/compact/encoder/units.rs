//! What each byte of the images is part of: of the base by sweeping it, of the target as far as it is told without.
//!
//! Where the target takes the room of the base, what bytes right behind those that are gone are part of depends on how
//! much is gone; these are swept for each sector by themselves.

use alloc::vec::Vec;
use core::convert::Infallible;

use super::super::isa::{self, Bytes, References};
use super::super::sweep::{Cell, Sweep};
use super::super::view::{Rest, Unit};
use super::Job;
use crate::InPlace;

/// What each byte is part of; nothing is known of images that are no code.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    /// As if nothing were gone.
    pub(super) base: Vec<Cell>,
    target: Vec<Cell>,
    /// For each sector of the target: the first bytes of the base that are not gone.
    edges: Vec<Vec<Cell>>,
}

impl Units {
    pub(super) fn new(
        base: &[u8],
        target: &[u8],
        references: Option<&References>,
        in_place: Option<InPlace>,
    ) -> Self {
        let Some(references) = references else { return Self::default() };
        let call = |offset| {
            let mut bytes = Slice(target);
            infallible(Unit::call(references, &mut bytes, offset)).cell
        };
        let edges = in_place.map(|in_place| edges(base, len_of(target), references, in_place));
        Self {
            base: swept(base, references),
            target: (0..len_of(target)).map(call).collect(),
            edges: edges.unwrap_or_default(),
        }
    }

    pub(super) fn target_cell(&self, offset: u32) -> Option<Cell> {
        self.target.get(offset as usize).copied()
    }
}

/// What each byte of a base is part of.
pub(super) fn swept(base: &[u8], references: &References) -> Vec<Cell> {
    cells(Rest { bytes: Slice(base), gone: 0 }, references, len_of(base))
}

/// What each byte that is not gone is part of, up to an offset.
fn cells(mut rest: Rest<Slice<'_>>, references: &References, end: u32) -> Vec<Cell> {
    let (mut sweep, gone) = (Sweep::EMPTY, rest.gone);
    let cell = |offset| infallible(sweep.cell(references, &mut rest, offset));
    (gone..end).map(cell).collect()
}

/// [`Units::edges`].
fn edges(
    base: &[u8],
    target_len: u32,
    references: &References,
    in_place: InPlace,
) -> Vec<Vec<Cell>> {
    /// How far in front of an instruction others may be looked at.
    const BEFORE: u32 = 4;
    let (ahead, stretch) = references.set.sweep_bytes();
    let edge = |sector: u32| {
        let gone = in_place.gone_bytes(sector * in_place.sector_bytes());
        if gone == 0 || gone >= len_of(base) {
            return Vec::new();
        }
        let end = (gone + ahead + BEFORE).next_multiple_of(stretch);
        cells(Rest { bytes: Slice(base), gone }, references, end.min(len_of(base)))
    };
    (0..target_len.div_ceil(in_place.sector_bytes())).map(edge).collect()
}

impl<'a> Job<'a> {
    /// How many bytes of the base are gone while the target byte at `n` is made.
    pub(super) fn gone(&self, n: u32) -> u32 {
        self.in_place.map_or(0, |in_place| in_place.gone_bytes(n))
    }

    /// What is there of the base then.
    pub(super) fn rest(&self, n: u32) -> Rest<Slice<'a>> {
        Rest { bytes: Slice(self.base), gone: self.gone(n) }
    }

    /// What the byte of the base at an offset is part of then; `None` if that is not known of any.
    pub(super) fn base_cell(&self, offset: u32, n: u32) -> Option<Cell> {
        let known = self.units.base.get(offset as usize).copied()?;
        let (Some(in_place), Some(references)) = (self.in_place, self.references()) else {
            return Some(known);
        };
        let Some(behind) = offset.checked_sub(in_place.gone_bytes(n)) else {
            return Some(Cell::default());
        };
        let edge = self.units.edges.get((n / in_place.sector_bytes()) as usize);
        if let Some(cell) = edge.and_then(|edge| edge.get(behind as usize)) {
            return Some(*cell);
        }
        Some(self.distance_cell(references, offset, n).unwrap_or(known))
    }

    /// What a word of data is now, if it may be a distance to something that is gone.
    fn distance_cell(&self, references: &References, offset: u32, n: u32) -> Option<Cell> {
        let ((piece, end), word) = (references.base.piece_at(offset), offset & !3);
        let is_word = word >= piece.start && word + 4 <= end;
        if self.gone(n) == 0 || piece.is_code || !is_word || !references.set.has_far_distances() {
            return None;
        }
        let step = infallible(isa::step_data(references, &mut self.rest(n), word));
        let index = u8::try_from(offset & 3).unwrap_or(0);
        Some(Cell { form: step.form, index, distance: 0 })
    }
}

fn len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

pub(super) fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Bytes in memory.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a>(pub(super) &'a [u8]);

impl Bytes for Slice<'_> {
    type Error = Infallible;

    fn len(&self) -> u32 {
        len_of(self.0)
    }

    fn up_to_four(&mut self, offset: u32) -> Result<u32, Infallible> {
        let bytes = self.0.get(offset as usize..).unwrap_or_default();
        if let Some(word) = bytes.first_chunk() {
            return Ok(u32::from_le_bytes(*word));
        }
        Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }
}
