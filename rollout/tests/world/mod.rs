//! A fleet that does as it is told, and policies that say what the test wants.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use whittle_rollout::calendar::Calendar;
use whittle_rollout::policy::types::{
    Change, Decision, Fallback, MetricKind, PauseOrder, PlanInput, PolicyInfo, Reason, Release,
    RolloutPlan, Setting, Severity, Snapshot, Stage, Tally, Verdict,
};
use whittle_rollout::policy::{Answer, Policy, PolicyFault};
use whittle_rollout::{
    Cell, CellObservation, Command, Decided, DeviceCounts, Entry, Limits, MetricObservation,
    MetricTerms, Observation, Outcome, Problem, Refusal, Rollout, Terms, WayBack,
};

/// 2026-11-26 12:00 UTC, a Thursday.
pub(crate) const START_S: u64 = 1_795_694_400;
pub(crate) const HOUR_S: u64 = 3600;
pub(crate) const TICK_S: u64 = 900;
/// Crashes per device-hour of old firmware.
pub(crate) const RATE: f64 = 0.002;

/// A policy that answers whatever a function says.
pub(crate) struct Scripted<F> {
    pub(crate) digest: String,
    pub(crate) script: F,
}

impl<F: Fn(&Snapshot) -> Result<Verdict, String>> Policy for Scripted<F> {
    fn digest(&self) -> String {
        self.digest.clone()
    }

    fn describe(&self, _: &[Setting]) -> Result<Answer<PolicyInfo>, PolicyFault> {
        Err(PolicyFault { text: "not asked for".to_owned(), fuel: 0 })
    }

    /// One stage more for each group.
    fn plan(&self, input: &PlanInput) -> Result<Answer<RolloutPlan>, PolicyFault> {
        let share = |place: usize| [0.01, 0.05, 0.25, 1.0][place];
        let stages = (0..=input.groups.len())
            .map(|place| stage(&format!("stage {place}"), share(place), 24));
        let plan = RolloutPlan {
            stages: stages.collect(),
            hold_back: 0.05,
            reasons: vec![],
            extra: vec![],
        };
        Ok(Answer { value: plan, fuel: 1000 })
    }

    fn evaluate(&self, now: &Snapshot) -> Result<Answer<Verdict>, PolicyFault> {
        let answer = (self.script)(now).map_err(|text| PolicyFault { text, fuel: 7 })?;
        Ok(Answer { value: answer, fuel: 42 })
    }
}

/// A policy that always wants the same.
pub(crate) fn wants(decision: Decision) -> impl Policy {
    scripted(move |_| Ok(verdict(decision.clone())))
}

pub(crate) fn scripted<F: Fn(&Snapshot) -> Result<Verdict, String>>(script: F) -> Scripted<F> {
    Scripted { digest: "aa".repeat(32), script }
}

pub(crate) fn verdict(decision: Decision) -> Verdict {
    let why = Reason {
        code: "wanted".to_owned(),
        text: "the policy wants it".to_owned(),
        metric: None,
        group: None,
        observed: None,
        limit: None,
    };
    Verdict {
        decision,
        reasons: vec![why],
        again_in: None,
        feature_flags: vec![],
        memo: String::new(),
        extra: vec![],
    }
}

/// A policy that goes on whenever the stage is full.
pub(crate) fn eager() -> impl Policy {
    scripted(|now| {
        let next = now.stages.get(now.stage_index as usize + 1);
        let paused = now.paused.is_some();
        Ok(verdict(match (now.full_for, next) {
            (Some(_), Some(next)) if !paused => Decision::Advance(next.share),
            (Some(_), None) if !paused => Decision::Complete,
            _ => Decision::Hold,
        }))
    })
}

pub(crate) fn stage(name: &str, share: f64, min_hours: u32) -> Stage {
    Stage {
        name: name.to_owned(),
        share,
        max_devices: None,
        among: None,
        min_time: min_hours * 3600,
        max_time: None,
        pace: None,
        needs_approval: false,
    }
}

