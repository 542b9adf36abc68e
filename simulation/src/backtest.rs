//! What a policy would have said to a rollout that really happened.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use whittle_rollout::policy::Policy;
use whittle_rollout::policy::types::{DecidedBy, Decision, Reason};
use whittle_rollout::{Decided, Draft, FLEET, Observation, Outcome, Phase, Rail, Rollout, Terms};

use crate::run::{RunError, hours};

/// A rollout that was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// What it is about, in a sentence.
    #[serde(default)]
    pub about: String,
    /// When it started, in seconds from 1970, UTC.
    pub start_s: u64,
    /// The rollout, as people wrote it down.
    pub rollout: Draft,
    /// What was gathered, in its order.
    pub figures: Vec<Observation>,
}

/// What a policy and its guard rails would have said, when it is something new.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Said {
    /// Hours from the start.
    pub at_h: f64,
    /// Devices that had been updated by then.
    pub updated: u32,
    /// What would have been decided.
    pub decision: Decision,
    /// Who would have decided.
    pub by: DecidedBy,
    /// Guard rails that changed what the policy wanted.
    pub rails: Vec<Rail>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What a policy would have said to a recorded rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Backtest {
    /// Decisions that are not the same as the one before, holds left out.
    pub said: Vec<Said>,
    /// Hours until the first pause, roll-back or stop; none if there was none.
    pub alarm_h: Option<f64>,
    /// Devices that were updated after it, which it would have spared; 0 without one.
    pub spared: u32,
    /// Devices that were updated in all.
    pub updated: u32,
    /// Hours that the recording lasts.
    pub hours: f64,
}

/// Asks a policy after each figures of a recording what it would have said.
///
/// Devices did what they did: figures stay as they were recorded, whatever is said. After its first pause a policy is asked on for as
/// long as no further devices were updated in the recording, as it would have had it; then, and once devices are to go back, nobody
/// knows what would have been measured.
///
/// # Errors
/// [`RunError`], also if the recording holds figures that cannot be.
pub fn backtest(recording: &Recording, policy: &dyn Policy) -> Result<Backtest, RunError> {
    let start_s = recording.start_s;
    let terms: Terms = recording.rollout.clone().terms(start_s, policy)?;
    let (mut rollout, _) = Rollout::start(terms, start_s, &BTreeSet::new())?;
    let mut result = Backtest { said: vec![], alarm_h: None, spared: 0, updated: 0, hours: 0.0 };
    let mut at_alarm = 0;
    let mut has_parted = false;
    for figures in &recording.figures {
        let now_s = figures.until_s;
        let hour = hours(now_s, start_s);
        let refused = |source| RunError::Refused { hour, source };
        let entry = rollout.observe(now_s, figures.clone()).map_err(refused)?;
        if let Outcome::SetAside(problem) = entry.outcome {
            return Err(RunError::SetAside { hour, problem: problem.to_string() });
        }
        let updated = rollout.state().devices_of(FLEET).unwrap_or_default().updated;
        (result.updated, result.hours) = (updated, hour);
        has_parted |= result.alarm_h.is_some() && updated > at_alarm;
        if has_parted || matches!(rollout.state().phase(), Phase::Over(_)) {
            continue;
        }
        let entry = rollout.tick(now_s, policy).map_err(refused)?;
        let Outcome::Decided(decided) = entry.outcome else { continue };
        has_parted = matches!(decided.decision, Decision::RollBack(_));
        if is_alarm(&decided) && result.alarm_h.is_none() {
            (result.alarm_h, at_alarm) = (Some(hour), updated);
        }
        result.say(*decided, hour, updated);
    }
    if result.alarm_h.is_some() {
        result.spared = result.updated - at_alarm;
    }
    Ok(result)
}

impl Backtest {
    fn say(&mut self, decided: Decided, at_h: f64, updated: u32) {
        let Decided { decision, by, rails, reasons, .. } = decided;
        let is_new = self.said.last().is_none_or(|said| said.decision != decision);
        if is_new && decision != Decision::Hold {
            self.said.push(Said { at_h, updated, decision, by, rails, reasons });
        }
    }
}

fn is_alarm(decided: &Decided) -> bool {
    matches!(decided.decision, Decision::Pause(_) | Decision::RollBack(_) | Decision::Stop)
}
