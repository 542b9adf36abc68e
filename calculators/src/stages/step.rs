//! The formulas of one stage.

use libm::{expm1, log};
use whittle_rollout::statistics::{self, Certainty, StagePlan};

use super::{Inputs, Stage, StageOutcome, Watched};
use crate::formula::{Formula, Unit};
use crate::words::{number, percent};
use crate::{binomial, poisson};

/// A stage with its devices.
pub(super) struct Step<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) stage: &'a Stage,
    pub(super) new: f64,
    pub(super) updated: f64,
    /// The devices of this stage and of all before it.
    pub(super) cohorts: &'a [Cohort],
}

/// Devices that one stage has added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cohort {
    pub(super) devices: f64,
    /// When that stage began, in hours from the start.
    pub(super) from_hour: f64,
}

impl Step<'_> {
    pub(super) fn outcome(
        &self,
        from_hour: f64,
        fitting_device_hours: Option<f64>,
    ) -> StageOutcome {
        let expected = self.expected_events();
        let pause_at = self.pause_at_events(expected.value);
        let events = pause_events(pause_at.value);
        let chances = [1.0, 2.0, 3.0, 5.0].map(|ratio| pause_chance(ratio, events, expected.value));
        let [false_pause, power_2x, power_3x, power_5x] = chances;
        let fitting = self.fitting_hours(fitting_device_hours);
        let silence = self.silence_excludes_share();
        let tickets = self.tickets("tickets_if_all_roll_back", 100.0);
        let at_trigger = self.tickets("tickets_at_trigger", self.inputs.rollback_trigger_percent);
        let late_bug = self.late_bug_seen(from_hour + self.stage.hours);
        StageOutcome {
            name: self.stage.name.clone(),
            new_devices: self.new,
            updated_devices: self.updated,
            updated_share: self.updated / self.inputs.devices,
            watched_devices: self.watched(),
            from_hour,
            hours: self.stage.hours,
            expected_events: expected.value,
            pause_at_events: events,
            false_pause: false_pause.value,
            power_2x: power_2x.value,
            power_3x: power_3x.value,
            power_5x: power_5x.value,
            fitting_hours: fitting.as_ref().map(|formula| formula.value),
            test_sees_ratio: self.test_sees_ratio(),
            silence_excludes_share: silence.as_ref().map(|formula| formula.value),
            tickets_if_all_roll_back: tickets.value,
            tickets_at_trigger: at_trigger.value,
            above_capacity: tickets.value > self.inputs.tickets_per_day,
            late_bug_seen: late_bug.value,
            formulas: [expected, pause_at, false_pause, power_2x, power_3x, power_5x]
                .into_iter()
                .chain(fitting)
                .chain(silence)
                .chain([tickets, at_trigger, late_bug])
                .collect(),
        }
    }

    fn watched(&self) -> f64 {
        match self.inputs.watched {
            Watched::NewDevices => self.new,
            Watched::AllUpdated => self.updated,
        }
    }

    pub(super) fn expected_events(&self) -> Formula {
        let (inputs, per) = (self.inputs, self.inputs.rate_per);
        let terms = [
            ("devices", number(self.watched())),
            ("baseline", percent(inputs.baseline_percent)),
            ("hours", number(self.stage.hours)),
            ("hours of a rate", number(per.hours())),
        ];
        let value = self.watched() * inputs.rate_per_hour() * self.stage.hours;
        Formula::new(
            ("expected_events", "events on good firmware"),
            Unit::Events,
            "{} × {} × {} / {}",
            &terms,
            value,
        )
    }

    /// More than so many times the expectation is one more than that, rounded down.
    fn pause_at_events(&self, expected: f64) -> Formula {
        let terms =
            [("pause above", number(self.inputs.pause_ratio)), ("expected", number(expected))];
        let value = pause_at(self.inputs.pause_ratio, expected);
        Formula::new(
            ("pause_at_events", "pauses at"),
            Unit::Events,
            "floor({} × {}) + 1",
            &terms,
            value,
        )
    }

    fn fitting_hours(&self, device_hours: Option<f64>) -> Option<Formula> {
        let watched = self.watched();
        let device_hours = device_hours.filter(|_| watched > 0.0)?;
        let terms = [("device-hours", number(device_hours)), ("devices", number(watched))];
        Some(Formula::new(
            ("fitting_hours", "would be long enough with"),
            Unit::Hours,
            "{} / {}",
            &terms,
            device_hours / watched,
        ))
    }

    /// The share at which a stage of that many devices has an event at 95 %.
    fn silence_excludes_share(&self) -> Option<Formula> {
        let watched = self.watched();
        let terms = [("95 %", "95 %".to_owned()), ("devices", number(watched))];
        let head = ("silence_excludes_share", "no event excludes what hits");
        (watched > 0.0).then(|| {
            Formula::new(
                head,
                Unit::Percent,
                "-ln(1 - {}) / {}",
                &terms,
                (-log(0.05) / watched).min(1.0),
            )
        })
    }

    fn tickets(&self, key: &'static str, rolled_back_percent: f64) -> Formula {
        let failure = self.inputs.rollback_failure_percent;
        let terms = [
            ("devices", number(self.watched())),
            ("rolled back", percent(rolled_back_percent)),
            ("need help", percent(failure)),
        ];
        let value = self.watched() * rolled_back_percent / 100.0 * failure / 100.0;
        let what = if key == "tickets_at_trigger" {
            "tickets when it pauses"
        } else {
            "tickets if all are rolled back"
        };
        Formula::new((key, what), Unit::Tickets, "{} × {} × {}", &terms, value)
    }

    /// Each device has the bug or not, and fails at an exponential time after its update if it has. Of devices that were updated
    /// together, those that have failed are a binomial number; of several stages, the sum of such numbers.
    fn late_bug_seen(&self, until_hour: f64) -> Formula {
        let inputs = self.inputs;
        let shows = |cohort: &Cohort| {
            let hours = until_hour - cohort.from_hour;
            (hours, inputs.bug_percent / 100.0 * -expm1(-hours / inputs.bug_hours))
        };
        let watched = match self.inputs.watched {
            Watched::NewDevices => self.cohorts.last().map_or(&[][..], std::slice::from_ref),
            Watched::AllUpdated => self.cohorts,
        };
        let groups: Vec<_> =
            watched.iter().map(|cohort| (cohort.devices, shows(cohort).1)).collect();
        let each = |cohort: &Cohort| {
            let (devices, hours) = (number(cohort.devices), number(shows(cohort).0));
            format!(
                "B({devices}, {} × (1 - exp(-{hours} / {})))",
                percent(inputs.bug_percent),
                number(inputs.bug_hours)
            )
        };
        let sum = watched.iter().map(each).collect::<Vec<_>>().join(" + ");
        let terms = [
            ("seen", number(inputs.bug_devices_seen)),
            (
                "sum of B(devices, affected × (1 - exp(-hours since their stage began / shows after)))",
                sum,
            ),
        ];
        let value = binomial::at_least_of_all(pause_events(inputs.bug_devices_seen), &groups);
        let head = ("late_bug_seen", "the late bug shows");
        Formula::new(head, Unit::Percent, "P(X ≥ {} | X = {})", &terms, value)
    }

    fn test_sees_ratio(&self) -> Option<f64> {
        let inputs = self.inputs;
        let plan = StagePlan {
            treated: self.updated,
            control: inputs.devices - self.updated,
            hours: self.stage.hours,
        };
        let alpha = inputs.false_pause_percent / 100.0;
        if alpha <= 0.0 || alpha >= 1.0 || self.updated <= 0.0 || inputs.rate_per_hour() <= 0.0 {
            return None;
        }
        statistics::outlook(
            plan,
            inputs.rate_per_hour(),
            inputs.pause_ratio,
            alpha,
            Certainty::FourFifths,
        )
        .sees
    }
}

