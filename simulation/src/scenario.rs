//! What is made up: the fleet, its faults, and the people around it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whittle_rollout::Draft;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The policy that is meant; a caller may try others.
    #[serde(default)]
    pub policy: Option<String>,
    /// What it is about, in a sentence.
    #[serde(default)]
    pub about: String,
    /// When the rollout starts, in seconds from 1970, UTC; a Monday in January if it does not matter.
    #[serde(default = "monday")]
    pub start_s: u64,
    /// The rollout is given up after so many days, 1 to 3,650.
    #[serde(default = "sixty")]
    pub max_days: u32,
    /// The rollout, as people write it down.
    pub rollout: Draft,
    /// How the fleet behaves.
    #[serde(default)]
    pub fleet: FleetTerms,
    /// What is wrong with the new firmware; nothing is for a healthy one.
    #[serde(default)]
    pub bugs: Vec<Bug>,
    /// What people do.
    #[serde(default)]
    pub operator: Operator,
}

fn monday() -> u64 {
    // 2026-01-05 00:00 UTC.
    1_767_571_200
}

fn sixty() -> u32 {
    60
}

/// How a fleet behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetTerms {
    /// Mean time between two check-ins of a device, in seconds, 1 or more; the law is exponential.
    pub check_in_s: f64,
    /// Share of the devices that never check in, 0 to below 1.
    pub offline: f64,
    /// Share of the devices that no delta fits, so that they take the full image, 0 to 1.
    pub stragglers: f64,
    /// How much more often events happen at noon than on average, and less often at midnight, as a fraction, 0 to below 1.
    pub daily: f64,
    /// Times in which all devices have more events, such as cold days.
    pub seasons: Vec<Season>,
    /// Share of the devices that get back to the old firmware when they shall, 0 to 1; the others need somebody's help.
    pub rollback_success: f64,
    /// Tickets for each device that fails for the first time, and for each that needs help, 0 to 1,000,000.
    pub tickets_per_failure: f64,
    /// Name of a metric that counts tickets; none if there is none.
    pub ticket_metric: Option<String>,
}

impl Default for FleetTerms {
    fn default() -> Self {
        Self {
            check_in_s: 3600.0,
            offline: 0.0,
            stragglers: 0.0,
            daily: 0.0,
            seasons: vec![],
            rollback_success: 0.997,
            tickets_per_failure: 0.3,
            ticket_metric: None,
        }
    }
}

/// A time in which all devices have more events, whatever firmware they run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// When it begins, in hours from the start of the rollout.
    pub from_h: f64,
    /// When it is over.
    pub until_h: f64,
    /// How many times as many events there are, 0 to 1,000,000.
    pub factor: f64,
}

/// A fault of the new firmware.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// What it is called.
    pub name: String,
    /// Only cells with these attributes have it; none for all.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Share of their devices that have it, 0 to 1.
    #[serde(default = "one")]
    pub affected: f64,
    /// What it does.
    pub effect: Effect,
}

fn one() -> f64 {
    1.0
}

/// What a fault does to a device that has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// It fails after a time, again and again; each day counts once.
    Crash {
        /// Mean time to a failure, in hours, more than 0; the law is exponential.
        mttf_h: f64,
        /// The metric that counts it, a rate.
        metric: String,
    },
    /// It crashes while it starts, and its boot loader takes it back after some attempts.
    BootLoop {
        /// Mean time to the first failure, in hours, more than 0.
        mttf_h: f64,
        /// The metric that counts it, a rate; none if it cannot tell.
        #[serde(default)]
        metric: Option<String>,
    },
    /// It no longer works, and cannot tell.
    Brick {
        /// Mean time to it, in hours, more than 0.
        mttf_h: f64,
    },
    /// It is not heard of any more, although it works.
    Silence {
        /// Mean time to it, in hours, more than 0.
        mttf_h: f64,
    },
    /// A metric has other values from the update on.
    Drift {
        /// Which metric.
        metric: String,
        /// How many times the value of old firmware, 0 to 1,000,000.
        times: f64,
    },
}

/// What people do. What is left out they do not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Operator {
    /// So many hours after a stage began to wait for approval, they approve it.
    pub approves_after_h: Option<f64>,
    /// So many hours after a pause began, they know its cause: major if there is a bug, else minor.
    pub finds_cause_after_h: Option<f64>,
    /// When they know the cause, they take all devices back if there is a bug, and resume if there is none.
    pub acts: bool,
}

