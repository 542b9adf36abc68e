//! From findings to verdicts.

use crate::contract::{
    Decision, Fallback, Group, PauseOrder, PauseState, Reason, RollbackOrder, RootCause, Setting,
    Severity, Snapshot, Verdict,
};
use crate::settings::{Flag, Number, Spec, Text};
use crate::time::{hours, in_hours};
use crate::trigger::{Action, Against, Evidence, Findings, Trigger, Tripped};

const MIN_EVENTS: Number = Number {
    key: "min-events",
    help: "A limit counts as crossed only with this many events, devices hit or readings; 1 lets one crash pause a rollout.",
    unit: "events",
    default: 5.0,
    min: 1.0,
    max: 1e6,
};

const MAX_AGE: Number = Number {
    key: "max-age",
    help: "Figures older than this are stale, and the rollout does not advance on them.",
    unit: "hours",
    default: 2.0,
    min: 0.1,
    max: 168.0,
};

const PREFER_CONTROL: Flag = Flag {
    key: "prefer-control",
    help: "Compare with devices that still run the old firmware where there are any, else with the baseline of before.",
    default: true,
};

const DECIDE_WITHIN: Number = Number {
    key: "decide-within",
    help: "A pause must be decided within this time.",
    unit: "hours",
    default: 48.0,
    min: 1.0,
    max: 72.0,
};

const OTHERWISE: Text = Text {
    key: "otherwise",
    help: "What happens if a pause is not decided in time: `roll-back`, `resume` or `stop`.",
    default: "roll-back",
    max_bytes: 16,
};

/// What most policies share: how much must be known, how a pause ends, and when a stage is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// How much must be known before a value counts.
    pub evidence: Evidence,
    /// What values are compared with.
    pub against: Against,
    /// A pause must be decided within this many seconds.
    pub decide_within: u32,
    /// What happens if it is not.
    pub otherwise: Otherwise,
}

/// What happens if a pause is not decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The rollout goes on as far as it was allowed before.
    Resume,
    /// All devices are taken back.
    RollBack,
    /// The rollout is given up.
    Stop,
}

impl Otherwise {
    /// Reads `resume`, `roll-back` or `stop`.
    ///
    /// # Errors
    ///
    /// If it is another word.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "resume" => Ok(Self::Resume),
            "roll-back" => Ok(Self::RollBack),
            "stop" => Ok(Self::Stop),
            _ => Err(format!("`{word}` is none of `resume`, `roll-back` and `stop`")),
        }
    }

    fn fallback(self, now: &Snapshot) -> Fallback {
        match self {
            Self::Resume => Fallback::Resume(now.share_limit),
            Self::RollBack => {
                Fallback::RollBack(RollbackOrder { groups: Vec::new(), quarantine: true })
            }
            Self::Stop => Fallback::Stop,
        }
    }
}