/// The least whole number of events that is more than `ratio` times the expected ones.
#[must_use]
pub(super) fn pause_at(ratio: f64, expected: f64) -> f64 {
    let limit = ratio * expected;
    // A product that is a whole number may miss it by its roundings.
    let whole = limit.round();
    let is_whole = (limit - whole).abs() <= limit * 1e-9;
    (if is_whole { whole } else { limit.floor() }) + 1.0
}

/// Whole and within bounds by the check of the inputs.
pub(super) fn pause_events(events: f64) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let events = events.clamp(0.0, f64::from(u32::MAX)) as u32;
    events
}

/// How likely so many events are seen if there are `ratio` times the expected ones.
fn pause_chance(ratio: f64, events: u32, expected: f64) -> Formula {
    let (key, what) = match ratio {
        2.0 => ("power_2x", "pauses at twice the events"),
        3.0 => ("power_3x", "pauses at three times the events"),
        5.0 => ("power_5x", "pauses at five times the events"),
        _ => ("false_pause", "pauses although the firmware is good"),
    };
    let terms = [
        ("pauses at", number(events.into())),
        ("ratio", number(ratio)),
        ("expected", number(expected)),
    ];
    let value = poisson::at_least(events, ratio * expected);
    Formula::new((key, what), Unit::Percent, "P(X ≥ {} | mean = {} × {})", &terms, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_whole_is_not_enough() {
        // Floating-point numbers make 2.9999999999999996 and 14.999999999999998 of the first two.
        let expected =
            |devices: f64, percent: f64, hours: f64| devices * (percent / 100.0 / 24.0) * hours;
        let cases = [
            (2.0, expected(5000.0, 0.03, 24.0), 4.0),
            (5.0, expected(5000.0, 0.03, 48.0), 16.0),
            (3.0, 2.5, 8.0),
            (2.0, 1.5, 4.0),
            (1.0, 2.999_999_9, 3.0),
            (1.0, 3.000_000_1, 4.0),
            (1.0, 1e-12, 1.0),
            (2.0, 0.0, 1.0),
        ];
        for (ratio, expected, wanted) in cases {
            assert_eq!(pause_at(ratio, expected), wanted, "{ratio} x {expected}");
        }
    }
}
