//! New against old firmware in the same ticks: the stratified two-sample Poisson e-process.
//!
//! In a tick and a stratum let new firmware have `k` events in `t` hours and old firmware `c` events in `s` hours. Given how
//! many events there are together, `n = k + c`, `k` is binomial with
//!
//! ```text
//! p = ρ t / (ρ t + s),        ρ = rate on new firmware / rate on old firmware
//! ```
//!
//! (Przyborowski and Wilenski, Homogeneity of results in testing samples from Poisson series, Biometrika 31, 1940, section 2).
//! The rate itself has cancelled: a cold night in which everything crashes twice as often is no evidence. The log-likelihood of
//! ρ, but for what does not depend on it, is therefore
//!
//! ```text
//! ℓ(ρ) = Σ  k ln ρ - n ln((ρ t + s) / (t + s))          over ticks and strata
//! ```
//!
//! and `exp(ℓ(r) - ℓ(ρ0))` with `r > ρ0` is a likelihood ratio, hence a test martingale (Wald, Sequential tests of statistical
//! hypotheses, 1945) if the ratio is ρ0. Its factors have a mean below 1 if the ratio is below ρ0, because a factor rises with
//! `k`; so it bets against "at most ρ0". A mean of such bets over several `r` is one again (Robbins, Statistical methods
//! related to the law of the iterated logarithm, 1970, section 2).
//!
//! **Distinct devices and proportions.** Instead of Poisson events let each of `m` devices be hit or not, with any probability of
//! its own. Take `a = (r/ρ0) b` and `b = (ρ0 t + s) / (r t + s)`, the factors of a hit on new and on old firmware. As
//! `1 + q (a - 1) <= exp(q (a - 1))`, the mean of a tick's factor is at most `exp(ρ0 t λ (a - 1) + s λ (b - 1)) = 1` for hits with
//! mean `ρ0 t λ` and `s λ`. So the test holds for distinct devices and for proportions of any size, with devices asked as exposure.
//! It is cautious where proportions are large: ask for what is rare (not connected rather than connected).

use super::Count;
use super::math::{ln, ln_each, ln_mean_exp};

/// Worse than tolerated by these factors is what is bet on, with a sixth of the stake each.
pub const BETS: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 20.0];

/// How far between `tolerated` and `alarm` (in logarithms) lie the ratios that are bet on to show that all is well.
const FINE_BETS: [f64; 3] = [0.0, 0.25, 0.5];

/// `ℓ` at several ratios at once.
#[derive(Clone, Debug, PartialEq)]
struct Likelihood<const N: usize> {
    ratios: [f64; N],
    /// Their natural logarithms.
    thetas: [f64; N],
    logs: [f64; N],
}

impl<const N: usize> Likelihood<N> {
    fn new(ratios: [f64; N]) -> Self {
        Self { ratios, thetas: ratios.map(ln), logs: [0.0; N] }
    }

    /// By how much a tick of a stratum changes it. Nothing is learnt if either side has no exposure or nothing happened.
    fn gain(&self, treated: Count, control: Count) -> [f64; N] {
        let (t, s) = (treated.exposure(), control.exposure());
        let n = treated.events() + control.events();
        let mut gain = [0.0; N];
        if t > 0.0 && s > 0.0 && n > 0.0 {
            let mut mixed = self.ratios.map(|ratio| (ratio * t + s) / (t + s));
            ln_each(&mut mixed);
            for ((gain, log), theta) in gain.iter_mut().zip(mixed).zip(self.thetas) {
                *gain = treated.events() * theta - n * log;
            }
        }
        gain
    }

    fn add(&mut self, gain: &[f64; N]) {
        self.logs.iter_mut().zip(gain).for_each(|(log, gained)| *log += gained);
    }
}

/// What a tick of a stratum tells a test, and all others that tolerate the same ratio and must not miss the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct RatioGain {
    worse: [f64; 7],
    fine: [f64; 4],
    treated: Count,
    control: Count,
}

/// Tests whether events are more frequent on new firmware than on old firmware.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioTest {
    /// First the tolerated ratio, then those that are bet on.
    worse: Likelihood<7>,
    /// First the alarming ratio, then those that are bet on.
    fine: Likelihood<4>,
    /// Numerator and denominator of the Mantel–Haenszel estimate.
    weighted: [f64; 2],
    treated: Count,
    control: Count,
}

