//! Exact tails of the binomial law: how many of some devices, where each is hit on its own.
//!
//! Single probabilities by the saddle-point form, with the `D` and `δ` of the [Poisson law](crate::poisson): for `n` devices of which
//! each is hit with probability `p`, and `q = 1 - p`,
//!
//! ```text
//! P(X = k) = exp(δ(n) - δ(k) - δ(n-k) - D(k, np) - D(n-k, nq)) / sqrt(2 π k (n-k) / n)
//! ```

use libm::{exp, log1p, pow, sqrt};

use crate::poisson::{deviance, stirling_error};

/// `P(X >= k)` for the number of `of` devices that are hit, each with this probability: 0 where more are wanted than there are.
#[must_use]
pub(crate) fn at_least(k: u32, of: f64, probability: f64) -> f64 {
    let k = f64::from(k);
    if k == 0.0 {
        1.0
    } else if k > of || probability <= 0.0 {
        0.0
    } else if probability >= 1.0 {
        1.0
    } else if k > of * probability {
        rising_sum(k, of, probability).min(1.0)
    } else {
        (1.0 - falling_sum(k - 1.0, of, probability)).max(0.0)
    }
}

/// `P(X >= k)` for the number of devices that are hit in several groups, each of so many devices with its own probability.
///
/// With the tails `T` of all groups so far, one more with the number `B` makes `P(X >= m) = P(B >= m) + Σ P(B = j) T(m - j)` of them,
/// for `j` from 0 to `m - 1`: sums of what is positive alone, so that no digit is lost.
#[must_use]
pub(crate) fn at_least_of_all(k: u32, groups: &[(f64, f64)]) -> f64 {
    // That none are hit at least is certain, and of no groups nothing else is.
    let mut tails: Vec<f64> = (0..=k).map(|m| if m == 0 { 1.0 } else { 0.0 }).collect();
    for &(of, probability) in groups {
        let hit: Vec<f64> = (0..k).map(|j| exactly_or_never(j, of, probability)).collect();
        tails = (0..=k)
            .zip(1..)
            .map(|(m, len)| {
                let rest = tails[1..len].iter().rev();
                at_least(m, of, probability) + hit.iter().zip(rest).map(|(p, t)| p * t).sum::<f64>()
            })
            .collect();
    }
    tails.last().map_or(0.0, |tail| tail.min(1.0))
}

fn exactly_or_never(k: u32, of: f64, probability: f64) -> f64 {
    let k = f64::from(k);
    let never = if probability <= 0.0 { 0.0 } else { of };
    if k > never || probability >= 1.0 && k < of {
        0.0
    } else if probability <= 0.0 || probability >= 1.0 {
        1.0
    } else {
        exactly(k, of, probability)
    }
}

/// What no longer changes a sum.
const NOTHING: f64 = 1e-18;

fn rising_sum(from: f64, of: f64, probability: f64) -> f64 {
    let odds = probability / (1.0 - probability);
    let (mut k, mut term, mut sum) = (from, exactly(from, of, probability), 0.0);
    // Behind the last device, a term is 0.
    while term > sum * NOTHING {
        sum += term;
        term *= (of - k) / (k + 1.0) * odds;
        k += 1.0;
    }
    sum
}

fn falling_sum(from: f64, of: f64, probability: f64) -> f64 {
    let odds = (1.0 - probability) / probability;
    let (mut k, mut term, mut sum) = (from, exactly(from, of, probability), 0.0);
    // Below none, a term is 0.
    while term > sum * NOTHING {
        sum += term;
        term *= k / (of - k + 1.0) * odds;
        k -= 1.0;
    }
    sum
}

/// `P(X = k)`.
fn exactly(k: f64, of: f64, probability: f64) -> f64 {
    if k == 0.0 {
        return exp(of * log1p(-probability));
    }
    if k >= of {
        return pow(probability, of);
    }
    let rest = of - k;
    let error = stirling_error(of) - stirling_error(k) - stirling_error(rest);
    let distance = deviance(k, of * probability) + deviance(rest, of * (1.0 - probability));
    exp(error - distance) / sqrt(std::f64::consts::TAU * k * rest / of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: [(u32, f64, f64, f64); 9] = [
        (1, 2.0, 0.25, 0.4375),
        (2, 2.0, 0.25, 0.0625),
        (3, 5.0, 0.875, 0.983_947_753_906_25),
        (3, 1000.0, 0.003_125, 0.604_602_072_605_583_1),
        (40, 60.0, 0.5, 0.006_744_646_865_595_93),
        (10, 60.0, 0.5, 0.999_999_984_574_822),
        (20, 1000.0, 0.000_976_562_5, 8.495_990_757_112_605e-20),
        // Of a thousand million devices, with a probability of 2^-20.
        (900, 1e9, 9.536_743_164_062_5e-7, 0.961_287_233_944_900_3),
        (1000, 1e9, 9.536_743_164_062_5e-7, 0.069_754_992_974_335_6),
    ];

    /// Reference values by exact fractions, and the last two with 50 decimal digits.
    #[test]
    fn tails_are_exact() {
        for (k, of, probability, wanted) in REFERENCE {
            let found = at_least(k, of, probability);
            assert!(
                (found / wanted - 1.0).abs() < 1e-9,
                "P(X >= {k} | {of}, {probability}) = {found:e}, wanted {wanted:e}"
            );
        }
    }

    #[test]
    fn groups_add_up() {
        // Two coins, and three dice that show a six: P(X >= 2) by fractions.
        let wanted = 1.0 - 0.25 * (125.0 / 216.0) - 0.5 * (125.0 / 216.0) - 0.25 * (75.0 / 216.0);
        let found = at_least_of_all(2, &[(2.0, 0.5), (3.0, 1.0 / 6.0)]);
        assert!((found - wanted).abs() < 1e-14, "{found}, wanted {wanted}");
        // One group is what it was, and groups of the same probability are one.
        for (k, of, probability, wanted) in REFERENCE {
            let one = at_least_of_all(k, &[(of, probability)]);
            assert!((one / wanted - 1.0).abs() < 1e-9, "{k} of {of}: {one:e}");
            let half = (of / 2.0).floor();
            let two = at_least_of_all(k, &[(half, probability), (of - half, probability)]);
            assert!((two / wanted - 1.0).abs() < 1e-9, "{k} of {of} in two: {two:e}");
        }
        let sure = [(2.0, 1.0), (5.0, 0.0), (0.0, 0.5)];
        assert_eq!([1, 2, 3].map(|k| at_least_of_all(k, &sure)), [1.0, 1.0, 0.0]);
        assert_eq!([0, 1].map(|k| at_least_of_all(k, &[])), [1.0, 0.0]);
    }

    #[test]
    fn nobody_everybody_and_more_than_that() {
        assert_eq!((at_least(0, 0.0, 0.5), at_least(1, 0.0, 0.5)), (1.0, 0.0));
        assert_eq!((at_least(3, 2.0, 0.5), at_least(3, 2.0, 1.0)), (0.0, 0.0));
        assert_eq!((at_least(2, 2.0, 1.0), at_least(1, 2.0, 0.0)), (1.0, 0.0));
        // Next to nothing, and next to all.
        assert_eq!(at_least(1, 2.0, 1e-310), 0.0);
        assert_eq!(at_least(2, 3.0, 1.0 - f64::EPSILON), 1.0);
    }
}
