//! One rollout from its start to its end, many times over.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::Serialize;
use whittle_rollout::policy::Policy;
use whittle_rollout::policy::types::{DecidedBy, Decision, RollbackOrder, RootCause};
use whittle_rollout::{
    BadTerms, Command, Decided, DraftError, Ending, Outcome, Phase, Rail, Refusal, Rollout, Terms,
};

use crate::fleet::Fleet;
use crate::scenario::{BadScenario, Scenario};

/// Points of a run's course.
const SAMPLES: u32 = 240;

const WEEK_H: f64 = 168.0;

/// Why nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A figure is outside of its range.
    #[error(transparent)]
    Scenario(#[from] BadScenario),
    /// The policy and the draft make no terms.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The terms contradict themselves.
    #[error(transparent)]
    Terms(#[from] BadTerms),
    /// The engine refuses what the simulation does: a fault of the simulation.
    #[error("the engine refuses an input at hour {hour:.2}")]
    Refused {
        /// When, in hours from the start.
        hour: f64,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// The engine sets the simulation's figures aside: a fault of the simulation.
    #[error("the engine sets figures aside at hour {hour:.2}: {problem}")]
    SetAside {
        /// When, in hours from the start.
        hour: f64,
        /// Why.
        problem: String,
    },
}

/// When a rollout was first paused, taken back or stopped by what is under test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detected {
    /// Hours from its start.
    pub at_h: f64,
    /// Whether the policy decided, else a guard rail.
    pub by_policy: bool,
    /// The guard rail; none if it was the policy.
    pub rail: Option<Rail>,
    /// Code of its first reason.
    pub code: String,
    /// Devices that had been updated by then.
    pub updated: u32,
}

/// A point of a run's course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Share of the fleet that has been updated, 0 to 1.
    pub share: f64,
    /// Devices that failed at least once.
    pub harmed: f64,
    /// Tickets of the last 24 hours.
    pub tickets: f64,
}

/// What became of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its number, from 0: the same for each policy in the same world.
    pub number: u64,
    /// The first pause, roll-back or stop; none if there was none.
    pub detected: Option<Detected>,
    /// Whether all stages were done.
    pub completed: bool,
    /// Whether devices were taken back.
    pub rolled_back: bool,
    /// Hours until it ended, or was given up.
    pub hours: f64,
    /// Hours that it was paused.
    pub paused_h: f64,
    /// Devices that were updated.
    pub updated: u32,
    /// Devices that failed at least once.
    pub harmed: u32,
    /// Devices that need somebody's help.
    pub stuck: u32,
    /// The most tickets in 24 hours.
    pub tickets_per_day: f64,
    /// Bytes that devices have fetched.
    pub bytes: f64,
    /// Its course, in equal steps until the scenario's last day.
    pub course: Vec<Sample>,
}

/// Runs a rollout `runs` times under a policy. `progress` is called after each run, from any thread.
///
/// # Errors
/// [`RunError`].
pub fn simulate(
    scenario: &Scenario,
    policy: &(dyn Policy + Sync),
    runs: u64,
    seed: u64,
    progress: &(dyn Fn() + Sync),
) -> Result<(Terms, Vec<Run>), RunError> {
    scenario.check()?;
    let terms = scenario.rollout.clone().terms(scenario.start_s, policy)?;
    terms.check(&BTreeSet::new())?;
    let all = (0..runs).into_par_iter().map(|number| {
        let run = Rehearsal::new(scenario, &terms, seed, number)?.run(policy);
        progress();
        run
    });
    let runs = all.collect::<Result<Vec<_>, _>>()?;
    Ok((terms, runs))
}

struct Rehearsal<'a> {
    scenario: &'a Scenario,
    fleet: Fleet<'a>,
    rollout: Rollout,
    run: Run,
    tick_s: u64,
    end_s: u64,
    /// Tickets of each tick of the last 24 hours.
    tickets: std::collections::VecDeque<f64>,
}

