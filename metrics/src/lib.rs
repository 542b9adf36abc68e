//! Reads what was measured on a fleet, for the rollout engine to judge.
//!
//! ```text
//! figures.json ──▶ json ────┐
//! figures.csv  ──▶ table ───┼──▶ Observation ──▶ rollout
//! Prometheus   ──▶ source ──┘
//! ```
//!
//! A reader says what can be read; what the figures mean, and whether they can be, is judged by the engine, which sets wrong ones aside
//! and logs it. Nothing is ever guessed or left out in silence: a file is taken as a whole or not at all.
//!
//! Where a rollout's figures come from may stand in its file, beside the rollout:
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct RolloutFile {
//!     source: Option<whittle_metrics::Source>,
//! }
//!
//! let file: RolloutFile = toml::from_str(
//!     r#"
//! [source.prometheus]
//! url = "https://prometheus.example.com"
//! auth = { bearer = { env = "PROMETHEUS_TOKEN" } }
//!
//! [source.prometheus.devices]
//! offered = { value = 'sum by (hw) (offered_devices{target="$version"})' }
//! updated = { value = 'sum by (hw) (updated_devices{target="$version"})' }
//! committed = { value = 'sum by (hw) (committed_devices{target="$version"})' }
//! rolled_back = { value = 'sum by (hw) (rolled_back_devices{target="$version"})', absent_is_zero = true }
//! bricked = { value = 'sum by (hw) (bricked_devices{target="$version"})', absent_is_zero = true }
//! silent = { value = 'sum by (hw) (silent_devices{target="$version"})', absent_is_zero = true }
//!
//! [source.prometheus.metrics.crashes.treated]
//! count = { counter = 'crashed_devices_total{version="$version"}', absent_is_zero = true }
//! exposure = { counter = 'device_hours_total{version="$version"}' }
//! [source.prometheus.metrics.crashes.control]
//! count = { counter = 'crashed_devices_total{version!="$version"}', absent_is_zero = true }
//! exposure = { counter = 'device_hours_total{version!="$version"}' }
//! "#,
//! )?;
//! # let Some(whittle_metrics::Source::Prometheus(source)) = file.source else { panic!() };
//! # assert_eq!((source.settle_s, source.metrics.len()), (60, 1));
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! `examples/source.toml` is a longer one, with a metric of each kind. [`Prometheus::new`](prometheus::Prometheus::new) finds out
//! whether it fits the terms of the rollout, and [`observe`](prometheus::Prometheus::observe) reads an observation, or says why there is none.
//!
//! Left to others: keeping observations, the clock, and the environment, both of which are arguments.

mod file;
mod json;
pub mod prometheus;
mod table;

pub use file::{BadFile, FileError, Format, MAX_FILE_BYTES, parse, read};
pub use json::emit as emit_json;
/// Where figures are read from without a file: the table `source` of a rollout's TOML file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A Prometheus: the table `source.prometheus`.
    Prometheus(prometheus::Source),
}

pub use table::{Inexpressible, emit as emit_csv};
