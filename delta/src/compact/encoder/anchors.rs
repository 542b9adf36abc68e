//! Where the bytes at a place of the target also stand: in the base, or earlier in the target.
//!
//! Both images are compared as *projections*, in which the distances of calls and the addresses of pointers are
//! blanked: what moved still matches.

use alloc::vec;
use alloc::vec::Vec;

use super::super::isa::References;
use super::super::sweep::Cell;
use super::Job;
use super::effort::Search;
use super::units;

const HASH_BITS: u32 = 18;

/// Longest match that is measured.
const MAX_MATCH: usize = 400;

const NOWHERE: u32 = u32::MAX;

pub(super) struct Anchors {
    /// Projected base, and behind it the projected target.
    bytes: Vec<u8>,
    base_len: usize,
    /// Bytes that a match has at least.
    min_match: usize,
    /// Earlier places with the same hash that are looked at.
    chain: usize,
    head: Vec<u32>,
    previous: Vec<u32>,
}

impl Anchors {
    pub(super) fn new(job: &Job<'_>) -> Self {
        let Search { min_match, chain, .. } = job.effort.search();
        let mut bytes = project(job.base, &job.units.base);
        let base_len = bytes.len();
        let target_units = job.known.map(|known| {
            let base = known.target_as_base;
            units::swept(job.target, &References { base, ..known.references })
        });
        bytes.extend(project(job.target, &target_units.unwrap_or_default()));
        let previous = vec![NOWHERE; bytes.len()];
        let mut anchors = Self {
            bytes,
            base_len,
            min_match,
            chain,
            head: vec![NOWHERE; 1 << HASH_BITS],
            previous,
        };
        for place in 0..base_len.saturating_sub(min_match) {
            anchors.insert(place);
        }
        anchors
    }

    /// Makes the target's bytes at `n` known; called once they lie far enough behind.
    pub(super) fn learn(&mut self, n: usize) {
        self.insert(self.base_len + n);
    }

    fn insert(&mut self, place: usize) {
        let Some(key) = self.key(place) else { return };
        if let (Some(head), Some(previous)) = (self.head.get_mut(key), self.previous.get_mut(place))
        {
            *previous = *head;
            *head = u32::try_from(place).unwrap_or(NOWHERE);
        }
    }

    fn key(&self, place: usize) -> Option<usize> {
        let bytes = self.bytes.get(place..place + self.min_match)?;
        let value = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)).ok()
    }

    /// Whether four bytes at a place equal those at target offset `n`.
    pub(super) fn agrees(&self, place: usize, n: usize) -> bool {
        let at = |place: usize| self.bytes.get(place..place + 4);
        at(place).is_some() && at(place) == at(self.base_len + n)
    }

    /// Matches for target offset `n` as (length, place), unless `known` says that the place's diagonal is in play.
    pub(super) fn matches(
        &self,
        n: usize,
        known: impl Fn(usize) -> bool,
        found: &mut Vec<(usize, usize)>,
    ) {
        found.clear();
        let goal = self.base_len + n;
        let Some(key) = self.key(goal) else { return };
        let mut place = self.head.get(key).copied().unwrap_or(NOWHERE);
        for _ in 0..self.chain {
            if place == NOWHERE {
                break;
            }
            let at = place as usize;
            if !known(at) {
                let limit = if at < self.base_len { self.base_len - at } else { usize::MAX };
                let len = self.match_len(at, goal, limit.min(MAX_MATCH));
                if len >= self.min_match {
                    found.push((len, at));
                }
            }
            place = self.previous.get(at).copied().unwrap_or(NOWHERE);
        }
    }

    fn match_len(&self, a: usize, b: usize, limit: usize) -> usize {
        const STEP: usize = 8;
        let at = |place: usize| self.bytes.get(place..).unwrap_or_default();
        let (a, b) = (at(a), at(b));
        let (a, b) = (a.get(..limit).unwrap_or(a), b.get(..limit).unwrap_or(b));
        let same = a.chunks_exact(STEP).zip(b.chunks_exact(STEP)).take_while(|(a, b)| a == b);
        let same = same.count() * STEP;
        let left = a.iter().skip(same).zip(b.iter().skip(same));
        same + left.take_while(|(a, b)| a == b).count()
    }
}

/// An image with what moves blanked.
fn project(image: &[u8], cells: &[Cell]) -> Vec<u8> {
    let mut projected = image.to_vec();
    for (offset, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.index == 0) {
        let Some(own) = image.get(offset..).and_then(|bytes| bytes.first_chunk()) else { continue };
        let Some(blanked) = cell.form.blanked(u32::from_le_bytes(*own)) else { continue };
        let len = usize::from(cell.form.len());
        if let Some(bytes) = projected.get_mut(offset..offset + len) {
            bytes.iter_mut().zip(blanked.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
    }
    projected
}
