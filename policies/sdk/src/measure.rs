//! Values of metrics, and finding groups, metrics and stages.

use crate::contract::{DecisionKind, Group, Metric, Snapshot, Stage, Tally};
use crate::time::days;

impl Tally {
    /// Nothing measured.
    pub const NONE: Self = Self { count: 0.0, exposure: 0.0, squares: 0.0 };

    /// A count with the exposure behind it.
    pub const fn new(count: f64, exposure: f64) -> Self {
        Self { count, exposure, squares: 0.0 }
    }

    /// The value in the metric's unit; none if nothing was measured.
    pub fn value(&self) -> Option<f64> {
        (self.exposure > 0.0).then(|| self.count / self.exposure)
    }
}

impl Group {
    /// The label of the whole fleet.
    pub const FLEET: &'static str = "fleet";

    /// The metric with this name.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The attribute by which this group was split off, if it is not the fleet: `hw` of `hw=C`.
    pub fn attribute(&self) -> Option<&str> {
        self.label.split_once('=').map(|(attribute, _)| attribute)
    }
}

impl Snapshot {
    /// The whole fleet.
    ///
    /// # Errors
    ///
    /// If the host sent no group.
    pub fn fleet(&self) -> Result<&Group, String> {
        self.groups.first().ok_or_else(|| "there is no group in the snapshot".to_owned())
    }

    /// The stage that the rollout is in.
    ///
    /// # Errors
    ///
    /// If the host named a stage that does not exist.
    pub fn stage(&self) -> Result<&Stage, String> {
        let found = self.stages.get(self.stage_index as usize);
        found.ok_or_else(|| format!("there is no stage {} in the plan", self.stage_index))
    }

    /// For how many seconds the share that has been reached is to be watched before it grows: for the stage's own time, or for a day at most
    /// if a guard rail has let in a part of the stage. What a pause has ended with is no such part.
    ///
    /// # Errors
    ///
    /// If the host named a stage that does not exist.
    pub fn watch_time(&self) -> Result<u32, String> {
        let stage = self.stage()?;
        let is_cut = |code: &str| matches!(code, "grows-too-fast" | "blast-radius");
        let last = self.decisions.iter().find(|past| past.kind != DecisionKind::Hold);
        let is_part = self.share_limit < stage.share
            && last.is_some_and(|last| last.kind == DecisionKind::Advance && is_cut(&last.code));
        Ok(if is_part { stage.min_time.min(days(1.0)) } else { stage.min_time })
    }

    /// The stage after it; none in the last one.
    pub fn next_stage(&self) -> Option<&Stage> {
        self.stages.get((self.stage_index as usize).checked_add(1)?)
    }

    /// Share of the fleet that has installed the new firmware so far: 0 to 1.
    pub fn share_reached(&self) -> f64 {
        let shares = self.groups.first().filter(|fleet| fleet.devices > 0);
        shares.map_or(0.0, |fleet| f64::from(fleet.updated) / f64::from(fleet.devices))
    }
}
