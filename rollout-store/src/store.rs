//! What a store can do.

use std::collections::BTreeSet;
use std::path::Path;

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

/// Who drives the fleet of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// This store from now on; somebody else may have done so before, also after this store last did.
    Taken,
    /// This store, and nobody else since it took the claim.
    Held,
    /// Somebody else.
    Others,
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

    /// Sees to it that nobody else drives the fleet of a rollout, until this store is dropped, its process ends or its connection is
    /// lost.
    ///
    /// Orders are read from the log and then carried out, request by request: two that did so at once could offer by older orders
    /// what newer ones have closed. Whoever has carried them out asks again, and does so once more unless it is
    /// [`Held`](Claim::Held).
    ///
    /// # Errors
    /// [`StoreError`].
    fn try_claim(&mut self, name: &RolloutName) -> Result<Claim, StoreError>;

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
    if let Some(path) = file_of(address) {
        return Ok(Box::new(Sqlite::open(path)?));
    }
    match parted(address) {
        (scheme, rest) if is_postgres(scheme) => {
            Ok(Box::new(Postgres::open(&format!("postgres:{rest}"))?))
        }
        // Not taken for a path, which is told in errors: it may have a password.
        (scheme, _) => {
            let why = "stores are files, or in PostgreSQL (`postgres://…`)".to_owned();
            Err(StoreError::Open { store: format!("{scheme}://…"), why: OpenError::Address(why) })
        }
    }
}

/// Opens a store of which something is to be read or said: where it is a file, none is made, and an empty one stays as it is.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Empty`] for a file in which no rollout was ever started.
pub fn open_existing(address: &str) -> Result<Box<dyn Store>, StoreError> {
    match file_of(address) {
        Some(path) => Ok(Box::new(Sqlite::open_existing(path)?)),
        None => open(address),
    }
}

/// The file that an address names; none if it is that of a server.
#[must_use]
pub fn file_of(address: &str) -> Option<&Path> {
    match parted(address) {
        (scheme, rest) if scheme.eq_ignore_ascii_case("sqlite") => Some(Path::new(rest)),
        (scheme, _) if is_postgres(scheme) => None,
        // A single letter is a drive.
        (scheme, rest) if scheme.len() > 1 && rest.starts_with("//") => None,
        _ => Some(Path::new(address)),
    }
}

fn parted(address: &str) -> (&str, &str) {
    address.split_once(':').unwrap_or(("", address))
}

fn is_postgres(scheme: &str) -> bool {
    ["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// The build that a rollout starts with this entry.
pub(crate) fn build(first: &Entry) -> Option<&str> {
    match &first.input {
        Input::Start(terms) => Some(&terms.build),
        _ => None,
    }
}
