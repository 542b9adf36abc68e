//! What is fixed when a rollout starts: what is rolled out, to whom, by which plan and policy, and within which limits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::policy::types::{
    Fallback, MetricKind, PastRollout, PauseOrder, Release, RolloutPlan, Seconds, Setting,
    Severity, Tally,
};
use crate::policy::{LABEL_BYTES, MOST_IMAGE_BYTES, NAME_BYTES};
use crate::statistics::{Certainty, StageOutlook, StagePlan, outlook};

/// The label of the group of all devices.
pub const FLEET: &str = "fleet";

/// The longest that a pause may take to be decided: 72 hours.
pub const LONGEST_PAUSE_S: Seconds = 259_200;

/// What is fixed when a rollout starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What is rolled out.
    pub release: Release,
    /// Digest of the target image: what a quarantine names.
    pub build: String,
    /// Version that the target reports.
    pub version: String,
    /// Versions that a delta takes to the target. What reports another one is a straggler.
    #[serde(default)]
    pub base_versions: Vec<String>,
    /// Digest of the policy that decides. No other one may.
    pub policy: String,
    /// Settings of the policy.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// The stages, and which share is held back.
    pub plan: RolloutPlan,
    /// How the policy planned the stages; none if a person wrote them down.
    #[serde(default)]
    pub planned: Option<Planned>,
    /// Past rollouts of this product, newest first, which the policy was told.
    #[serde(default)]
    pub history: Vec<PastRollout>,
    /// Attributes by whose values the fleet is split into groups.
    #[serde(default)]
    pub split_by: Vec<String>,
    /// How many buckets the policy sees.
    #[serde(default)]
    pub buckets: u32,
    /// How long each bucket is, in seconds; 0 if there are none.
    #[serde(default)]
    pub bucket_length: Seconds,
    /// Names of the metrics that the policy is told: those that it wants. All metrics if none is named.
    #[serde(default)]
    pub told: Vec<String>,
    /// Devices with the same attributes; together they are the fleet.
    pub cells: Vec<Cell>,
    /// What is measured.
    #[serde(default)]
    pub metrics: Vec<MetricTerms>,
    /// Within which limits policies may decide.
    pub limits: Limits,
    /// When devices may be updated.
    #[serde(default)]
    pub calendar: Calendar,
    /// How devices get back to the old firmware.
    pub way_back: WayBack,
}

/// A call by which a policy planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// When, in seconds from 1970, UTC.
    pub at_s: u64,
    /// Fuel of the call.
    pub fuel: u64,
}

/// Devices with the same attributes. Tests compare new and old firmware within each cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Attribute and value, such as `hw` and `C`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// How many there are.
    pub devices: u32,
    /// What was measured on them before the rollout, by the name of the metric.
    #[serde(default)]
    pub baselines: BTreeMap<String, Tally>,
}

impl Cell {
    /// Labels of the groups that it belongs to: the fleet's first.
    #[must_use]
    pub fn labels(&self, split_by: &[String]) -> Vec<String> {
        let parts = split_by.iter().filter_map(|attribute| {
            self.attributes.get(attribute).map(|value| format!("{attribute}={value}"))
        });
        std::iter::once(FLEET.to_owned()).chain(parts).collect()
    }
}

/// A metric, and how it is tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricTerms {
    /// Its name.
    pub name: String,
    /// What its value means.
    pub kind: MetricKind,
    /// Whether a greater value is a worse one. If not, tests ask how many times worse the new firmware is: devices that are
    /// not hit instead of those that are, for a proportion; old divided by new, for others.
    pub higher_is_worse: bool,
    /// Whether nothing goes on without fresh figures of it.
    pub required: bool,
    /// Every how many seconds figures of it come, if not with each tick.
    #[serde(default)]
    pub every: Option<Seconds>,
    /// How many times worse than old firmware the new one may be.
    pub tolerated: f64,
    /// The same against the time before the rollout, which is less alike.
    pub tolerated_baseline: f64,
    /// How many times worse must not be missed.
    pub alarm: f64,
    /// A stage is passed only if it would have shown a regression by this factor; none to ask for no sample.
    #[serde(default)]
    pub must_see: Option<f64>,
    /// Of a mean the greatest reading, as which greater ones are counted. Of a rate the most events that a device has in an hour, also
    /// in a boot loop, besides one in each stretch of time; 3,600 if left out. Figures with more are set aside.
    #[serde(default)]
    pub most: Option<f64>,
}

