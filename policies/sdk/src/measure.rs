//! Values of metrics, and finding groups, metrics and stages.

use crate::contract::{Group, Metric, Snapshot, Stage, Tally};

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
