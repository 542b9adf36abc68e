//! Adaptive probabilities and the mixing of several into one.
//!
//! Probabilities are 16-bit, of `true`. Mixing happens in the logistic domain, `ln(p / (1 - p))` in 1/256 (Mahoney,
//! "Adaptive weighing of context models for lossless data compression", 2005).

use super::{coder::BitCoder, curves::Bend, pick};
use crate::state::Passing;

/// `65536 / (1 + e^(-x))` for x = 0, 1/4, … 12.
const SQUASH: [u16; 49] = [
    32768, 36843, 40793, 44511, 47911, 50941, 53581, 55834, 57724, 59287, 60565, 61598, 62428,
    63090, 63615, 64030, 64357, 64614, 64816, 64974, 65097, 65194, 65269, 65328, 65374, 65410,
    65438, 65459, 65476, 65489, 65500, 65508, 65514, 65519, 65523, 65526, 65528, 65530, 65531,
    65532, 65533, 65534, 65534, 65535, 65535, 65535, 65535, 65535, 65535,
];

/// `-256 * ln(p / (1 - p))` for p = 2^e * (1 + (m + 1/2)/4) / 65536: four for each e, up to p = 1/2.
const STRETCH: [u16; 61] = [
    2809, 2758, 2715, 2678, 2632, 2580, 2537, 2501, 2454, 2403, 2360, 2323, 2277, 2225, 2182, 2146,
    2099, 2048, 2005, 1968, 1922, 1870, 1827, 1791, 1744, 1693, 1650, 1613, 1566, 1515, 1472, 1435,
    1388, 1337, 1294, 1257, 1210, 1158, 1115, 1077, 1030, 978, 934, 896, 848, 794, 750, 711, 661,
    605, 558, 517, 463, 403, 350, 303, 240, 166, 97, 32, 0,
];

/// Largest magnitude in the logistic domain.
const MAX_STRETCH: i32 = 12 * 256 - 1;

/// The probability that belongs to a value of the logistic domain.
pub(super) fn squash(x: i32) -> u16 {
    let magnitude = x.unsigned_abs().min(MAX_STRETCH.unsigned_abs());
    let (index, fraction) = ((magnitude >> 6) as usize, magnitude & 63);
    let from = u32::from(SQUASH.get(index).copied().unwrap_or(u16::MAX));
    let to = u32::from(SQUASH.get(index + 1).copied().unwrap_or(u16::MAX));
    let upper = from + (((to - from) * fraction) >> 6);
    // No entry is above 65535, nor is what lies between two of them.
    let p = if x < 0 { 65536 - upper } else { upper };
    u16::try_from(p).unwrap_or(u16::MAX)
}

/// `ln(p / (1 - p))` in 1/256.
pub(super) fn stretch(p: u16) -> i32 {
    let p = u32::from(p.max(1));
    let rarer = p.min(65536 - p);
    let exponent = rarer.ilog2();
    // The two bits behind the leading one choose an entry.
    let index = exponent * 4 + ((rarer << 2 >> exponent) & 3);
    let magnitude = STRETCH.get(index as usize).map_or(0, |entry| i32::from(*entry));
    if p < 1 << 15 { -magnitude } else { magnitude }
}

/// How many observations a flag weighs.
const MOST_SEEN: u8 = 30;

/// A probability of 16 bits that settles as it sees more, for decisions that are nearly certain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    /// Exclusive or'ed with [`Self::LIKELY`], so that zeros are a flag that has seen nothing.
    p: [u8; 2],
    seen: u8,
}

const _: () = assert!(size_of::<Flag>() == 3);

impl Flag {
    /// A flag that has seen nothing believes in `true` so much.
    const LIKELY: u16 = 0xe000;

