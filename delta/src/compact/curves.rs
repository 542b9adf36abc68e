//! Curves that correct what the mixer says, in the classes that have room for them.
//!
//! Weights make a mixer's inputs stronger or weaker all along their range. That what is nearly certain is right less often
//! than it claims in some context, no weight can tell; a curve can. (An adaptive probability map: Mahoney, "Data compression
//! explained", 4.3.3.) In a build without the feature `large` there are none, and the compiler drops what asks for one.

use core::marker::PhantomData;

use super::coder::BitCoder;
use super::mixer::{Outcome, squash};
use crate::state::Passing;

/// Points of a curve: 1.0 apart in the logistic domain, from -4 to 4. Beyond these it goes on level.
const POINTS: usize = 9;
const STEP_LOG2: u32 = 8;
const END: i32 = 4 << STEP_LOG2;

/// How slowly the curves of hits and those of bits learn: by so many halvings of an error.
const HIT_SLOWNESS: u32 = 4;
const BIT_SLOWNESS: u32 = 5;

/// How many curves there are of hits: by the six highest bits of the last byte, which no other model of hits asks for,
/// whether a high byte comes next, and whether a byte of its unit has missed.
const OF_HITS: usize = 64 * 2 * 2;
/// Of bits: by their place, and whether the first guess and any other one are for a one, against it, or say nothing.
const OF_BITS: usize = 8 * 3 * 4;

/// How many curves there are.
pub(super) const CURVES: usize = OF_HITS + OF_BITS;

/// What probabilities in some context have come to, at points of the logistic domain: by how much that differs from what the
/// point stands for, modulo 2^16. So zeros are a curve that has seen nothing, and corrects nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve([u16; POINTS]);

impl Curve {
    /// Has seen nothing.
    pub(super) const NEW: Self = Self([0; POINTS]);
}

/// The curves of a class; in most classes none.
pub(super) struct Curves<'a> {
    #[cfg(feature = "large")]
    all: &'a mut [Curve],
    of_life: PhantomData<&'a mut Curve>,
}

impl<'a> Curves<'a> {
    #[cfg_attr(not(feature = "large"), allow(unused_variables, reason = "there are none"))]
    pub(super) fn new(all: &'a mut [Curve]) -> Self {
        Self {
            #[cfg(feature = "large")]
            all,
            of_life: PhantomData,
        }
    }

    /// Keeps as many as a class has; `None` if there are fewer. A build without any knows no class that has some.
    #[cfg_attr(not(feature = "large"), allow(unused_variables, reason = "there are none"))]
    pub(super) fn keep(&mut self, len: usize) -> Option<()> {
        #[cfg(feature = "large")]
        super::keep(&mut self.all, len)?;
        Some(())
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let points = self.all().iter_mut().flat_map(|Curve(points)| points);
        points.for_each(|point| state.u16(point));
    }

    fn all(&mut self) -> &mut [Curve] {
        #[cfg(feature = "large")]
        return self.all;
        #[cfg(not(feature = "large"))]
        &mut []
    }

    /// The curve of a hit behind `last`.
    pub(super) fn of_hit(&mut self, last: u8, odd: bool, missed: bool) -> Option<Bend<'_>> {
        let index = usize::from(last >> 2) | usize::from(odd) << 6 | usize::from(missed) << 7;
        self.all().get_mut(index).map(|curve| Bend { curve, slowness: HIT_SLOWNESS })
    }

    /// The curve of the bit at a place, by the inputs that come of guesses.
    pub(super) fn of_bit(&mut self, place: u32, guesses: &[i32]) -> Option<Bend<'_>> {
        let all = self.all();
        if all.is_empty() {
            return None;
        }
        let side = |guess: &i32| usize::from(*guess > 0) | usize::from(*guess < 0) << 1;
        let (first, others) = guesses.split_first()?;
        let others = others.iter().fold(0, |sides, guess| sides | side(guess));
        let index = OF_HITS + (place as usize * 3 + side(first)) * 4 + others;
        all.get_mut(index).map(|curve| Bend { curve, slowness: BIT_SLOWNESS })
    }
}