/// A device has an event a second at most, unless its metric's terms say otherwise: what restarts takes longer.
const MOST_EVENTS_AN_HOUR: f64 = 3600.0;

impl MetricTerms {
    /// The most events of a rate that so many devices can have in so many device-hours: each device one however short they are, as where
    /// it is counted once a day.
    #[must_use]
    pub fn most_events(&self, device_hours: f64, devices: u32) -> f64 {
        f64::from(devices) + self.most.unwrap_or(MOST_EVENTS_AN_HOUR) * device_hours
    }
}

/// Within which limits policies may decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The next share is at most this many times the share that has been reached.
    pub growth: f64,
    /// At most so many devices may have the new firmware without having committed it; none for no limit.
    pub uncommitted_devices: Option<u32>,
    /// Of devices that roll back, this share, from 0 to 1, fails to, and needs somebody's help.
    pub rollback_failure: f64,
    /// So many devices can be helped in a day; none for no limit.
    pub support_per_day: Option<u32>,
    /// When devices are taken back without asking the policy.
    pub kill: Vec<KillRule>,
    /// How the rollout pauses if the policy gives no answer that counts, or a stage takes too long.
    pub pause: PauseOrder,
    /// Every how many seconds figures come and decisions are taken.
    pub tick: Seconds,
    /// Figures that are older than this many ticks are stale.
    pub stale_ticks: u32,
    /// A stage is full if this part of its devices has the new firmware: some never come.
    pub full_at: f64,
    /// The level of the power report.
    pub alpha: f64,
    /// Stages that may be passed although they cannot see what [`MetricTerms::must_see`] asks for.
    pub blind_stages: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            growth: 5.0,
            uncommitted_devices: None,
            rollback_failure: 0.003,
            support_per_day: None,
            kill: vec![
                KillRule { state: Lost::Bricked, share: 0.005, at_least: 3 },
                KillRule { state: Lost::Silent, share: 0.05, at_least: 10 },
            ],
            pause: PauseOrder {
                severity: Severity::High,
                decide_within: 86_400,
                otherwise: Fallback::Stop,
                more_telemetry: false,
            },
            tick: 900,
            stale_ticks: 2,
            full_at: 0.95,
            alpha: 0.05,
            blind_stages: vec![],
        }
    }
}

impl Limits {
    /// Devices that may have the new firmware without having committed it: were all of them to roll back, support could help
    /// those that fail to. Infinite for no limit.
    pub(crate) fn most_uncommitted(&self) -> f64 {
        let by_cap = self.uncommitted_devices.map_or(f64::INFINITY, f64::from);
        match self.support_per_day {
            Some(tickets) if self.rollback_failure > 0.0 => {
                by_cap.min(f64::from(tickets) / self.rollback_failure)
            }
            Some(_) | None => by_cap,
        }
    }
}

/// Devices are taken back if so many are lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KillRule {
    /// In which way.
    pub state: Lost,
    /// Share of the updated devices, from 0 to 1.
    pub share: f64,
    /// But at least so many: the first device of a canary is no share.
    pub at_least: u32,
}

/// In which way a device is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lost {
    /// It no longer works.
    Bricked,
    /// It has not been heard of for longer than it should.
    Silent,
    /// It went back by itself.
    RolledBack,
}

/// How devices get back to the old firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WayBack {
    /// The old image is still in the other slot, and the security counter allows it.
    OtherSlot,
    /// The old image is offered as a new, signed release, whose security counter devices accept.
    Release {
        /// Its name.
        name: String,
        /// Its security counter.
        security_counter: u32,
        /// That of the release that is rolled out: a device has raised its own to it.
        target_security_counter: u32,
    },
    /// There is none: a roll-back becomes a pause, for people to decide, and a stop once their time is over.
    None,
}

/// So many events must be expected on old firmware in the last stage, or there is little to compare with.
const LEAST_CONTROL_EVENTS: f64 = 5.0;

