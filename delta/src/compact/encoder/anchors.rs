//! Where the bytes at a place of the target also stand: in the base, or earlier in the target.
//!
//! Both images are compared as *projections*, in which the distances of calls and the addresses of pointers are
//! blanked: what moved still matches.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::super::isa::References;
use super::super::sweep::Cell;
use super::Job;
use super::effort::Search;
use super::units;

const HASH_BITS: u32 = 18;

/// Longest match that is measured.
const MAX_MATCH: usize = 400;

/// Bytes of a place that are held beside it.
const HEAD: usize = 8;

/// A place and the bytes that stand there: most places are told apart by these, without a look at images that no cache holds.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: u32,
    head: [u8; HEAD],
}

/// Both images, and all places of each key.
pub(super) struct Anchors {
    /// Projected base, and behind it the projected target.
    bytes: Vec<u8>,
    base_len: usize,
    /// Bytes that a match has at least.
    min_match: usize,
    /// Earlier places with the same hash that are looked at.
    chain: usize,
    /// The places of one key after those of another, those of the target behind those of the base, in rising order.
    places: Vec<Place>,
    /// Where the places of each key begin in that list, and where those of the base end.
    starts: Vec<u32>,
    base_ends: Vec<u32>,
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
        let (places, starts, base_ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut anchors = Self { bytes, base_len, min_match, chain, places, starts, base_ends };
        anchors.sort();
        anchors
    }

    /// Sorts all places by their keys.
    fn sort(&mut self) {
        let of_image = |from: usize, to: usize| from..to.saturating_sub(self.min_match).max(from);
        let of_base = of_image(0, self.base_len);
        let of_target = of_image(self.base_len, self.bytes.len());
        let mut counts = vec![0u32; 1 << HASH_BITS];
        for key in of_base.clone().chain(of_target.clone()).filter_map(|at| self.key(at)) {
            counts.get_mut(key).into_iter().for_each(|count| *count += 1);
        }
        let mut places = 0;
        let start = |count: u32| {
            let start = places;
            places += count;
            start
        };
        self.starts = counts.into_iter().map(start).collect();
        self.places = vec![Place::default(); places as usize];
        let mut ends = self.starts.clone();
        self.sort_in(of_base, &mut ends);
        self.base_ends.clone_from(&ends);
        self.sort_in(of_target, &mut ends);
    }

    /// Puts places where those of their keys have ended so far.
    fn sort_in(&mut self, places: Range<usize>, ends: &mut [u32]) {
        for at in places {
            let Some(end) = self.key(at).and_then(|key| ends.get_mut(key)) else { continue };
            let place = Place { at: u32::try_from(at).unwrap_or(u32::MAX), head: self.head(at) };
            self.places.get_mut(*end as usize).into_iter().for_each(|known| *known = place);
            *end += 1;
        }
    }

    fn key(&self, place: usize) -> Option<usize> {
        let bytes = self.bytes.get(place..place + self.min_match)?;
        let value = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)).ok()
    }

    /// The bytes at a place; behind the end, zeros.
    fn head(&self, place: usize) -> [u8; HEAD] {
        let bytes = self.bytes.get(place..).unwrap_or_default();
        bytes.first_chunk().copied().unwrap_or_else(|| {
            let mut head = [0; HEAD];
            head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            head
        })
    }

    /// How many bytes are the same from two places on.
    fn match_len(&self, a: usize, b: usize, limit: usize) -> usize {
        let at = |place: usize| self.bytes.get(place..).unwrap_or_default();
        let (a, b) = (at(a), at(b));
        let (a, b) = (a.get(..limit).unwrap_or(a), b.get(..limit).unwrap_or(b));
        let same = a.chunks_exact(HEAD).zip(b.chunks_exact(HEAD)).take_while(|(a, b)| a == b);
        let same = same.count() * HEAD;
        let left = a.iter().skip(same).zip(b.iter().skip(same));
        same + left.take_while(|(a, b)| a == b).count()
    }
}

