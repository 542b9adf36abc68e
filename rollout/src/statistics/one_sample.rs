//! New firmware against the time before the rollout, where no old firmware is left to compare with.
//!
//! Were the rate before known to be λ, `exp(X ln r - (r - 1) ρ0 λ T)` with X events in T hours would be a test martingale
//! against "at most ρ0 λ" (Wald 1945, for the Poisson law), and a mean over several `r` another one. But λ is only known from
//! B events in S hours. The test therefore takes the largest λ that is compatible with them:
//!
//! ```text
//! λ_high:  the larger root of  λ S - B - B ln(λ S / B) = ln(1 / δ)
//! ```
//!
//! above which B or fewer events have a probability of at most δ (Chernoff's bound for the Poisson law: Boucheron, Lugosi,
//! Massart, Concentration Inequalities, 2013, section 2.2). The true λ may be larger still, and what the bet gains then is not
//! fair. So the e-value is cut off at C, and divided by `1 + δ C`, by which its mean is at most 1 again:
//! `E min(e, C) <= 1 + δ C`. With δ = 10^-4 and C = 2000 the division costs 0.18 of the 3.0 that evidence takes.
//!
//! **Where more is better**, such as readings that came, new firmware is worse if it has fewer. "At most ρ0 times worse" is then a
//! rate of `λ / ρ0` at least. With `r < 1`, `exp(X ln r + (1 - r) T λ / ρ0)` has a mean of 1 if that is the rate, by the same formula of the
//! Poisson law, and a smaller one above it: `exp((1 - r) (T λ / ρ0 - E X))`. What is not known of λ now speaks for new firmware where λ is
//! small, so the smallest one takes the place of the largest:
//!
//! ```text
//! λ_low:   the smaller root of the same equation; 0 if there were no events before
//! ```
//!
//! below which B or more events have a probability of at most δ. For distinct devices, which are no more than hit or not, the mean of `r^X` is
//! at most that of the Poisson law for any `r`, since `1 + q (r - 1) <= exp(q (r - 1))`.
//!
//! That covers chance, not change: winter is no accident of counting. `tolerated` must leave room for it, 1.25 at least; the
//! two-sample test needs no such room.

use std::sync::LazyLock;

use super::math::{exp, ln, ln_mean_exp};
use super::sequence::{GRID, Interval, MOST};
use super::{BETS, Count};

/// Probability that a rate of before lies beyond its limit, all strata together.
const DELTA: f64 = 1e-4;
/// Where e-values are cut off.
const CAP: f64 = 2000.0;

/// Tests whether events are more frequent on new firmware than they were before the rollout, or less frequent where that is worse.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineTest {
    tolerated: f64,
    alarm: f64,
    is_fewer_worse: bool,
    strata: Vec<Stratum>,
    events: f64,
    exposure: f64,
    /// Least and greatest number of events that the rates of before give.
    expected: [f64; 2],
    /// As many as they give, were they exact.
    plain: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stratum {
    before: Count,
    /// Least and greatest rate that it is compatible with.
    rates: [f64; 2],
}

