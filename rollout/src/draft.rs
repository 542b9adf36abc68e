//! What people write down of a rollout; its policy says the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, Zone};
use crate::policy::types::{
    MetricKind, PastRollout, PolicyInfo, Release, RolloutPlan, Setting, Value,
};
use crate::policy::{Policy, PolicyFault};
use crate::rollout::plan;
use crate::terms::{Cell, Limits, MetricTerms, Terms, WayBack};

/// Terms of a rollout without what its policy says: the plan, the buckets it wants, and its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// What is rolled out.
    pub release: Release,
    /// Digest of the target image: what a quarantine names.
    pub build: String,
    /// Version that the target reports.
    pub version: String,
    /// Versions that a delta takes to the target.
    #[serde(default)]
    pub base_versions: Vec<String>,
    /// Settings of the policy that differ from their defaults.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Stages that the policy shall not plan itself.
    #[serde(default)]
    pub plan: Option<RolloutPlan>,
    /// Past rollouts of this product, newest first.
    #[serde(default)]
    pub history: Vec<PastRollout>,
    /// Attributes by whose values the fleet is split into groups, besides those that the policy asks for.
    #[serde(default)]
    pub split_by: Vec<String>,
    /// How devices get back to the old firmware.
    pub way_back: WayBack,
    /// Within which limits the policy may decide.
    #[serde(default)]
    pub limits: Limits,
    /// When devices may be updated.
    #[serde(default)]
    pub calendar: Calendar,
    /// Devices with the same attributes; together they are the fleet.
    pub cells: Vec<Cell>,
    /// What is measured.
    #[serde(default)]
    pub metrics: Vec<MetricTerms>,
}

/// Why a draft and a policy make no terms.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DraftError {
    /// The policy gives no answer that counts.
    #[error(transparent)]
    Fault(#[from] PolicyFault),
    /// The policy cannot do without a metric.
    #[error("the policy wants the metric `{name}`, {kind}: {help}")]
    NoMetric {
        /// Its name.
        name: String,
        /// What its value means.
        kind: MetricKind,
        /// What the policy says of it.
        help: String,
    },
    /// A metric means something else to the policy.
    #[error("to the policy the metric `{name}` is {wanted}")]
    OtherKind {
        /// Its name.
        name: String,
        /// What its value means to the policy.
        wanted: MetricKind,
    },
}

impl Draft {
    /// Asks a policy for what is missing. Whether the terms hold together is for [`Terms::check`] to say.
    ///
    /// # Errors
    ///
    /// If the policy gives no answer that counts, or wants a metric that is not measured.
    pub fn terms(self, at_s: u64, policy: &dyn Policy) -> Result<Terms, DraftError> {
        let settings: Vec<_> =
            self.settings.into_iter().map(|(key, value)| Setting { key, value }).collect();
        let info = policy.describe(&settings)?.value;
        check_metrics(&info, &self.metrics)?;
        let mut split_by = self.split_by;
        for attribute in &info.split_by {
            if !split_by.contains(attribute) {
                split_by.push(attribute.clone());
            }
        }
        let nothing =
            RolloutPlan { stages: vec![], hold_back: 0.0, reasons: vec![], extra: vec![] };
        let written = self.plan.is_some();
        let terms = Terms {
            release: self.release,
            build: self.build,
            version: self.version,
            base_versions: self.base_versions,
            policy: policy.digest(),
            settings,
            plan: self.plan.unwrap_or(nothing),
            planned: None,
            history: self.history,
            split_by,
            buckets: info.buckets,
            bucket_length: info.bucket_length,
            told: info.metrics.into_iter().map(|need| need.name).collect(),
            cells: self.cells,
            metrics: self.metrics,
            limits: self.limits,
            calendar: self.calendar,
            way_back: self.way_back,
        };
        Ok(if written { terms } else { plan(terms, at_s, policy)? })
    }

    /// The time zones of the calendar, whose offsets are for the host to look up.
    pub fn zones(&mut self) -> impl Iterator<Item = &mut Zone> {
        let Calendar { zone, windows, freezes } = &mut self.calendar;
        let windows = windows.iter_mut().map(|window| &mut window.zone);
        let freezes = freezes.iter_mut().map(|freeze| &mut freeze.zone);
        std::iter::once(zone).chain(windows).chain(freezes)
    }
}

fn check_metrics(info: &PolicyInfo, metrics: &[MetricTerms]) -> Result<(), DraftError> {
    for need in &info.metrics {
        let name = need.name.clone();
        match metrics.iter().find(|metric| metric.name == name) {
            Some(metric) if metric.kind != need.kind => {
                return Err(DraftError::OtherKind { name, wanted: need.kind });
            }
            None if need.required => {
                let (kind, help) = (need.kind, need.help.clone());
                return Err(DraftError::NoMetric { name, kind, help });
            }
            _ => {}
        }
    }
    Ok(())
}
