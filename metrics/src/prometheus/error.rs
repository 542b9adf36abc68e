//! Why there is no observation.

use super::client::AskError;

/// Why there is no observation. Nothing was counted: the same stretch of time, or a longer one, can be asked for again. Until then the
/// engine sees its figures grow stale, and holds.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A query has no answer that counts.
    #[error("cannot read {what}")]
    Ask {
        /// What was asked for.
        what: String,
        /// Why there is no answer.
        source: AskError,
    },
    /// A series of devices that are not in this rollout.
    #[error("{what}: the series {labels} belongs to no cell of the rollout")]
    UnknownCell {
        /// What was asked for.
        what: String,
        /// Its labels.
        labels: String,
    },
    /// Several series where one is wanted.
    #[error("{what}: the series {labels} is the second one of its cell, wanted a sum")]
    CellTwice {
        /// What was asked for.
        what: String,
        /// Its labels.
        labels: String,
    },
    /// A value that cannot be.
    #[error("{what}: the series {labels} has {got}, wanted {wanted}")]
    Figure {
        /// What was asked for.
        what: String,
        /// Its labels.
        labels: String,
        /// The value.
        got: f64,
        /// What it should be.
        wanted: &'static str,
    },
    /// Without them nothing can be said of the cell.
    #[error("{what}: nothing about cell {cell}")]
    NoDevices {
        /// What was asked for.
        what: String,
        /// The cell.
        cell: String,
    },
    /// A series without the label that holds the version.
    #[error("versions: the series {labels} has no label `{label}`")]
    NoVersion {
        /// Its labels.
        labels: String,
        /// The label.
        label: String,
    },
}