/// What the author of the terms should know, although it is not wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Caution {
    /// A guard rail will cut the stage into several steps, each of which is watched.
    #[error(
        "stage `{stage}` is {times:.1} times the one before, and will be reached in steps of at most {limit} times"
    )]
    CutGrowth {
        /// The stage.
        stage: String,
        /// How many times the share of the stage before.
        times: f64,
        /// [`Limits::growth`].
        limit: f64,
    },
    /// A guard rail will let the stage in by parts, each of which is watched.
    #[error(
        "stage `{stage}` lets in {devices} devices and at most {limit:.0} may be uncommitted, so it will be reached in {parts} parts or more"
    )]
    CutRadius {
        /// The stage.
        stage: String,
        /// How many devices it has more than the stage before.
        devices: u32,
        /// How many devices may have the new firmware without having committed it.
        limit: f64,
        /// Into so many parts it is cut at least.
        parts: f64,
    },
    /// The fleet is to be split by what no device has.
    #[error("no cell has the attribute `{0}`, by which the fleet is split")]
    UnknownAttribute(String),
    /// Baselines of something that is not measured.
    #[error("there are baselines of `{0}`, which is no metric of the rollout")]
    UnusedBaseline(String),
    /// Too few devices are held back to compare with.
    #[error(
        "{expected_events:.1} events of `{metric}` are expected on old firmware in the last stage: hold back more devices"
    )]
    LittleControl {
        /// The metric.
        metric: String,
        /// How many events are expected on devices that are held back.
        expected_events: f64,
    },
}

/// Why a rollout does not start. The author of its terms must act.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadTerms {
    /// The build was quarantined.
    #[error("build {0} is quarantined")]
    Quarantined(String),
    /// There is nobody to roll out to.
    #[error("no devices")]
    NoDevices,
    /// Devices are counted twice.
    #[error("cell {0} stands there twice")]
    CellTwice(String),
    /// Groups could not be told apart: an attribute is split by twice, perhaps.
    #[error("group `{0}` is there twice: each attribute in `split_by` splits once")]
    GroupTwice(String),
    /// A policy is told what is shorter than this, or longer.
    #[error("{what} is {got} bytes long, wanted {least} to {most}")]
    Length {
        /// The name, and whose it is.
        what: String,
        /// How long it is.
        got: usize,
        /// How long it must be.
        least: usize,
        /// How long it may be.
        most: usize,
    },
    /// A name stands there twice.
    #[error("metric `{0}` stands there twice")]
    MetricTwice(String),
    /// A mean has readings, and a sample is asked for in events.
    #[error("`{0}` is a mean: `must_see` is for rates and proportions")]
    NoEvents(String),
    /// Two stages could not be told apart.
    #[error("stage `{0}` stands there twice")]
    StageTwice(String),
    /// A time that clocks do not show, or one that ends before it begins.
    #[error("{what} is {got}, wanted {wanted}")]
    Time {
        /// Which one.
        what: String,
        /// What it is.
        got: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A figure is outside of its range.
    #[error("{what} is {got}, wanted {wanted}")]
    Figure {
        /// Which one.
        what: String,
        /// What it is.
        got: f64,
        /// What it should be.
        wanted: &'static str,
    },
    /// Stages must grow.
    #[error("stage `{stage}` has share {got}, wanted more than {before} and at most 1")]
    Share {
        /// The stage.
        stage: String,
        /// Its share.
        got: f64,
        /// That of the stage before.
        before: f64,
    },
    /// There is no such group.
    #[error("no group `{0}`")]
    UnknownGroup(String),
    /// There is no such stage.
    #[error("no stage `{0}`")]
    UnknownStage(String),
    /// A stage would be passed without having seen anything.
    #[error(
        "stage `{stage}` does not show a regression of `{metric}` by {must_see}x: it takes {hours_needed:.0} h"
    )]
    BlindStage {
        /// The stage.
        stage: String,
        /// The metric.
        metric: String,
        /// What it should see.
        must_see: f64,
        /// How long it would have to be watched.
        hours_needed: f64,
    },
    /// Devices would refuse the release that takes them back.
    #[error(
        "security counter {got} of `{name}` is below {wanted}, which devices have reached by then"
    )]
    DowngradeRefused {
        /// The release that takes devices back.
        name: String,
        /// Its security counter.
        got: u32,
        /// What it would have to be.
        wanted: u32,
    },
}

