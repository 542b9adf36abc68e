//! The canary policy: 1, 5, 25 and 100 % of the fleet, paused by four triggers.
//!
//! | stage | watched for | why |
//! |---|---|---|
//! | 1 % | 2 hours | catastrophic faults |
//! | 5 % | 12 hours | common faults |
//! | 25 % | 24 hours | edge cases |
//! | 100 % | 7 days | long-term stability |
//!
//! It pauses if crashes double, if five in a hundred devices fewer than before check in, if batteries drain 20 % faster, or
//! if one device in ten goes back to the old firmware. Sensor drift and support tickets are watched if their limits are set.
//! A trigger with the limit 0 is off, and its metric is not needed.
//!
//! "Twice the baseline" alone is a poor rule: where 10 crashes are expected, 20 come by chance once in 280 looks, and with few
//! crashes expected a single one is "twice" already. So a trigger counts from `min-events` on, and new firmware is compared
//! with devices that still run the old one where there are any. `significance` is the policy for those who look often.

use whittle_policy::prelude::*;
use whittle_policy::{SHARES, WATCH_HOURS};

/// 1, 5, 25 and 100 % of the fleet, paused by four triggers.
pub struct Canary;

export_policy!(Canary);

const CHECKS: [Check; 6] = [
    Check::crashes(2.0),
    Check::connected(0.05),
    Check::battery(1.2),
    Check::rolled_back(0.1),
    Check::drift(0.0),
    Check::tickets(0.0),
];

const SPLIT_BY: Text = Text {
    key: "split-by",
    help: "Attributes of devices whose values are judged apart, such as `hw, region`; empty for the fleet as a whole.",
    default: "",
    max_bytes: 256,
};

impl Policy for Canary {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "1, 5, 25 and 100 % of the fleet, paused by four triggers.";
        PolicyInfo::new("canary", env!("CARGO_PKG_VERSION"), summary)
            .settings(&[&SHARES, &WATCH_HOURS])
            .settings(&PlanSettings::SPECS)
            .checks(&CHECKS, settings)
            .settings(&Watch::SPECS)
            .split_by(&SPLIT_BY, settings)
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        PlanSettings::of(settings)?.plan_of(&SHARES.of(settings)?, &WATCH_HOURS.of(settings)?)
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let watch = Watch::of(&now.settings)?;
        watch.decide(&now, &Check::triggers(&CHECKS, &now.settings, &watch)?)
    }
}

#[cfg(test)]
mod tests;
