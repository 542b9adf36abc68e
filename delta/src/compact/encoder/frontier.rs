//! The ways to make the target up to some byte, of which the cheapest go on.

use alloc::vec;
use alloc::vec::Vec;

use super::super::stream::DIAGONALS;

/// The diagonal of what is copied from nowhere.
pub(super) const LITERAL: i32 = i32::MIN;

/// A way to make the target up to some byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// Target offset minus place, or [`LITERAL`].
    pub(super) diagonal: i32,
    pub(super) cost: f32,
    /// Where this copy or literal began, or, as long as it is new, what was in front of it.
    pub(super) node: u32,
    pub(super) is_new: bool,
    pub(super) history: u32,
    pub(super) recent: [i32; DIAGONALS],
    /// The diagonal of the last copy from the base.
    pub(super) last: i32,
}

impl State {
    /// In front of the first byte.
    pub(super) const START: Self = Self {
        diagonal: LITERAL,
        cost: 0.0,
        node: 0,
        is_new: false,
        history: 0,
        recent: [0; DIAGONALS],
        last: 0,
    };
}

/// States of one target offset, of which no two share a diagonal.
pub(super) struct Frontier {
    states: Vec<State>,
    /// By hash of a diagonal: which state has it.
    by_diagonal: Vec<u32>,
    /// The slots of that which are taken.
    taken: Vec<usize>,
    /// The order of states, as numbers: cost, then index.
    order: Vec<u64>,
}

impl Frontier {
    const SLOTS: usize = 1024;

    pub(super) fn new() -> Self {
        let by_diagonal = vec![u32::MAX; Self::SLOTS];
        Self { states: Vec::new(), by_diagonal, taken: Vec::new(), order: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.states.clear();
        for slot in self.taken.drain(..) {
            self.by_diagonal.get_mut(slot).into_iter().for_each(|index| *index = u32::MAX);
        }
    }

    /// Takes in a state, unless a cheaper one has its diagonal.
    pub(super) fn offer(&mut self, state: State) {
        let mut slot = hashed(state.diagonal) % Self::SLOTS;
        loop {
            let Some(index) = self.by_diagonal.get_mut(slot) else { return };
            match self.states.get_mut(*index as usize) {
                None => {
                    *index = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
                    self.taken.push(slot);
                    return self.states.push(state);
                }
                Some(known) if known.diagonal == state.diagonal => {
                    if known.cost > state.cost {
                        *known = state;
                    }
                    return;
                }
                Some(_) => slot = (slot + 1) % Self::SLOTS,
            }
        }
    }

    /// The cheapest states, the cheapest one first, at most so many, and none that costs so much
    /// more; among equals, those that were offered first come first.
    pub(super) fn cheapest(&mut self, most: usize, max_excess: f32, into: &mut Vec<State>) {
        into.clear();
        let costs = self.states.iter().map(|state| state.cost);
        let Some(least) = costs.min_by(f32::total_cmp) else { return };
        let kept = (0..).zip(&self.states).filter(|(_, state)| state.cost - least <= max_excess);
        self.order.clear();
        self.order.extend(kept.map(|(index, state)| in_order(state.cost) << 32 | index));
        self.order.sort_unstable();
        let of = |key: &u64| usize::try_from(key & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        let kept = self.order.iter().take(most).filter_map(|key| self.states.get(of(key)));
        // Costs count from the cheapest state on, so that they stay exact however long the image is.
        into.extend(kept.map(|state| State { cost: state.cost - least, ..*state }));
    }
}

/// A number below 2^32 that orders costs as [`f32::total_cmp`] does.
fn in_order(cost: f32) -> u64 {
    let bits = cost.to_bits();
    u64::from(if cost.is_sign_negative() { !bits } else { bits | 1 << 31 })
}

/// Spreads diagonals over a table.
pub(super) fn hashed(diagonal: i32) -> usize {
    (diagonal.cast_unsigned().wrapping_mul(0x9e37_79b1) >> 16) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_costs_is_that_of_their_numbers() {
        let costs = [f32::MIN, -1.0, -0.0, 0.0, f32::MIN_POSITIVE, 1.0, 1.5, f32::MAX];
        assert!(costs.is_sorted_by(|a, b| in_order(*a) < in_order(*b)));
    }

    #[test]
    fn the_cheapest_states_are_those_of_a_stable_sort() {
        let mut state = 7u32;
        let mut below = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        let (mut frontier, mut found) = (Frontier::new(), Vec::new());
        for _ in 0..300 {
            frontier.clear();
            let mut all: Vec<State> = Vec::new();
            for node in 0..below(120) {
                let diagonal = below(60).cast_signed() * 1024;
                let cost = 3.0 + f32::from(u8::try_from(below(40)).unwrap());
                let offered = State { diagonal, cost, node, ..State::START };
                frontier.offer(offered);
                match all.iter_mut().find(|known| known.diagonal == diagonal) {
                    Some(known) if known.cost > cost => *known = offered,
                    Some(_) => {}
                    None => all.push(offered),
                }
            }
            all.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            let least = all.first().map_or(0.0, |first| first.cost);
            all.iter_mut().for_each(|state| state.cost -= least);
            all.retain(|state| state.cost <= 25.0);
            all.truncate(16);
            frontier.cheapest(16, 25.0, &mut found);
            let nodes = |states: &[State]| -> Vec<(u32, f32)> {
                states.iter().map(|state| (state.node, state.cost)).collect()
            };
            assert_eq!(nodes(&found), nodes(&all));
        }
    }
}
