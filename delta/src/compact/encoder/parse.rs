//! Finds the cheapest way to make the target: a beam search over diagonals.
//!
//! At each target byte every state (a diagonal to copy along, or a literal) goes on, and the cheapest ones may jump to
//! candidates: matches, what the map gives, diagonals used before, and places near the last one. Costs are what the
//! last encoding measured.

use alloc::vec;
use alloc::vec::Vec;

use super::super::isa;
use super::super::map::{AddressMap, Entry, PackedEntry};
use super::super::predict::{KIND_PLAIN, Predicted, Predictor, Trust};
use super::super::stream::{
    JUMP_BACK, JUMP_BY_MAP, JUMP_IN_BASE, JUMP_IN_TARGET, Segment, move_to_front,
};
use super::super::view::Source;
use super::Job;
use super::anchors::{Anchors, Chains};
use super::costs::Costs;
use super::effort;
use super::frontier::{Frontier, LITERAL, State, hashed};
use super::matches::{Match, Matches};
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

/// The start of a copy or a literal.
#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    diagonal: i32,
    /// What was in front of it; of the first one, itself.
    before: u32,
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
    anchors: &Anchors,
    map: &[Entry],
    costs: &Costs,
    references: References,
) -> Vec<Segment> {
    let mut entries = vec![PackedEntry::default(); map.len()];
    let mut address_map = AddressMap::new(&mut entries);
    for (index, entry) in map.iter().enumerate() {
        address_map.set(index, *entry);
    }
    let sizes = job.sizes();
    let mut trust = Trust::NEW;
    let mut known = job.references().copied().unwrap_or(isa::References::NEW);
    let predictor = Predictor {
        map: address_map,
        exceptions: &mut [[0; 2]],
        trust: &mut trust,
        references: &mut known,
        is_known: job.references().is_some(),
        base_size: sizes.base,
    };
    let inverse = match job.references() {
        Some(known) => predictor.map.sources(known, [sizes.base, sizes.target]),
        None => vec![None; sizes.target as usize],
    };
    debug_assert!(
        (0..).zip(&inverse).step_by(977).all(|(n, source)| predictor.source_of(n) == *source)
    );
    let view = SliceView::new(job);
    let base_size = i64::from(sizes.base);
    let search =
        Search { job, costs, predictor, view, references, base_size, effort: job.effort.search() };
    let segments = search.run(anchors, &inverse);
    if job.in_halfwords() { even_starts(segments, sizes.base) } else { segments }
}

/// Matches that are in play: how far each diagonal is known to match. Forgets some.
struct Covered(Vec<(i32, u32)>);

impl Covered {
    const SLOTS: usize = 4096;

    fn note(&mut self, diagonal: i32, end: u32) {
        if let Some(slot) = self.0.get_mut(hashed(diagonal) % Self::SLOTS) {
            *slot = (diagonal, end);
        }
    }

    fn covers(&self, diagonal: i32, n: u32) -> bool {
        let slot = self.0.get(hashed(diagonal) % Self::SLOTS);
        slot.is_some_and(|(known, end)| *known == diagonal && *end > n)
    }
}

/// What is known of matches, and room for those at hand.
struct Scratch {
    covered: Covered,
    found: Matches,
    candidates: Vec<u32>,
}

