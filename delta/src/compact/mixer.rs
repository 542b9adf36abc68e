//! Adaptive probabilities and the mixing of several into one.
//!
//! Probabilities are 16-bit, of `true`. Mixing happens in the logistic domain, `ln(p / (1 - p))` in 1/256 (Mahoney,
//! "Adaptive weighing of context models for lossless data compression", 2005).

use super::{coder::BitCoder, pick};
use crate::state::Passing;

/// `65536 / (1 + e^(-x))` for x = 0, 1/8, … 12.
const SQUASH: [u16; 97] = [
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581,
    54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778,
    63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974,
    65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352, 65374, 65393, 65410, 65425,
    65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511, 65514,
    65517, 65519, 65521, 65523, 65524, 65526, 65527, 65528, 65529, 65530, 65530, 65531, 65532,
    65532, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65535, 65535, 65535, 65535, 65535,
    65535, 65535, 65535, 65535, 65535, 65535,
];

/// `-256 * ln(p / (1 - p))` for p = 2^e * (1 + (m + 1/2)/8) / 65536: eight for each e, up to p = 1/2.
const STRETCH: [u16; 121] = [
    2824, 2795, 2770, 2746, 2725, 2705, 2687, 2670, 2646, 2618, 2592, 2569, 2547, 2528, 2509, 2492,
    2469, 2440, 2415, 2391, 2370, 2350, 2332, 2315, 2291, 2263, 2237, 2214, 2192, 2173, 2154, 2137,
    2114, 2085, 2060, 2036, 2015, 1995, 1977, 1960, 1936, 1908, 1882, 1859, 1837, 1818, 1799, 1782,
    1759, 1730, 1705, 1681, 1660, 1640, 1622, 1605, 1581, 1552, 1527, 1503, 1482, 1462, 1444, 1427,
    1403, 1374, 1349, 1325, 1304, 1284, 1266, 1248, 1224, 1196, 1170, 1146, 1125, 1105, 1086, 1069,
    1045, 1016, 990, 966, 944, 924, 905, 887, 863, 834, 807, 783, 760, 739, 720, 702, 677, 646,
    618, 593, 569, 547, 527, 507, 480, 447, 417, 389, 362, 338, 314, 292, 260, 221, 183, 148, 114,
    81, 48, 16, 0,
];

/// Largest magnitude in the logistic domain.
const MAX_STRETCH: i32 = 12 * 256 - 1;

/// The probability that belongs to a value of the logistic domain.
pub(super) fn squash(x: i32) -> u16 {
    let magnitude = x.unsigned_abs().min(MAX_STRETCH.unsigned_abs());
    let (index, fraction) = ((magnitude >> 5) as usize, magnitude & 31);
    let from = u32::from(SQUASH.get(index).copied().unwrap_or(u16::MAX));
    let to = u32::from(SQUASH.get(index + 1).copied().unwrap_or(u16::MAX));
    let upper = from + (((to - from) * fraction) >> 5);
    let p = if x < 0 { 65536 - upper } else { upper };
    u16::try_from(p.clamp(1, 65535)).unwrap_or(u16::MAX)
}

/// `ln(p / (1 - p))` in 1/256.
pub(super) fn stretch(p: u16) -> i32 {
    let p = u32::from(p.max(1));
    let rarer = p.min(65536 - p);
    let exponent = rarer.ilog2();
    // The three bits behind the leading one choose an entry.
    let index = exponent * 8 + ((rarer << 3 >> exponent) & 7);
    let magnitude = STRETCH.get(index as usize).map_or(0, |entry| i32::from(*entry));
    if p < 1 << 15 { -magnitude } else { magnitude }
}

/// How many observations a flag weighs.
const MOST_SEEN: u8 = 30;

/// A probability of 16 bits that settles as it sees more, for decisions that are nearly certain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    p: [u8; 2],
    seen: u8,
}

const _: () = assert!(size_of::<Flag>() == 3);

impl Flag {
    pub(super) const fn new(p: u16) -> Self {
        Self { p: p.to_le_bytes(), seen: 0 }
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        state.bytes(&mut self.p);
        state.small(&mut self.seen, MOST_SEEN);
    }

    pub(super) fn p(self) -> u16 {
        u16::from_le_bytes(self.p)
    }

    pub(super) fn update(&mut self, bit: bool) {
        let (p, weight) = (self.p(), u16::from(self.seen) + 2);
        let p = if bit { p + (u16::MAX - p) / weight } else { p - p / weight };
        self.p = p.clamp(64, 65471).to_le_bytes();
        self.seen = (self.seen + 1).min(MOST_SEEN);
    }
}

/// A probability of 12 bits and a count of 4 in two bytes, for tables with many of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(u16);

impl Slot {
    /// A slot that has seen nothing and believes in nothing.
    pub(super) const NEW: Self = Self(0x8000);

    pub(super) const fn new(p: u16) -> Self {
        Self(p & 0xfff0)
    }

    /// A slot that does not give up its belief at the first surprise.
    pub(super) const fn seen_once(p: u16) -> Self {
        Self(p & 0xfff0 | 1)
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        state.u16(&mut self.0);
    }

    pub(super) fn p(self) -> u16 {
        self.0 & 0xfff0 | 8
    }

    pub(super) fn update(&mut self, bit: bool) {
        let (p, seen) = (self.p(), self.0 & 15);
        let p = if bit { p + (u16::MAX - p) / (seen + 3) } else { p - p / (seen + 3) };
        self.0 = (p.clamp(24, 65511) & 0xfff0) | (seen + 1).min(15);
    }

