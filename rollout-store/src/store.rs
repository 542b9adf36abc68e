//! What a store can do.

use std::collections::BTreeSet;

use whittle_rollout::{Entry, Input};

use crate::chain::{Hash, Log};
use crate::error::{OpenError, StoreError};
use crate::name::RolloutName;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

/// What became of a rollout that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// Its log has begun.
    Done,
    /// Its build must not be rolled out again; there is no such rollout.
    Quarantined,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is in the log, and stays there whatever happens. Its hash is the log's [`head`](Log::head) now.
    Done(Hash),
    /// Somebody else has appended an entry of this place before; this one is not in the log.
    Conflict,
}

/// Logs of rollouts, by name.
pub trait Store {
    /// Begins the log of a rollout with its first entry, unless the build that it [starts](whittle_rollout::Input::Start) is
    /// quarantined.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one of this name; [`StoreError`].
    fn create(&mut self, name: &RolloutName, first: &Entry) -> Result<Created, StoreError>;

    /// Appends an entry to a log whose last hash is `head`, if its place is the next one. `quarantine` is a build that no rollout
    /// shall offer from now on.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such rollout; [`StoreError::Edited`] if the place is right, but the last entry has
    /// another hash; [`StoreError`].
    fn append(
        &mut self,
        name: &RolloutName,
        head: Hash,
        entry: &Entry,
        quarantine: Option<&str>,
    ) -> Result<Appended, StoreError>;

    /// Reads what was appended to a log since it was read.
    ///
    /// # Errors
    /// [`StoreError::Unknown`]; [`StoreError::Edited`] if an entry is not what was written, or if the last one that is known is not
    /// there any more; [`StoreError`]. The log may have grown by the entries before that one.
    fn follow(&mut self, name: &RolloutName, log: &mut Log) -> Result<(), StoreError>;

    /// Reads a log.
    ///
    /// # Errors
    /// As of [`follow`](Self::follow).
    fn read(&mut self, name: &RolloutName) -> Result<Log, StoreError> {
        let mut log = Log::EMPTY;
        self.follow(name, &mut log)?;
        Ok(log)
    }

    /// Names of all rollouts, in their alphabetical order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn rollouts(&mut self) -> Result<Vec<RolloutName>, StoreError>;

    /// Builds that must not be rolled out again, of all rollouts.
    ///
    /// # Errors
    /// [`StoreError`].
    fn quarantined(&mut self) -> Result<BTreeSet<String>, StoreError>;
}

/// Opens a store: an address of PostgreSQL, which begins with `postgres://` or `postgresql://`; or else a path, with or without
/// `sqlite:` before it. A file that is not there is made.
///
/// # Errors
/// [`StoreError`].
pub fn open(address: &str) -> Result<Box<dyn Store>, StoreError> {
    let (scheme, rest) = address.split_once(':').unwrap_or(("", address));
    match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" => Ok(Box::new(Postgres::open(&format!("postgres:{rest}"))?)),
        "sqlite" => Ok(Box::new(Sqlite::open(rest.as_ref())?)),
        // Not taken for a path, which is told in errors: it may have a password.
        other if other.len() > 1 && rest.starts_with("//") => {
            let why = "stores are files, or in PostgreSQL (`postgres://…`)".to_owned();
            Err(StoreError::Open { store: format!("{other}://…"), why: OpenError::Address(why) })
        }
        _ => Ok(Box::new(Sqlite::open(address.as_ref())?)),
    }
}

/// The build that a rollout starts with this entry.
pub(crate) fn build(first: &Entry) -> Option<&str> {
    match &first.input {
        Input::Start(terms) => Some(&terms.build),
        _ => None,
    }
}