pub(crate) fn pause(severity: Severity, hours: u32, otherwise: Fallback) -> PauseOrder {
    PauseOrder { severity, decide_within: hours * 3600, otherwise, more_telemetry: false }
}

/// 100,000 meters of two revisions; 1, 5, 25 and 95 %, with 5 % held back.
pub(crate) fn terms() -> Terms {
    let cell = |hw: &str, devices: u32| Cell {
        attributes: BTreeMap::from([("hw".to_owned(), hw.to_owned())]),
        devices,
        baselines: BTreeMap::from([(
            "crashes".to_owned(),
            tally(f64::from(devices) * 720.0 * RATE, f64::from(devices) * 720.0),
        )]),
    };
    Terms {
        release: Release {
            name: "2.0.0".to_owned(),
            change: Change::Fix,
            emergency: false,
            safety_critical: false,
            well_tested: true,
            reversible: true,
            full_bytes: 500_000.0,
            delta_bytes: 20_000.0,
        },
        build: "cc".repeat(32),
        version: "2.0.0".to_owned(),
        base_versions: vec!["1.9.0".to_owned()],
        policy: "aa".repeat(32),
        settings: vec![],
        plan: RolloutPlan {
            stages: vec![
                stage("canary", 0.01, 2),
                stage("early", 0.05, 12),
                stage("regional", 0.25, 24),
                stage("full", 1.0, 72),
            ],
            hold_back: 0.05,
            reasons: vec![],
            extra: vec![],
        },
        planned: None,
        history: vec![],
        split_by: vec!["hw".to_owned()],
        buckets: 4,
        bucket_length: 3600,
        told: vec![],
        cells: vec![cell("B", 80_000), cell("C", 20_000)],
        metrics: vec![MetricTerms {
            name: "crashes".to_owned(),
            kind: MetricKind::Rate,
            higher_is_worse: true,
            required: true,
            every: None,
            tolerated: 1.0,
            tolerated_baseline: 1.25,
            alarm: 2.0,
            must_see: Some(10.0),
            most: None,
        }],
        limits: Limits::default(),
        calendar: Calendar::default(),
        way_back: WayBack::OtherSlot,
    }
}

pub(crate) fn tally(count: f64, exposure: f64) -> Tally {
    Tally { count, exposure, squares: 0.0 }
}

/// A rollout with its fleet and its log.
pub(crate) struct World {
    pub(crate) rollout: Rollout,
    pub(crate) log: Vec<Entry>,
    pub(crate) at_s: u64,
    /// New firmware crashes this many times as often, by cell.
    pub(crate) ratios: Vec<f64>,
    /// Bricked devices, by cell.
    pub(crate) bricked: Vec<u32>,
    /// Whether devices commit what they have installed.
    pub(crate) commits: bool,
    /// Of the devices that are offered the new firmware this part takes it, by cell.
    pub(crate) part_that_comes: Vec<f64>,
    offered: Vec<u32>,
    updated: Vec<u32>,
}

impl World {
    pub(crate) fn new(terms: Terms) -> Self {
        let (part_that_comes, none) = (vec![1.0; terms.cells.len()], vec![0; terms.cells.len()]);
        let (rollout, entry) = Rollout::start(terms, START_S, &BTreeSet::new()).unwrap();
        Self {
            rollout,
            log: vec![entry],
            at_s: START_S,
            ratios: part_that_comes.clone(),
            bricked: none.clone(),
            commits: true,
            part_that_comes,
            offered: none.clone(),
            updated: none,
        }
    }

    /// A tick goes by: devices do as they are told, and figures come.
    pub(crate) fn observe(&mut self) -> Outcome {
        let from_s = self.at_s;
        self.at_s += TICK_S;
        let observation = self.observation(from_s);
        self.take_in(observation)
    }

