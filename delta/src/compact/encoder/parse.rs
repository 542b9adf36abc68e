//! Finds the cheapest way to make the target: a beam search over diagonals.
//!
//! At each target byte every state (a diagonal to copy along, or a literal) goes on, and the cheapest ones may jump to
//! candidates: matches, what the map gives, diagonals used before, and places near the last one. Costs are what the
//! last encoding measured.

use alloc::vec;
use alloc::vec::Vec;

use super::super::map::{AddressMap, Entry, PackedEntry};
use super::super::predict::{Caches, KIND_PLAIN, Predicted, Predictor};
use super::super::stream::{
    DIAGONALS, JUMP_BACK, JUMP_BY_MAP, JUMP_IN_BASE, JUMP_IN_TARGET, Segment,
};
use super::super::view::Source;
use super::Job;
use super::anchors::Anchors;
use super::costs::Costs;
use super::effort;
use super::side::SliceView;

/// States that cost this many bits more than the best one are dropped.
const MAX_EXCESS: f32 = 60.0;

/// The same while everything fits: nothing will catch up then.
const MAX_EXCESS_CALM: f32 = 16.0;

/// States that may jump.
const JUMPERS: usize = 4;

/// A reference of unknown shift that changed, in bits, while there is no map.
const LENIENT_MISS: f32 = 1.2;

/// How references are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum References {
    /// There is no map yet: a reference may change at little cost.
    Lenient,
    /// As the machine will predict them.
    Predicted,
}

const LITERAL: i64 = i64::MIN;

#[derive(Clone, Copy, Debug)]
struct State {
    /// Target offset minus place, or [`LITERAL`].
    diagonal: i64,
    cost: f32,
    parent: u32,
    history: u32,
    recent: [i64; DIAGONALS],
    /// The diagonal of this copy, or of the last one from the base.
    last: i64,
}

struct Search<'a> {
    job: &'a Job<'a>,
    costs: &'a Costs,
    predictor: Predictor<'a>,
    view: SliceView<'a>,
    references: References,
    base_size: i64,
    effort: effort::Search,
}

/// The cheapest segments, in order.
pub(super) fn parse(
    job: &Job<'_>,
    map: &[Entry],
    costs: &Costs,
    references: References,
) -> Vec<Segment> {
    let mut entries = vec![PackedEntry::default(); map.len()];
    let mut address_map = AddressMap::new(&mut entries);
    for entry in map {
        address_map.push(*entry);
    }
    let sizes = job.sizes();
    let mut no_cells = [(0, 0); 4];
    let predictor = Predictor {
        map: address_map,
        caches: Caches::new(&mut no_cells),
        addresses: job.addresses(),
        base_size: sizes.base,
    };
    let inverse = inverse_map(map, sizes.base, sizes.target);
    let view = SliceView::new(job.base, job.target);
    let base_size = i64::from(sizes.base);
    let search =
        Search { job, costs, predictor, view, references, base_size, effort: job.effort.search() };
    let diagonals = search.run(&inverse);
    let segments = segments(&diagonals, base_size);
    if job.load.is_some() { even_starts(segments, sizes.base) } else { segments }
}

/// For each target offset the old one that the map gives.
fn inverse_map(map: &[Entry], base_size: u32, target_size: u32) -> Vec<Option<u32>> {
    let mut inverse = vec![None; target_size as usize];
    let ends = map.iter().skip(1).map(|entry| entry.from).chain([base_size]);
    for (entry, end) in map.iter().zip(ends) {
        for old in entry.from..end {
            let new = i64::from(old) + i64::from(entry.shift);
            let slot = usize::try_from(new).ok().and_then(|new| inverse.get_mut(new));
            if let Some(slot @ None) = slot {
                *slot = Some(old);
            }
        }
    }
    inverse
}

