//! How much must be watched until good firmware and bad can be told apart, or a late bug shows.

use libm::exp;

use super::Inputs;
use crate::formula::{Formula, Unit};
use crate::words::{number, percent};
use crate::{binomial, poisson};

/// The least exposure at which some number of events is rare enough on good firmware, and likely enough at the ratio.
pub(super) fn fitting_device_hours(inputs: &Inputs) -> Option<Formula> {
    let (alpha, power) = (inputs.false_pause_percent / 100.0, inputs.power_percent / 100.0);
    let events = fitting_events(inputs.pause_ratio, alpha, power)
        .filter(|_| inputs.rate_per_hour() > 0.0)?;
    let terms = [
        ("false pauses", percent(inputs.false_pause_percent)),
        ("true pauses", percent(inputs.power_percent)),
        ("pause above", number(inputs.pause_ratio)),
        ("events", number(events)),
        ("baseline", percent(inputs.baseline_percent)),
        ("hours of a rate", number(inputs.rate_per.hours())),
    ];
    let head = ("fitting_device_hours", "exposure that tells them apart");
    let template = "events(≤ {}, ≥ {} at {} times) = {}; that / {} × {}";
    let value = events / inputs.rate_per_hour();
    value.is_finite().then(|| Formula::new(head, Unit::Hours, template, &terms, value))
}

/// The most events that a stage may have to wait for; behind it, no stage fits.
pub const MOST_FITTING_EVENTS: u32 = 100_000;

/// The events that must be expected on good firmware so that a limit exists which good firmware reaches with at most `alpha`, and
/// firmware with `ratio` times as many with at least `power`; none if no limit up to
/// [`MOST_FITTING_EVENTS`] will do.
#[must_use]
pub fn fitting_events(ratio: f64, alpha: f64, power: f64) -> Option<f64> {
    if ratio <= 1.0 || alpha <= 0.0 || power >= 1.0 {
        return None;
    }
    let fits = |limit: u32| {
        let mean = poisson::mean_for(limit, power) / ratio;
        (poisson::at_least(limit, mean) <= alpha).then_some(mean)
    };
    // The larger the limit, the better it tells them apart: doubled until it does, then halved.
    let doubled = (0..u32::BITS).map(|doublings| 1 << doublings);
    let limits =
        doubled.take_while(|limit| *limit < MOST_FITTING_EVENTS).chain([MOST_FITTING_EVENTS]);
    let most = limits.into_iter().find(|limit| fits(*limit).is_some())?;
    // Half of a limit is below what was tried before it, also of the last one.
    let (mut below, mut enough) = (most / 2, most);
    while enough - below > 1 {
        let middle = u32::midpoint(below, enough);
        if fits(middle).is_some() {
            enough = middle;
        } else {
            below = middle;
        }
    }
    fits(enough)
}

/// Hours until so many of exactly `affected` devices have failed with that confidence, if they fail at exponential times.
///
/// None if fewer devices are affected than that.
#[must_use]
pub fn hours_until_failed(
    affected: u32,
    wanted: u32,
    confidence: f64,
    mean_hours: f64,
) -> Option<f64> {
    let reached = |hours: f64| {
        let failed = 1.0 - exp(-hours / mean_hours);
        binomial::at_least(wanted, affected.into(), failed)
    };
    if wanted > affected || confidence >= 1.0 {
        return None;
    }
    let (mut low, mut high) = (0.0, mean_hours);
    while reached(high) < confidence {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if reached(middle) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}