impl Watch {
    /// What to declare in `describe`.
    pub const SPECS: [&'static dyn Spec; 5] =
        [&MIN_EVENTS, &MAX_AGE, &PREFER_CONTROL, &DECIDE_WITHIN, &OTHERWISE];

    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// If one is of the wrong type or out of range.
    pub fn of(settings: &[Setting]) -> Result<Self, String> {
        Ok(Self {
            evidence: Evidence {
                min_events: MIN_EVENTS.of(settings)?,
                max_age: hours(MAX_AGE.of(settings)?),
            },
            against: if PREFER_CONTROL.of(settings)? { Against::Either } else { Against::Baseline },
            decide_within: hours(DECIDE_WITHIN.of(settings)?),
            otherwise: Otherwise::parse(OTHERWISE.of(settings)?)?,
        })
    }

    /// A moderate pause, as most triggers want it.
    pub fn pause(&self) -> Action {
        Action::Pause { severity: Severity::Moderate, decide_within: self.decide_within }
    }

    /// Holds the snapshot against triggers and decides: rolls back, pauses, waits for the figures that are missing, and
    /// advances or completes when the stage has been watched for long enough. A pause is ended by people only.
    ///
    /// # Errors
    ///
    /// If the snapshot lacks what the contract promises.
    pub fn decide(&self, now: &Snapshot, triggers: &[Trigger]) -> Result<Verdict, String> {
        self.conclude(now, Trigger::check_all(triggers, now, self.evidence))
    }

    /// The same from findings, to which a policy may have added its own.
    ///
    /// # Errors
    ///
    /// If the snapshot lacks what the contract promises.
    pub fn conclude(&self, now: &Snapshot, findings: Findings) -> Result<Verdict, String> {
        if let Some(verdict) = self.act(now, &findings) {
            return Ok(verdict);
        }
        match &now.paused {
            Some(pause) => Ok(await_people(now, pause)),
            None => proceed(now, findings),
        }
    }

    /// What the weightiest of the limits that were crossed demands; nothing if there is none, or if it is a pause and the
    /// rollout is paused.
    pub fn act(&self, now: &Snapshot, findings: &Findings) -> Option<Verdict> {
        let weightiest = findings.tripped.iter().max_by_key(|tripped| tripped.action.weight())?;
        let weight = weightiest.action.weight();
        let alike = findings.tripped.iter().filter(|tripped| tripped.action.weight() == weight);
        let alike: Vec<&Tripped> = alike.collect();
        let reasons = alike.iter().map(|tripped| tripped.reason.clone()).collect();
        match weightiest.action {
            Action::Note => None,
            Action::Pause { .. } if now.paused.is_some() => None,
            Action::Pause { severity, .. } => {
                let terms = alike.iter().filter_map(|tripped| tripped.action.decide_within());
                let order = PauseOrder {
                    severity,
                    decide_within: terms.min().unwrap_or(self.decide_within),
                    otherwise: self.otherwise.fallback(now),
                    more_telemetry: true,
                };
                Some(Verdict::new(Decision::Pause(order), reasons))
            }
            Action::RollBack => {
                let order = RollbackOrder { groups: blame(now, &alike), quarantine: true };
                Some(Verdict::new(Decision::RollBack(order), reasons))
            }
        }
    }
}

impl Action {
    fn weight(self) -> u8 {
        match self {
            Self::Note => 0,
            Self::Pause { severity, .. } => 1 + severity as u8,
            Self::RollBack => u8::MAX,
        }
    }

