//! Elementary functions that give the same bits everywhere.

/// Natural logarithm.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// e to the power of `x`.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `ln(mean(exp(logs)))` without overflow; negative infinity for none.
pub(crate) fn ln_mean_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    // The sum is 1 at least, so that what is that much smaller does not change it.
    const NOTHING: f64 = -45.0;
    let part = |log: f64| if log - most < NOTHING { 0.0 } else { exp(log - most) };
    let (sum, number) = logs.fold((0.0, 0.0), |(sum, number), log| (sum + part(log), number + 1.0));
    most + ln(sum / number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_exponentials_does_not_overflow() {
        let found = ln_mean_exp([2000.0, 0.0].into_iter());
        assert!((found - (2000.0 - std::f64::consts::LN_2)).abs() < 1e-12, "{found}");
        assert_eq!(ln_mean_exp([].into_iter()), f64::NEG_INFINITY);
        // All there can be of what is left out.
        assert_eq!((1.0 + 200.0 * exp(-45.0)).to_bits(), 1_f64.to_bits());
    }

    /// Replay on another machine rests on this: the nearest doubles to the true values, by `mpmath`.
    #[test]
    fn bits_are_pinned() {
        assert_eq!(ln(1.7).to_bits(), 0x3fe0_fae8_1914_a991, "{:#x}", ln(1.7).to_bits());
        assert_eq!(exp(-3.3).to_bits(), 0x3fa2_e259_bb85_be85, "{:#x}", exp(-3.3).to_bits());
    }
}
