//! What policies are told and what they answer, as `wit/policy.wit` defines it.
//!
//! Names, units and ranges are those of the WIT, where each field is described at length. These types know nothing of
//! WebAssembly; in JSON their names are in snake case, and lists that are empty may be left out.

use serde::{Deserialize, Serialize};

/// A length of time in seconds.
pub type Seconds = u32;

/// What a setting holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Value {
    /// On or off.
    Flag(bool),
    /// A number, in the unit that [`SettingSpec::unit`] names.
    Number(f64),
    /// Text.
    Text(String),
    /// Numbers in the unit that [`SettingSpec::unit`] names.
    Numbers(Vec<f64>),
}

/// A setting and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Name of the setting.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// A setting that a policy understands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SettingSpec {
    /// Name of the setting.
    pub key: String,
    /// What it does, in one sentence of 1 to 1,024 bytes.
    pub help: String,
    /// Unit of the number or numbers, such as `hours`, `x baseline` or `fraction`; empty for flags and texts.
    pub unit: String,
    /// What holds if the setting is not given.
    pub default: Value,
    /// Least number (of each one, if several).
    pub min: f64,
    /// Greatest number (of each one, if several).
    pub max: f64,
}

/// What a metric's value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// Events per hour of a device.
    Rate,
    /// Devices hit out of devices asked, 0 to 1.
    Proportion,
    /// Mean of a reading.
    Mean,
}

impl std::fmt::Display for MetricKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Rate => "a rate",
            Self::Proportion => "a proportion",
            Self::Mean => "a mean",
        })
    }
}

/// A metric that a policy wants to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricNeed {
    /// Name of the metric.
    pub name: String,
    /// What its value means.
    pub kind: MetricKind,
    /// Unit of a value, such as `crashes per device-hour`.
    pub unit: String,
    /// What the policy uses it for, in one sentence of at most 1,024 bytes.
    pub help: String,
    /// Without a metric that is required the host does not start the rollout.
    pub required: bool,
}

/// What a policy is and which input it wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyInfo {
    /// Name of the policy.
    pub name: String,
    /// Version of the policy in the form of semver.
    pub version: String,
    /// What it does, in one sentence of 1 to 1,024 bytes.
    pub summary: String,
    /// Settings that it understands, 256 at most, no key twice.
    #[serde(default)]
    pub settings: Vec<SettingSpec>,
    /// Metrics that it wants, 64 at most, no name twice. It is told no others, and all that are measured if it names none.
    #[serde(default)]
    pub metrics: Vec<MetricNeed>,
    /// How many buckets [`Metric::recent`] shall have.
    pub buckets: u32,
    /// How long each bucket is, in seconds.
    pub bucket_length: Seconds,
    /// Attributes of devices, such as `hw` or `region`, by whose values the fleet is split into groups.
    #[serde(default)]
    pub split_by: Vec<String>,
    /// Facts for later hosts; see `wit/README.md`.
    #[serde(default)]
    pub extra: Vec<Setting>,
}

/// Counts behind a value, which is `count / exposure` whatever is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Devices with an event, devices hit, or the sum of the readings.
    pub count: f64,
    /// Device-hours, devices asked, or the number of readings.
    pub exposure: f64,
    /// Sum of the squared readings, for a mean; else 0.
    #[serde(default)]
    pub squares: f64,
}

/// What new firmware is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// Devices that run the old firmware at the same time.
    Control,
    /// The same devices before the rollout.
    Baseline,
}

/// The host's own test of a metric. It may be looked at any number of times and still keeps its promise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// What new firmware was compared with.
    pub against: Reference,
    /// Estimate of how many times worse new firmware is than the reference: 1 for as good.
    pub ratio: f64,
    /// Lower end of the 95 % confidence sequence of `ratio`.
    pub low: f64,
    /// Upper end of the 95 % confidence sequence of `ratio`.
    pub high: f64,
    /// The ratio that the host tolerates.
    pub tolerated: f64,
    /// Natural logarithm of the e-value against "at most `tolerated` times the reference".
    pub log_e_worse: f64,
    /// The ratio that must not be missed.
    pub alarm: f64,
    /// Natural logarithm of the e-value against "at least `alarm` times the reference".
    pub log_e_fine: f64,
}

/// What was gathered in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// How long ago the bucket ended; 0 for one that is still filling.
    pub age: Seconds,
    /// How long it is, or has been so far.
    pub length: Seconds,
    /// Devices on the new firmware.
    pub treated: Tally,
    /// Devices that still ran the old firmware.
    pub control: Tally,
}

/// A metric of a group of devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Name of the metric.
    pub name: String,
    /// What its value means.
    pub kind: MetricKind,
    /// Whether a greater value is a worse one.
    pub higher_is_worse: bool,
    /// How long ago the newest figure was taken.
    pub age: Seconds,
    /// The same devices before this rollout.
    pub baseline: Tally,
    /// Devices that still ran the old firmware, while `treated` was gathered.
    pub control: Tally,
    /// Devices on the new firmware, since the rollout began.
    pub treated: Tally,
    /// Of `treated` what was gathered since this stage or this pause began, whichever is later.
    pub current: Tally,
    /// The host's own test; none while there is too little to test.
    pub signal: Option<Signal>,
    /// Newest first, without gaps, as many as [`PolicyInfo::buckets`] asked for at most.
    #[serde(default)]
    pub recent: Vec<Bucket>,
}

