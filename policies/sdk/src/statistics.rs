//! Tests that may be looked at after every tick.
//!
//! An e-process is a bet against a claim that everything is well: its value can grow beyond 1/alpha with a probability of at
//! most alpha if the claim is true, however often one looks (Ville's inequality). So `ln e >= ln(1/alpha)` at any time is
//! evidence.

use crate::contract::Tally;

/// Worse by these factors is what is bet on, with a sixth of the stake each.
pub const RATIOS: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 20.0];

/// A bet against "events on new firmware are at most so many times as frequent as on the old one".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EProcess {
    /// Natural logarithm of what each of the six stakes has grown to.
    log_stakes: [f64; 6],
}

impl EProcess {
    /// Goes on with stakes of before.
    pub const fn new(log_stakes: [f64; 6]) -> Self {
        Self { log_stakes }
    }

    /// The stakes, to go on with later.
    pub const fn log_stakes(&self) -> [f64; 6] {
        self.log_stakes
    }

    /// Takes events of the same stretch of time on both firmwares into account. How events are spread between the two, given
    /// how many there are, does not depend on how frequent they are at that time of day. Nothing is learnt if either has no
    /// exposure.
    pub fn compare(&mut self, treated: &Tally, control: &Tally, tolerated: f64) {
        if treated.exposure <= 0.0 || control.exposure <= 0.0 {
            return;
        }
        let both = treated.count + control.count;
        for (log_stake, worse) in self.log_stakes.iter_mut().zip(RATIOS) {
            let as_tolerated = tolerated * treated.exposure + control.exposure;
            let as_worse = worse * tolerated * treated.exposure + control.exposure;
            *log_stake += treated.count * worse.ln() + both * (as_tolerated / as_worse).ln();
        }
    }

    /// Takes events on new firmware alone into account, where this many were expected at most.
    pub fn expect(&mut self, events: f64, expected: f64) {
        for (log_stake, worse) in self.log_stakes.iter_mut().zip(RATIOS) {
            *log_stake += events * worse.ln() - (worse - 1.0) * expected;
        }
    }

    /// Natural logarithm of the e-value: the mean of the stakes.
    pub fn log_e(&self) -> f64 {
        let most = self.log_stakes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.log_stakes.iter().map(|log_stake| (log_stake - most).exp()).sum();
        most + (sum / 6.0).ln()
    }
}

/// How many events must be expected on new firmware, were it as good as the old one, until a bet is likely to show that it is
/// worse by this ratio (above 1).
pub fn events_needed(ratio: f64, alpha: f64) -> f64 {
    ((1.0 / alpha).ln() + 6.0_f64.ln()) / (ratio * ratio.ln() - ratio + 1.0)
}

