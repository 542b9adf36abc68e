//! What people write down of a rollout becomes its terms.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use whittle_rollout::policy::types::{
    MetricKind, MetricNeed, PlanInput, PolicyInfo, RolloutPlan, Setting, Snapshot, Value, Verdict,
};
use whittle_rollout::policy::{Answer, Policy, PolicyFault};
use whittle_rollout::{Draft, DraftError, Rollout, Terms};
use world::{START_S, stage, terms};

/// A policy that says what it wants, and plans one stage.
struct Wants(MetricKind);

impl Policy for Wants {
    fn digest(&self) -> String {
        "wants".to_owned()
    }

    fn describe(&self, settings: &[Setting]) -> Result<Answer<PolicyInfo>, PolicyFault> {
        if settings.iter().any(|setting| setting.key != "pace") {
            return Err(PolicyFault { text: "no such setting".to_owned(), fuel: 1 });
        }
        let need = MetricNeed {
            name: "crashes".to_owned(),
            kind: self.0,
            unit: String::new(),
            help: "distinct devices that crash in a day".to_owned(),
            required: true,
        };
        let info = PolicyInfo {
            name: "wants".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Wants crashes by ring.".to_owned(),
            settings: vec![],
            metrics: vec![need],
            buckets: 24,
            bucket_length: 3600,
            split_by: vec!["ring".to_owned()],
            extra: vec![],
        };
        Ok(Answer { value: info, fuel: 1 })
    }

    fn plan(&self, _: &PlanInput) -> Result<Answer<RolloutPlan>, PolicyFault> {
        let stages = vec![stage("all", 1.0, 24)];
        let plan = RolloutPlan { stages, hold_back: 0.05, reasons: vec![], extra: vec![] };
        Ok(Answer { value: plan, fuel: 7 })
    }

    fn evaluate(&self, _: &Snapshot) -> Result<Answer<Verdict>, PolicyFault> {
        Err(PolicyFault { text: "not asked for".to_owned(), fuel: 0 })
    }
}

fn draft() -> Draft {
    let Terms { release, build, version, cells, metrics, limits, way_back, .. } = terms();
    Draft {
        release,
        build,
        version,
        base_versions: vec![],
        settings: BTreeMap::new(),
        plan: None,
        history: vec![],
        split_by: vec!["hw".to_owned()],
        way_back,
        limits,
        calendar: Default::default(),
        cells,
        metrics,
    }
}

#[test]
fn the_policy_adds_its_plan_buckets_and_groups() {
    let mut draft = draft();
    draft.settings.insert("pace".to_owned(), Value::Number(5.0));
    let terms = draft.terms(START_S, &Wants(MetricKind::Rate)).expect("it is whole");
    assert_eq!(terms.policy, "wants");
    assert_eq!((terms.buckets, terms.bucket_length), (24, 3600));
    assert_eq!(terms.told, ["crashes"]);
    assert_eq!(terms.split_by, ["hw", "ring"]);
    assert_eq!(terms.settings, [Setting { key: "pace".to_owned(), value: Value::Number(5.0) }]);
    assert_eq!(terms.plan.stages.len(), 1);
    assert_eq!(terms.planned.expect("by the policy").fuel, 7);
    Rollout::start(terms, START_S, &BTreeSet::new()).expect("it can start");
}

#[test]
fn stages_that_are_written_down_are_not_planned() {
    let plan = RolloutPlan {
        stages: vec![stage("first", 0.1, 24), stage("all", 1.0, 24)],
        hold_back: 0.0,
        reasons: vec![],
        extra: vec![],
    };
    let draft = Draft { plan: Some(plan.clone()), ..draft() };
    let terms = draft.terms(START_S, &Wants(MetricKind::Rate)).expect("it is whole");
    assert_eq!(terms.plan, plan);
    assert_eq!(terms.planned, None);
}

#[test]
fn a_metric_that_the_policy_wants_must_be_measured_as_it_wants() {
    let nothing = Draft { metrics: vec![], ..draft() };
    let error = nothing.terms(START_S, &Wants(MetricKind::Rate)).expect_err("no crashes");
    let text =
        "the policy wants the metric `crashes`, a rate: distinct devices that crash in a day";
    assert_eq!(error.to_string(), text);
    let error = draft().terms(START_S, &Wants(MetricKind::Mean)).expect_err("another kind");
    assert!(matches!(error, DraftError::OtherKind { wanted: MetricKind::Mean, .. }), "{error}");
}

#[test]
fn a_setting_that_the_policy_refuses_makes_no_terms() {
    let mut draft = draft();
    draft.settings.insert("typo".to_owned(), Value::Flag(true));
    let error = draft.terms(START_S, &Wants(MetricKind::Rate)).expect_err("it is refused");
    assert_eq!(error.to_string(), "no such setting");
}
