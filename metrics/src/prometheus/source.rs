//! Where figures come from, as people write it down.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use whittle_rollout::DeviceCounts;
use whittle_rollout::policy::types::Tally;

use super::auth::Auth;

/// A Prometheus, and what it is asked.
///
/// In queries `$window` stands for the length of the stretch of time, such as `900s`, and `$version` for the version that the target of
/// the rollout reports, to be put between quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it answers, without `/api/v1`, such as `https://prometheus.example.com`. Never with a password.
    pub url: String,
    /// How whittle shows who it is; none if nobody asks.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// File of the certificates (PEM) of who vouches for the server, from the directory of the file that names it; none for those whom
    /// browsers trust.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Whether a secret may be sent without TLS to another machine.
    #[serde(default)]
    pub secret_in_clear: bool,
    /// How long until all figures of a moment have arrived, in seconds: at least the interval of scrapes. Nothing younger is asked for.
    #[serde(default = "default_settle_s")]
    pub settle_s: u64,
    /// The shortest stretch of time that is asked for, in seconds: several intervals of scrapes, or a stretch might get the exposure of the
    /// one before.
    #[serde(default = "default_least_window_s")]
    pub least_window_s: u64,
    /// How long an answer may take, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// How often an observation may ask again, all its queries together.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// The label that holds an attribute of cells, where its name is another one.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How far devices are.
    pub devices: DeviceQueries,
    /// Devices of the whole fleet by version; none if that is not known.
    #[serde(default)]
    pub versions: Option<VersionQuery>,
    /// What is measured, by the name of the metric.
    #[serde(default)]
    pub metrics: BTreeMap<String, MetricQueries>,
}

fn default_settle_s() -> u64 {
    60
}

fn default_least_window_s() -> u64 {
    300
}

fn default_timeout_s() -> u64 {
    30
}

fn default_retries() -> u32 {
    3
}

/// How far devices of each cell are: each query gives one whole number for each cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceQueries {
    /// Have been offered the new firmware.
    pub offered: DeviceQuery,
    /// Of those, have installed it at least once.
    pub updated: DeviceQuery,
    /// Of the updated, have committed it and still run it.
    pub committed: DeviceQuery,
    /// Of the updated, went back.
    pub rolled_back: DeviceQuery,
    /// Of the updated, no longer work.
    pub bricked: DeviceQuery,
    /// Of the updated, have not been heard of for too long.
    pub silent: DeviceQuery,
}

/// One of the numbers of devices: its name, what to ask, and where it belongs.
pub(super) struct DeviceFigure<'a> {
    pub(super) name: &'static str,
    pub(super) query: &'a DeviceQuery,
    pub(super) place: fn(&mut DeviceCounts) -> &mut u32,
}

impl DeviceQueries {
    pub(super) fn figures(&self) -> [DeviceFigure<'_>; 6] {
        let of = |name, query, place| DeviceFigure { name, query, place };
        [
            of("offered", &self.offered, |counts| &mut counts.offered),
            of("updated", &self.updated, |counts| &mut counts.updated),
            of("committed", &self.committed, |counts| &mut counts.committed),
            of("rolled back", &self.rolled_back, |counts| &mut counts.rolled_back),
            of("bricked", &self.bricked, |counts| &mut counts.bricked),
            of("silent", &self.silent, |counts| &mut counts.silent),
        ]
    }
}

/// A query for a number of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceQuery {
    /// The query.
    pub value: String,
    /// Whether a cell that is not in the answer has no such devices. If not, its figure is missing.
    #[serde(default)]
    pub absent_is_zero: bool,
}

/// A query for devices by version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// The query.
    pub value: String,
    /// The label that holds the version.
    pub label: String,
}

/// Queries for a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricQueries {
    /// On new firmware.
    pub treated: SideQueries,
    /// On old firmware.
    pub control: SideQueries,
}

/// Queries for one side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideQueries {
    /// Devices with an event, devices hit, or the sum of the readings.
    pub count: Amount,
    /// Device-hours, devices asked, or the number of readings.
    pub exposure: Amount,
    /// The sum of the squared readings: for means, and only for them.
    #[serde(default)]
    pub squares: Option<Amount>,
}