impl<'a> Rehearsal<'a> {
    fn new(
        scenario: &'a Scenario,
        terms: &'a Terms,
        seed: u64,
        number: u64,
    ) -> Result<Self, RunError> {
        let (rollout, _) = Rollout::start(terms.clone(), scenario.start_s, &BTreeSet::new())?;
        let run = Run {
            number,
            detected: None,
            completed: false,
            rolled_back: false,
            hours: 0.0,
            paused_h: 0.0,
            updated: 0,
            harmed: 0,
            stuck: 0,
            tickets_per_day: 0.0,
            bytes: 0.0,
            course: vec![],
        };
        Ok(Self {
            scenario,
            fleet: Fleet::new(scenario, terms, seed, number),
            rollout,
            run,
            tick_s: u64::from(terms.limits.tick),
            end_s: scenario.start_s + u64::from(scenario.max_days) * 86_400,
            tickets: std::collections::VecDeque::new(),
        })
    }

    fn run(mut self, policy: &dyn Policy) -> Result<Run, RunError> {
        let mut now_s = self.scenario.start_s;
        while now_s < self.end_s && !self.is_done(now_s) {
            let orders = self.rollout.orders(now_s);
            let figures = self.fleet.tick(&orders, now_s);
            now_s += self.tick_s;
            self.count_tickets();
            let is_over = matches!(self.rollout.state().phase(), Phase::Over(_));
            // After the end nobody gathers figures, but devices still go back.
            if !is_over {
                self.take(now_s, figures)?;
                let hour = hours(now_s, self.scenario.start_s);
                let refused = |source| RunError::Refused { hour, source };
                let decided = self.rollout.rehearse(now_s, policy).map_err(refused)?;
                self.note(&decided, now_s);
                self.operate(now_s)?;
            }
            self.sample(now_s);
        }
        Ok(self.finish(now_s))
    }

    /// Whether nothing happens any more: it has ended, and all that shall go back has had a week to do so.
    fn is_done(&self, now_s: u64) -> bool {
        match self.rollout.state().phase() {
            Phase::Over(Ending::RolledBack) => {
                hours(now_s, self.scenario.start_s) >= self.run.hours + WEEK_H
            }
            Phase::Over(_) => true,
            _ => false,
        }
    }