impl Terms {
    /// Checks the terms against each other. `quarantined` are builds that must not be rolled out again.
    ///
    /// # Errors
    ///
    /// At the first contradiction.
    pub fn check(&self, quarantined: &BTreeSet<String>) -> Result<(), BadTerms> {
        if quarantined.contains(&self.build) {
            return Err(BadTerms::Quarantined(self.build.clone()));
        }
        self.check_release()?;
        self.check_metrics()?;
        self.check_cells()?;
        self.check_groups()?;
        self.check_plan()?;
        self.check_limits()?;
        self.calendar.check()?;
        if let WayBack::Release { name, security_counter, target_security_counter } = &self.way_back
            && security_counter < target_security_counter
        {
            let (name, got, wanted) = (name.clone(), *security_counter, *target_security_counter);
            return Err(BadTerms::DowngradeRefused { name, got, wanted });
        }
        self.check_sight()
    }

    /// Whether the policy sees a metric.
    pub(crate) fn tells(&self, metric: &MetricTerms) -> bool {
        self.told.is_empty() || self.told.contains(&metric.name)
    }

    /// How many buckets of a metric the policy sees.
    pub(crate) fn buckets_of(&self, metric: &MetricTerms) -> u32 {
        if self.tells(metric) { self.buckets } else { 0 }
    }