/// The fleet, or the devices that have the same value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// `fleet` for the whole fleet, else `attribute=value`, such as `hw=C`.
    pub label: String,
    /// Devices in the group.
    pub devices: u32,
    /// Devices that are kept on the old firmware until the end, to compare with.
    pub held_back: u32,
    /// Devices that have been offered the new firmware.
    pub offered: u32,
    /// Devices that have installed the new firmware at least once.
    pub updated: u32,
    /// Devices of `updated` that have committed it.
    pub committed: u32,
    /// Devices of `updated` that went back to the old firmware.
    pub rolled_back: u32,
    /// Devices of `updated` that no longer work.
    pub bricked: u32,
    /// Devices of `updated` that have not been heard of for longer than the host allows.
    pub silent: u32,
    /// What is measured of what [`PolicyInfo::metrics`] names, and all of it if that names nothing. No name twice.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// The wall clock in the rollout's own time zone, taken apart so that a policy needs no calendar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Time since the rollout began.
    pub elapsed: Seconds,
    /// Year of our era.
    pub year: u16,
    /// Month.
    pub month: u8,
    /// Day of the month.
    pub day: u8,
    /// Day of the week.
    pub weekday: u8,
    /// Hour.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
}

/// What a release changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Nothing that matters to anybody's safety or money.
    Cosmetic,
    /// It mends a mistake.
    Fix,
    /// It brings a major feature for the first time.
    Feature,
    /// It closes a security hole.
    Security,
}

/// What is rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Name or version of the release.
    pub name: String,
    /// What it changes.
    pub change: Change,
    /// Whether hours matter.
    pub emergency: bool,
    /// Whether a fault may hurt people.
    pub safety_critical: bool,
    /// Whether it has been tested extensively before the rollout.
    pub well_tested: bool,
    /// Whether a device goes back to the old firmware by itself.
    pub reversible: bool,
    /// Size of the full image in bytes.
    pub full_bytes: f64,
    /// Size of a typical delta in bytes.
    pub delta_bytes: f64,
}

/// A rollout of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PastRollout {
    /// Name or version of its release.
    pub name: String,
    /// How long it took, in seconds.
    pub lasted: Seconds,
    /// Whether it was paused.
    pub paused: bool,
    /// Whether it was taken back.
    pub rolled_back: bool,
    /// Seconds from the first update to the first sign of trouble; none if there was no trouble.
    pub time_to_trouble: Option<Seconds>,
    /// Devices that failed because of it.
    pub devices_harmed: u32,
}

/// A step of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Name of the stage.
    pub name: String,
    /// Share of the fleet, from 0 to 1, that has the new firmware when this stage is full.
    pub share: f64,
    /// At most this many devices in this stage and those before it; 1 or greater; none for no limit but `share`.
    pub max_devices: Option<u32>,
    /// Label of the group whose devices alone are taken in this stage; none for any device.
    pub among: Option<String>,
    /// The stage is watched at least this long once it is full, in seconds. If a guard rail lets in no more than a part of it, the part is
    /// watched for as long, but no longer than a day.
    pub min_time: Seconds,
    /// If the stage has lasted this many seconds since it began, or since a guard rail let in another hundredth of it or the rest, the
    /// host pauses the rollout; none for no limit.
    pub max_time: Option<Seconds>,
    /// Devices to start per hour, 1 or greater; none for no limit.
    pub pace: Option<u32>,
    /// Whether a person must agree before the stage begins.
    pub needs_approval: bool,
}

/// What `plan` is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanInput {
    /// Now.
    pub clock: Clock,
    /// What shall be rolled out.
    pub release: Release,
    /// First the fleet, then its parts by [`PolicyInfo::split_by`].
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Past rollouts of this product, newest first.
    #[serde(default)]
    pub history: Vec<PastRollout>,
    /// Settings that differ from their defaults, no key twice; within their ranges.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// Facts that later hosts add; see `wit/README.md`.
    #[serde(default)]
    pub extra: Vec<Setting>,
}

/// A reason, with the figures behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Stable name for machines, such as `crash-over-limit`.
    pub code: String,
    /// One sentence for people, at most 1,024 bytes.
    pub text: String,
    /// Name of the metric that it is about.
    pub metric: Option<String>,
    /// Label of the group that it is about.
    pub group: Option<String>,
    /// What was found, in the unit of `limit`.
    pub observed: Option<f64>,
    /// What it was held against.
    pub limit: Option<f64>,
}

/// How a release shall be rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RolloutPlan {
    /// The stages in their order.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Share of the fleet, from 0 to 1, that is kept on the old firmware until the rollout completes, to compare with.
    pub hold_back: f64,
    /// Why the plan is as it is, 64 at most.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// Facts for later hosts; see `wit/README.md`.
    #[serde(default)]
    pub extra: Vec<Setting>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Watch it.
    Low,
    /// Elevated, but the devices work.
    Moderate,
    /// To be looked into at once.
    High,
    /// Devices fail, or people are in danger.
    Critical,
}

