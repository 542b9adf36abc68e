//! Exact tails of the Poisson law.
//!
//! Single probabilities by the saddle-point form of C. Loader, Fast and Accurate Computation of Binomial Probabilities (2000): with
//! `D(k, m) = k ln(k/m) + m - k` and the error `δ(k)` of Stirling's series,
//!
//! ```text
//! P(X = k) = exp(-D(k, m) - δ(k)) / sqrt(2 π k)
//! ```
//!
//! which keeps its digits where `exp(-m)` is zero and `k!` infinite. Tails are sums of them, from the side on which they fall.

use libm::{exp, log, sqrt};

/// `P(X >= k)` for a Poisson number with this mean.
#[must_use]
pub fn at_least(k: u32, mean: f64) -> f64 {
    let k = f64::from(k);
    if k == 0.0 {
        1.0
    } else if mean <= 0.0 {
        0.0
    } else if k > mean {
        rising_sum(k, mean).min(1.0)
    } else {
        (1.0 - falling_sum(k - 1.0, mean)).max(0.0)
    }
}

/// The least mean at which at least `k` events are as likely as `probability`; for `k` of 1 and more.
#[must_use]
pub(crate) fn mean_for(k: u32, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while at_least(k, high) < probability && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if at_least(k, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// What no longer changes a sum.
const NOTHING: f64 = 1e-18;

fn rising_sum(from: f64, mean: f64) -> f64 {
    let (mut k, mut term, mut sum) = (from, exactly(from, mean), 0.0);
    while term > sum * NOTHING {
        sum += term;
        k += 1.0;
        term *= mean / k;
    }
    sum
}

fn falling_sum(from: f64, mean: f64) -> f64 {
    let (mut k, mut term, mut sum) = (from, exactly(from, mean), 0.0);
    while term > sum * NOTHING {
        sum += term;
        if k == 0.0 {
            break;
        }
        term *= k / mean;
        k -= 1.0;
    }
    sum
}

/// `P(X = k)`.
fn exactly(k: f64, mean: f64) -> f64 {
    if k == 0.0 {
        return exp(-mean);
    }
    exp(-deviance(k, mean) - stirling_error(k)) / sqrt(std::f64::consts::TAU * k)
}

/// `D(k, m)`, by a series where `k` is near `m` and the closed form would lose digits.
pub(crate) fn deviance(k: f64, mean: f64) -> f64 {
    let (difference, sum) = (k - mean, k + mean);
    if difference.abs() >= 0.1 * sum {
        return k * log(k / mean) + mean - k;
    }
    let v = difference / sum;
    let mut total = difference * v;
    let mut term = 2.0 * k * v;
    let mut place = 1.0;
    loop {
        term *= v * v;
        place += 2.0;
        let next = total + term / place;
        if next == total {
            return next;
        }
        total = next;
    }
}

/// `ln k! - ln(sqrt(2 π k) (k/e)^k)`.
pub(crate) fn stirling_error(k: f64) -> f64 {
    if k < 16.0 {
        let (mut factorial, mut factor) = (1.0, 1.0);
        while factor < k {
            factor += 1.0;
            factorial *= factor;
        }
        return log(factorial) - 0.5 * log(std::f64::consts::TAU * k) - k * log(k) + k;
    }
    let square = k * k;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / k
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, wanted: f64) -> bool {
        (found / wanted - 1.0).abs() < 1e-9
    }

    const REFERENCE: [(u32, f64, f64); 12] = [
        (1, 0.0625, 0.060_586_937_186_524_21),
        (40, 10.0, 7.341_636_314_560_472e-13),
        (8, 2.5, 0.004_246_695_489_344_507),
        (8, 7.5, 0.475_361_473_512_394_55),
        (16, 10.0, 0.048_740_403_303_978_705),
        (76, 75.0, 0.469_341_668_033_739_2),
        (451, 450.0, 0.487_466_013_035_905_3),
        (15, 14.9, 0.524_069_554_192_953_6),
        (17, 18.2, 0.642_428_457_258_146_3),
        (1000, 1200.0, 0.999_999_998_711_839_4),
        (1_000_000, 1_002_000.0, 0.977_195_904_101_230_1),
        (5000, 4000.0, 1.559_862_181_218_969e-52),
    ];

    /// Reference values by `mpmath` with 40 digits.
    #[test]
    fn tails_are_exact() {
        for (k, mean, wanted) in REFERENCE {
            let found = at_least(k, mean);
            assert!(is_near(found, wanted), "P(X >= {k} | {mean}) = {found:e}, wanted {wanted:e}");
        }
        assert_eq!((at_least(0, 3.0), at_least(3, 0.0)), (1.0, 0.0));
    }

    #[test]
    fn the_mean_for_a_probability_gives_it() {
        for k in [1, 8, 313] {
            for probability in [0.05, 0.5, 0.9] {
                let mean = mean_for(k, probability);
                assert!(is_near(at_least(k, mean), probability), "{k}, {probability}: {mean}");
            }
        }
    }
}