impl BaselineTest {
    /// Begins a test that tolerates one ratio, and must not miss another one above it, from what was counted in each stratum before.
    #[must_use]
    pub fn new(baselines: &[Count], tolerated: f64, alarm: f64) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let log_delta = ln(DELTA / baselines.len().max(1) as f64);
        Self {
            tolerated,
            alarm,
            is_fewer_worse: false,
            strata: baselines
                .iter()
                .map(|before| Stratum { before: *before, rates: limits(*before, -log_delta) })
                .collect(),
            events: 0.0,
            exposure: 0.0,
            expected: [0.0; 2],
            plain: 0.0,
        }
    }

    /// The same test of events of which fewer are worse: all ratios are those of before to new firmware.
    #[must_use]
    pub fn where_fewer_are_worse(self) -> Self {
        Self { is_fewer_worse: true, ..self }
    }

    /// Forgets what happened on new firmware; what was counted before stays.
    pub(crate) fn begin_anew(&mut self) {
        (self.events, self.exposure, self.expected, self.plain) = (0.0, 0.0, [0.0; 2], 0.0);
    }

    /// Counts what happened on new firmware in a stratum. Nothing is learnt where nothing was counted before.
    pub fn add(&mut self, stratum: usize, treated: Count) {
        let Some(Stratum { before, rates: [least, greatest] }) = self.strata.get(stratum) else {
            return;
        };
        let Some(rate) = before.rate() else { return };
        self.events += treated.events();
        self.exposure += treated.exposure();
        self.expected[0] += least * treated.exposure();
        self.expected[1] += greatest * treated.exposure();
        self.plain += rate * treated.exposure();
    }

    /// Whether anything was compared.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.expected[1] > 0.0
    }

    /// Natural logarithm of the e-value against "at most the tolerated ratio".
    #[must_use]
    pub fn log_e_worse(&self) -> f64 {
        let expected =
            self.turned(self.tolerated) * self.expected[usize::from(!self.is_fewer_worse)];
        let bets = BETS.map(|bet| {
            let bet = self.turned(bet);
            self.events * ln(bet) - (bet - 1.0) * expected
        });
        with_doubt(ln_mean_exp(&bets))
    }

    /// Natural logarithm of the e-value against "at least the alarming ratio".
    #[must_use]
    pub fn log_e_fine(&self) -> f64 {
        let part = ln(self.alarm / self.tolerated);
        let alarm = self.turned(self.alarm);
        let expected = self.expected[usize::from(self.is_fewer_worse)];
        let bets = [0.0, 0.25, 0.5].map(|way| {
            let ratio = self.turned(self.tolerated * exp(way * part));
            self.events * ln(ratio / alarm) + (alarm - ratio) * expected
        });
        with_doubt(ln_mean_exp(&bets))
    }

    /// How many times as many events as before are so many times worse, and the other way round.
    fn turned(&self, ratio: f64) -> f64 {
        if self.is_fewer_worse { 1.0 / ratio } else { ratio }
    }

    /// Estimate of the ratio; none before anything was compared. Without events in what it is divided by half of one is assumed.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let before: f64 = self.strata.iter().map(|stratum| stratum.before.exposure()).sum();
        let (above, below, half) = if self.is_fewer_worse {
            (self.plain, self.events, 0.5)
        } else {
            (self.events, self.plain, 0.5 / before * self.exposure)
        };
        self.has_data().then(|| above / if below > 0.0 { below } else { half })
    }

    /// The interval that misses the true ratio at any time with a probability of at most `alpha`.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        if !self.has_data() {
            return Interval::UNKNOWN;
        }
        let bar = ln(2.0 / alpha);
        let last = GRID.ratios.len() - 1;
        let low = self.ruled_out(bar, self.expected[1], |point| point);
        let high = self.ruled_out(bar, self.expected[0], |point| last - point);
        // The grid is the same from both its ends, so the ratio turned over is at as many points from the other one.
        let (low, high) = if self.is_fewer_worse { (high, low) } else { (low, high) };
        Interval {
            low: low.map_or(0.0, |point| GRID.ratios[point]),
            high: high.map_or(MOST, |point| GRID.ratios[last - point]),
        }
    }

    /// The last of the points of the grid that are ruled out one after the other, by a bet on all points beyond each. `at` says from
    /// which end points are counted.
    fn ruled_out(&self, bar: f64, expected: f64, at: impl Fn(usize) -> usize) -> Option<usize> {
        let log = |point: usize| {
            let point = at(point);
            self.events * GRID.thetas[point] - GRID.ratios[point] * expected
        };
        let last = GRID.ratios.len() - 1;
        let most = (0..=last).map(&log).fold(f64::NEG_INFINITY, f64::max);
        let beyond = sums_beyond(|point| exp(log(point) - most + GRID.log_weights[at(point)]));
        // The grid is the same from both its ends.
        let gained = |point: usize| most + ln(beyond[point] / WEIGHTS_BEYOND[point]) - log(point);
        (0..last).find(|point| with_doubt(gained(*point)) < bar).unwrap_or(last).checked_sub(1)
    }
}

/// Sum of the grid's weights beyond each of its points.
static WEIGHTS_BEYOND: LazyLock<Vec<f64>> =
    LazyLock::new(|| sums_beyond(|point| exp(GRID.log_weights[point])));

/// For each point of the grid the sum of what there is at the points beyond it.
fn sums_beyond(part: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; GRID.ratios.len()];
    for point in (1..sums.len()).rev() {
        sums[point - 1] = sums[point] + part(point);
    }
    sums
}

