//! What a stage can see at all, told before the rollout starts.
//!
//! Per event that is expected on new firmware if all is well, with `x` times as much exposure on new as on old firmware, a
//! bet on the ratio `b` gains, when the true ratio is `r`,
//!
//! ```text
//! G(r, b) = r ln b - (r + 1/x) ln((b x + 1) / (x + 1)),        with much control, x -> 0:  r ln b - b + 1
//! ```
//!
//! on average, because `r` events on new and `1/x` on old firmware are expected, of which each gains what the likelihood ratio of
//! [`RatioTest`](super::RatioTest) says (Wald 1945; for `b = r` it is the Kullback–Leibler information). Its variance is
//! `r (ln b + c)² + c²/x` with `c = -ln((b x + 1) / (x + 1))`. Evidence takes `ln(1/alpha)`, and `ln 6` for betting on six ratios at once.
//! The number of events is the least, over the six, at which a normal law with that mean and variance is above that bar with the
//! wanted certainty.
//!
//! A bet on 1.5 loses if the true ratio is below 1.23 (with much control: `0.5 / ln 1.5`): what is less than that above the
//! tolerated ratio is never seen, however long one looks.

use std::fmt;

use super::BETS;
use super::math::{exp, ln};

/// How likely a regression shall be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// In half of all cases.
    Half,
    /// In four of five.
    FourFifths,
    /// In nineteen of twenty.
    NineteenTwentieths,
}

impl Certainty {
    /// Quantile of the normal law.
    fn quantile(self) -> f64 {
        match self {
            Self::Half => 0.0,
            Self::FourFifths => 0.841_621_233_572_914_2,
            Self::NineteenTwentieths => 1.644_853_626_951_472_6,
        }
    }
}

/// How many events must be expected on new firmware, were it as good as the old one, until a regression by `ratio` is seen.
///
/// `treated_by_control` is the exposure of new firmware divided by that of old firmware: 0 for much control. Infinite if there
/// is no control, or if no bet gains.
#[must_use]
pub fn events_needed(ratio: f64, treated_by_control: f64, alpha: f64, certainty: Certainty) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let bar = ln(BETS.len() as f64 / alpha);
    let needed = BETS.map(|bet| {
        let (growth, variance) = growth(ratio, bet, treated_by_control);
        if growth <= 0.0 || !growth.is_finite() {
            return f64::INFINITY;
        }
        // E G - z sqrt(E V) = bar, solved for sqrt(E).
        let spread = certainty.quantile() * variance.sqrt();
        let root = (spread + (spread * spread + 4.0 * growth * bar).sqrt()) / (2.0 * growth);
        root * root
    });
    needed.into_iter().fold(f64::INFINITY, f64::min)
}

/// Mean and variance of what a bet gains per expected event.
fn growth(ratio: f64, bet: f64, x: f64) -> (f64, f64) {
    if ratio <= 1.0 || !x.is_finite() {
        return (0.0, 0.0);
    }
    // Where there is a million times as much control, rounding would make more difference than the control does.
    let x = x.max(1e-6);
    let c = -ln((bet * x + 1.0) / (x + 1.0));
    let gain = ln(bet) + c;
    (ratio * gain + c / x, ratio * gain * gain + c * c / x)
}

/// A stage, as far as it matters for what it can see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StagePlan {
    /// Devices on new firmware when the stage is full.
    pub treated: f64,
    /// Devices on old firmware then.
    pub control: f64,
    /// How long it is watched.
    pub hours: f64,
}

/// What a stage can see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageOutlook {
    /// Events that are expected on new firmware if it is as good as the old one.
    pub expected_events: f64,
    /// The least ratio that is seen within the stage; none if even a thousandfold one is not.
    pub sees: Option<f64>,
    /// The ratio asked for.
    pub ratio: f64,
    /// How long the stage must be watched to see it; infinite without control.
    pub hours_needed: f64,
}

impl fmt::Display for StageOutlook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sees {
            Some(ratio) => write!(formatter, "can see a regression of {ratio:.1}x or more")?,
            None => write!(formatter, "can see no regression")?,
        }
        if self.sees.is_none_or(|least| least > self.ratio) && self.hours_needed.is_finite() {
            write!(
                formatter,
                "; to see {}x it needs {:.0} h",
                self.ratio,
                self.hours_needed.ceil()
            )?;
        }
        Ok(())
    }
}

