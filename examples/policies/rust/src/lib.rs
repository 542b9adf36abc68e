//! 1 % of the fleet, 10 %, then everybody; a pause if crashes become more frequent than `crash-limit` allows.
//!
//! The types are those of `wit/policy.wit`. `vendor/whittle-policy` has more than is used here: `Check` and `Watch` make a
//! whole policy of a few limits, `statistics` tests them.

use whittle_policy::prelude::*;

/// 1 % of the fleet, 10 %, then everybody.
pub struct FirstPolicy;

export_policy!(FirstPolicy);

const CRASH_LIMIT: Number = Number {
    key: "crash-limit",
    help: "Pause if crashes are more frequent than this many times the baseline.",
    unit: "x baseline",
    default: 2.0,
    min: 1.0,
    max: 100.0,
};

/// Fewer crashes than this are chance.
const FEWEST_CRASHES: f64 = 3.0;

impl Policy for FirstPolicy {
    fn describe(_: &[Setting]) -> PolicyInfo {
        let summary = "1 % of the fleet, 10 %, then everybody; pauses on crashes.";
        let unit = "crashes per device-hour";
        let crashes = MetricNeed::new("crashes", MetricKind::Rate, unit, "Pauses the rollout.");
        PolicyInfo::new("first-policy", "0.1.0", summary)
            .settings(&[&CRASH_LIMIT])
            .metrics([crashes])
    }

    /// An error tells the user what to change, here and in `evaluate`.
    fn plan(_: PlanInput) -> Result<RolloutPlan, String> {
        Ok(RolloutPlan::new(vec![
            Stage::new("first", 0.01, hours(24.0)),
            Stage::new("second", 0.1, hours(48.0)),
            Stage::new("all", 1.0, hours(168.0)),
        ]))
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        if now.paused.is_some() {
            return Ok(Verdict::hold(Reason::new("paused", "a person decides")));
        }
        let crashes = now.fleet()?.metric("crashes");
        let figures = crashes.and_then(|it| Some((it, it.current.value()?, it.baseline.value()?)));
        let Some((crashes, observed, baseline)) = figures else {
            return Ok(Verdict::hold(Reason::new("no-data", "crashes were not measured")));
        };
        let limit = CRASH_LIMIT.of(&now.settings)? * baseline;
        let because = |code, text| {
            vec![Reason::new(code, text).about("crashes", "fleet").figures(observed, limit)]
        };
        if observed > limit && crashes.current.count >= FEWEST_CRASHES {
            let everybody = RollbackOrder { groups: vec![], quarantine: true };
            let pause = PauseOrder {
                severity: Severity::High,
                decide_within: hours(24.0),
                otherwise: Fallback::RollBack(everybody),
                more_telemetry: true,
            };
            let reasons = because("crashes", "crashes are above their limit");
            return Ok(Verdict::new(Decision::Pause(pause), reasons));
        }
        let stage = now.stage()?;
        let watch_time = now.watch_time()?;
        if now.full_for.is_none_or(|full_for| full_for < watch_time) {
            return Ok(Verdict::new(Decision::Hold, because("watching", "the stage is not over")));
        }
        let next = if now.share_limit < stage.share { Some(stage) } else { now.next_stage() };
        let decision = next.map_or(Decision::Complete, |next| Decision::Advance(next.share));
        Ok(Verdict::new(decision, because("healthy", "crashes are within their limit")))
    }
}

#[cfg(test)]
mod tests {
    use whittle_policy::testing::{evaluate, metric, snapshot_with};

    use super::*;

    #[test]
    fn it_pauses_when_crashes_double() {
        let crashes = |count| {
            let (baseline, current) = (Tally::new(20.0, 10_000.0), Tally::new(count, 5_000.0));
            let now = snapshot_with(vec![metric("crashes", MetricKind::Rate, baseline, current)]);
            evaluate::<FirstPolicy>(&now).decision
        };
        assert!(matches!(crashes(20.0), Decision::Advance(_)));
        assert!(matches!(crashes(21.0), Decision::Pause(_)));
    }
}