impl RatioTest {
    /// Begins a test that tolerates one ratio, and must not miss another one above it. Both are ratios of the rate on new
    /// firmware to that on old firmware.
    #[must_use]
    pub fn new(tolerated: f64, alarm: f64) -> Self {
        let [a, b, c, d, e, f] = BETS.map(|bet| tolerated * bet);
        let log_gap = ln(alarm / tolerated);
        let [x, y, z] = FINE_BETS.map(|part| tolerated * super::math::exp(part * log_gap));
        Self {
            worse: Likelihood::new([tolerated, a, b, c, d, e, f]),
            fine: Likelihood::new([alarm, x, y, z]),
            weighted: [0.0; 2],
            treated: Count::NONE,
            control: Count::NONE,
        }
    }

    /// Counts what happened in a tick within a stratum.
    pub fn add(&mut self, treated: Count, control: Count) {
        let gain = self.gain_of(treated, control);
        self.gain(&gain);
    }

    /// What a tick of a stratum tells this test.
    pub(crate) fn gain_of(&self, treated: Count, control: Count) -> RatioGain {
        let (worse, fine) = (self.worse.gain(treated, control), self.fine.gain(treated, control));
        RatioGain { worse, fine, treated, control }
    }

    /// Counts what a tick of a stratum tells, and returns whether that may change what the test says, and an interval of the same
    /// figures: without an event it does not, unless the estimate rests on exposures alone.
    pub(crate) fn gain(&mut self, gain: &RatioGain) -> bool {
        let &RatioGain { ref worse, ref fine, treated, control } = gain;
        self.worse.add(worse);
        self.fine.add(fine);
        let both = treated.exposure() + control.exposure();
        if treated.exposure() > 0.0 && control.exposure() > 0.0 {
            self.weighted[0] += treated.events() * (control.exposure() / both);
            self.weighted[1] += control.events() * (treated.exposure() / both);
            self.treated = self.treated.plus(treated);
            self.control = self.control.plus(control);
        }
        let [_, below] = self.weighted;
        treated.events() + control.events() > 0.0 || below <= 0.0
    }

    /// Natural logarithm of the e-value against "at most the tolerated ratio".
    #[must_use]
    pub fn log_e_worse(&self) -> f64 {
        log_e(&self.worse)
    }

    /// Natural logarithm of the e-value against "at least the alarming ratio".
    #[must_use]
    pub fn log_e_fine(&self) -> f64 {
        log_e(&self.fine)
    }

    /// Estimate of the ratio (Mantel and Haenszel; for rates Greenland and Robins, Estimation of a common effect parameter from
    /// sparse follow-up data, Biometrics 41, 1985, formula 1); none before anything was seen. Without events on old firmware half
    /// of one is assumed, so that it is finite.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let [above, below] = self.weighted;
        let both = self.treated.exposure() + self.control.exposure();
        if above + below <= 0.0 || both <= 0.0 {
            return None;
        }
        let half = 0.5 * self.treated.exposure() / both;
        Some(above / if below > 0.0 { below } else { half })
    }

    /// What was compared on new firmware: only ticks in which there was old firmware, too.
    #[must_use]
    pub fn treated(&self) -> Count {
        self.treated
    }

    /// What it was compared with.
    #[must_use]
    pub fn control(&self) -> Count {
        self.control
    }
}

