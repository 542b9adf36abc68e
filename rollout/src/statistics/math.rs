//! Elementary functions that give the same bits everywhere.

/// Natural logarithm.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// e to the power of `x`.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// What is smaller than the greatest part of a sum by this exponent is left out of it.
const NOTHING: f64 = -20.0;

/// `ln(mean(exp(logs)))` without overflow; negative infinity for none. What is left out makes it smaller, by less than
/// `N exp(-20)` for N logarithms: evidence and lower bounds of it stay valid.
pub(crate) fn ln_mean_exp(logs: &[f64]) -> f64 {
    let (chunks, rest) = logs.as_chunks();
    let mut last = [f64::NEG_INFINITY; AT_ONCE];
    last.iter_mut().zip(rest).for_each(|(place, log)| *place = *log);
    let chunks = || chunks.iter().chain([&last]);

    let greater = |one: f64, other: f64| if other > one { other } else { one };
    let mut most = [f64::NEG_INFINITY; AT_ONCE];
    for logs in chunks() {
        most.iter_mut().zip(logs).for_each(|(most, log)| *most = greater(*most, *log));
    }
    let most = most.into_iter().fold(f64::NEG_INFINITY, greater);
    if most == f64::NEG_INFINITY {
        return most;
    }
    let mut sums = [0.0; AT_ONCE];
    for logs in chunks() {
        let exponents = logs.map(|log| greater(NOTHING, log - most));
        if exponents == [NOTHING; AT_ONCE] {
            continue;
        }
        let mut parts = exponents;
        exp_each(&mut parts);
        for ((sum, part), exponent) in sums.iter_mut().zip(parts).zip(exponents) {
            *sum += if exponent > NOTHING { part } else { 0.0 };
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let number = logs.len() as f64;
    most + ln(sums.into_iter().sum::<f64>() / number)
}

/// How many numbers are worked on at once.
const AT_ONCE: usize = 8;

/// The natural logarithm of 2, as a sum: products of the first part and an exponent are exact.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// e to the power of each number from -700 to 700.
///
/// The algorithm of FreeBSD's `e_exp.c` (Sun Microsystems, 1993) without its branches, so that processors work out several at once.
/// Only additions, multiplications and divisions of IEEE 754, and therefore the same bits everywhere.
pub(crate) fn exp_each(numbers: &mut [f64; AT_ONCE]) {
    const P: [f64; 5] = [
        f64::from_bits(0x3fc5_5555_5555_553e),
        f64::from_bits(0xbf66_c16c_16be_bd93),
        f64::from_bits(0x3f11_566a_af25_de2c),
        f64::from_bits(0xbebb_bd41_c5d2_6bf1),
        f64::from_bits(0x3e66_3769_72be_a4d0),
    ];
    // Added to a small number, it leaves the nearest integer in the lowest bits.
    const TO_INTEGER: f64 = 1.5 * (1_u64 << 52) as f64;
    for x in numbers {
        let shifted = *x * std::f64::consts::LOG2_E + TO_INTEGER;
        let power = shifted - TO_INTEGER;
        let (high, low) = (*x - power * LN2_HIGH, power * LN2_LOW);
        let rest = high - low;
        let square = rest * rest;
        let series = rest
            - square * (P[0] + square * (P[1] + square * (P[2] + square * (P[3] + square * P[4]))));
        let root = 1.0 + (rest * series / (2.0 - series) - low + high);
        *x = f64::from_bits(root.to_bits().wrapping_add(shifted.to_bits() << 52));
    }
}

/// Natural logarithm of each positive, normal number.
///
/// FreeBSD's `e_log.c` (Sun Microsystems, 1993) without its branches; the bits are those of [`ln`].
pub(crate) fn ln_each(numbers: &mut [f64]) {
    const L: [f64; 7] = [
        f64::from_bits(0x3fe5_5555_5555_5593),
        f64::from_bits(0x3fd9_9999_9997_fa04),
        f64::from_bits(0x3fd2_4924_9422_9359),
        f64::from_bits(0x3fcc_71c5_1d8e_78af),
        f64::from_bits(0x3fc7_4664_96cb_03de),
        f64::from_bits(0x3fc3_9a09_d078_c69f),
        f64::from_bits(0x3fc2_f112_df3e_5244),
    ];
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    /// The square root of a half, in its high word.
    const ROOT: u64 = 0x3fe6_a09e_0000_0000;
    const MANTISSA: u64 = (1 << 52) - 1;
    // 2^52, whose lowest bits are those of an integer that is put there.
    const INTEGER: u64 = 0x4330_0000_0000_0000;
    const BIAS: f64 = ((1_u64 << 52) + 1023) as f64;
    for x in numbers {
        let bits = x.to_bits() + (ONE - ROOT);
        let power = f64::from_bits(INTEGER | (bits >> 52)) - BIAS;
        let f = f64::from_bits((bits & MANTISSA) + ROOT) - 1.0;
        let half_square = 0.5 * f * f;
        let s = f / (2.0 + f);
        let z = s * s;
        let w = z * z;
        let even = w * (L[1] + w * (L[3] + w * L[5]));
        let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
        *x =
            s * (half_square + (odd + even)) + power * LN2_LOW - half_square + f + power * LN2_HIGH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mean_of_exponentials_does_not_overflow() {
        let found = ln_mean_exp(&[2000.0, 0.0]);
        assert!((found - (2000.0 - std::f64::consts::LN_2)).abs() < 1e-12, "{found}");
        assert_eq!(ln_mean_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(ln_mean_exp(&[f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn what_is_left_out_of_a_mean_is_little(logs in proptest::collection::vec(-60.0..60.0, 1..120)) {
            let most = logs.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = logs.iter().map(|log| exp(log - most)).sum();
            let whole = most + ln(sum / logs.len() as f64);
            let found = ln_mean_exp(&logs);
            prop_assert!(found <= whole + 1e-12 && found >= whole - 120.0 * 2.1e-9, "{found} {whole}");
        }

        #[test]
        fn several_exponentials_are_those_of_each(numbers in proptest::array::uniform8(-700.0..700.0)) {
            let mut found = numbers;
            exp_each(&mut found);
            for (x, found) in numbers.into_iter().zip(found) {
                prop_assert!(found.to_bits().abs_diff(exp(x).to_bits()) <= 1, "{x}");
            }
        }

        #[test]
        fn several_logarithms_are_those_of_each(exponents in proptest::collection::vec(-700.0..700.0, 1..40)) {
            let numbers: Vec<f64> = exponents.into_iter().map(exp).chain([1.0, f64::MAX, f64::MIN_POSITIVE]).collect();
            let mut found = numbers.clone();
            ln_each(&mut found);
            for (x, found) in numbers.into_iter().zip(found) {
                prop_assert_eq!(found.to_bits(), ln(x).to_bits(), "{}", x);
            }
        }
    }

    /// Replay on another machine rests on this: the nearest doubles to the true values, by `mpmath`.
    #[test]
    fn bits_are_pinned() {
        assert_eq!(ln(1.7).to_bits(), 0x3fe0_fae8_1914_a991, "{:#x}", ln(1.7).to_bits());
        assert_eq!(exp(-3.3).to_bits(), 0x3fa2_e259_bb85_be85, "{:#x}", exp(-3.3).to_bits());
        let mut each = [-3.3; AT_ONCE];
        exp_each(&mut each);
        assert_eq!(each.map(f64::to_bits), [exp(-3.3).to_bits(); AT_ONCE]);
    }
}
