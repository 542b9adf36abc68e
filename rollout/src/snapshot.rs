//! What a policy is told: the state, in the types of `wit/policy.wit`.

use sha2::{Digest, Sha256};

use crate::evidence::{GroupEvidence, seconds};
use crate::policy::types::{Clock, Group, PauseState, PlanInput, RolloutPlan, Snapshot};
use crate::state::{Pause, State};
use crate::terms::{MetricTerms, Terms, part_of};

/// The state as a policy sees it at a time.
pub(crate) fn snapshot(state: &State, at_s: u64) -> Snapshot {
    let terms = &state.terms;
    Snapshot {
        clock: clock(state, at_s),
        release: terms.release.clone(),
        stages: terms.plan.stages.clone(),
        stage_index: u32::try_from(state.stage).unwrap_or(u32::MAX),
        stage_age: seconds(at_s.saturating_sub(state.stage_since_s)),
        full_for: state.full_for(at_s),
        share_limit: state.share_limit,
        groups: groups(state, at_s, |metric| terms.tells(metric)),
        paused: state.pause().map(|pause| paused(pause, at_s)),
        decisions: state.past_decisions(at_s),
        settings: terms.settings.clone(),
        memo: state.memo.clone(),
        extra: vec![],
    }
}

/// What a policy is told to plan a rollout of these terms, but for their plan.
pub(crate) fn plan_input(terms: &Terms, at_s: u64) -> PlanInput {
    let nothing_planned =
        RolloutPlan { stages: vec![], hold_back: 0.0, reasons: vec![], extra: vec![] };
    let draft = State::new(Terms { plan: nothing_planned, ..terms.clone() }, at_s);
    PlanInput {
        clock: clock(&draft, at_s),
        release: terms.release.clone(),
        groups: groups(&draft, at_s, |metric| terms.tells(metric)),
        history: terms.history.clone(),
        settings: terms.settings.clone(),
        extra: vec![],
    }
}

/// SHA-256 of a snapshot as JSON, in hexadecimal digits. Fields have a fixed order, and numbers their shortest form.
pub(crate) fn digest(snapshot: &Snapshot) -> String {
    struct Sink(Sha256);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(Sha256::new());
    // The sink takes everything, and a snapshot has neither maps nor anything else that JSON cannot hold.
    let _ = serde_json::to_writer(&mut sink, snapshot);
    sink.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn clock(state: &State, at_s: u64) -> Clock {
    let (time, weekday) = state.terms.calendar.zone.local(at_s);
    Clock {
        elapsed: seconds(at_s.saturating_sub(state.started_s)),
        year: time.year,
        month: time.month,
        day: time.day,
        weekday,
        hour: time.hour,
        minute: time.minute,
    }
}

/// What is measured in each group, of metrics that are to be seen.
pub(crate) fn groups(
    state: &State,
    at_s: u64,
    is_seen: impl Fn(&MetricTerms) -> bool,
) -> Vec<Group> {
    state.groups.iter().map(|evidence| group(state, evidence, at_s, &is_seen)).collect()
}

fn group(
    state: &State,
    evidence: &GroupEvidence,
    at_s: u64,
    is_seen: impl Fn(&MetricTerms) -> bool,
) -> Group {
    let terms = &state.terms;
    let cells = || evidence.cells.iter().map(|place| &terms.cells[*place]);
    let counts = state.counts(&evidence.cells);
    let metrics = terms.metrics.iter().zip(&evidence.metrics);
    let metrics = metrics.filter(|(metric, _)| is_seen(metric));
    Group {
        label: evidence.label.clone(),
        devices: cells().fold(0, |sum, cell| sum.saturating_add(cell.devices)),
        held_back: cells().map(|cell| part_of(cell.devices, terms.plan.hold_back)).sum(),
        offered: counts.offered,
        updated: counts.updated,
        committed: counts.committed,
        rolled_back: counts.rolled_back,
        bricked: counts.bricked,
        silent: counts.silent,
        metrics: metrics
            .map(|(metric, evidence)| evidence.metric(metric, terms, state.started_s, at_s))
            .collect(),
    }
}

fn paused(pause: &Pause, at_s: u64) -> PauseState {
    PauseState {
        age: seconds(at_s.saturating_sub(pause.since_s)),
        time_left: seconds(pause.deadline_s().saturating_sub(at_s)),
        severity: pause.order.severity,
        root_cause: pause.root_cause,
        otherwise: pause.order.otherwise.clone(),
        reasons: pause.reasons.clone(),
    }
}