    fn decide_within(self) -> Option<u32> {
        match self {
            Self::Pause { decide_within, .. } => Some(decide_within),
            Self::Note | Self::RollBack => None,
        }
    }
}

/// Labels of the groups that the trouble is limited to; empty if it is not.
///
/// If `hw=C` is in trouble and `hw=A` is not, it is the hardware, though every region that has such devices is in trouble,
/// too. So of all attributes that tell groups in trouble from others, the one counts that blames the fewest devices.
pub fn blame(now: &Snapshot, tripped: &[&Tripped]) -> Vec<String> {
    let in_trouble = |group: &&Group| tripped.iter().any(|one| one.group == group.label);
    let mut blamed: Vec<&Group> = Vec::new();
    for attribute in now.groups.iter().filter_map(Group::attribute) {
        let updated = now.groups.iter().filter(|group| group.updated > 0);
        let (bad, good): (Vec<&Group>, Vec<&Group>) =
            updated.filter(|group| group.attribute() == Some(attribute)).partition(in_trouble);
        let is_telling = !bad.is_empty() && !good.is_empty();
        if is_telling && (blamed.is_empty() || devices(&bad) < devices(&blamed)) {
            blamed = bad;
        }
    }
    blamed.iter().map(|group| group.label.clone()).collect()
}

fn devices(groups: &[&Group]) -> u64 {
    groups.iter().map(|group| u64::from(group.updated)).sum()
}

/// During a pause: does what follows from the cause that people have found, and waits until they have.
pub fn await_people(now: &Snapshot, pause: &PauseState) -> Verdict {
    match pause.root_cause {
        RootCause::Unknown => {
            let reason =
                Reason::new("awaiting-decision", "the cause has not been found yet (in hours)");
            let total = pause.age.saturating_add(pause.time_left);
            Verdict::hold(reason.figures(in_hours(pause.age), in_hours(total)))
        }
        RootCause::FoundMinor => {
            let reason =
                Reason::new("cause-is-minor", "the cause was found, and the release may go on");
            Verdict::new(Decision::Resume(now.share_limit), vec![reason])
        }
        RootCause::FoundMajor => {
            let reason = Reason::new(
                "cause-is-major",
                "the cause was found, and the release must not go on",
            );
            let order = RollbackOrder { groups: Vec::new(), quarantine: true };
            Verdict::new(Decision::RollBack(order), vec![reason])
        }
    }
}

/// Without trouble: holds until the stage is full, has been watched and every figure is there; then advances or completes.
///
/// # Errors
///
/// If the snapshot lacks what the contract promises.
pub fn proceed(now: &Snapshot, findings: Findings) -> Result<Verdict, String> {
    let (decision, mut reasons) = next_step(now, findings.blind)?;
    reasons.extend(findings.tripped.into_iter().map(|tripped| tripped.reason));
    Ok(Verdict::new(decision, reasons))
}

fn next_step(now: &Snapshot, blind: Vec<Reason>) -> Result<(Decision, Vec<Reason>), String> {
    let (stage, fleet) = (now.stage()?, now.fleet()?);
    let name = &stage.name;
    let Some(full_for) = now.full_for else {
        let reason =
            Reason::new("stage-filling", format!("stage `{name}` is not full yet (in devices)"));
        let wanted = now.share_limit * f64::from(fleet.devices);
        return Ok((Decision::Hold, vec![reason.figures(f64::from(fleet.updated), wanted)]));
    };
    let watch = now.watch_time()?;
    let (watched, wanted) = (in_hours(full_for), in_hours(watch));
    if full_for < watch {
        let text = format!("stage `{name}` has not been watched for long enough (in hours)");
        let reason = Reason::new("still-watching", text).figures(watched, wanted);
        return Ok((Decision::Hold, vec![reason]));
    }
    if !blind.is_empty() {
        return Ok((Decision::Hold, blind));
    }
    let text = format!("stage `{name}` was watched without trouble (in hours)");
    let reason = Reason::new("stage-passed", text).figures(watched, wanted);
    // A pause that was ended slowly, or an earlier step, may have let in less than the stage holds.
    let next = if now.share_limit < stage.share { Some(stage) } else { now.next_stage() };
    let decision = next.map_or(Decision::Complete, |next| Decision::Advance(next.share));
    Ok((decision, vec![reason]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{DecidedBy, DecisionKind, Metric, MetricKind, PastDecision, Tally};
    use crate::testing::{group, metric, snapshot, snapshot_with};
    use crate::time::days;
    use crate::trigger::{Limit, Source};

    fn watch() -> Watch {
        Watch::of(&[]).expect("the defaults hold")
    }

    fn crashes(count: f64) -> Metric {
        metric("crashes", MetricKind::Rate, Tally::new(20.0, 10_000.0), Tally::new(count, 5_000.0))
    }

    fn above(limit: f64, action: Action) -> Trigger {
        Trigger::new(Source::metric("crashes"), Limit::Above(limit), action)
    }

    const fn pause(severity: Severity, decide_within: u32) -> Action {
        Action::Pause { severity, decide_within }
    }

    #[test]
    fn the_weightiest_action_wins_and_the_shortest_deadline_of_it() {
        let now = snapshot_with(vec![crashes(100.0)]);
        let mut triggers = vec![
            above(0.001, Action::Note),
            above(0.001, pause(Severity::High, 7_200)),
            above(0.002, pause(Severity::High, 3_600)),
            above(0.001, pause(Severity::Low, 60)),
        ];
        let verdict = watch().decide(&now, &triggers).expect("a verdict");
        let Decision::Pause(order) = verdict.decision else { panic!("{verdict:?}") };
        assert_eq!((order.severity, order.decide_within), (Severity::High, 3_600));
        assert_eq!(verdict.reasons.len(), 2, "only the reasons of that severity");
        triggers.push(above(0.001, Action::RollBack));
        let verdict = watch().decide(&now, &triggers).expect("a verdict");
        assert!(matches!(verdict.decision, Decision::RollBack(_)));
    }

    #[test]
    fn a_note_is_mentioned_and_stops_nothing() {
        let now = snapshot_with(vec![crashes(100.0)]);
        let verdict = watch().decide(&now, &[above(0.001, Action::Note)]).expect("a verdict");
        assert_eq!(verdict.decision, Decision::Advance(0.05));
        let codes: Vec<_> = verdict.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(codes, ["stage-passed", "crashes-over-limit"]);
    }

    #[test]
    fn a_stage_that_was_curbed_is_filled_before_the_next() {
        let mut now = snapshot();
        now.share_limit = 0.004;
        assert_eq!(watch().decide(&now, &[]).expect("a verdict").decision, Decision::Advance(0.01));
        now.full_for = None;
        let filling = watch().decide(&now, &[]).expect("a verdict");
        assert_eq!((filling.decision, filling.reasons[0].limit), (Decision::Hold, Some(400.0)));
    }

    #[test]
    fn a_part_that_the_host_has_let_in_is_watched_for_a_day_at_most() {
        let past = |kind, code: &str| {
            let (by, code) = (DecidedBy::Policy, code.to_owned());
            PastDecision { age: 0, kind, by, code }
        };
        let cut = past(DecisionKind::Advance, "blast-radius");
        let own = past(DecisionKind::Advance, "stage-passed");
        let resume = past(DecisionKind::Resume, "blast-radius");
        let after = |decisions: &[&PastDecision], share_limit: f64| {
            let mut now = snapshot();
            now.decisions = decisions.iter().map(|past| (*past).clone()).collect();
            now.share_limit = share_limit;
            now.full_for = Some(days(1.0));
            let at = usize::try_from(now.stage_index).expect("a stage");
            now.stages[at].min_time = days(7.0);
            watch().decide(&now, &[]).expect("a verdict").decision
        };
        assert_eq!(after(&[&cut], 0.004), Decision::Advance(0.01));
        assert_eq!(after(&[&cut], 0.01), Decision::Hold, "all of it");
        assert_eq!(after(&[&own], 0.004), Decision::Hold, "as the policy wanted it");
        assert_eq!(after(&[&resume, &cut], 0.004), Decision::Hold);
        assert_eq!(after(&[&cut, &resume], 0.004), Decision::Advance(0.01));
    }

    #[test]
    fn what_happens_at_the_deadline_is_a_setting() {
        let now = snapshot();
        assert_eq!(Otherwise::Resume.fallback(&now), Fallback::Resume(0.01));
        assert_eq!(Otherwise::Stop.fallback(&now), Fallback::Stop);
        assert!(Otherwise::parse("wait").is_err());
        for word in ["resume", "roll-back", "stop"] {
            assert!(Otherwise::parse(word).is_ok(), "{word}");
        }
    }

    #[test]
    fn blame_lies_with_the_attribute_that_tells_good_from_bad() {
        let mut now = snapshot();
        for (label, updated) in
            [("hw=A", 700), ("hw=C", 300), ("region=eu", 500), ("region=us", 500)]
        {
            now.groups.push(group(label, 10_000, updated));
        }
        let blamed = |labels: &[&str]| {
            let tripped: Vec<Tripped> = labels
                .iter()
                .map(|label| Tripped {
                    action: Action::RollBack,
                    group: (*label).to_owned(),
                    reason: Reason::new("x", "x"),
                })
                .collect();
            blame(&now, &tripped.iter().collect::<Vec<_>>())
        };
        assert_eq!(blamed(&["fleet", "hw=C", "region=eu", "region=us"]), ["hw=C"]);
        assert_eq!(blamed(&["hw=A", "region=eu"]), ["region=eu"], "fewer devices");
        assert!(blamed(&["fleet"]).is_empty());
        assert!(blamed(&["hw=A", "hw=C", "region=eu", "region=us"]).is_empty(), "all of them");
    }

    #[test]
    fn a_verdict_keeps_the_first_64_reasons() {
        let reasons = vec![Reason::new("x", "x"); 100];
        assert_eq!(Verdict::new(Decision::Hold, reasons).reasons.len(), 64);
    }
}
