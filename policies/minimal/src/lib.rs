//! A whole policy: half of the fleet, then everybody, and a pause if crashes double.
//!
//! It shows what a policy needs. `fixtures/policies/released-*.wasm` are built from it, one for each released version of the
//! contract.

use whittle_policy::prelude::*;

/// Half of the fleet, then everybody.
pub struct Minimal;

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
        // One mark for each look: what is in the memo comes back the next time.
        let looks = now.memo.len() + 1;
        Ok(watch.decide(&now, &triggers)?.memo("x".repeat(looks.min(1_000))))
    }
}

#[cfg(test)]
mod tests {
    use whittle_policy::testing::{evaluate, metric, plan, plan_input, snapshot_with};

    use super::*;

    #[test]
    fn it_pauses_when_crashes_double() {
        let crashes = |count| {
            let (baseline, current) = (Tally::new(20.0, 10_000.0), Tally::new(count, 5_000.0));
            let now = snapshot_with(vec![metric("crashes", MetricKind::Rate, baseline, current)]);
            evaluate::<Minimal>(&now)
        };
        assert_eq!(crashes(20.0).decision, Decision::Advance(0.05));
        assert!(matches!(crashes(21.0).decision, Decision::Pause(_)));
        assert_eq!(crashes(0.0).memo, "x");
    }

    #[test]
    fn it_plans_two_stages() {
        let shares: Vec<_> =
            plan::<Minimal>(&plan_input(10)).stages.iter().map(|s| s.share).collect();
        assert_eq!(shares, [0.5, 1.0]);
    }
}
