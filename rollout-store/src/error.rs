//! What goes wrong with a store.

use crate::name::RolloutName;

/// Why a store did not do what it should. Unless it says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file of this name, or it cannot be opened.
    #[error("cannot open `{path}`: {why}")]
    Open {
        /// The file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// A file or database of something else.
    #[error("`{0}` holds something else than rollouts")]
    Foreign(String),
    /// A later release of whittle has written it.
    #[error("the store has version {found}, this whittle knows {known}")]
    Newer {
        /// Version of the store.
        found: i64,
        /// The highest one that is known.
        known: i64,
    },
    /// It may be read but not written.
    #[error("the store can only be read")]
    ReadOnly,
    /// Somebody else is writing, and goes on for long.
    #[error("somebody else is writing to the store; try again")]
    Busy,
    /// There is no room left.
    #[error("no room is left for the store")]
    Full,
    /// The database itself is damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A rollout of this name is there already.
    #[error("there is a rollout `{0}` already")]
    Exists(RolloutName),
    /// No rollout has this name.
    #[error("there is no rollout `{0}`")]
    Unknown(RolloutName),
    /// An entry is not what was written.
    #[error("entry {sequence} of the log was changed after it was written")]
    Edited {
        /// Its place.
        sequence: u64,
    },
    /// An entry is whole, but nothing that this whittle knows.
    #[error("entry {sequence} of the log is none that this whittle knows")]
    Unreadable {
        /// Its place.
        sequence: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// An entry holds what text cannot.
    #[error("the entry cannot be written down")]
    Unwritable(#[source] serde_json::Error),
    /// The database says something else.
    #[error("the database refuses: {0}")]
    Database(String),
}