/// A figure of a scenario is outside of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{at} is {got}, wanted {wanted}")]
pub struct BadScenario {
    /// Which one.
    pub at: String,
    /// What it is.
    pub got: String,
    /// What it should be.
    pub wanted: &'static str,
}

impl Scenario {
    /// Whether the new firmware has a fault.
    #[must_use]
    pub fn has_bug(&self) -> bool {
        !self.bugs.is_empty()
    }

    /// Checks all figures but those of the rollout, which [`whittle_rollout::Terms::check`] checks.
    ///
    /// # Errors
    /// At the first that is outside of its range.
    pub fn check(&self) -> Result<(), BadScenario> {
        let fleet = &self.fleet;
        let below_one = |share: f64| (0.0..1.0).contains(&share);
        let share = |share: f64| (0.0..=1.0).contains(&share);
        within(
            "max_days",
            f64::from(self.max_days),
            |days| (1.0..=3650.0).contains(&days),
            "1 to 3650",
        )?;
        let check_in = |s: f64| (1.0..=31_536_000.0).contains(&s);
        within("fleet.check_in_s", fleet.check_in_s, check_in, "1 to 31536000")?;
        within("fleet.offline", fleet.offline, below_one, "0 to below 1")?;
        within("fleet.stragglers", fleet.stragglers, share, "0 to 1")?;
        within("fleet.daily", fleet.daily, below_one, "0 to below 1")?;
        within("fleet.rollback_success", fleet.rollback_success, share, "0 to 1")?;
        within("fleet.tickets_per_failure", fleet.tickets_per_failure, factor, FACTOR)?;
        for season in &fleet.seasons {
            within("fleet.seasons.factor", season.factor, factor, FACTOR)?;
            within("fleet.seasons.from_h", season.from_h, f64::is_finite, "a number")?;
            let later = |until: f64| until > season.from_h && until.is_finite();
            within("fleet.seasons.until_h", season.until_h, later, "after `from_h`")?;
        }
        if let Some(metric) = &fleet.ticket_metric {
            self.check_metric("fleet.ticket_metric", metric)?;
        }
        self.bugs.iter().try_for_each(|bug| self.check_bug(bug))
    }

    fn check_bug(&self, bug: &Bug) -> Result<(), BadScenario> {
        let at = |field: &str| format!("bug `{}`: {field}", bug.name);
        let share = |share: f64| (0.0..=1.0).contains(&share);
        within(&at("affected"), bug.affected, share, "0 to 1")?;
        let has = |attributes: &BTreeMap<String, String>| {
            bug.attributes.iter().all(|(name, value)| attributes.get(name) == Some(value))
        };
        if !self.rollout.cells.iter().any(|cell| has(&cell.attributes)) {
            let (at, got) = (at("attributes"), format!("{:?}", bug.attributes));
            return Err(BadScenario { at, got, wanted: "those of a cell" });
        }
        let mttf = |mttf_h: f64| {
            let hours = |hours: f64| (1e-3..=1e9).contains(&hours);
            within(&at("mttf_h"), mttf_h, hours, "0.001 to 1000000000")
        };
        match &bug.effect {
            Effect::Crash { mttf_h, metric } => {
                mttf(*mttf_h)?;
                self.check_metric(&at("metric"), metric)
            }
            Effect::BootLoop { mttf_h, metric } => {
                mttf(*mttf_h)?;
                metric.as_ref().map_or(Ok(()), |metric| self.check_metric(&at("metric"), metric))
            }
            Effect::Brick { mttf_h } | Effect::Silence { mttf_h } => mttf(*mttf_h),
            Effect::Drift { metric, times } => {
                within(&at("times"), *times, factor, FACTOR)?;
                self.check_metric(&at("metric"), metric)
            }
        }
    }

    fn check_metric(&self, at: &str, name: &str) -> Result<(), BadScenario> {
        if self.rollout.metrics.iter().any(|metric| metric.name == name) {
            return Ok(());
        }
        let wanted = "a metric of the rollout";
        Err(BadScenario { at: at.to_owned(), got: format!("`{name}`"), wanted })
    }
}

/// Whether a value may be so many times another one: more would be no number soon.
fn factor(times: f64) -> bool {
    (0.0..=1e6).contains(&times)
}

/// What [`factor`] wants.
const FACTOR: &str = "0 to 1000000";

fn within(
    at: &str,
    got: f64,
    fits: impl Fn(f64) -> bool,
    wanted: &'static str,
) -> Result<(), BadScenario> {
    if fits(got) {
        return Ok(());
    }
    Err(BadScenario { at: at.to_owned(), got: got.to_string(), wanted })
}
