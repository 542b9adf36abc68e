//! What stages are worked out from.

use serde::{Deserialize, Serialize};

use crate::SCHEMA;
use crate::form::{BadInput, Choice, Field, Form, List};

/// What is asked. Percentages are of 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Version of this form: 1.
    pub schema: u32,
    /// Devices of the fleet.
    pub devices: f64,
    /// The stages, the first first.
    pub stages: Vec<Stage>,
    /// What the percentages of the stages mean.
    pub percents: Percents,
    /// Whose events and tickets count in a stage.
    pub watched: Watched,
    /// Devices with an event on good firmware, in percent, in each of the time that `rate_per` says.
    pub baseline_percent: f64,
    /// The time that the baseline is about.
    pub rate_per: RatePer,
    /// A stage pauses when it has seen more than this times the expected events.
    pub pause_ratio: f64,
    /// How likely a healthy stage may pause, where a stage is made to fit.
    pub false_pause_percent: f64,
    /// How likely a bad one shall, there.
    pub power_percent: f64,
    /// Devices that need help when they are rolled back.
    pub rollback_failure_percent: f64,
    /// Rolled back devices at which the rollout pauses.
    pub rollback_trigger_percent: f64,
    /// Tickets that support can take in a day.
    pub tickets_per_day: f64,
    /// Tickets at which the rollout pauses.
    pub ticket_trigger: f64,
    /// Within how many hours.
    pub ticket_trigger_hours: f64,
    /// Time between two stages.
    pub analysis_hours: f64,
    /// How long a pause lasts, for the case of one pause.
    pub pause_hours: f64,
    /// What a device downloads.
    pub download_bytes: f64,
    /// Speed of the link; 0 if it is not known.
    pub link_bits_per_second: f64,
    /// What a download takes besides.
    pub download_overhead_seconds: f64,
    /// Devices that have a bug that shows late.
    pub bug_percent: f64,
    /// After how long it shows, on average; the law is exponential.
    pub bug_hours: f64,
    /// How many devices must show it to be believed.
    pub bug_devices_seen: f64,
    /// What a week of waiting costs.
    pub delay_usd_per_week: f64,
    /// What a device with a bug costs.
    pub bug_usd_per_device: f64,
}

/// A step of the rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How much of the fleet, as [`Percents`] says.
    pub percent: f64,
    /// How long it is watched.
    pub hours: f64,
}

/// What the percentages of stages mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Percents {
    /// What has been updated when the stage is full: the last one has 100 %.
    Cumulative,
    /// What the stage adds: all of them together have 100 %.
    Incremental,
}

/// Whose events and tickets count in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Watched {
    /// Those of devices that the stage has added.
    NewDevices,
    /// Those of all devices that have been updated.
    AllUpdated,
}

/// The time that a rate is about. There is no default: the two are 24 times apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RatePer {
    /// Events per hour that a device runs.
    DeviceHour,
    /// Events per day that a device runs.
    DeviceDay,
}

impl RatePer {
    /// How long it is.
    #[must_use]
    pub fn hours(self) -> f64 {
        match self {
            Self::DeviceHour => 1.0,
            Self::DeviceDay => 24.0,
        }
    }

    /// Its name in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::DeviceHour => "device-hour",
            Self::DeviceDay => "device-day",
        }
    }
}