    pub(crate) fn take_in(&mut self, observation: Observation) -> Outcome {
        let entry = self.rollout.observe(self.at_s, observation).unwrap();
        self.log.push(entry.clone());
        match entry.outcome {
            // In which cell is of no interest here.
            Outcome::SetAside(Problem::InCell { problem, .. }) => Outcome::SetAside(*problem),
            outcome => outcome,
        }
    }

    pub(crate) fn observation(&mut self, from_s: u64) -> Observation {
        let terms = self.rollout.state().terms().clone();
        let orders = self.rollout.orders(from_s);
        let hours = (self.at_s - from_s) as f64 / 3600.0;
        let taken: u32 = orders.taken_back_cells.iter().map(|(_, offered)| offered).sum();
        let is_taken = |at: usize| orders.taken_back_cells.iter().any(|(place, _)| *place == at);
        let others = terms.cells.iter().enumerate().filter(|(place, _)| !is_taken(*place));
        let others: u32 = others.map(|(_, cell)| cell.devices).sum();
        let cells = terms.cells.iter().enumerate().map(|(place, cell)| {
            let labels = cell.labels(&terms.split_by);
            let is_closed = orders.closed.is_some()
                || orders.among.as_ref().is_some_and(|among| !labels.contains(among))
                || orders.closed_cells.iter().any(|(closed, _)| *closed == place);
            let before = self.updated[place];
            if !is_closed {
                let part = u64::from(orders.devices.saturating_sub(taken))
                    * u64::from(cell.devices)
                    / u64::from(others);
                let part = u32::try_from(part).unwrap().min(cell.devices);
                self.offered[place] = self.offered[place].max(part);
                let coming = whittle_rollout::part_of(part, self.part_that_comes[place]);
                self.updated[place] = before.max(coming);
            }
            let updated = self.updated[place];
            let treated = f64::from(before) * hours;
            let control = f64::from(cell.devices - updated) * hours;
            let crashes = MetricObservation {
                name: "crashes".to_owned(),
                treated: tally(treated * RATE * self.ratios[place], treated),
                control: tally(control * RATE, control),
            };
            CellObservation {
                attributes: cell.attributes.clone(),
                devices: DeviceCounts {
                    offered: self.offered[place],
                    updated,
                    committed: if self.commits {
                        before.saturating_sub(self.bricked[place])
                    } else {
                        0
                    },
                    rolled_back: 0,
                    bricked: self.bricked[place],
                    silent: 0,
                },
                metrics: vec![crashes],
            }
        });
        Observation {
            from_s,
            until_s: self.at_s,
            cells: cells.collect(),
            versions: BTreeMap::new(),
        }
    }

    /// The policy is asked.
    pub(crate) fn tick(&mut self, policy: &dyn Policy) -> Decided {
        let entry = self.rollout.tick(self.at_s, policy).unwrap();
        self.log.push(entry.clone());
        decided(entry.outcome)
    }

    /// Figures come and the policy is asked, for so many hours.
    pub(crate) fn run(&mut self, hours: u64, policy: &dyn Policy) -> Vec<Decided> {
        let ticks = hours * HOUR_S / TICK_S;
        (0..ticks)
            .map_while(|_| {
                self.observe();
                match self.rollout.tick(self.at_s, policy) {
                    Ok(entry) => {
                        self.log.push(entry.clone());
                        Some(decided(entry.outcome))
                    }
                    Err(Refusal::Over) => None,
                    Err(refusal) => panic!("{refusal}"),
                }
            })
            .collect()
    }

    pub(crate) fn say(&mut self, command: Command) -> Outcome {
        let entry = self.rollout.command(self.at_s, "alice", command).unwrap();
        self.log.push(entry.clone());
        entry.outcome
    }

    pub(crate) fn share(&self) -> f64 {
        self.rollout.state().share_limit()
    }
}

pub(crate) fn decided(outcome: Outcome) -> Decided {
    match outcome {
        Outcome::Decided(decided) => *decided,
        other => panic!("{other:?}"),
    }
}
