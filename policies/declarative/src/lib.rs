//! The declarative policy: stages and rules written in TOML, without any code.
//!
//! ```toml
//! # All of these are optional. What is here is what holds without them, but for `hold-back` and `split-by`.
//! hold-back = "2 %"          # share of the fleet that keeps the old firmware until the end; else none
//! min-events = 5             # a limit counts as crossed only with this many events, devices hit or readings
//! max-age = "2 h"            # figures older than this are stale
//! within = "48 h"            # a pause must be decided within this time,
//! otherwise = "roll-back"    # else this happens: `roll-back`, `resume` or `stop`
//! split-by = "hw, region"    # attributes of devices whose values are judged apart
//!
//! [[stage]]                  # one for each stage
//! share = "5 %"              # cumulative
//! watch = "12 h"             # how long it is watched once it is full
//! name = "early"             # optional, as are all that follow
//! at-most = "7 d"            # pause if the stage has lasted this long
//! devices = 1000             # at most this many, cumulative
//! among = "ring=beta"        # only these devices
//! pace = "500 per hour"      # devices to start
//! approval = true            # a person must agree before it begins
//!
//! [[pause]]                  # any number; so with [[roll-back]] and [[note]]
//! when = "crashes > 2 x control"
//! within = "24 h"            # optional
//! severity = "high"          # optional: `low`, `moderate`, `high` or `critical`
//! stages = ["early"]         # optional: only in these stages
//!
//! [metrics]                  # what metrics of your own are: `rate`, `proportion` or `mean`
//! radio-time = "mean"
//! ```
//!
//! Of TOML, that is what there is: texts on one line, numbers, `true` and `false`, lists of texts, `[table]` and `[[table]]`.
//!
//! A condition is one of these:
//!
//! | `when` | true if |
//! |---|---|
//! | `crashes > 2 x control` | there are more than twice as many as on devices with the old firmware in the same time |
//! | `battery-drain > 1.2 x baseline` | it is more than 1.2 times what it was before the rollout |
//! | `tickets > 1.5 x reference` | compared with control where there is any, else with the baseline |
//! | `connected < reference - 5 %` | it is more than five points of a percentage lower |
//! | `rolled-back > 10 %` | it is above that; `<` for below |
//! | `crashes > 0.1 % per day` | a rate is above that; it is `per hour` without a unit |
//! | `tickets > 100 in 4 h` | there are more than 100 within any four hours |
//!
//! Known metrics are `crashes` and `tickets` (rates), `connected` (a proportion), `battery-drain`, `sensor-drift` and
//! `heating-time` (means), and what the host counts itself: `rolled-back`, `silent` and `bricked`. Units of time are `min`, `h`
//! and `d`.

use whittle_policy::prelude::*;
use whittle_policy_declarative_reader::Document;

/// Stages and rules written in TOML.
pub struct Declarative;

export_policy!(Declarative);

const POLICY: Text = Text {
    key: "policy",
    help: "Stages and rules, written in TOML.",
    default: include_str!("default.toml"),
    max_bytes: u16::MAX,
};

impl Policy for Declarative {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "Stages and rules written in TOML, without any code.";
        let info =
            PolicyInfo::new("declarative", env!("CARGO_PKG_VERSION"), summary).settings(&[&POLICY]);
        // What is wrong with the text is told when it is used.
        let Ok(document) = read(settings) else { return info };
        let (buckets, length) = document.buckets();
        PolicyInfo { split_by: document.split_by.clone(), ..info }
            .metrics(document.needs())
            .buckets(buckets, length)
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let document = read(&input.settings)?;
        let plan = PlanSettings { hold_back: document.hold_back, grace: None };
        plan.plan(document.stages)
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let document = read(&now.settings)?;
        let watch = document.watch.clone();
        watch.decide(&now, &document.into_triggers(&now.stage()?.name))
    }
}

fn read(settings: &[Setting]) -> Result<Document<'_>, String> {
    Document::parse(POLICY.of(settings)?)
}

#[cfg(test)]
mod tests;