/// What may be asked.
pub const FORM: Form = Form {
    calculator: "stages",
    command: "whittle rollout plan --what-if",
    fields: &[
        Field::whole("devices", "fleet", "devices", [1.0, 1e6, 1e9]),
        Field {
            max: 100.0,
            slider_max: 1.0,
            ..Field::percent("baseline_percent", "devices with an event on good firmware")
        },
        Field::real("pause_ratio", "pause above", "x baseline", [1.0, 10.0, 1000.0]),
        Field::percent("false_pause_percent", "false pauses of a fitting stage, at most"),
        Field::percent("power_percent", "true pauses of a fitting stage, at least"),
        Field::percent("rollback_failure_percent", "rolled back devices that need help"),
        Field::percent("rollback_trigger_percent", "rolled back devices that pause"),
        Field::real("tickets_per_day", "support capacity", "tickets a day", [0.0, 5000.0, 1e9]),
        Field::real("ticket_trigger", "tickets that pause", "tickets", [0.0, 1000.0, 1e9]),
        Field::real("ticket_trigger_hours", "within", "h", [0.1, 48.0, 1000.0]),
        Field::real("analysis_hours", "between two stages", "h", [0.0, 48.0, 1000.0]),
        Field::real("pause_hours", "a pause lasts", "h", [0.0, 168.0, 10_000.0]),
        Field::whole("download_bytes", "download", "bytes", [0.0, 16_777_216.0, 4_294_967_295.0]),
        Field::whole(
            "link_bits_per_second",
            "link, 0 if unknown",
            "bit/s",
            [0.0, 10_000_000.0, 1e12],
        ),
        Field::real("download_overhead_seconds", "download takes besides", "s", [0.0, 120.0, 1e6]),
        Field {
            slider_max: 10.0,
            ..Field::percent("bug_percent", "devices with a bug that shows late")
        },
        Field::real("bug_hours", "it shows after, on average", "h", [0.01, 336.0, 1e5]),
        Field::whole(
            "bug_devices_seen",
            "devices that must show it",
            "devices",
            [1.0, 20.0, 1000.0],
        ),
        Field::real("delay_usd_per_week", "a week of waiting costs", "$", [0.0, 100_000.0, 1e9]),
        Field::real("bug_usd_per_device", "a device with a bug costs", "$", [0.01, 1000.0, 1e9]),
    ],
    choices: &[
        Choice {
            key: "rate_per",
            label: "that rate is per",
            options: &[("device-day", "device-day"), ("device-hour", "device-hour")],
        },
        Choice {
            key: "percents",
            label: "percentages are",
            options: &[
                ("cumulative", "cumulative: 100 % at the end"),
                ("incremental", "incremental: what a stage adds"),
            ],
        },
        Choice {
            key: "watched",
            label: "events count of",
            options: &[
                ("all-updated", "all updated devices"),
                ("new-devices", "devices that the stage added"),
            ],
        },
    ],
    list: List {
        key: "stages",
        label: "stages",
        columns: &[PERCENT, Field::real("hours", "watched", "h", [0.1, 336.0, 10_000.0])],
        max_rows: 20,
    },
};

const PERCENT: Field = Field::percent("percent", "share");

impl Inputs {
    /// Checks that all of them can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), BadInput> {
        if self.schema != SCHEMA {
            return Err(BadInput(format!("schema: wanted {SCHEMA}, found {}", self.schema)));
        }
        FORM.check(self)?;
        if self.stages.is_empty() {
            return Err(BadInput("stages: wanted one at least".to_owned()));
        }
        self.check_percents()
    }

    fn check_percents(&self) -> Result<(), BadInput> {
        let percents = || self.stages.iter().map(|stage| stage.percent);
        match self.percents {
            Percents::Incremental => {
                let sum = percents().sum::<f64>();
                // Percentages with decimals do not add up exactly.
                if sum > 100.0 + 1e-9 {
                    return Err(BadInput(format!(
                        "stages: they add up to {sum} %, wanted 100 at most; are they cumulative?"
                    )));
                }
            }
            Percents::Cumulative => {
                let later = percents().skip(1);
                if let Some((before, after)) =
                    percents().zip(later).find(|(before, after)| after < before)
                {
                    return Err(BadInput(format!(
                        "stages: {after} % after {before} %, wanted no less; are they incremental?"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The command that gives the same figures.
    #[must_use]
    pub fn command_line(&self) -> String {
        FORM.command_line(self)
    }

    /// Events per device-hour on good firmware.
    pub(super) fn rate_per_hour(&self) -> f64 {
        self.baseline_percent / 100.0 / self.rate_per.hours()
    }

    /// Devices that are updated when a stage is full, to whole ones.
    pub(super) fn updated_at(&self, place: usize) -> f64 {
        let until = self.stages.get(..=place).unwrap_or_default();
        let percent = match self.percents {
            Percents::Incremental => until.iter().map(|stage| stage.percent).sum(),
            Percents::Cumulative => until.last().map_or(0.0, |stage| stage.percent),
        };
        (self.devices * percent / 100.0).round().min(self.devices)
    }
}