/// A curve that is about to bend a probability, and how slowly it learns from that.
pub(super) struct Bend<'a> {
    curve: &'a mut Curve,
    slowness: u32,
}

impl Outcome for Bend<'_> {
    /// Codes it with the mean of the probability and what the curve makes of it.
    fn code(self, coder: &mut impl BitCoder, bit: bool, x: i32, p: u16) -> bool {
        let Self { curve: Curve(points), slowness } = self;
        let from_start = (x.clamp(-END, END - 1) + END).unsigned_abs();
        let (below, share) = (from_start >> STEP_LOG2, from_start & ((1 << STEP_LOG2) - 1));
        let at = |point: u32| squash((point << STEP_LOG2).cast_signed() - END);
        let mut bent = 0;
        for (point, share) in [(below, (1 << STEP_LOG2) - share), (below + 1, share)] {
            let said = super::peek(points, point as usize).wrapping_add(at(point));
            bent += u32::from(said) * share;
        }
        // Either is below 2^16, and `p` is no zero.
        let mean = (u32::from(p) + (bent >> STEP_LOG2)) / 2;
        let bit = coder.bit(bit, u16::try_from(mean.max(1)).unwrap_or(u16::MAX));
        for point in [below, below + 1] {
            let learned = super::pick(points, point as usize);
            let said = learned.wrapping_add(at(point));
            let error = if bit { (u16::MAX - said) >> slowness } else { said >> slowness };
            *learned = if bit { learned.wrapping_add(error) } else { learned.wrapping_sub(error) };
        }
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes what it is told, and keeps the probability that it was given.
    struct Told(u16);

    impl BitCoder for Told {
        const IS_TOLD: bool = true;

        fn bit(&mut self, bit: bool, p: u16) -> bool {
            assert!(p > 0);
            self.0 = p;
            bit
        }
    }

    fn code(curve: &mut Curve, slowness: u32, x: i32, bit: bool) -> u16 {
        let mut coder = Told(0);
        Bend { curve, slowness }.code(&mut coder, bit, x, squash(x));
        coder.0
    }

    #[test]
    fn a_new_curve_says_what_it_is_told() {
        for x in (-END..END).step_by(1 << STEP_LOG2) {
            let mut curve = Curve::NEW;
            assert_eq!(code(&mut curve, HIT_SLOWNESS, x, true), squash(x));
        }
    }

    #[test]
    fn what_is_wrong_half_of_the_time_is_believed_less() {
        let (mut curve, x) = (Curve::NEW, 700);
        let first = code(&mut curve, BIT_SLOWNESS, x, true);
        let last = (0..1000).map(|n| code(&mut curve, BIT_SLOWNESS, x, n % 2 == 0)).last();
        // The mean of the claim and of what is seen.
        let expected = i32::from(squash(x)) / 2 + (1 << 14);
        assert!((i32::from(last.unwrap()) - expected).abs() < 1500, "{first}, then {last:?}");
    }

    #[test]
    fn no_curve_leads_out_of_range() {
        for point in [0, 1, 1 << 15, u16::MAX] {
            for x in (-4000..4000).step_by(97) {
                let mut curve = Curve([point; POINTS]);
                (0..300).for_each(|_| assert!(code(&mut curve, HIT_SLOWNESS, x, x < 0) > 0));
            }
        }
    }

    #[test]
    #[cfg(feature = "large")]
    fn every_context_has_a_curve_of_its_own() {
        let mut all = [Curve::NEW; CURVES];
        let mut curves = Curves::new(&mut all);
        let touch = |bend: Option<Bend<'_>>| bend.unwrap().curve.0[0] += 1;
        for last in (0..=255).step_by(4) {
            for (odd, missed) in [(false, false), (false, true), (true, false), (true, true)] {
                touch(curves.of_hit(last, odd, missed));
            }
        }
        for place in 0..8 {
            for first in [-1, 0, 1] {
                for others in [[0, 0], [0, 1], [-1, 0], [1, -1]] {
                    touch(curves.of_bit(place, &[first, others[0], others[1]]));
                }
            }
        }
        assert!(all.iter().all(|Curve(points)| points[0] == 1));
        assert!(Curves::new(&mut []).of_hit(0, false, false).is_none());
    }
}