    /// Codes a decision with this probability alone.
    pub(super) fn code(&mut self, coder: &mut impl BitCoder, bit: bool) -> bool {
        let bit = coder.bit(bit, self.p());
        self.update(bit);
        bit
    }
}

/// One set of weights for so many inputs; 8192 is 1.0.
pub(super) type Weights<const INPUTS: usize> = [i16; INPUTS];

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

/// 1.0 as a weight.
const ONE: i32 = 8192;

/// Mixes probabilities with the weights of a set, or of two sets together, and lets them learn from what came.
pub(super) struct Mixture<const INPUTS: usize> {
    inputs: [i32; INPUTS],
    p: u16,
}

impl<const INPUTS: usize> Mixture<INPUTS> {
    /// Mixes inputs of the logistic domain with the sum of the sets' weights.
    pub(super) fn new(inputs: [i32; INPUTS], sets: &[&mut Weights<INPUTS>]) -> Self {
        let dot = |set: &Weights<INPUTS>| -> i32 {
            inputs.iter().zip(set).map(|(x, weight)| x * i32::from(*weight)).sum()
        };
        // |x| < 2^12 and |weight| <= 2^15: eight inputs of two sets stay below 2^31.
        let sum: i32 = sets.iter().map(|set| dot(set)).sum();
        Self { inputs, p: squash(sum / ONE) }
    }

    pub(super) fn p(&self) -> u16 {
        self.p
    }

    /// Moves the weights along the gradient of the coding cost.
    pub(super) fn learn(&self, bit: bool, rate: i32, sets: &mut [&mut Weights<INPUTS>]) {
        let error = (if bit { 65536 } else { 0 }) - i32::from(self.p);
        // |error| <= 2^16 and rate < 2^5, so the step's product with |x| < 2^12 stays below 2^28.
        let error = (error * rate) >> 5;
        for set in sets {
            for (x, weight) in self.inputs.iter().zip(set.iter_mut()) {
                let moved = i32::from(*weight) + ((x * error + (1 << 15)) >> 16);
                *weight = i16::try_from(moved.clamp(-32768, 32767)).unwrap_or(*weight);
            }
        }
    }
}

/// Codes a whole number from 0 with adaptive Exp-Golomb bits: how long, then what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    length: [Slot; MAX_BITS as usize],
    second: [Slot; 16],
    third: [[Slot; 2]; 16],
    lowest: [Slot; 8],
}

/// Most bits of a number, besides the leading one.
const MAX_BITS: u32 = 26;

/// Most decisions that a number takes.
pub(super) const NUMBER_DECISIONS: u32 = 2 * MAX_BITS;

impl Number {
    /// All zeros; [`Self::reset`] comes before use.
    pub(super) const EMPTY: Self = {
        let none = Slot::new(0);
        Self {
            length: [none; MAX_BITS as usize],
            second: [none; 16],
            third: [[none; 2]; 16],
            lowest: [none; 8],
        }
    };

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        // Numbers are lengths and distances: more often long than short.
        self.length.fill(Slot::seen_once(50000));
        self.second.fill(Slot::NEW);
        self.third.fill([Slot::NEW; 2]);
        self.lowest.fill(Slot::NEW);
    }

    #[inline(never)]
    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { length, second, third, lowest } = self;
        for slots in [&mut length[..], second, third.as_flattened_mut(), lowest] {
            pass_slots(slots, state);
        }
    }

    /// Codes a number below 2^26.
    pub(super) fn code(&mut self, coder: &mut impl BitCoder, value: u32) -> u32 {
        let shifted = value.min((1 << MAX_BITS) - 2) + 1;
        let bits = shifted.ilog2();
        let mut length = 0;
        while length < MAX_BITS
            && pick(&mut self.length, length as usize).code(coder, bits > length)
        {
            length += 1;
        }
        let mut number = 1u32;
        for place in (0..length).rev() {
            let bit = (shifted >> place) & 1 == 1;
            let bit = if place == 0 {
                pick(&mut self.lowest, length.min(7) as usize).code(coder, bit)
            } else if place + 1 == length {
                pick(&mut self.second, length.min(15) as usize).code(coder, bit)
            } else if place + 2 == length {
                let third = pick(&mut self.third, length.min(15) as usize);
                pick(third, number as usize & 1).code(coder, bit)
            } else {
                coder.bit(bit, 1 << 15)
            };
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
    value: i64,
) -> i64 {
    let negative = sign.code(coder, value < 0);
    let magnitude = u32::try_from(if value < 0 { -(value + 1) } else { value }).unwrap_or(0);
    let magnitude = i64::from(number.code(coder, magnitude));
    if negative { -magnitude - 1 } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_the_functions_they_stand_for() {
        for x in (-3000..=3000).step_by(7) {
            let exact = 65536.0 / (1.0 + (-f64::from(x) / 256.0).exp());
            assert!(
                (f64::from(squash(x)) - exact).abs() <= 2.0 + exact.min(65536.0 - exact) * 0.004,
                "{x}"
            );
        }
        for p in (1..=65535).step_by(13) {
            let q = f64::from(p) / 65536.0;
            let exact = (q / (1.0 - q)).ln() * 256.0;
            // Half of a step: a sixteenth of p, over 1 - p, which is 3/4 at least.
            assert!((f64::from(stretch(p)) - exact).abs() <= 256.0 / 16.0 / 0.75 + 1.0, "{p}");
        }
    }
}
