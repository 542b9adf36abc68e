//! Reads observations from a Prometheus, by its HTTP API.
//!
//! ```text
//! Source ── check ──▶ Prometheus ── queries, all at one moment ──▶ series ──▶ cells ──▶ Observation, and what is missing
//! ```
//!
//! Nothing is never zero: a metric of a cell about which any answer says nothing is left out and named, unless its query is declared
//! `absent_is_zero` or no device is on that side. Any answer that does not count makes an error of the whole observation. Either way no
//! figures get to the engine, whose freshness rail then holds the rollout.

mod amount;
mod answer;
mod asker;
mod auth;
mod check;
mod client;
mod error;
mod figures;
mod reader;
mod source;
mod trust;
mod variables;

pub use amount::Absence;
pub use answer::{BadAnswer, Labels, Sample, parse as parse_answer};
pub use auth::{Auth, NoSecret, SecretPlace, Surroundings};
pub use check::BadSource;
pub use client::{AskError, MAX_ANSWER_BYTES};
pub use error::ReadError;
pub use reader::{Answer, Missing, Prometheus, Reading};
pub use source::{
    Amount, AmountQuery, DeviceQueries, DeviceQuery, MetricQueries, SideQueries, Source,
    VersionQuery,
};
pub use trust::NoTrust;