    /// Labels of all groups: the fleet, then the values of each attribute.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let mut labels = vec![FLEET.to_owned()];
        for attribute in &self.split_by {
            let values = self.cells.iter().filter_map(|cell| cell.attributes.get(attribute));
            let values: BTreeSet<_> = values.collect();
            labels.extend(values.iter().map(|value| format!("{attribute}={value}")));
        }
        labels
    }

    /// Devices of the fleet.
    #[must_use]
    pub fn devices(&self) -> u32 {
        self.cells.iter().fold(0, |sum, cell| sum.saturating_add(cell.devices))
    }

    /// Devices of the fleet that are kept on the old firmware until the end.
    #[must_use]
    pub fn held_back(&self) -> u32 {
        self.cells.iter().map(|cell| part_of(cell.devices, self.plan.hold_back)).sum()
    }

    /// Devices that may have the new firmware at a share in a stage: one at least, and none of those that are held back.
    #[must_use]
    pub fn devices_at(&self, share: f64, stage: usize) -> u32 {
        let Some(this) = self.plan.stages.get(stage) else { return 0 };
        let reachable = self.cells.iter().map(|cell| self.reachable(cell, stage)).sum();
        let by_share = part_of(self.devices(), share).max(1);
        by_share.min(reachable).min(this.max_devices.unwrap_or(u32::MAX))
    }

    /// Devices of a cell that a stage and those before it can take: none of those that are held back.
    pub(crate) fn reachable(&self, cell: &Cell, stage: usize) -> u32 {
        let labels = cell.labels(&self.split_by);
        let is_among = |among: &String| labels.contains(among);
        let so_far = self.plan.stages.iter().take(stage + 1);
        // Once one of them takes any device, groups are none of their business.
        let any = so_far.clone().any(|stage| stage.among.is_none());
        let is_taken = any || so_far.filter_map(|stage| stage.among.as_ref()).any(is_among);
        if is_taken { cell.devices - part_of(cell.devices, self.plan.hold_back) } else { 0 }
    }

    /// What each stage can see of a rate or proportion, by its baseline; none of those without one.
    #[must_use]
    pub fn power_report(
        &self,
        metric: &MetricTerms,
        ratio: f64,
        certainty: Certainty,
    ) -> Vec<Option<StageOutlook>> {
        let rate = self.rate_before(metric).filter(|_| metric.kind != MetricKind::Mean);
        let stages = self.plan.stages.iter().enumerate();
        stages
            .map(|(place, stage)| {
                rate.map(|rate| {
                    let treated = f64::from(self.devices_at(stage.share, place));
                    let plan = StagePlan {
                        treated,
                        control: f64::from(self.devices()) - treated,
                        hours: f64::from(stage.min_time) / 3600.0,
                    };
                    outlook(plan, rate, ratio, self.limits.alpha, certainty)
                })
            })
            .collect()
    }

    /// What the author of the terms should know, although it is not wrong.
    #[must_use]
    pub fn cautions(&self) -> Vec<Caution> {
        let mut cautions = vec![];
        for (place, pair) in (1..).zip(self.plan.stages.windows(2)) {
            let [before, stage] = pair else { continue };
            let times = stage.share / before.share;
            if times > self.limits.growth {
                let (stage, limit) = (stage.name.clone(), self.limits.growth);
                cautions.push(Caution::CutGrowth { stage, times, limit });
            }
            let earlier = self.devices_at(before.share, place - 1);
            let devices = self.devices_at(stage.share, place).saturating_sub(earlier);
            let limit = self.limits.most_uncommitted();
            let parts = (f64::from(devices) / limit).ceil();
            if parts > 1.0 && limit >= 1.0 {
                let stage = stage.name.clone();
                cautions.push(Caution::CutRadius { stage, devices, limit, parts });
            }
        }
        let has = |attribute| self.cells.iter().any(|cell| cell.attributes.contains_key(attribute));
        let unknown = self.split_by.iter().filter(|attribute| !has(*attribute));
        cautions.extend(unknown.cloned().map(Caution::UnknownAttribute));
        let baselines = self.cells.iter().flat_map(|cell| cell.baselines.keys());
        let is_metric = |name: &&String| self.metrics.iter().any(|metric| metric.name == **name);
        let unused: BTreeSet<_> = baselines.filter(|name| !is_metric(name)).collect();
        cautions.extend(unused.into_iter().cloned().map(Caution::UnusedBaseline));
        let Some(last) = self.plan.stages.last() else { return cautions };
        let left = self.devices() - self.devices_at(last.share, self.plan.stages.len() - 1);
        let hours = f64::from(left) * f64::from(last.min_time) / 3600.0;
        for metric in self.metrics.iter().filter(|metric| metric.kind != MetricKind::Mean) {
            let Some(rate) = self.rate_before(metric) else { continue };
            let expected_events = rate * hours;
            if expected_events < LEAST_CONTROL_EVENTS {
                cautions
                    .push(Caution::LittleControl { metric: metric.name.clone(), expected_events });
            }
        }
        cautions
    }

    /// Events or devices that speak against the firmware, by exposure, before the rollout; none if none were counted.
    fn rate_before(&self, metric: &MetricTerms) -> Option<f64> {
        let baselines = self.cells.iter().filter_map(|cell| cell.baselines.get(&metric.name));
        let (count, exposure) = baselines.fold((0.0, 0.0), |(count, exposure), baseline| {
            (count + bad_count(metric, baseline), exposure + baseline.exposure)
        });
        (count > 0.0 && exposure > 0.0).then(|| count / exposure)
    }

    fn check_release(&self) -> Result<(), BadTerms> {
        length("the name of the release", &self.release.name, NAME_BYTES)?;
        for past in &self.history {
            length("the name of a past release", &past.name, NAME_BYTES)?;
        }
        for bytes in [self.release.full_bytes, self.release.delta_bytes] {
            within("the size of an image", bytes, 0.0, MOST_IMAGE_BYTES, "0 to 2^53 bytes")?;
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), BadTerms> {
        let mut seen = BTreeSet::new();
        for label in self.labels() {
            length("the label of a group", &label, LABEL_BYTES)?;
            if seen.contains(&label) {
                return Err(BadTerms::GroupTwice(label));
            }
            seen.insert(label);
        }
        Ok(())
    }

    fn check_cells(&self) -> Result<(), BadTerms> {
        let mut seen = BTreeSet::new();
        for cell in &self.cells {
            if !seen.insert(&cell.attributes) {
                return Err(BadTerms::CellTwice(format!("{:?}", cell.attributes)));
            }
            for (name, baseline) in &cell.baselines {
                for got in [baseline.count, baseline.exposure, baseline.squares] {
                    at_least_zero(&format!("the baseline of `{name}`"), got)?;
                }
                let metric = self.metrics.iter().find(|metric| metric.name == *name);
                let most = match metric.map(|metric| (metric, metric.kind)) {
                    _ if baseline.exposure <= 0.0 => 0.0,
                    Some((_, MetricKind::Proportion)) => baseline.exposure,
                    Some((metric, MetricKind::Rate)) => {
                        metric.most_events(baseline.exposure, cell.devices)
                    }
                    Some((_, MetricKind::Mean)) | None => f64::MAX,
                };
                let what = format!("the count in the baseline of `{name}`");
                within(&what, baseline.count, 0.0, most, "at most what its exposure allows")?;
            }
        }
        #[allow(clippy::cast_precision_loss)]
        let all = self.cells.iter().map(|cell| u64::from(cell.devices)).sum::<u64>() as f64;
        within("the number of devices", all, 0.0, f64::from(u32::MAX), "at most 4,294,967,295")?;
        if self.devices() == 0 { Err(BadTerms::NoDevices) } else { Ok(()) }
    }

    fn check_metrics(&self) -> Result<(), BadTerms> {
        let mut seen = BTreeSet::new();
        for metric in &self.metrics {
            let name = &metric.name;
            if !seen.insert(name) {
                return Err(BadTerms::MetricTwice(name.clone()));
            }
            length("the name of a metric", name, NAME_BYTES)?;
            for tolerated in [metric.tolerated, metric.tolerated_baseline] {
                within(
                    &format!("what is tolerated of `{name}`"),
                    tolerated,
                    1.0,
                    1e6,
                    "1 or more",
                )?;
                let is_above = metric.alarm.is_finite() && metric.alarm > tolerated;
                figure(
                    &format!("the alarm of `{name}`"),
                    metric.alarm,
                    is_above,
                    "more than is tolerated",
                )?;
            }
            let bound = match metric.kind {
                MetricKind::Mean => Some(("greatest reading", metric.most.unwrap_or(0.0))),
                MetricKind::Rate => metric.most.map(|most| ("most events an hour", most)),
                MetricKind::Proportion => None,
            };
            if let Some((what, most)) = bound {
                let is_bound = most.is_finite() && most > 0.0;
                figure(&format!("the {what} of `{name}`"), most, is_bound, "more than 0")?;
            }
            if let Some(ratio) = metric.must_see {
                if metric.kind == MetricKind::Mean {
                    return Err(BadTerms::NoEvents(name.clone()));
                }
                figure(
                    &format!("what must be seen of `{name}`"),
                    ratio,
                    ratio > 1.0,
                    "more than 1",
                )?;
            }
        }
        Ok(())
    }

    fn check_plan(&self) -> Result<(), BadTerms> {
        let labels = self.labels();
        let mut before = 0.0;
        let number = self.plan.stages.len();
        #[allow(clippy::cast_precision_loss)]
        figure("the number of stages", number as f64, (1..=64).contains(&number), "1 to 64")?;
        let mut names = BTreeSet::new();
        for stage in &self.plan.stages {
            if !names.insert(&stage.name) {
                return Err(BadTerms::StageTwice(stage.name.clone()));
            }
            length("the name of a stage", &stage.name, NAME_BYTES)?;
            for (what, some) in [
                ("the most devices of a stage", stage.max_devices),
                ("the pace of a stage", stage.pace),
            ] {
                figure(what, some.unwrap_or(1).into(), some != Some(0), "1 or more")?;
            }
            // Written so that what is no number is refused.
            let grows = stage.share > before && stage.share <= 1.0;
            if !grows {
                let (stage, got) = (stage.name.clone(), stage.share);
                return Err(BadTerms::Share { stage, got, before });
            }
            before = stage.share;
            if let Some(label) = stage.among.as_ref().filter(|label| !labels.contains(label)) {
                return Err(BadTerms::UnknownGroup(label.clone()));
            }
            let max_s = f64::from(stage.max_time.unwrap_or(u32::MAX));
            let is_longer = stage.max_time.is_none_or(|max| max > stage.min_time);
            figure("the longest time of a stage", max_s, is_longer, "more than the shortest")?;
        }
        within("the share that is held back", self.plan.hold_back, 0.0, 0.5, "0 to 0.5")
    }

    fn check_limits(&self) -> Result<(), BadTerms> {
        let Limits { growth, rollback_failure, full_at, alpha, .. } = self.limits;
        figure("growth", growth, growth > 1.0 && growth.is_finite(), "more than 1")?;
        within("the share of roll-backs that fail", rollback_failure, 0.0, 1.0, "0 to 1")?;
        figure(
            "when a stage is full",
            full_at,
            full_at > 0.0 && full_at <= 1.0,
            "more than 0, at most 1",
        )?;
        figure("alpha", alpha, alpha > 0.0 && alpha < 1.0, "between 0 and 1")?;
        figure("a tick", f64::from(self.limits.tick), self.limits.tick > 0, "1 second or more")?;
        for rule in &self.limits.kill {
            within("the share of a kill rule", rule.share, 0.0, 1.0, "0 to 1")?;
        }
        let deadline = self.limits.pause.decide_within;
        let is_short = (1..=LONGEST_PAUSE_S).contains(&deadline);
        figure("the deadline of a pause", f64::from(deadline), is_short, "1 to 259,200 seconds")?;
        if let Fallback::Resume(share) = self.limits.pause.otherwise {
            let is_share = share > 0.0 && share <= 1.0;
            figure("the share after a pause", share, is_share, "more than 0, at most 1")?;
        }
        let labels = self.labels();
        let back = match &self.limits.pause.otherwise {
            Fallback::RollBack(order) => order.groups.as_slice(),
            Fallback::Resume(_) | Fallback::Stop => &[],
        };
        let calendar = &self.calendar;
        let groups = calendar.windows.iter().map(|window| &window.groups);
        let groups = groups.chain(calendar.freezes.iter().map(|freeze| &freeze.groups));
        for label in groups.flatten().chain(back) {
            if !labels.contains(label) {
                return Err(BadTerms::UnknownGroup(label.clone()));
            }
        }
        let is_stage = |name: &String| self.plan.stages.iter().any(|stage| stage.name == *name);
        match self.limits.blind_stages.iter().find(|name| !is_stage(name)) {
            Some(name) => Err(BadTerms::UnknownStage(name.clone())),
            None => Ok(()),
        }
    }

    /// A stage that cannot see what it must is named, or is no stage.
    fn check_sight(&self) -> Result<(), BadTerms> {
        for metric in &self.metrics {
            let Some(must_see) = metric.must_see else { continue };
            let report = self.power_report(metric, must_see, Certainty::Half);
            // After the last stage nothing follows that it would protect.
            let stages = self.plan.stages.iter().zip(report).take(self.plan.stages.len() - 1);
            for (stage, outlook) in stages {
                let Some(StageOutlook { sees, hours_needed, .. }) = outlook else { continue };
                let is_blind = sees.is_none_or(|least| least > must_see);
                if is_blind && !self.limits.blind_stages.contains(&stage.name) {
                    let (stage, metric) = (stage.name.clone(), metric.name.clone());
                    return Err(BadTerms::BlindStage { stage, metric, must_see, hours_needed });
                }
            }
        }
        Ok(())
    }
}

