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
//! Left to others: keeping observations, and the clock.

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
