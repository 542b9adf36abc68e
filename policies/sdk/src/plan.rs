//! Plans of stages.

use crate::contract::{Reason, RolloutPlan, Setting, Stage};
use crate::figure;
use crate::settings::{Number, Numbers, Spec};
use crate::time::{days, in_hours};

/// How many devices each stage reaches.
pub const SHARES: Numbers = Numbers {
    key: "shares",
    help: "Share of the fleet that each stage reaches; cumulative.",
    unit: "fraction",
    default: &[0.01, 0.05, 0.25, 1.0],
    min: 0.000_001,
    max: 1.0,
};

/// How long each of these stages lasts at least.
pub const WATCH_HOURS: Numbers = Numbers {
    key: "watch-hours",
    help: "How long each stage is watched once it is full.",
    unit: "hours",
    default: &[2.0, 12.0, 24.0, 168.0],
    min: 0.0,
    max: 2_160.0,
};

const HOLD_BACK: Number = Number {
    key: "hold-back",
    help: "Share of the fleet that keeps the old firmware until the end, to compare with.",
    unit: "fraction",
    default: 0.02,
    min: 0.0,
    max: 0.5,
};

const STAGE_DAYS: Number = Number {
    key: "stage-days",
    help: "Pause if a stage lasts longer than its time to watch and this on top; 0 for no limit.",
    unit: "days",
    default: 14.0,
    min: 0.0,
    max: 365.0,
};

impl Stage {
    /// A stage for any device, without limits but this cumulative share (0 to 1), watched for this many seconds.
    pub fn new(name: impl Into<String>, share: f64, min_time: u32) -> Self {
        Self {
            name: name.into(),
            share,
            max_devices: None,
            among: None,
            min_time,
            max_time: None,
            pace: None,
            needs_approval: false,
        }
    }

    /// Starts this many devices evenly over this many seconds; 0 for no limit. The longest time grows by as much.
    #[must_use]
    pub fn spread(self, devices: f64, over: u32) -> Self {
        let pace = whole((devices / in_hours(over)).ceil());
        if over == 0 || pace == 0 {
            return self;
        }
        let max_time = self.max_time.map(|longest| longest.saturating_add(over));
        Self { pace: Some(pace), max_time, ..self }
    }
}

/// A number of devices that is kept as a setting: rounded, and at most what the contract can hold.
pub fn whole(number: f64) -> u32 {
    // The cast saturates, and makes NaN zero.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let whole = number.round() as u32;
    whole
}

impl RolloutPlan {
    /// A plan without hold-back.
    pub fn new(stages: Vec<Stage>) -> Self {
        Self { stages, hold_back: 0.0, reasons: Vec::new(), extra: Vec::new() }
    }

    /// Adds a reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reasons.push(reason);
        self
    }
}

/// Settings of a plan that most policies share.
#[derive(Clone, Copy, Debug)]
pub struct PlanSettings {
    /// Share of the fleet that keeps the old firmware until the end: 0 to 0.5.
    pub hold_back: f64,
    /// How much longer than its time to watch a stage may last, in seconds; none for no limit.
    pub grace: Option<u32>,
}

impl PlanSettings {
    /// What to declare in `describe`.
    pub const SPECS: [&'static dyn Spec; 2] = [&HOLD_BACK, &STAGE_DAYS];

    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// If one is of the wrong type or out of range.
    pub fn of(settings: &[Setting]) -> Result<Self, String> {
        let grace = STAGE_DAYS.of(settings)?;
        Ok(Self { hold_back: HOLD_BACK.of(settings)?, grace: (grace > 0.0).then(|| days(grace)) })
    }

    /// Makes a plan of stages. Those without a longest time get one.
    ///
    /// # Errors
    ///
    /// If there is no stage, or the shares do not rise to 1 at most.
    pub fn plan(&self, mut stages: Vec<Stage>) -> Result<RolloutPlan, String> {
        if stages.is_empty() {
            return Err("a plan needs a stage".to_owned());
        }
        let mut reached = 0.0;
        for stage in &mut stages {
            if !(stage.share > reached && stage.share <= 1.0) {
                let Stage { name, .. } = stage;
                let [share, reached] = [stage.share, reached].map(figure);
                return Err(format!(
                    "stage `{name}` reaches the share {share}; shares are cumulative, and it must be above {reached} and at most 1"
                ));
            }
            reached = stage.share;
            let longest = self.grace.map(|grace| grace.saturating_add(stage.min_time));
            stage.max_time = stage.max_time.or(longest);
        }
        Ok(RolloutPlan { hold_back: self.hold_back, ..RolloutPlan::new(stages) })
    }

    /// Makes a plan of shares (cumulative, 0 to 1) and times to watch in hours, one of each for every stage.
    ///
    /// # Errors
    ///
    /// If there are more of the ones than of the others, or the shares do not rise to 1 at most.
    pub fn plan_of(&self, shares: &[f64], watch_hours: &[f64]) -> Result<RolloutPlan, String> {
        if shares.len() != watch_hours.len() {
            let (shares, hours) = (shares.len(), watch_hours.len());
            return Err(format!("there are {shares} shares and {hours} times to watch"));
        }
        let stages = shares.iter().zip(watch_hours);
        self.plan(
            stages
                .map(|(share, watch)| Stage::new(name_of(*share), *share, crate::hours(*watch)))
                .collect(),
        )
    }
}

/// A stage's name for want of a better one: `0.5 %`.
fn name_of(share: f64) -> String {
    format!("{} %", figure(share * 100.0))
}