/// How many events or devices speak against the firmware: for a proportion of which more is better, those that are not hit.
pub(crate) fn bad_count(metric: &MetricTerms, tally: &Tally) -> f64 {
    if metric.kind == MetricKind::Proportion && !metric.higher_is_worse {
        return tally.exposure - tally.count;
    }
    tally.count
}

/// That part of a number of devices, 0 to 1, rounded down.
#[must_use]
pub fn part_of(devices: u32, share: f64) -> u32 {
    // Between 0 and the number of devices, which fits; a hair more, so that 0.29 of 100 is 29.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let part = (f64::from(devices) * share.clamp(0.0, 1.0) + 1e-6) as u32;
    part.min(devices)
}

fn length(what: &str, name: &str, bytes: RangeInclusive<usize>) -> Result<(), BadTerms> {
    if bytes.contains(&name.len()) {
        return Ok(());
    }
    // A long one shows what it is by its beginning.
    let start: String = name.chars().take(32).collect();
    let what = format!("{what}, `{start}…`,");
    Err(BadTerms::Length { what, got: name.len(), least: *bytes.start(), most: *bytes.end() })
}

fn figure(what: &str, got: f64, is_right: bool, wanted: &'static str) -> Result<(), BadTerms> {
    if is_right { Ok(()) } else { Err(BadTerms::Figure { what: what.to_owned(), got, wanted }) }
}

fn within(
    what: &str,
    got: f64,
    least: f64,
    most: f64,
    wanted: &'static str,
) -> Result<(), BadTerms> {
    figure(what, got, (least..=most).contains(&got), wanted)
}

fn at_least_zero(what: &str, got: f64) -> Result<(), BadTerms> {
    figure(what, got, got >= 0.0 && got.is_finite(), "0 or more")
}
