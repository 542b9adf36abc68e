//! The rings policy: from the engineers' own devices to everybody's.
//!
//! | ring | devices | time |
//! |---|---|---|
//! | 0, `insiders` | 10 at most | watched for 3 days |
//! | 1, `alpha` | 100 at most | watched for 7 days |
//! | 2, `beta` | 1,000 at most | watched for 14 days |
//! | 3, production | all the others | spread over 14 days, then watched for 14 |
//!
//! A device's ring is the value of its attribute `ring`; devices without one are production. A ring that has more devices than
//! it may, is cut; one that has none is left out, and the plan says so.
//!
//! In a ring of ten devices a ratio tells little; but one device that no longer works pauses the rollout at once.

use whittle_policy::prelude::*;
use whittle_policy::{whole, words};

/// From the engineers' own devices to everybody's.
pub struct Rings;

export_policy!(Rings);

const ATTRIBUTE: Text = Text {
    key: "attribute",
    help: "Attribute of devices that names their ring.",
    default: "ring",
    max_bytes: 64,
};

const RINGS: Text = Text {
    key: "rings",
    help: "Values of the attribute, in the order of the rings; devices with another value or none come last.",
    default: "insiders, alpha, beta",
    max_bytes: 1_024,
};

const SIZES: Numbers = Numbers {
    key: "ring-sizes",
    help: "At most this many devices are taken from each of the rings.",
    unit: "devices",
    default: &[10.0, 100.0, 1_000.0],
    min: 1.0,
    max: 4_294_967_295.0,
};

const WATCH_DAYS: Numbers = Numbers {
    key: "watch-days",
    help: "How long each ring is watched once it is full, and after the rings everybody.",
    unit: "days",
    default: &[3.0, 7.0, 14.0, 14.0],
    min: 0.0,
    max: 90.0,
};

const PRODUCTION_DAYS: Number = Number {
    key: "production-days",
    help: "Over how many days the devices of the last ring are spread; 0 for no limit.",
    unit: "days",
    default: 14.0,
    min: 0.0,
    max: 90.0,
};

const CHECKS: [Check; 6] = [
    Check::crashes(2.0),
    Check::connected(0.05),
    Check::battery(1.2),
    Check::rolled_back(0.1),
    Check::silent(0.05),
    Check::bricked(0.001),
];

impl Policy for Rings {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "Rings of devices, from insiders over alpha and beta to production.";
        PolicyInfo::new("rings", env!("CARGO_PKG_VERSION"), summary)
            .split_by(&ATTRIBUTE, settings)
            .settings(&[&RINGS, &SIZES, &WATCH_DAYS, &PRODUCTION_DAYS])
            .settings(&PlanSettings::SPECS)
            .checks(&CHECKS, settings)
            .settings(&Watch::SPECS)
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        let (attribute, rings) = (ATTRIBUTE.of(settings)?, words(RINGS.of(settings)?));
        let (sizes, watch) = (SIZES.of(settings)?, WATCH_DAYS.of(settings)?);
        let rings: Vec<&str> = rings.collect();
        if (sizes.len(), watch.len()) != (rings.len(), rings.len() + 1) {
            let (sizes, watch, rings) = (sizes.len(), watch.len(), rings.len());
            return Err(format!(
                "{rings} rings need as many sizes, and one time to watch more; there are {sizes} sizes and {watch} times"
            ));
        }

        let fleet = input.groups.first().map_or(0, |fleet| fleet.devices);
        let (mut stages, mut reasons, mut reached) = (Vec::new(), Vec::new(), 0);
        for ((ring, size), watch) in rings.into_iter().zip(sizes).zip(&watch) {
            let label = format!("{attribute}={ring}");
            let there = input.groups.iter().find(|group| group.label == label);
            let there = there.map_or(0, |group| group.devices);
            let taken = there.min(whole(size));
            if taken == 0 {
                let text = format!("ring `{ring}` has no devices, and is left out");
                reasons.push(Reason::new("ring-empty", text));
                continue;
            }
            if taken < there {
                let text = format!("ring `{ring}` has more devices than are taken from it");
                let reason = Reason::new("ring-cut", text);
                reasons.push(reason.figures(f64::from(there), f64::from(taken)));
            }
            reached += taken;
            stages.push(Stage {
                among: Some(label),
                max_devices: Some(reached),
                ..Stage::new(ring, f64::from(reached) / f64::from(fleet.max(reached)), days(*watch))
            });
        }
        let others = fleet.saturating_sub(reached);
        if others > 0 || stages.is_empty() {
            let watch = watch.last().copied().unwrap_or_default();
            let over = days(PRODUCTION_DAYS.of(settings)?);
            stages.push(Stage::new("production", 1.0, days(watch)).spread(f64::from(others), over));
        }
        let plan = PlanSettings::of(settings)?.plan(stages)?;
        Ok(RolloutPlan { reasons, ..plan })
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let watch = Watch::of(&now.settings)?;
        watch.decide(&now, &Check::triggers(&CHECKS, &now.settings, &watch)?)
    }
}

#[cfg(test)]
mod tests;