    /// A flag that has seen nothing.
    pub(super) const NEW: Self = Self { p: [0; 2], seen: 0 };

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        state.bytes(&mut self.p);
        state.small(&mut self.seen, MOST_SEEN);
    }

    pub(super) fn p(self) -> u16 {
        u16::from_le_bytes(self.p) ^ Self::LIKELY
    }

    /// Codes a decision with this probability alone.
    pub(super) fn code(&mut self, coder: &mut impl BitCoder, bit: bool) -> bool {
        let bit = coder.bit(bit, self.p());
        self.update(bit);
        bit
    }

    pub(super) fn update(&mut self, bit: bool) {
        let (p, weight) = (self.p(), u16::from(self.seen) + 2);
        let p = if bit { p + (u16::MAX - p) / weight } else { p - p / weight };
        self.p = (p ^ Self::LIKELY).to_le_bytes();
        self.seen = (self.seen + 1).min(MOST_SEEN);
    }
}

/// A probability of 12 bits and a count of 4 in two bytes, for tables with many of them. The probability's highest bit is
/// inverted, so that zeros are a slot that has seen nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(u16);

/// Of the probabilities from 0 to 65535, the one that says nothing.
const EVEN: u16 = 1 << 15;

impl Slot {
    /// A slot that has seen nothing and believes in nothing.
    pub(super) const NEW: Self = Self(0);

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        state.u16(&mut self.0);
    }

    pub(super) fn p(self) -> u16 {
        (self.0 & 0xfff0 | 8) ^ EVEN
    }

    pub(super) fn update(&mut self, bit: bool) {
        let (p, seen) = (self.p(), self.0 & 15);
        let p = if bit { p + (u16::MAX - p) / (seen + 3) } else { p - p / (seen + 3) };
        self.0 = (p & 0xfff0 ^ EVEN) | (seen + 1).min(15);
    }

    /// Codes a decision with this probability alone.
    pub(super) fn code(&mut self, coder: &mut impl BitCoder, bit: bool) -> bool {
        let bit = coder.bit(bit, self.p());
        self.update(bit);
        bit
    }
}

#[inline(never)]
pub(super) fn pass_weights(weights: &mut [i16], state: &mut Passing<'_>) {
    weights.iter_mut().for_each(|weight| state.i16(weight));
}

#[inline(never)]
pub(super) fn pass_flags(flags: &mut [Flag], state: &mut Passing<'_>) {
    flags.iter_mut().for_each(|flag| flag.pass_state(state));
}

#[inline(never)]
pub(super) fn pass_slots(slots: &mut [Slot], state: &mut Passing<'_>) {
    slots.iter_mut().for_each(|slot| slot.pass_state(state));
}

/// 1.0 as a weight, as a power of two.
const ONE_LOG2: u32 = 13;

/// Mixes inputs of the logistic domain with the sum of the weights in some sets; codes a decision with what comes of it, and
/// of a curve if there is one; and moves the weights of all sets but the first along the gradient of the coding cost.
// Where there are no curves, what is asked for them is this question alone.
#[inline(always)]
pub(super) fn mix(
    coder: &mut impl BitCoder,
    bit: bool,
    inputs: &[i32],
    first: &[i16],
    sets: &mut [&mut [i16]],
    rate: i32,
    bend: Option<Bend<'_>>,
) -> bool {
    match bend {
        None => mix_by(coder, bit, inputs, first, sets, rate, Straight),
        Some(bend) => mix_by(coder, bit, inputs, first, sets, rate, bend),
    }
}

/// Codes a decision with what comes of a probability.
pub(super) trait Outcome {
    /// `x` is the same as `p`, in the logistic domain.
    fn code(self, coder: &mut impl BitCoder, bit: bool, x: i32, p: u16) -> bool;
}

/// With the probability itself.
struct Straight;

impl Outcome for Straight {
    fn code(self, coder: &mut impl BitCoder, bit: bool, _: i32, p: u16) -> bool {
        coder.bit(bit, p)
    }
}

