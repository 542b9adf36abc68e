//! What the engine makes of figures that are not there.

use std::collections::BTreeSet;

use whittle_metrics::prometheus::Answer;
use whittle_rollout::policy::types::{
    Decision, PlanInput, PolicyInfo, Reason, RolloutPlan, Setting, Snapshot, Verdict,
};
use whittle_rollout::policy::{self, Policy, PolicyFault};
use whittle_rollout::{Decided, Outcome, Rail, Rollout};

use crate::server::{B, C, JSON, Server, vector};
use crate::support::{reader, terms};

const START_S: u64 = 1_795_680_000;
const TICK_S: u64 = 900;

/// A policy that always wants the next stage.
struct Eager;

impl Policy for Eager {
    fn digest(&self) -> String {
        "p".to_owned()
    }

    fn describe(&self, _: &[Setting]) -> Result<policy::Answer<PolicyInfo>, PolicyFault> {
        Err(PolicyFault { text: "not asked for".to_owned(), fuel: 0 })
    }

    fn plan(&self, _: &PlanInput) -> Result<policy::Answer<RolloutPlan>, PolicyFault> {
        Err(PolicyFault { text: "not asked for".to_owned(), fuel: 0 })
    }

    fn evaluate(&self, _: &Snapshot) -> Result<policy::Answer<Verdict>, PolicyFault> {
        let why = Reason {
            code: "wanted".to_owned(),
            text: "the policy wants it".to_owned(),
            metric: None,
            group: None,
            observed: None,
            limit: None,
        };
        let value = Verdict {
            decision: Decision::Advance(0.5),
            reasons: vec![why],
            again_in: None,
            memo: String::new(),
            feature_flags: vec![],
            extra: vec![],
        };
        Ok(policy::Answer { value, fuel: 1 })
    }
}

/// A fleet of which a tenth has the new firmware. The hours of cell C are left out of answers from `silent_s` on.
fn fleet(silent_s: u64) -> Server {
    Server::start(move |query, at_s, _| {
        let minutes = (at_s - START_S) / 60;
        let is_nobody = ["rolled_back", "bricked", "silent", "crashed", "resets"];
        let factor = if is_nobody.iter().any(|part| query.contains(part)) {
            0.0
        } else if query.contains("device_hours") {
            f64::from(u32::try_from(minutes).unwrap()) / 60.0
        } else if query.contains("drain") {
            f64::from(u32::try_from(minutes).unwrap())
        } else {
            1.0
        };
        let values = [100.0, 50.0].map(|devices| (devices * factor).to_string());
        let all = [(B, &*values[0]), (C, &*values[1])];
        let is_silent = query.contains("device_hours") && at_s >= silent_s;
        let body = if query.contains("by (version)") {
            vector(at_s, &[])
        } else {
            vector(at_s, if is_silent { &all[..1] } else { &all })
        };
        (200, JSON, body)
    })
}

/// What is decided after so many ticks.
fn decided_after(ticks: u64, server: &Server) -> Decided {
    let source = server.source();
    let reader = reader(&source).unwrap();
    let (mut rollout, _) = Rollout::start(terms(), START_S, &BTreeSet::new()).unwrap();
    let mut from_s = START_S;
    for tick in 1..=ticks {
        let until_s = START_S + tick * TICK_S;
        let now_s = until_s + source.settle_s;
        let Answer::Figures(reading) = reader.observe(from_s, now_s).unwrap() else { panic!() };
        let entry = rollout.observe(now_s, reading.observation).unwrap();
        assert_eq!(entry.outcome, Outcome::Counted);
        from_s = until_s;
    }
    let now_s = from_s + source.settle_s;
    match rollout.tick(now_s, &Eager).unwrap().outcome {
        Outcome::Decided(decided) => *decided,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_figures_of_a_cell_nothing_goes_on() {
    let whole = decided_after(4, &fleet(u64::MAX));
    assert_eq!(whole.decision, Decision::Advance(0.5));
    let silent = decided_after(4, &fleet(START_S + 2 * TICK_S));
    assert_eq!(silent.decision, Decision::Hold);
    assert_eq!(silent.rails, [Rail::Freshness]);
    let [first, ..] = &*silent.reasons else { panic!("{silent:?}") };
    assert_eq!((&*first.code, first.metric.as_deref()), ("stale-figures", Some("crashes")));
}