fn log_e<const N: usize>(likelihood: &Likelihood<N>) -> f64 {
    match likelihood.logs.as_slice() {
        [claim, bets @ ..] => ln_mean_exp(bets) - claim,
        [] => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::RatioSequence;
    use super::*;
    use proptest::prelude::*;

    fn count(events: f64, exposure: f64) -> Count {
        Count::new(events, exposure).unwrap()
    }

    fn after(ticks: &[(f64, f64, f64, f64)]) -> RatioTest {
        let mut test = RatioTest::new(1.0, 2.0);
        for (k, t, c, s) in ticks {
            test.add(count(*k, *t), count(*c, *s));
        }
        test
    }

    /// In Python with 50 digits of `mpmath`, from the definition with binomial probabilities rather than from `ℓ`:
    /// `log(sum(binom_pmf(k, n, r*t/(r*t+s)) for r in BETS) / 6 / binom_pmf(k, n, t/(t+s)))`, multiplied over ticks.
    #[test]
    fn e_values_agree_with_binomial_probabilities() {
        let meters = after(&[(40.0, 5_000.0, 190.0, 95_000.0)]);
        assert!((meters.log_e_worse() - METERS).abs() < 1e-10, "{}", meters.log_e_worse());
        let days =
            after(&[(3.0, 100.0, 2.0, 400.0), (7.0, 250.0, 1.0, 250.0), (4.0, 400.0, 0.0, 20.0)]);
        assert!((days.log_e_worse() - DAYS).abs() < 1e-10, "{}", days.log_e_worse());
        assert!((days.log_e_fine() - DAYS_FINE).abs() < 1e-10, "{}", days.log_e_fine());
    }

    const METERS: f64 = 21.158_266_581_686_79;
    const DAYS: f64 = 3.844_122_302_690_548;
    const DAYS_FINE: f64 = -1.843_647_695_637_467_5;

    /// Simpson's paradox: in either stratum both firmwares are alike, but new firmware is mostly where crashes are frequent.
    #[test]
    fn strata_are_compared_within_themselves() {
        let bad_area = (90.0, 900.0, 10.0, 100.0);
        let good_area = (1.0, 100.0, 9.0, 900.0);
        assert!(after(&[bad_area, good_area]).log_e_worse() < 0.0);
        assert!(after(&[(91.0, 1000.0, 19.0, 1000.0)]).log_e_worse() > 3.0);
    }

    #[test]
    fn many_ordinary_events_show_that_all_is_well() {
        let test = after(&[(100.0, 1000.0, 100.0, 1000.0)]);
        assert!(test.log_e_fine() > 3.0 && test.log_e_worse() < 0.0, "{}", test.log_e_fine());
        assert_eq!(test.ratio(), Some(1.0));
    }

    #[test]
    fn nothing_is_learnt_without_a_counterpart() {
        assert_eq!(
            after(&[(9.0, 10.0, 0.0, 0.0), (0.0, 0.0, 9.0, 10.0)]),
            RatioTest::new(1.0, 2.0)
        );
        assert_eq!(RatioTest::new(1.0, 2.0).ratio(), None);
    }

    #[test]
    fn a_ratio_is_finite_without_events_on_old_firmware() {
        assert_eq!(after(&[(4.0, 10.0, 0.0, 10.0)]).ratio(), Some(8.0));
    }

    proptest! {
        /// What is kept of a test is only worked out anew when it says so.
        #[test]
        fn what_changes_nothing_is_told_as_such(ticks in proptest::collection::vec((0u32..3, 0u32..3, 0u32..3, 0u32..3), 1..40)) {
            let (mut test, mut sequence) = (RatioTest::new(1.25, 2.0), RatioSequence::default());
            let said = |test: &RatioTest, sequence: &RatioSequence| {
                (test.ratio(), test.log_e_worse(), test.log_e_fine(), sequence.interval(0.05))
            };
            for (k, t, c, s) in ticks {
                let [k, t, c, s] = [k, t, c, s].map(f64::from);
                let (treated, control) = (count(k.min(t), t), count(c.min(s), s));
                let before = said(&test, &sequence);
                let gain = test.gain_of(treated, control);
                let may_change = test.gain(&gain);
                sequence.add(treated, control);
                prop_assert!(may_change || said(&test, &sequence) == before);
            }
        }

        /// The promise in one tick: over all outcomes the mean of the e-value is at most 1, if the ratio is tolerated.
        #[test]
        fn the_bet_is_fair(t in 1.0..1000.0, s in 1.0..1000.0, ratio in 0.2..1.0, n in 1u32..60) {
            let p = ratio * t / (ratio * t + s);
            let p: f64 = p;
            let (mut mean, mut probability) = (0.0, (1.0 - p).powi(n.cast_signed()));
            for k in 0..=n {
                let test = after(&[(f64::from(k), t, f64::from(n - k), s)]);
                mean += probability * test.log_e_worse().exp();
                probability *= p / (1.0 - p) * f64::from(n - k) / f64::from(k + 1);
            }
            prop_assert!(mean <= 1.0 + 1e-9, "{mean}");
        }

        /// One event more on new firmware never speaks for it, one more on old firmware never against it.
        #[test]
        fn evidence_follows_the_events(k in 0u32..50, c in 0u32..50, t in 1.0..1e4, s in 1.0..1e4) {
            let at = |k: u32, c: u32| after(&[(f64::from(k), t, f64::from(c), s)]).log_e_worse();
            prop_assert!(at(k + 1, c) >= at(k, c) - 1e-9);
            prop_assert!(at(k, c + 1) <= at(k, c) + 1e-9);
        }
    }
}
