//! What a store can do.

use std::collections::BTreeSet;

use whittle_rollout::Entry;

use crate::chain::Log;
use crate::error::StoreError;
use crate::name::RolloutName;
use crate::sqlite::Sqlite;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is in the log, and stays there whatever happens.
    Done,
    /// Somebody else has appended an entry of this place before; this one is not in the log.
    Conflict,
}

/// Logs of rollouts, by name.
pub trait Store {
    /// Begins the log of a rollout with its first entry.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one of this name; [`StoreError`].
    fn create(&mut self, name: &RolloutName, first: &Entry) -> Result<(), StoreError>;

    /// Appends an entry, if its place is the next one. `quarantine` is a build that no rollout shall offer from now on.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such rollout; [`StoreError`].
    fn append(
        &mut self,
        name: &RolloutName,
        entry: &Entry,
        quarantine: Option<&str>,
    ) -> Result<Appended, StoreError>;

    /// Reads a log.
    ///
    /// # Errors
    /// [`StoreError::Unknown`]; [`StoreError::Edited`] if an entry is not what was written; [`StoreError`].
    fn read(&mut self, name: &RolloutName) -> Result<Log, StoreError>;

    /// Sees to it that nobody else drives the fleet of a rollout, until this store is dropped or its process ends.
    ///
    /// Orders are read from the log and then carried out, request by request: two that did so at once could offer by older orders
    /// what newer ones have closed. Tells whether nobody else does.
    ///
    /// # Errors
    /// [`StoreError`].
    fn try_claim(&mut self, name: &RolloutName) -> Result<bool, StoreError>;

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

/// Opens a store: a path, with or without `sqlite:` before it. A file that is not there is made.
///
/// # Errors
/// [`StoreError`].
pub fn open(address: &str) -> Result<Box<dyn Store>, StoreError> {
    let path = address.strip_prefix("sqlite:").unwrap_or(address);
    Ok(Box::new(Sqlite::open(path.as_ref())?))
}