/// Tells what a stage sees, from the rate of events per device-hour on old firmware, and how long it takes to see `ratio`.
#[must_use]
pub fn outlook(
    stage: StagePlan,
    rate: f64,
    ratio: f64,
    alpha: f64,
    certainty: Certainty,
) -> StageOutlook {
    let x = if stage.control > 0.0 { stage.treated / stage.control } else { f64::INFINITY };
    let expected_events = stage.treated * stage.hours * rate;
    let needed = |ratio: f64| events_needed(ratio, x, alpha, certainty);
    StageOutlook {
        expected_events,
        sees: least_seen(|ratio| needed(ratio) <= expected_events),
        ratio,
        hours_needed: needed(ratio) / (stage.treated * rate),
    }
}

/// The least ratio up to 1000 that is seen, given that greater ones are seen as well.
fn least_seen(is_seen: impl Fn(f64) -> bool) -> Option<f64> {
    const MOST_LOG: f64 = 6.907_755_278_982_137;
    if !is_seen(exp(MOST_LOG)) {
        return None;
    }
    let mut logs = [0.0, MOST_LOG];
    for _ in 0..60 {
        let middle = f64::midpoint(logs[0], logs[1]);
        logs[usize::from(is_seen(exp(middle)))] = middle;
    }
    Some(exp(logs[1]))
}

/// Hours until so many failures have shown with a certainty of `confidence`, of a bug that affects a fraction of the devices and
/// shows after a time that is exponential with mean `hours_to_failure`; none if so few devices have it that no wait suffices.
///
/// By then a fraction `1 - exp(-t / hours_to_failure)` of the affected devices has failed, and that at least one of a Poisson number
/// with mean m has takes `m >= -ln(1 - confidence)` (3.0 at 95 %: the rule of three).
#[must_use]
pub fn time_until_failures(
    devices: f64,
    affected: f64,
    hours_to_failure: f64,
    confidence: f64,
) -> Option<f64> {
    let wanted = -ln(1.0 - confidence);
    let ill = devices * affected;
    (ill > wanted).then(|| -hours_to_failure * ln(1.0 - wanted / ill))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, wanted: f64, by: f64) -> bool {
        (found - wanted).abs() <= by
    }

    /// By hand: `ln 120 = 4.787` by `2 ln 2 - 1 = 0.3863`, by `4 ln 5 - 4 = 2.438` and by `10 ln 10 - 9 = 14.03`.
    #[test]
    fn events_needed_with_much_control() {
        let needed = |ratio| events_needed(ratio, 0.0, 0.05, Certainty::Half);
        assert!(is_near(needed(2.0), 12.393, 0.01), "{}", needed(2.0));
        assert!(is_near(needed(4.0), 1.964, 0.01), "{}", needed(4.0));
        assert!(is_near(needed(10.0), 0.341, 0.01), "{}", needed(10.0));
        assert_eq!(needed(1.0), f64::INFINITY);
        assert_eq!(needed(1.2), f64::INFINITY, "no bet gains");
        assert!(needed(1.25) > 100.0 && needed(1.25).is_finite(), "{}", needed(1.25));
    }

    #[test]
    fn little_control_takes_more_events() {
        let needed = |x| events_needed(2.0, x, 0.05, Certainty::FourFifths);
        assert!(needed(0.01) < needed(1.0) && needed(1.0) < needed(19.0));
        assert_eq!(needed(f64::INFINITY), f64::INFINITY);
    }

    /// The chapter's thermostats: 0.0002 crashes per device-day.
    #[test]
    fn the_canary_of_the_thermostats_is_nearly_blind() {
        let rate = 0.0002 / 24.0;
        let canary = StagePlan { treated: 1_250.0, control: 248_750.0, hours: 6.0 };
        let found = outlook(canary, rate, 3.0, 0.01, Certainty::Half);
        assert!(is_near(found.expected_events, 0.0625, 1e-12));
        assert!(found.sees.is_some_and(|ratio| ratio > 40.0 && ratio < 43.0), "{found:?}");
        assert!(found.hours_needed > 470.0 && found.hours_needed < 490.0, "{found:?}");
        assert_eq!(
            found.to_string(),
            "can see a regression of 41.4x or more; to see 3x it needs 478 h"
        );
    }

    /// The chapter's bug in 0.5 % of 1,000 devices that shows after 4 hours on average.
    #[test]
    fn a_bug_that_shows_late() {
        let found = time_until_failures(1_000.0, 0.005, 4.0, 0.95).unwrap();
        assert!(is_near(found, 3.657, 0.001), "{found}");
        assert_eq!(time_until_failures(500.0, 0.005, 4.0, 0.95), None);
    }
}