/// The places that are known while one parse makes the target: all of the base, and what lies far enough behind.
pub(super) struct Chains<'a> {
    anchors: &'a Anchors,
    /// Where the known places of each key end.
    ends: Vec<u32>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(anchors: &'a Anchors) -> Self {
        Self { anchors, ends: anchors.base_ends.clone() }
    }

    /// Makes the target's bytes at `n` known; called once they lie far enough behind, in the order of offsets.
    pub(super) fn learn(&mut self, n: usize) {
        let key = self.anchors.key(self.anchors.base_len + n);
        if let Some(end) = key.and_then(|key| self.ends.get_mut(key)) {
            *end += 1;
        }
    }

    /// Whether four bytes at a place equal those at target offset `n`.
    pub(super) fn agrees(&self, place: u32, n: usize) -> bool {
        let at = |place: usize| self.anchors.bytes.get(place..place + 4);
        let place = at(place as usize);
        place.is_some() && place == at(self.anchors.base_len + n)
    }

    /// Tells the lengths and places of matches for target offset `n`, the last places first, but for places of which
    /// `is_in_play` says that their diagonals are.
    pub(super) fn matches(
        &self,
        n: usize,
        is_in_play: impl Fn(u32) -> bool,
        mut found: impl FnMut(u32, u32),
    ) {
        let Self { anchors, ends } = self;
        let goal = anchors.base_len + n;
        let Some(key) = anchors.key(goal) else { return };
        let [start, end] = [&anchors.starts, ends]
            .map(|bounds| bounds.get(key).map_or(0, |bound| *bound as usize));
        let places = anchors.places.get(start..end).unwrap_or_default();
        let head = u64::from_le_bytes(anchors.head(goal));
        let left = (anchors.bytes.len() - goal).min(MAX_MATCH);
        for place in places.iter().rev().take(anchors.chain) {
            let unlike = u64::from_le_bytes(place.head) ^ head;
            let alike = unlike.trailing_zeros() as usize / 8;
            if alike < anchors.min_match || is_in_play(place.at) {
                continue;
            }
            let at = place.at as usize;
            let limit = if at < anchors.base_len { left.min(anchors.base_len - at) } else { left };
            let more = || anchors.match_len(at + HEAD, goal + HEAD, limit.saturating_sub(HEAD));
            let len = if alike == HEAD { HEAD + more() } else { alike }.min(limit);
            if len >= anchors.min_match {
                found(u32::try_from(len).unwrap_or(0), place.at);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::super::progress::Progress;
    use super::super::{CodeHint, Options};
    use super::*;
    use crate::compact::class::Class;

    /// Bytes of which many stand in many places.
    fn image(len: usize, mut state: u32) -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [.., high] = (state & state << 3 & 0x8300_0000).to_le_bytes();
            high
        };
        (0..len).map(|_| byte()).collect()
    }

    #[test]
    fn matches_are_those_of_the_last_places_with_the_same_hash() {
        let (base, mut target) = (image(3000, 1), image(1500, 2));
        target.extend(&base[700..1400]);
        target.extend(&target.clone()[200..800]);
        let options = Options { code: CodeHint::Unknown, ..Options::default() };
        let progress = Progress::new(1, &|_| {});
        let job = Job::new(&base, &target, Class::ALL[0], &options, None, None, &progress);
        let anchors = Anchors::new(&job);
        let mut chains = Chains::new(&anchors);
        let all = [&base[..], &target].concat();
        let min_match = anchors.min_match;
        let len_at = |at: usize, goal: usize| {
            let limit = if at < base.len() { base.len() - at } else { all.len() };
            let same = all[at..].iter().zip(&all[goal..]).take_while(|(a, b)| a == b);
            same.count().min(limit).min(MAX_MATCH)
        };
        let is_in_play = |place: usize| place % 7 == 3;
        for n in 0..target.len() {
            let goal = base.len() + n;
            let known =
                (0..base.len() - min_match).chain(base.len()..goal.max(min_match) - min_match);
            let known: Vec<usize> = known.collect();
            let key = anchors.key(goal);
            let alike = known.iter().rev().filter(|at| key.is_some() && anchors.key(**at) == key);
            let last = alike.take(anchors.chain).filter(|at| !is_in_play(**at));
            let expected = last.map(|at| (len_at(*at, goal), *at));
            let expected: Vec<(usize, usize)> =
                expected.filter(|(len, _)| *len >= min_match).collect();
            let mut found = Vec::new();
            let in_play = |place: u32| is_in_play(place as usize);
            chains.matches(n, in_play, |len, at| found.push((len as usize, at as usize)));
            assert_eq!(found, expected, "{n}");
            if let Some(behind) = n.checked_sub(min_match) {
                chains.learn(behind);
            }
        }
    }
}