/// Probability of at least this many events where `mean` are expected, by Poisson's law.
pub fn poisson_at_least(events: u32, mean: f64) -> f64 {
    // The tail is summed itself: as the rest of 1 it would vanish in rounding.
    let mut term = (-mean).exp();
    for k in 1..=events {
        term *= mean / f64::from(k);
    }
    let (mut sum, mut k) = (0.0, events);
    while term > sum * f64::EPSILON && k < u32::MAX {
        sum += term;
        k += 1;
        term *= mean / f64::from(k);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, wanted: f64, tolerance: f64) -> bool {
        (found - wanted).abs() <= tolerance
    }

    /// Independently computed: 40 against 10 events on the same exposure of a small arm, with a control of 100 times the size.
    #[test]
    fn four_times_as_many_events_are_evidence() {
        let mut bet = EProcess::default();
        bet.compare(&Tally::new(40.0, 5_000.0), &Tally::new(1_000.0, 500_000.0), 1.0);
        let by_hand =
            |r: f64| 40.0 * r.ln() + 1_040.0 * (505_000.0 / (r * 5_000.0 + 500_000.0)).ln();
        let mean = RATIOS.iter().map(|r| by_hand(*r).exp()).sum::<f64>() / 6.0;
        assert!(is_near(bet.log_e(), mean.ln(), 1e-9), "{}", bet.log_e());
        assert!(bet.log_e() > 20.0);
    }

    #[test]
    fn equal_firmware_loses_the_bet() {
        let mut bet = EProcess::default();
        for _ in 0..100 {
            bet.compare(&Tally::new(10.0, 1_000.0), &Tally::new(10.0, 1_000.0), 1.0);
        }
        assert!(bet.log_e() < -10.0, "{}", bet.log_e());
    }

    #[test]
    fn nothing_is_learnt_without_exposure() {
        let mut bet = EProcess::default();
        bet.compare(&Tally::new(10.0, 0.0), &Tally::new(10.0, 1_000.0), 1.0);
        bet.compare(&Tally::new(10.0, 10.0), &Tally::NONE, 1.0);
        assert_eq!(bet, EProcess::default());
        assert_eq!(bet.log_e(), 0.0);
    }

    /// The e-value is fair: its mean over what happens if all is well is 1 at most.
    #[test]
    fn the_mean_of_e_is_one_if_the_claim_holds() {
        let mean = 3.0;
        let probability = |k: u32| poisson_at_least(k, mean) - poisson_at_least(k + 1, mean);
        let e = |k: u32| {
            let mut bet = EProcess::default();
            bet.expect(f64::from(k), mean);
            bet.log_e().exp()
        };
        let expected: f64 = (0..150).map(|k| probability(k) * e(k)).sum();
        assert!(is_near(expected, 1.0, 1e-6), "{expected}");
    }

    /// The figures of the power report for 2, 3, 4, 5 and 10 times as many events.
    #[test]
    fn events_needed_to_see_a_ratio() {
        let at = |alpha| [2.0, 3.0, 4.0, 5.0, 10.0].map(|ratio| events_needed(ratio, alpha));
        for (found, wanted) in at(0.05).into_iter().zip([12.4, 3.7, 1.9, 1.2, 0.34]) {
            assert!(is_near(found, wanted, 0.05), "{found} {wanted}");
        }
        for (found, wanted) in at(0.01).into_iter().zip([16.6, 4.9, 2.5, 1.6, 0.46]) {
            assert!(is_near(found, wanted, 0.06), "{found} {wanted}");
        }
    }

    /// Random numbers that are the same at each run: splitmix64.
    struct Dice(u64);

    impl Dice {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bits = u32::try_from((z ^ (z >> 31)) >> 32).expect("32 bits");
            (f64::from(bits) + 0.5) / 4_294_967_296.0
        }

        /// Poisson's law, by the times between events.
        fn events(&mut self, mean: f64) -> f64 {
            let (mut events, mut time) = (0.0, -self.uniform().ln());
            while time < mean {
                events += 1.0;
                time -= self.uniform().ln();
            }
            events
        }
    }

    /// Of 1,000 healthy rollouts, each looked at 200 times, with crashes that double by day: how many pause by the bet, and how
    /// many by "above twice the control", which counts from five crashes on.
    #[test]
    fn a_healthy_rollout_seldom_pauses_however_often_one_looks() {
        let mut dice = Dice(5);
        let (mut by_bet, mut by_ratio) = (0, 0);
        for _ in 0..1_000 {
            let mut bet = EProcess::default();
            let (mut treated, mut control) = (0.0, 0.0);
            let (mut bet_pauses, mut ratio_pauses) = (false, false);
            for hour in 0..200 {
                let rate = if hour % 24 < 12 { 0.2 } else { 0.1 };
                let now = [dice.events(rate), dice.events(rate * 20.0)];
                bet.compare(&Tally::new(now[0], 1.0), &Tally::new(now[1], 20.0), 1.0);
                treated += now[0];
                control += now[1] / 20.0;
                bet_pauses |= bet.log_e() >= 20.0_f64.ln();
                ratio_pauses |= treated >= 5.0 && treated > 2.0 * control;
            }
            by_bet += i32::from(bet_pauses);
            by_ratio += i32::from(ratio_pauses);
        }
        assert!(by_bet <= 50, "{by_bet}");
        assert!(by_ratio > 100, "{by_ratio}");
    }

    #[test]
    fn poisson_tails() {
        assert!(is_near(poisson_at_least(0, 3.0), 1.0, 1e-12));
        assert!(is_near(poisson_at_least(1, 3.0), 1.0 - (-3.0_f64).exp(), 1e-12));
    }
}
