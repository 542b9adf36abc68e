//! The thermostat policy: few devices first, at working hours, within the capacity of support.
//!
//! | stage | devices of 250,000 | time |
//! |---|---|---|
//! | 0.5 % | 1,250 | watched for 6 hours |
//! | 5 % | 12,500 | watched for 24 hours |
//! | 25 % | 62,500 | watched for 48 hours |
//! | 100 % | 250,000 | spread over 72 hours, then watched for 24 |
//!
//! It pauses if crashes triple, if 2 % of the updated devices go back by themselves, if there are more than 100 support tickets
//! within any 4 hours (or 500 within a day), or if devices heat 15 % longer. New stages begin on the days and at the hours
//! that the calendar allows, and in no freeze.
//!
//! Where the worked example that this follows is off:
//!
//! - Its percentages are cumulative in the table, and increments where it adds devices up (1,250 + 12,500 + 62,500 + 173,750 =
//!   250,000). Here they are cumulative.
//! - Its crash rate is per device-day, but it counts a whole day's crashes in the 6 hours of the first stage: 0.0625 are to be
//!   expected there, and not 0.25. One crash is above three times either, so that the first stage would pause for nothing in
//!   6 % of all rollouts. A limit counts from `min-events` on, therefore.
//! - "Above three times" misses a true tripling every second time at any size: 47.5 % are caught in the second stage.
//!   `significance` does better.
//! - Its 37.5 tickets are those of a stage all of whose devices roll back. What each stage may cost is in the plan's reasons.
//! - 6 + 24 + 48 + 72 hours are 6.25 days, not 6.5.

use whittle_policy::prelude::*;
use whittle_policy::{Rule, Subject};

mod calendar;

use calendar::Calendar;

/// Few devices first, at working hours, within the capacity of support.
pub struct Thermostat;

export_policy!(Thermostat);

const SHARES: Numbers = Numbers { default: &[0.005, 0.05, 0.25, 1.0], ..whittle_policy::SHARES };

const WATCH_HOURS: Numbers =
    Numbers { default: &[6.0, 24.0, 48.0, 24.0], ..whittle_policy::WATCH_HOURS };

const ROLLING_HOURS: Number = Number {
    key: "rolling-hours",
    help: "Over how many hours the devices of the last stage are spread; 0 for no limit.",
    unit: "hours",
    default: 72.0,
    min: 0.0,
    max: 2_160.0,
};

const ROLLBACK_SUCCESS: Number = Number {
    key: "rollback-success",
    help: "Share of the devices that roll back which succeed; the others become support tickets.",
    unit: "fraction",
    default: 0.997,
    min: 0.0,
    max: 1.0,
};

const TICKETS: Subject = Subject::Metric("tickets", MetricKind::Rate, "tickets per device-hour");

const BUCKET_HOURS: f64 = 1.0;

const CHECKS: [Check; 5] = [
    Check::crashes(3.0),
    Check::rolled_back(0.02),
    Check {
        limit: Number {
            key: "tickets-in-4-hours",
            help: "Trouble if there are more support tickets within any 4 hours; 0 turns it off.",
            unit: "tickets",
            default: 100.0,
            min: 0.0,
            max: 1e9,
        },
        subject: TICKETS,
        rule: Rule::CountWithin(hours(4.0)),
    },
    Check { limit: CAPACITY, subject: TICKETS, rule: Rule::CountWithin(hours(24.0)) },
    Check {
        limit: Number {
            key: "heating-limit",
            help: "Trouble if devices heat longer than this; 0 turns it off.",
            unit: "x reference",
            default: 1.15,
            min: 0.0,
            max: 1_000.0,
        },
        subject: Subject::Metric("heating-time", MetricKind::Mean, "minutes per hour"),
        rule: Rule::TimesReference,
    },
];

const CAPACITY: Number = Number {
    key: "tickets-per-day",
    help: "How many tickets support can take in a day; trouble if there are more; 0 turns it off.",
    unit: "tickets",
    default: 500.0,
    min: 0.0,
    max: 1e9,
};

impl Policy for Thermostat {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary =
            "0.5, 5, 25 and 100 % of the fleet at working hours, within the capacity of support.";
        PolicyInfo::new("thermostat", env!("CARGO_PKG_VERSION"), summary)
            .settings(&[&SHARES, &WATCH_HOURS, &ROLLING_HOURS, &ROLLBACK_SUCCESS])
            .settings(&PlanSettings::SPECS)
            .settings(&Calendar::SPECS)
            .checks(&CHECKS, settings)
            .settings(&Watch::SPECS)
            .buckets(24, hours(BUCKET_HOURS))
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        let (shares, watch) = (SHARES.of(settings)?, WATCH_HOURS.of(settings)?);
        Calendar::of(settings)?;
        let mut plan = PlanSettings::of(settings)?.plan_of(&shares, &watch)?;
        let devices = f64::from(input.groups.first().map_or(0, |fleet| fleet.devices));
        let (success, capacity) = (ROLLBACK_SUCCESS.of(settings)?, CAPACITY.of(settings)?);
        let mut reached = 0.0;
        for stage in &plan.stages {
            let stuck = (stage.share - reached) * devices * (1.0 - success);
            plan.reasons.push(support_load(&stage.name, stuck, capacity));
            reached = stage.share;
        }
        let before_last = shares.iter().rev().nth(1).copied().unwrap_or(0.0);
        if let Some(last) = plan.stages.pop() {
            let over = hours(ROLLING_HOURS.of(settings)?);
            plan.stages.push(last.spread((1.0 - before_last) * devices, over));
        }
        Ok(plan)
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let watch = Watch::of(&now.settings)?;
        let verdict = watch.decide(&now, &Check::triggers(&CHECKS, &now.settings, &watch)?)?;
        let is_advance = matches!(verdict.decision, Decision::Advance(_));
        match Calendar::of(&now.settings)?.objection(&now.clock) {
            Some(objection) if is_advance => Ok(Verdict::hold(objection)),
            _ => Ok(verdict),
        }
    }
}

/// What it costs support if all devices that a stage adds roll back.
fn support_load(stage: &str, stuck: f64, capacity: f64) -> Reason {
    let (code, words) = if capacity > 0.0 && stuck > capacity {
        ("support-over-capacity", "more than support can take in a day")
    } else {
        ("support-load", "within what support can take in a day")
    };
    let text = format!("tickets if all devices that stage `{stage}` adds roll back: {words}");
    Reason::new(code, text).figures(stuck, capacity)
}

#[cfg(test)]
mod tests;