/// Which devices go back to the old firmware.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RollbackOrder {
    /// Labels of the groups that go back, 64 at most; empty for all devices.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether the release is never offered again.
    pub quarantine: bool,
}

/// What the host does if nobody has decided by the end of a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// End the pause; the rollout may reach this share of the fleet, from 0 to 1.
    Resume(f64),
    /// Take devices back.
    RollBack(RollbackOrder),
    /// Give up, and leave the updated devices as they are.
    Stop,
}

/// How a rollout pauses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PauseOrder {
    /// How bad it is.
    pub severity: Severity,
    /// To be decided within so many seconds, else the host does what `otherwise` says.
    pub decide_within: Seconds,
    /// What happens if nobody has decided by then.
    pub otherwise: Fallback,
    /// Whether the updated devices shall send more telemetry meanwhile, where the host can arrange for it.
    pub more_telemetry: bool,
}

/// What is known about the cause of a pause, as a person has entered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RootCause {
    /// Not found yet.
    Unknown,
    /// Found, and the release may go on.
    FoundMinor,
    /// Found, and the release must not go on.
    FoundMajor,
}

/// A pause that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseState {
    /// How long the pause has lasted.
    pub age: Seconds,
    /// Time until the host does what `otherwise` says.
    pub time_left: Seconds,
    /// How bad it was thought to be.
    pub severity: Severity,
    /// What is known about the cause.
    pub root_cause: RootCause,
    /// What happens if nobody decides in time.
    pub otherwise: Fallback,
    /// Why the rollout was paused, with the figures of that moment.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// What was decided, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionKind {
    /// Nothing was changed.
    Hold,
    /// More devices were allowed.
    Advance,
    /// The rollout was paused.
    Pause,
    /// A pause was ended.
    Resume,
    /// Devices were taken back.
    RollBack,
    /// The rollout was given up.
    Stop,
    /// The rollout was completed.
    Complete,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// The policy.
    Policy,
    /// A rule of the host.
    GuardRail,
    /// A person.
    Person,
}

/// A decision of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastDecision {
    /// How long ago it was taken.
    pub age: Seconds,
    /// What was decided.
    pub kind: DecisionKind,
    /// Who decided.
    pub by: DecidedBy,
    /// Code of its first reason; empty if it had none. `grows-too-fast` or `blast-radius`: of an advance, a guard rail has let in a part.
    pub code: String,
}

/// What `evaluate` is told: the rollout as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Now.
    pub clock: Clock,
    /// What is rolled out.
    pub release: Release,
    /// The plan.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Which of `stages` the rollout is in, from 0.
    pub stage_index: u32,
    /// How long ago the stage began.
    pub stage_age: Seconds,
    /// How long the stage has been full; none while it fills.
    pub full_for: Option<Seconds>,
    /// Share of the fleet that the rollout may reach now.
    pub share_limit: f64,
    /// First the fleet, then its parts by [`PolicyInfo::split_by`].
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The pause that is under way; none while the rollout goes on.
    pub paused: Option<PauseState>,
    /// Decisions so far, newest first, without those that changed nothing; 256 at most.
    #[serde(default)]
    pub decisions: Vec<PastDecision>,
    /// Settings that differ from their defaults, no key twice; within their ranges.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// What this policy returned as [`Verdict::memo`] the last time; empty at first.
    #[serde(default)]
    pub memo: String,
    /// Facts that later hosts add; see `wit/README.md`.
    #[serde(default)]
    pub extra: Vec<Setting>,
}

/// What shall happen to the rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing changes.
    Hold,
    /// The rollout may reach this share of the fleet, from 0 to 1.
    Advance(f64),
    /// Stop offering the new firmware, and keep watching the devices that have it.
    Pause(PauseOrder),
    /// End the pause; the rollout may reach this share of the fleet, from 0 to 1.
    Resume(f64),
    /// Take devices back to the old firmware.
    RollBack(RollbackOrder),
    /// Give up, and leave the updated devices as they are.
    Stop,
    /// The last stage is done.
    Complete,
}

/// A feature flag of the firmware that shall be turned on or off, such as a kill switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FlagOrder {
    /// Name of the flag.
    pub name: String,
    /// Whether it shall be on.
    pub on: bool,
    /// Labels of the groups that it is about, 64 at most; empty for all devices.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What `evaluate` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What shall happen.
    pub decision: Decision,
    /// Why, the weightiest first.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// To be asked again after this time at the latest, 60 seconds or more; none leaves it to the host.
    pub again_in: Option<Seconds>,
    /// Feature flags to turn on or off, 64 at most.
    #[serde(default)]
    pub feature_flags: Vec<FlagOrder>,
    /// What the policy wants to be told the next time, at most 64 KiB.
    pub memo: String,
    /// Facts for later hosts; see `wit/README.md`.
    #[serde(default)]
    pub extra: Vec<Setting>,
}