impl Search<'_> {
    fn run(&self, anchors: &Anchors, inverse: &[Option<u32>]) -> Vec<Segment> {
        let len = self.job.target.len();
        let mut chains = Chains::new(anchors);
        let mut nodes = vec![Node { start: 0, diagonal: LITERAL, before: 0 }];
        let mut states = vec![State::START];
        let mut next = Frontier::new();
        let mut scratch = Scratch {
            covered: Covered(vec![(LITERAL, 0); Covered::SLOTS]),
            found: Matches::new(self.effort.best_matches),
            candidates: Vec::new(),
        };
        for n in 0..len {
            self.job.progress.advance();
            let best = states.first().copied().unwrap_or(State::START);
            let calm = best.diagonal != LITERAL
                && best.history == 0
                && n > 32
                && self
                    .step(best.diagonal, best.history, n)
                    .is_some_and(|(_, history)| history & 1 == 0);
            next.clear();
            self.go_on(&states, n, if calm { MAX_EXCESS_CALM } else { MAX_EXCESS }, &mut next);
            if !calm {
                let by_map = inverse.get(n).copied().flatten();
                self.collect(&chains, &best, n, by_map, &mut scratch);
                self.jump(&states, n, by_map, &scratch.candidates, &mut next);
            }
            // Among equals, those that stay where they are come first (5 % smaller on some images).
            next.cheapest(self.effort.beam, MAX_EXCESS, &mut states);
            for state in states.iter_mut().filter(|state| state.is_new) {
                let start = u32::try_from(n).unwrap_or(u32::MAX);
                nodes.push(Node { start, diagonal: state.diagonal, before: state.node });
                state.node = u32::try_from(nodes.len() - 1).unwrap_or(0);
                state.is_new = false;
            }
            if let Some(behind) = n.checked_sub(self.effort.min_match) {
                chains.learn(behind);
            }
        }
        let last = states.first().map_or(0, |best| best.node);
        segments(&nodes, last, u32::try_from(len).unwrap_or(u32::MAX))
    }

    fn predict(&self, source: Source, n: u32) -> Predicted {
        match self.view.plain_byte(source, n) {
            Some(raw) => Predicted::plain(raw),
            None => {
                let unit = self.view.unit_at(self.predictor.references(), source, n);
                let look = self.view.look_at(source, n);
                let [predicted, _] = self.predictor.predict(&unit, &look, source, n);
                predicted
            }
        }
    }

    /// What stands at a place while the byte at `n` is made, unless it is gone or has not come yet.
    fn source_at(&self, place: i64, n: u32) -> Option<Source> {
        let place = u32::try_from(place).ok()?;
        let source = Source::from_virtual(place, self.predictor.base_size, n)?;
        (!source.is_base() || !self.job.gone(n).has(source.offset())).then_some(source)
    }

    /// Cost of the byte at `n` along a diagonal, and the history behind it; `None` if nothing is there.
    fn step(&self, diagonal: i32, history: u32, n: usize) -> Option<(f32, u32)> {
        let n32 = u32::try_from(n).ok()?;
        let place = u32::try_from(i64::from(n32) - i64::from(diagonal)).ok()?;
        self.step_from(place, self.job.units.plain(place), history, n)
    }

    /// [`Self::step`] from a place of which it is known whether it is a plain byte.
    fn step_from(
        &self,
        place: u32,
        plain: Option<u8>,
        history: u32,
        n: usize,
    ) -> Option<(f32, u32)> {
        let n32 = u32::try_from(n).ok()?;
        let byte = self.job.target.get(n).copied()?;
        match plain {
            Some(_) if place >= self.predictor.base_size + n32 => None,
            Some(raw) => Some(self.byte_step(Predicted::plain(raw), history, byte, n)),
            None => self.unit_step(place, history, byte, n32),
        }
    }

    /// [`Self::step`] where more than the byte at a place may have to be looked at.
    #[inline(never)]
    fn unit_step(&self, place: u32, history: u32, byte: u8, n: u32) -> Option<(f32, u32)> {
        let predicted = self.predict(self.source_at(place.into(), n)?, n);
        Some(self.byte_step(predicted, history, byte, n as usize))
    }

    fn byte_step(&self, predicted: Predicted, history: u32, byte: u8, n: usize) -> (f32, u32) {
        let (kind, odd) = (predicted.kind, n & 1 == 1);
        let is_lenient = self.references == References::Lenient;
        let expected = if is_lenient { predicted.raw } else { predicted.byte };
        if expected == byte {
            (self.costs.hit(kind, odd, history), history << 1)
        } else if is_lenient && kind != KIND_PLAIN {
            (LENIENT_MISS, history << 1)
        } else {
            (self.costs.substitution(kind, odd, history), history << 1 | 1)
        }
    }

    /// Every state codes its next byte; the best one of all also as a literal.
    fn go_on(&self, states: &[State], n: usize, max_excess: f32, next: &mut Frontier) {
        let best_cost = states.first().map_or(0.0, |best| best.cost);
        let odd = n & 1 == 1;
        let mut literal: Option<State> = None;
        for state in states {
            if state.cost > best_cost + max_excess {
                break;
            }
            let is_literal = state.diagonal == LITERAL;
            let at_end = !is_literal && self.is_over(state, n);
            if !is_literal
                && !at_end
                && let Some((cost, history)) = self.step(state.diagonal, state.history, n)
            {
                next.offer(State { cost: state.cost + cost, history, ..*state });
            }
            let start = if is_literal { 0.0 } else { self.costs.literal_start };
            let cost_after = |leave: f32| state.cost + leave + start + self.costs.literal;
            let is_cheaper = |cost: f32| literal.is_none_or(|best| cost < best.cost);
            // What it takes to leave is looked up where it may matter: for few.
            if !is_cheaper(cost_after(0.0)) {
                continue;
            }
            let stays = is_literal || at_end;
            let cost = cost_after(if stays { 0.0 } else { self.leave(odd, state.history) });
            if is_cheaper(cost) {
                literal = Some(State { diagonal: LITERAL, cost, is_new: !is_literal, ..*state });
            }
        }
        if let Some(literal) = literal {
            next.offer(literal);
        }
    }

    /// Whether a copy ends in front of `n` without a word: at the end of the base, or at what is gone.
    fn is_over(&self, copy: &State, n: usize) -> bool {
        let place = i64::try_from(n).unwrap_or(0) - i64::from(copy.diagonal);
        let is_gone = || self.source_at(place, u32::try_from(n).unwrap_or(0)).is_none();
        n > 0 && (place == self.base_size || self.job.in_place.is_some() && is_gone())
    }

    fn leave(&self, odd: bool, history: u32) -> f32 {
        self.costs.miss(KIND_PLAIN, odd, history) + self.costs.leave
    }

    /// Places that the byte at `n` may be copied from.
    fn collect(
        &self,
        chains: &Chains<'_>,
        best: &State,
        n: usize,
        by_map: Option<u32>,
        Scratch { covered, found, candidates }: &mut Scratch,
    ) {
        candidates.clear();
        let (here, n32) = (i64::try_from(n).unwrap_or(0), u32::try_from(n).unwrap_or(0));
        let diagonal_of = |place: u32| i32::try_from(here - i64::from(place)).unwrap_or(LITERAL);
        let gone = self.job.gone(n32);
        let is_in_play = |place: u32| gone.has(place) || covered.covers(diagonal_of(place), n32);
        found.clear();
        chains.matches(n, is_in_play, |len, place| {
            let off = diagonal_of(place).abs_diff(best.last);
            found.push(Match { len, off, place });
        });
        // In the next one, more is gone.
        let sector_end = self
            .job
            .in_place
            .map_or(u32::MAX, |in_place| (n32 + 1).next_multiple_of(in_place.sector_bytes()));
        for Match { len, place, .. } in found.best() {
            let end = n32.saturating_add(len).min(sector_end);
            covered.note(diagonal_of(place), end);
            candidates.push(place);
        }
        candidates.extend(by_map);
        let near = (-24..=24).step_by(2).filter(|near| *near != 0);
        let near = near.map(|near| here - i64::from(best.last) + near);
        let near = near.filter(|place| place + 4 <= self.base_size);
        let near = near.filter_map(|place| u32::try_from(place).ok());
        candidates.extend(near.filter(|place| chains.agrees(*place, n)));
        let again = best.recent.map(|diagonal| here - i64::from(diagonal)).into_iter();
        let again = again.filter(|place| *place < self.base_size + here);
        candidates.extend(again.filter_map(|place| u32::try_from(place).ok()));
        candidates.sort_unstable();
        candidates.dedup();
    }

    /// The cheapest states, after they have left what they copy.
    fn jumpers(&self, states: &[State], n: usize) -> Vec<State> {
        let best_cost = states.first().map_or(0.0, |best| best.cost);
        let jumpers = states.iter().take(JUMPERS);
        let jumpers = jumpers.filter(|state| state.cost <= best_cost + MAX_EXCESS);
        let with_leave = |state: &State| {
            let is_over =
                state.diagonal == LITERAL || self.job.in_place.is_some() && self.is_over(state, n);
            let leave = if is_over { 0.0 } else { self.leave(n & 1 == 1, state.history) };
            State { cost: state.cost + leave, ..*state }
        };
        jumpers.map(with_leave).collect()
    }

    /// The cheapest states jump to each candidate.
    fn jump(
        &self,
        states: &[State],
        n: usize,
        by_map: Option<u32>,
        candidates: &[u32],
        next: &mut Frontier,
    ) {
        let jumpers = self.jumpers(states, n);
        // All at once: the places are far apart, and each would be waited for by itself.
        let plain = candidates.iter().map(|place| self.job.units.plain(*place));
        let plain: Vec<Option<u8>> = plain.collect();
        for (place, plain) in candidates.iter().copied().zip(plain) {
            let jump = Jump { place, by_map: by_map == Some(place), n };
            let Some((from, cost)) = self.jump_from(&jumpers, jump) else { continue };
            let Some((byte, history)) = self.step_from(place, plain, from.history, n) else {
                continue;
            };
            let mut jumped = State { cost: cost + byte, is_new: true, history, ..*from };
            jumped.diagonal = jump.diagonal();
            if i64::from(place) < self.base_size {
                move_to_front(&mut jumped.recent, jumped.diagonal);
                jumped.last = jumped.diagonal;
            }
            next.offer(jumped);
        }
    }

    /// The state that a jump is cheapest from, and what it costs in all until the first byte.
    fn jump_from<'a>(&self, jumpers: &'a [State], jump: Jump) -> Option<(&'a State, f32)> {
        let mut best: Option<(&State, f32)> = None;
        for state in jumpers.iter().filter(|state| state.diagonal != jump.diagonal()) {
            let is_cheaper = |cost: f32| best.is_none_or(|(_, least)| cost < least);
            // The jump itself takes something too.
            if is_cheaper(state.cost) {
                let cost = state.cost + self.jump_cost(state, jump);
                if is_cheaper(cost) {
                    best = Some((state, cost));
                }
            }
        }
        best
    }

    fn jump_cost(&self, state: &State, Jump { place, by_map, n }: Jump) -> f32 {
        let (place, here) = (i64::from(place), i64::try_from(n).unwrap_or(0));
        let diagonal = here - place;
        let after_literal = state.diagonal == LITERAL;
        let cost = |kind, distance| self.costs.jump(after_literal, kind, distance);
        let known = (0..).zip(state.recent).find(|(_, recent)| i64::from(*recent) == diagonal);
        let known = known.map(|(index, _)| cost(JUMP_BACK + index, 0));
        let map = by_map.then(|| cost(JUMP_BY_MAP, 0));
        let far = if place < self.base_size {
            cost(JUMP_IN_BASE, i64::from(state.last) - diagonal)
        } else {
            cost(JUMP_IN_TARGET, here + self.base_size - 1 - place)
        };
        [known, map].into_iter().flatten().fold(far, f32::min)
    }
}

/// A way to make the byte at `n`: from a place in the space of base and target, which may be the one that the map gives.
#[derive(Clone, Copy, Debug)]
struct Jump {
    place: u32,
    by_map: bool,
    n: usize,
}

impl Jump {
    fn diagonal(self) -> i32 {
        let diagonal = i64::try_from(self.n).unwrap_or(0) - i64::from(self.place);
        i32::try_from(diagonal).unwrap_or(LITERAL)
    }
}

/// The segments that lead to a node, and that of the node itself.
fn segments(nodes: &[Node], last: u32, target_size: u32) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let (mut index, mut end) = (last, target_size);
    while let Some(node) = nodes.get(index as usize).filter(|node| node.start < end) {
        let place = i64::from(node.start) - i64::from(node.diagonal);
        let source = if node.diagonal == LITERAL { None } else { u32::try_from(place).ok() };
        segments.push(Segment { start: node.start, len: end - node.start, source });
        (index, end) = (node.before, node.start);
    }
    segments.reverse();
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
