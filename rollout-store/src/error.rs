//! What goes wrong with a store.

use crate::name::RolloutName;

/// Why a store did not do what it should. Unless it says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, or the way to it was lost.
    #[error("cannot open `{store}`")]
    Open {
        /// The file, or the address without its password.
        store: String,
        /// Why.
        #[source]
        why: OpenError,
    },
    /// A file or database of something else.
    #[error("`{0}` holds something else than rollouts")]
    Foreign(String),
    /// A file in which no rollout was ever started.
    #[error("`{0}` is empty, and no store of rollouts")]
    Empty(String),
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
    /// An entry holds what text cannot, such as a figure that is no number.
    #[error("the entry cannot be written down: {0}")]
    Unwritable(String),
    /// The database says something else.
    #[error("the database refuses: {0}")]
    Database(String),
}

/// Why a store cannot be opened. No password is part of it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What the system says about the file.
    #[error("{0}")]
    File(String),
    /// The text is no address of a store.
    #[error("this is no address: {0}")]
    Address(String),
    /// The file with passwords is there, but not to be used.
    #[error("no password is read from `{path}`: {why}")]
    Passfile {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers, or not as a server does.
    #[error("the server is not reached: {0}")]
    Unreachable(String),
    /// The connection would not be encrypted, or not to whom it should be.
    #[error("there is no TLS with the server: {0}")]
    Tls(String),
    /// The server knows no such role, or not with this password.
    #[error("the server refuses the login: {0}")]
    Login(String),
    /// There is no such database.
    #[error("the server has no such database: {0}")]
    NoDatabase(String),
    /// The role lacks a permission.
    #[error("the role may not {may_not}: {why}")]
    NotAllowed {
        /// What it may not.
        may_not: &'static str,
        /// What the server says.
        why: String,
    },
    /// The database cannot hold each text.
    #[error("the database has the encoding {0}, logs need UTF8")]
    Encoding(String),
    /// The connection was lost when an entry was committed, and is not to be had again: the entry is in the log, or it is not.
    /// Whoever reads the log will see.
    #[error("the connection was lost, and whether the entry is in the log is not known: {0}")]
    InDoubt(String),
}
