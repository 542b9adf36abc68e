//! Evidence from several tests: in the mean, and by name.

use super::math::{ln, ln_mean_exp};

/// Natural logarithm of the mean of e-values, given by their logarithms. It is an e-value again, however the tests depend on each
/// other (Vovk and Wang, E-values: calibration, combination and applications, Annals of Statistics 49(3), 2021, section 3);
/// negative infinity for none.
#[must_use]
pub fn mean_of_logs(log_e: &[f64]) -> f64 {
    ln_mean_exp(log_e)
}

/// Which of K tests have found something, by e-BH: with e-values sorted from the greatest, the first j for the largest j with
/// `e_j >= K / (j alpha)`. On average at most a fraction `alpha` of those named is named by mistake, however the tests depend on
/// each other (Wang and Ramdas, False discovery rate control with e-values, JRSS B 84(3), 2022, arXiv:2009.02824).
///
/// Takes natural logarithms of e-values; returns their places, the strongest first. What is no number names nobody.
#[must_use]
pub fn named_by_e_bh(log_e: &[f64], alpha: f64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..log_e.len()).filter(|place| !log_e[*place].is_nan()).collect();
    // Stable, so that equals stay in their order on every machine.
    places.sort_by(|one, other| log_e[*other].total_cmp(&log_e[*one]));
    #[allow(clippy::cast_precision_loss)]
    let bar = |named: usize| ln(log_e.len() as f64 / (named as f64 * alpha));
    let named = (1..=places.len()).rev().find(|named| log_e[places[named - 1]] >= bar(*named));
    places.truncate(named.unwrap_or(0));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(e: &[f64]) -> Vec<usize> {
        named_by_e_bh(&e.iter().map(|e| e.ln()).collect::<Vec<_>>(), 0.05)
    }

    /// By hand: K = 4, so the bars are 80, 40, 26.7 and 20.
    #[test]
    fn the_bar_falls_with_how_many_are_named() {
        assert!(named(&[1.0, 79.0, 0.5, 2.0]).is_empty());
        assert_eq!(named(&[1.0, 81.0, 0.5, 2.0]), [1]);
        assert_eq!(named(&[41.0, 79.0, 0.5, 2.0]), [1, 0]);
        assert_eq!(named(&[21.0, 21.0, 21.0, 21.0]), [0, 1, 2, 3]);
        assert!(named(&[]).is_empty());
        assert_eq!(named_by_e_bh(&[f64::NAN, f64::INFINITY], 0.05), [1]);
    }

    #[test]
    fn a_mean_is_that_of_the_values() {
        assert!((mean_of_logs(&[3.0_f64.ln(), 5.0_f64.ln()]) - 4.0_f64.ln()).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn more_evidence_names_no_fewer(mut log_e in proptest::collection::vec(-3.0..12.0, 1..20), at in 0usize..20) {
            let before = named_by_e_bh(&log_e, 0.05).len();
            let at = at % log_e.len();
            log_e[at] += 1.0;
            prop_assert!(named_by_e_bh(&log_e, 0.05).len() >= before);
        }
    }
}