/// One of the figures of a tally: its name, what to ask, and where it belongs.
pub(super) struct TallyFigure<'a> {
    pub(super) part: &'static str,
    pub(super) amount: &'a Amount,
    pub(super) place: fn(&mut Tally) -> &mut f64,
}

impl SideQueries {
    pub(super) fn figures(&self) -> impl Iterator<Item = TallyFigure<'_>> {
        let of = |part, amount, place| TallyFigure { part, amount, place };
        let squares = self
            .squares
            .iter()
            .map(move |squares| of("squares", squares, |tally: &mut Tally| &mut tally.squares));
        let count = of("count", &self.count, |tally| &mut tally.count);
        let exposure = of("exposure", &self.exposure, |tally| &mut tally.exposure);
        [count, exposure].into_iter().chain(squares)
    }
}

/// How to know what was counted in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenAmount", into = "WrittenAmount")]
pub struct Amount {
    /// The query, and what it gives.
    pub query: AmountQuery,
    /// Whether what is not in the answer is zero: for a counter, that a series of which there was nothing in the day before has begun at
    /// zero. If not, it is missing. Right for counts of events, whose series often begin with the first event; wrong for exposure, or a source that fails looks like a calm fleet.
    pub absent_is_zero: bool,
}

/// A query for an amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmountQuery {
    /// A selector of counters, any number of series for each cell, such as `device_hours_total{fw="$version"}`. They are read at both
    /// ends, so that nothing is counted twice or lost between two stretches. Counters that were set back are noticed.
    Counter(String),
    /// A query that gives the amount itself, one for each cell, such as `sum by (hw) (increase(device_hours_total[$window]))`.
    Value(String),
}

/// An amount as it is written down: one of `counter` and `value`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAmount {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default)]
    absent_is_zero: bool,
}

impl TryFrom<WrittenAmount> for Amount {
    type Error = &'static str;

    fn try_from(written: WrittenAmount) -> Result<Self, Self::Error> {
        let WrittenAmount { counter, value, absent_is_zero } = written;
        let query = match (counter, value) {
            (Some(counter), None) => AmountQuery::Counter(counter),
            (None, Some(value)) => AmountQuery::Value(value),
            _ => return Err("wanted either `counter` or `value`"),
        };
        Ok(Self { query, absent_is_zero })
    }
}

impl From<Amount> for WrittenAmount {
    fn from(amount: Amount) -> Self {
        let Amount { query, absent_is_zero } = amount;
        let (counter, value) = match query {
            AmountQuery::Counter(counter) => (Some(counter), None),
            AmountQuery::Value(value) => (None, Some(value)),
        };
        Self { counter, value, absent_is_zero }
    }
}

impl Source {
    /// The label that holds an attribute.
    pub(super) fn label<'a>(&'a self, attribute: &'a str) -> &'a str {
        self.labels.get(attribute).map_or(attribute, String::as_str)
    }

    /// All queries, with what they ask for.
    pub(super) fn queries(&self) -> Vec<(String, &str)> {
        let mut queries = vec![];
        for DeviceFigure { name, query, .. } in self.devices.figures() {
            queries.push((devices(name), &*query.value));
        }
        if let Some(versions) = &self.versions {
            queries.push(("versions".to_owned(), &*versions.value));
        }
        for (metric, sides) in &self.metrics {
            for (side, of) in [("treated", &sides.treated), ("control", &sides.control)] {
                for TallyFigure { part, amount, .. } in of.figures() {
                    let (AmountQuery::Counter(query) | AmountQuery::Value(query)) = &amount.query;
                    queries.push((figure(metric, side, part), query));
                }
            }
        }
        queries
    }
}

/// What a number of devices is called in errors.
pub(super) fn devices(name: &str) -> String {
    format!("{name} devices")
}

/// What a figure is called in errors.
pub(super) fn figure(metric: &str, side: &str, part: &str) -> String {
    format!("`{metric}` {side} {part}")
}
