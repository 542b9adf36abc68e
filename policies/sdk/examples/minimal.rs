//! A whole policy: half of the fleet, then everybody, and a pause if crashes double.
//!
//! This is what `fixtures/policies/released-*.wasm` are built from, one for each released version of the contract. It shows
//! what a policy needs, and looks at a bit of everything that the contract has.

use whittle_policy::prelude::*;

struct Minimal;

export_policy!(Minimal);

const HALF: Number = Number {
    key: "first-share",
    help: "Share of the fleet that the first stage reaches.",
    unit: "fraction",
    default: 0.5,
    min: 0.01,
    max: 0.99,
};

const CHECKS: [Check; 1] = [Check::crashes(2.0)];

impl Policy for Minimal {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        PolicyInfo::new("minimal", "0.1.0", "Half of the fleet, then everybody.")
            .settings(&[&HALF])
            .checks(&CHECKS, settings)
            .settings(&Watch::SPECS)
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let first = Stage::new("half", HALF.of(&input.settings)?, hours(24.0));
        Ok(RolloutPlan::new(vec![first, Stage::new("everybody", 1.0, days(7.0))]))
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let watch = Watch::of(&now.settings)?;
        let triggers = Check::triggers(&CHECKS, &now.settings, &watch)?;
        let looks = now.memo.len() + 1;
        Ok(watch.decide(&now, &triggers)?.memo("x".repeat(looks.min(1_000))))
    }
}