impl Search<'_> {
    fn run(&self, inverse: &[Option<u32>]) -> Vec<i64> {
        let len = self.job.target.len();
        let mut anchors = Anchors::new(self.job);
        let start = State {
            diagonal: LITERAL,
            cost: 0.0,
            parent: 0,
            history: 0,
            recent: [0; DIAGONALS],
            last: 0,
        };
        let mut states = vec![start];
        let mut trail: Vec<Vec<(i32, u32)>> = Vec::with_capacity(len);
        let mut covered: Vec<(i64, usize)> = Vec::new();
        let (mut found, mut candidates) = (Vec::new(), Vec::new());
        for n in 0..len {
            let best = states.first().copied().unwrap_or(start);
            let calm = best.diagonal != LITERAL
                && best.history == 0
                && n > 32
                && self
                    .step(best.diagonal, best.history, n)
                    .is_some_and(|(_, history)| history & 1 == 0);
            let mut next: Vec<State> = Vec::with_capacity(self.effort.beam + 8);
            self.go_on(&states, n, if calm { MAX_EXCESS_CALM } else { MAX_EXCESS }, &mut next);
            if !calm {
                covered.retain(|(_, end)| *end > n);
                self.collect(
                    &anchors,
                    &best,
                    n,
                    inverse,
                    &mut covered,
                    &mut found,
                    &mut candidates,
                );
                self.jump(&states, n, inverse.get(n).copied().flatten(), &candidates, &mut next);
            }
            next.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            next.truncate(self.effort.beam);
            let place = |state: &State| {
                let diagonal =
                    if state.diagonal == LITERAL { i64::from(i32::MIN) } else { state.diagonal };
                (i32::try_from(diagonal).unwrap_or(i32::MIN), state.parent)
            };
            trail.push(next.iter().map(place).collect());
            states = next;
            if let Some(behind) = n.checked_sub(self.effort.min_match) {
                anchors.learn(behind);
            }
        }
        let (mut diagonals, mut index) = (vec![LITERAL; len], 0usize);
        for (diagonal, row) in diagonals.iter_mut().zip(&trail).rev() {
            let (of_state, parent) = row.get(index).copied().unwrap_or((i32::MIN, 0));
            *diagonal = if of_state == i32::MIN { LITERAL } else { of_state.into() };
            index = parent as usize;
        }
        diagonals
    }

    fn predict(&self, source: Source, n: u32) -> Predicted {
        self.predictor.predict(&self.view.window_at(source, n), source, n)
    }

    /// Cost of the byte at `n` along a diagonal, and the history behind it; `None` if nothing is there.
    fn step(&self, diagonal: i64, history: u32, n: usize) -> Option<(f32, u32)> {
        let n32 = u32::try_from(n).ok()?;
        let source =
            Source::from_virtual(i64::from(n32) - diagonal, self.predictor.base_size, n32)?;
        let predicted = self.predict(source, n32);
        let (byte, odd) = (self.job.target.get(n).copied()?, n & 1 == 1);
        let is_reference = predicted.kind != KIND_PLAIN;
        let expected =
            if self.references == References::Lenient { predicted.raw } else { predicted.byte };
        if expected == byte {
            return Some((self.costs.hit(predicted.kind, odd, history), history << 1));
        }
        if self.references == References::Lenient && is_reference {
            return Some((LENIENT_MISS, history << 1));
        }
        Some((self.costs.substitution(predicted.kind, odd, history), history << 1 | 1))
    }

    /// Every state codes its next byte; the best one of all also as a literal.
    fn go_on(&self, states: &[State], n: usize, max_excess: f32, next: &mut Vec<State>) {
        let best_cost = states.first().map_or(0.0, |best| best.cost);
        let odd = n & 1 == 1;
        let mut literal: Option<(f32, usize)> = None;
        for (index, state) in states.iter().enumerate() {
            if state.cost > best_cost + max_excess {
                continue;
            }
            let parent = u32::try_from(index).unwrap_or(0);
            let cost = if state.diagonal == LITERAL {
                state.cost + self.costs.literal
            } else {
                let at_end =
                    i64::try_from(n).unwrap_or(0) - state.diagonal == self.base_size && n > 0;
                if !at_end
                    && let Some((cost, history)) = self.step(state.diagonal, state.history, n)
                {
                    next.push(State { cost: state.cost + cost, parent, history, ..*state });
                }
                let leave = if at_end { 0.0 } else { self.leave(odd, state.history) };
                state.cost + leave + self.costs.literal_start + self.costs.literal
            };
            if literal.is_none_or(|(best, _)| cost < best) {
                literal = Some((cost, index));
            }
        }
        if let Some((cost, index)) = literal
            && let Some(from) = states.get(index)
        {
            let parent = u32::try_from(index).unwrap_or(0);
            next.push(State { diagonal: LITERAL, cost, parent, ..*from });
        }
    }

    fn leave(&self, odd: bool, history: u32) -> f32 {
        self.costs.miss(KIND_PLAIN, odd, history) + self.costs.leave
    }

    /// Places that the byte at `n` may be copied from.
    #[allow(clippy::too_many_arguments, reason = "scratch buffers of the caller")]
    fn collect(
        &self,
        anchors: &Anchors,
        best: &State,
        n: usize,
        inverse: &[Option<u32>],
        covered: &mut Vec<(i64, usize)>,
        found: &mut Vec<(usize, usize)>,
        candidates: &mut Vec<i64>,
    ) {
        candidates.clear();
        let here = i64::try_from(n).unwrap_or(0);
        let diagonal_of = |place: usize| here - i64::try_from(place).unwrap_or(0);
        let known =
            |place: usize| covered.iter().any(|(diagonal, _)| *diagonal == diagonal_of(place));
        anchors.matches(n, known, found);
        let off = |place: usize| (diagonal_of(place) - best.last).abs();
        found.sort_by(|a, b| b.0.cmp(&a.0).then(off(a.1).cmp(&off(b.1))));
        let nearest = found
            .iter()
            .min_by_key(|(_, place)| off(*place))
            .filter(|(_, place)| off(*place) < 4096);
        for (len, place) in found.iter().take(self.effort.best_matches).chain(nearest) {
            covered.push((diagonal_of(*place), n + len));
            candidates.push(i64::try_from(*place).unwrap_or(0));
        }
        if let Some(Some(old)) = inverse.get(n) {
            candidates.push((*old).into());
        }
        for near in (-24..=24).step_by(2).filter(|near| *near != 0) {
            let place = here - best.last + near;
            if place >= 0
                && place + 4 <= self.base_size
                && usize::try_from(place).is_ok_and(|place| anchors.agrees(place, n))
            {
                candidates.push(place);
            }
        }
        for diagonal in best.recent {
            let place = here - diagonal;
            if place >= 0 && place < self.base_size + here {
                candidates.push(place);
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
    }

    /// The cheapest states jump to each candidate.
    fn jump(
        &self,
        states: &[State],
        n: usize,
        by_map: Option<u32>,
        candidates: &[i64],
        next: &mut Vec<State>,
    ) {
        let here = i64::try_from(n).unwrap_or(0);
        let odd = n & 1 == 1;
        let best_cost = states.first().map_or(0.0, |best| best.cost);
        let jumpers: Vec<(f32, u32, &State)> = (0..)
            .zip(states)
            .take(JUMPERS)
            .filter(|(_, state)| state.cost <= best_cost + MAX_EXCESS)
            .map(|(index, state)| {
                let leave =
                    if state.diagonal == LITERAL { 0.0 } else { self.leave(odd, state.history) };
                (state.cost + leave, index, state)
            })
            .collect();
        for place in candidates {
            let diagonal = here - place;
            let to_map = by_map.is_some_and(|old| i64::from(old) == *place);
            let cost_from = |state: &State| {
                let after_literal = state.diagonal == LITERAL;
                let cost = |kind, distance| self.costs.jump(after_literal, kind, distance);
                let known = (0..).zip(state.recent).find(|(_, recent)| *recent == diagonal);
                let known = known.map(|(index, _)| cost(JUMP_BACK + index, 0));
                let map = to_map.then(|| cost(JUMP_BY_MAP, 0));
                let far = if *place < self.base_size {
                    cost(JUMP_IN_BASE, state.last - diagonal)
                } else {
                    cost(JUMP_IN_TARGET, here + self.base_size - 1 - place)
                };
                [known, map].into_iter().flatten().fold(far, f32::min)
            };
            let ways = jumpers.iter().filter(|(.., state)| state.diagonal != diagonal);
            let ways = ways.map(|(cost, index, state)| (cost + cost_from(state), *index, *state));
            let Some((cost, parent, from)) = ways.min_by(|a, b| a.0.total_cmp(&b.0)) else {
                continue;
            };
            let Some((byte, history)) = self.step(diagonal, from.history, n) else { continue };
            let mut recent = from.recent;
            let known =
                recent.iter().position(|recent| *recent == diagonal).unwrap_or(DIAGONALS - 1);
            if let Some(upto) = recent.get_mut(..=known) {
                upto.rotate_right(1);
            }
            let [newest, ..] = &mut recent;
            *newest = diagonal;
            let last = if *place < self.base_size { diagonal } else { from.last };
            let state = State { diagonal, cost: cost + byte, parent, history, recent, last };
            match next.iter_mut().find(|known| known.diagonal == diagonal) {
                Some(known) if known.cost > state.cost => *known = state,
                Some(_) => {}
                None => next.push(state),
            }
        }
    }
}

/// Joins bytes of one diagonal; base and target are different segments even on one diagonal.
fn segments(diagonals: &[i64], base_size: i64) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (n, diagonal) in (0u32..).zip(diagonals) {
        let source = (*diagonal != LITERAL).then(|| i64::from(n) - diagonal);
        let goes_on = segments.last().is_some_and(|last| match (last.source, source) {
            (None, None) => true,
            (Some(before), Some(place)) => {
                i64::from(before) + i64::from(last.len) == place && place != base_size
            }
            _ => false,
        });
        match segments.last_mut() {
            Some(last) if goes_on => last.len += 1,
            _ => {
                let source = source.and_then(|place| u32::try_from(place).ok());
                segments.push(Segment { start: n, len: 1, source });
            }
        }
    }
    segments
}

/// Moves starts at odd offsets on by one, so that halfwords stay whole; not where a copy would run past the base.
fn even_starts(segments: Vec<Segment>, base_size: u32) -> Vec<Segment> {
    let mut even: Vec<Segment> = Vec::new();
    for mut segment in segments {
        if segment.start & 1 == 1 {
            let last = even.last_mut();
            let at_end = last.as_ref().is_some_and(|last| {
                last.source
                    .is_some_and(|source| source < base_size && source + last.len == base_size)
            });
            if !at_end && let Some(last) = last {
                last.len += 1;
                segment.start += 1;
                segment.len -= 1;
                segment.source = segment.source.map(|source| source + 1);
            }
        }
        match even.last_mut() {
            _ if segment.len == 0 => {}
            Some(last) if last.source.is_none() && segment.source.is_none() => {
                last.len += segment.len;
            }
            _ => even.push(segment),
        }
    }
    even
}