    fn take(&mut self, now_s: u64, figures: whittle_rollout::Observation) -> Result<(), RunError> {
        let hour = hours(now_s, self.scenario.start_s);
        let entry = self
            .rollout
            .observe(now_s, figures)
            .map_err(|source| RunError::Refused { hour, source })?;
        match entry.outcome {
            Outcome::SetAside(problem) => {
                Err(RunError::SetAside { hour, problem: problem.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Notes who was the first to say that something is wrong, and what time goes by in pauses.
    fn note(&mut self, decided: &Decided, now_s: u64) {
        let at_h = hours(now_s, self.scenario.start_s);
        self.run.hours = at_h;
        if let Phase::Paused(_) = self.rollout.state().phase() {
            self.run.paused_h += hours(self.tick_s, 0);
        }
        let is_alarm =
            matches!(decided.decision, Decision::Pause(_) | Decision::RollBack(_) | Decision::Stop);
        if matches!(decided.decision, Decision::RollBack(_)) {
            self.run.rolled_back = true;
        }
        if is_alarm && self.run.detected.is_none() && decided.by != DecidedBy::Person {
            let by_policy = decided.by == DecidedBy::Policy;
            self.run.detected = Some(Detected {
                at_h,
                by_policy,
                rail: decided.rails.first().copied().filter(|_| !by_policy),
                code: decided.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default(),
                updated: self.fleet.updated(),
            });
        }
    }

    /// People do what the scenario says they do.
    fn operate(&mut self, now_s: u64) -> Result<(), RunError> {
        let operator = self.scenario.operator;
        let has_waited = |since_s: u64, hours_after: Option<f64>| {
            hours_after.is_some_and(|after| hours(now_s, since_s) >= after)
        };
        let state = self.rollout.state();
        let command = match state.phase() {
            Phase::Waiting if has_waited(self.scenario.start_s, operator.approves_after_h) => {
                self.approval(0)
            }
            Phase::Running => self.next_approval(now_s),
            Phase::Paused(pause) if has_waited(pause.since_s, operator.finds_cause_after_h) => {
                let found = if self.scenario.has_bug() {
                    RootCause::FoundMajor
                } else {
                    RootCause::FoundMinor
                };
                match (pause.root_cause == found, operator.acts, found) {
                    (false, ..) => Some(Command::RootCause(found)),
                    (true, true, RootCause::FoundMajor) => {
                        Some(Command::RollBack(RollbackOrder { groups: vec![], quarantine: true }))
                    }
                    (true, true, _) => Some(Command::Resume(state.share_limit())),
                    (true, false, _) => None,
                }
            }
            _ => None,
        };
        if let Some(command) = command {
            if matches!(command, Command::RollBack(_)) {
                self.run.rolled_back = true;
            }
            let hour = hours(now_s, self.scenario.start_s);
            self.rollout
                .command(now_s, "operator", command)
                .map_err(|source| RunError::Refused { hour, source })?;
        }
        Ok(())
    }

    fn approval(&self, stage: usize) -> Option<Command> {
        let stage = self.rollout.state().terms().plan.stages.get(stage)?;
        stage.needs_approval.then(|| Command::Approve(stage.name.clone()))
    }

    /// The stage that comes next is approved when this one has been full for so long.
    fn next_approval(&self, now_s: u64) -> Option<Command> {
        let after_h = self.scenario.operator.approves_after_h?;
        let full_for = self.rollout.state().full_for(now_s)?;
        let is_time = f64::from(full_for) / 3600.0 >= after_h;
        self.approval(self.rollout.state().stage_index() + 1).filter(|_| is_time)
    }

    fn count_tickets(&mut self) {
        self.tickets.push_back(self.fleet.toll.tickets);
        let in_a_day = usize::try_from(86_400 / self.tick_s.max(1)).unwrap_or(1).max(1);
        while self.tickets.len() > in_a_day {
            self.tickets.pop_front();
        }
        let today = self.tickets.iter().sum();
        self.run.tickets_per_day = self.run.tickets_per_day.max(today);
    }

    fn sample(&mut self, now_s: u64) {
        let whole = self.end_s - self.scenario.start_s;
        let reached = (now_s - self.scenario.start_s) * u64::from(SAMPLES) / whole.max(1);
        let sample = Sample {
            share: f64::from(self.fleet.updated())
                / f64::from(self.rollout.state().terms().devices()),
            harmed: f64::from(self.fleet.toll.harmed),
            tickets: self.tickets.iter().sum(),
        };
        while (self.run.course.len() as u64) < reached.min(u64::from(SAMPLES)) {
            self.run.course.push(sample);
        }
    }

    fn finish(mut self, now_s: u64) -> Run {
        let last = self.run.course.last().copied().unwrap_or_default();
        self.run.course.resize(SAMPLES as usize, Sample { tickets: 0.0, ..last });
        if !matches!(self.rollout.state().phase(), Phase::Over(_)) {
            self.run.hours = hours(now_s, self.scenario.start_s);
        }
        self.run.completed = matches!(self.rollout.state().phase(), Phase::Over(Ending::Completed));
        self.run.updated = self.fleet.updated();
        let toll = self.fleet.toll;
        (self.run.harmed, self.run.stuck, self.run.bytes) = (toll.harmed, toll.stuck, toll.bytes);
        self.run
    }
}

pub(crate) fn hours(now_s: u64, since_s: u64) -> f64 {
    // Far fewer seconds than a double counts.
    #[allow(clippy::cast_precision_loss)]
    let seconds = now_s.saturating_sub(since_s) as f64;
    seconds / 3600.0
}