/// Cuts off, and divides by what the doubt about the rates of before may have added.
fn with_doubt(log_e: f64) -> f64 {
    log_e.min(ln(CAP)) - ln(1.0 + DELTA * CAP)
}

/// Least and greatest rate compatible with a count, each missed with a probability of `exp(-log_doubt)` at most.
fn limits(baseline: Count, log_doubt: f64) -> [f64; 2] {
    let (events, hours) = (baseline.events(), baseline.exposure());
    if hours <= 0.0 {
        return [0.0, f64::INFINITY];
    }
    // Chernoff's exponent, which is 0 at `events` and grows on both sides.
    let doubt =
        |mean: f64| if events > 0.0 { mean - events - events * ln(mean / events) } else { mean };
    let mut high = [events, 2.0 * events + 4.0 * log_doubt];
    let mut low = [0.0, events];
    for _ in 0..200 {
        let middle = f64::midpoint(high[0], high[1]);
        high[usize::from(doubt(middle) >= log_doubt)] = middle;
        let middle = f64::midpoint(low[0], low[1]);
        // At 0 the exponent is infinite.
        low[usize::from(events <= 0.0 || doubt(middle) < log_doubt)] = middle;
    }
    [low[0] / hours, high[1] / hours]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(events: f64, exposure: f64) -> Count {
        Count::new(events, exposure).unwrap()
    }

    /// In Python: `mpmath.findroot(lambda m: m - B - B*log(m/B) - log(10000), …)` with 50 digits.
    #[test]
    fn limits_of_a_rate() {
        let of = |events| limits(count(events, 1.0), 10_000.0_f64.ln());
        assert!((of(0.0)[1] - 9.210_340_371_976_184).abs() < 1e-9, "{:?}", of(0.0));
        assert_eq!(of(0.0)[0], 0.0);
        assert!((of(100.0)[1] - HUNDRED[1]).abs() < 1e-9, "{:?}", of(100.0));
        assert!((of(100.0)[0] - HUNDRED[0]).abs() < 1e-9, "{:?}", of(100.0));
        assert_eq!(limits(Count::NONE, 9.0), [0.0, f64::INFINITY]);
    }

    const HUNDRED: [f64; 2] = [62.988_434_005_467_29, 149.266_959_511_997_96];

    #[test]
    fn four_times_as_many_as_before_are_evidence() {
        let mut test = BaselineTest::new(&[count(100_000.0, 5e7)], 1.25, 2.0);
        test.add(0, count(40.0, 5_000.0));
        assert!((test.log_e_worse() - (2000.0 / 1.2_f64).ln()).abs() < 1e-12, "cut off");
        assert!((test.ratio().unwrap() - 4.0).abs() < 1e-9);
        let found = test.interval(0.05);
        assert!(
            found.low > 1.8 && found.low < 2.9 && found.high > 5.5 && found.high < 9.0,
            "{found:?}"
        );
    }

    #[test]
    fn little_known_about_before_is_little_evidence() {
        let after = |baseline| {
            let mut test = BaselineTest::new(&[baseline], 1.25, 2.0);
            test.add(0, count(20.0, 2_000.0));
            test.log_e_worse()
        };
        assert!(after(count(20_000.0, 1e7)) > 3.0);
        assert!(after(count(2.0, 1_000.0)) < 0.0);
        assert!(after(Count::NONE) < 0.0);
    }

    #[test]
    fn few_events_show_that_all_is_well() {
        let mut test = BaselineTest::new(&[count(100_000.0, 5e7)], 1.25, 3.0);
        test.add(0, count(40.0, 20_000.0));
        assert!(test.log_e_fine() > 3.0, "{}", test.log_e_fine());
    }

    /// Of 10,000 hours with an event in 100 before.
    fn fewer_are_worse(events: f64) -> BaselineTest {
        let mut test =
            BaselineTest::new(&[count(500_000.0, 5e7)], 1.25, 3.0).where_fewer_are_worse();
        test.add(0, count(events, 10_000.0));
        test
    }

    #[test]
    fn where_fewer_are_worse_more_are_fine() {
        let more = fewer_are_worse(1_400.0);
        assert!(more.log_e_worse() < 0.0 && more.log_e_fine() > 3.0, "{more:?}");
        let quarter = fewer_are_worse(25.0);
        assert!(quarter.log_e_worse() > 3.0 && quarter.log_e_fine() < 0.0, "{quarter:?}");
        assert!((quarter.ratio().unwrap() - 4.0).abs() < 1e-9);
        let found = quarter.interval(0.05);
        assert!(
            found.low > 1.8 && found.low < 2.8 && found.high > 6.0 && found.high < 12.0,
            "{found:?}"
        );
        let none = fewer_are_worse(0.0);
        assert!(none.log_e_worse() > 3.0 && none.ratio() == Some(200.0), "{none:?}");
    }

    type LogE = fn(&BaselineTest) -> f64;

    /// How many events there may be, with the logarithm of the chance of each number.
    fn outcomes(mean: f64) -> Vec<(f64, f64)> {
        let mut log_chance = -mean;
        let next = |events: u32| {
            if events > 0 {
                log_chance += ln(mean / f64::from(events));
            }
            (f64::from(events), log_chance)
        };
        (0..1_000).map(next).filter(|(_, log_chance)| *log_chance > -60.0).collect()
    }

    /// The mean of an e-value after 50 hours of new firmware with so many events to be expected.
    fn mean_of(before: &BaselineTest, expected: f64, log_e: LogE) -> f64 {
        let gains = outcomes(expected).into_iter().map(|(events, log_chance)| {
            let mut test = before.clone();
            test.add(0, count(events, 50.0));
            exp(log_chance + log_e(&test))
        });
        gains.sum()
    }

    /// Of the claims that are true of 50 hours, those at the edge first: what is said, how many events are to be expected, and what bets
    /// against it.
    fn truths(is_fewer_worse: bool) -> Vec<(String, f64, LogE)> {
        let expected = |ratio: f64| if is_fewer_worse { 50.0 / ratio } else { 50.0 * ratio };
        let fine = [2.0, 3.0, 9.0].map(|ratio| {
            let log_e: LogE = BaselineTest::log_e_fine;
            (format!("fine {ratio} {is_fewer_worse}"), expected(ratio), log_e)
        });
        let worse = [1.25, 1.0, 0.5].map(|ratio| {
            let log_e: LogE = BaselineTest::log_e_worse;
            (format!("worse {ratio} {is_fewer_worse}"), expected(ratio), log_e)
        });
        worse.into_iter().chain(fine).collect()
    }

    fn before(events: f64, hours: f64, is_fewer_worse: bool) -> BaselineTest {
        let test = BaselineTest::new(&[count(events, hours)], 1.25, 2.0);
        BaselineTest { is_fewer_worse, ..test }
    }

    /// Summed up over all that can happen, an e-value is at most 1 if its claim is true, also at its edge.
    #[test]
    fn bets_against_what_is_true_gain_nothing() {
        for is_fewer_worse in [false, true] {
            let known = before(1e12, 1e12, is_fewer_worse);
            for (claim, expected, log_e) in truths(is_fewer_worse) {
                let mean = mean_of(&known, expected, log_e);
                assert!(mean <= 1.0, "{claim}: {mean}");
            }
        }
    }

    /// Where little is known of before, the limit of its rate on the right side makes up for that: summed up also over all that may have
    /// been counted then, of 20 events that were to be expected.
    #[test]
    fn bets_gain_nothing_from_what_is_not_known_of_before() {
        for is_fewer_worse in [false, true] {
            for (claim, expected, log_e) in truths(is_fewer_worse) {
                let means = outcomes(20.0).into_iter().map(|(events, log_chance)| {
                    let little = before(events, 20.0, is_fewer_worse);
                    exp(log_chance) * mean_of(&little, expected, log_e)
                });
                let mean: f64 = means.sum();
                assert!(mean <= 1.0, "{claim}: {mean}");
            }
        }
    }

    proptest! {
        /// A bet on new firmware that is as good as before does not grow by its own losses.
        #[test]
        fn fewer_events_are_less_evidence(events in 1u32..100, before in 0u32..1000) {
            let at = |events: u32| {
                let mut test = BaselineTest::new(&[count(f64::from(before), 1e5)], 1.25, 2.0);
                test.add(0, count(f64::from(events), 1e4));
                test.log_e_worse()
            };
            prop_assert!(at(events) >= at(events - 1));
        }
    }
}