fn mix_by(
    coder: &mut impl BitCoder,
    bit: bool,
    inputs: &[i32],
    first: &[i16],
    sets: &mut [&mut [i16]],
    rate: i32,
    outcome: impl Outcome,
) -> bool {
    let dot = |set: &[i16]| -> i32 {
        inputs.iter().zip(set).map(|(x, weight)| x * i32::from(*weight)).sum()
    };
    // |x| < 2^12 and |weight| <= 2^15: six inputs of three sets stay below 2^31.
    let sum = sets.iter().fold(dot(first), |sum, set| sum + dot(set));
    let x = sum >> ONE_LOG2;
    let p = squash(x);
    let bit = outcome.code(coder, bit, x, p);
    // |error| <= 2^16 and rate <= 2^5, so the step's product with |x| < 2^12 stays below 2^28.
    let error = (if bit { 65536 } else { 0 }) - i32::from(p);
    let step = (error * rate) >> 5;
    for set in sets {
        for (x, weight) in inputs.iter().zip(set.iter_mut()) {
            let moved = i32::from(*weight) + ((x * step + (1 << 15)) >> 16);
            *weight = i16::try_from(moved.clamp(-32768, 32767)).unwrap_or(*weight);
        }
    }
    bit
}

/// Codes a whole number from 0 with adaptive Exp-Golomb bits: how long, then what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    /// Numbers are lengths and distances: more often long than short.
    length: [Flag; 19],
    /// Of the bits behind the leading one, the first and the second by the length, and the others by their place.
    behind: [[Slot; 4]; 16],
}

/// Most bits of a number, besides the leading one.
const MAX_BITS: u32 = 26;

/// Most decisions that a number takes.
pub(super) const NUMBER_DECISIONS: u32 = 2 * MAX_BITS;

impl Number {
    /// Has seen nothing.
    pub(super) const NEW: Self = Self { length: [Flag::NEW; 19], behind: [[Slot::NEW; 4]; 16] };

    #[inline(never)]
    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        pass_flags(&mut self.length, state);
        pass_slots(self.behind.as_flattened_mut(), state);
    }

    /// Codes a number below 2^26.
    pub(super) fn code(&mut self, coder: &mut impl BitCoder, value: u32) -> u32 {
        let shifted = coder.told(|| value.min((1 << MAX_BITS) - 2) + 1);
        let bits = coder.told(|| shifted.ilog2());
        let mut length = 0;
        while length < MAX_BITS
            && pick(&mut self.length, length.min(18) as usize).code(coder, bits > length)
        {
            length += 1;
        }
        let mut number = 1u32;
        for place in (0..length).rev() {
            let bit = (shifted >> place) & 1 == 1;
            // The first two bits by the length and the path to them, from 1 on; others by their place.
            let (known, path) = if length - place <= 2 { (length, number) } else { (place, 0) };
            let slots = pick(&mut self.behind, known.min(15) as usize);
            let bit = pick(slots, path as usize).code(coder, bit);
            number = (number << 1) | u32::from(bit);
        }
        number - 1
    }
}

/// Codes a number of either sign below 2^26; a larger one becomes that.
pub(super) fn signed(
    number: &mut Number,
    sign: &mut Slot,
    coder: &mut impl BitCoder,
    value: i32,
) -> i32 {
    // All bits of this are set if the number is negative; -1 is as short as 0.
    let flip = |negative: bool| -i32::from(negative);
    let value = coder.told(|| value);
    let negative = sign.code(coder, value < 0);
    let magnitude = (value ^ flip(value < 0)).cast_unsigned();
    number.code(coder, magnitude).cast_signed() ^ flip(negative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_the_functions_they_stand_for() {
        for x in (-3000..=3000).step_by(7) {
            let exact = 65536.0 / (1.0 + (-f64::from(x) / 256.0).exp());
            assert!(
                (f64::from(squash(x)) - exact).abs() <= 2.0 + exact.min(65536.0 - exact) * 0.009,
                "{x}"
            );
        }
        for p in (1..=65535).step_by(13) {
            let q = f64::from(p) / 65536.0;
            let exact = (q / (1.0 - q)).ln() * 256.0;
            // Half of a step: an eighth of p, over 1 - p, which is 1/2 at least.
            assert!((f64::from(stretch(p)) - exact).abs() <= 256.0 / 8.0 / 0.5 + 1.0, "{p}");
        }
    }
}
