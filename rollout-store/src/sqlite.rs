//! A store in a file of SQLite.
//!
//! The file has a rollback journal and `synchronous = EXTRA`: a commit that was acknowledged survives a power cut, one that was not is
//! undone, and one file is all there is, on network file systems too. A write-ahead log would be quicker where many write, and
//! needs memory that all of them share; rollouts write an entry every few minutes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::ffi::ErrorCode;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};
use whittle_rollout::Entry;

use crate::chain::{Hash, Log, NOTHING, Row};
use crate::claim::Claims;
use crate::error::StoreError;
use crate::name::RolloutName;
use crate::store::{Appended, Store};

/// `whtl`: tells a store from other files of SQLite.
const APPLICATION: i64 = 0x7768_746c;

/// Version of the tables.
const VERSION: i64 = 1;

/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE rollout (
        id   INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE entry (
        rollout  INTEGER NOT NULL REFERENCES rollout (id),
        sequence INTEGER NOT NULL,
        entry    TEXT NOT NULL,
        hash     BLOB NOT NULL,
        PRIMARY KEY (rollout, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE quarantine (
        build    TEXT PRIMARY KEY,
        rollout  INTEGER NOT NULL REFERENCES rollout (id),
        sequence INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER rollout_stays BEFORE UPDATE ON rollout
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER rollout_is_kept BEFORE DELETE ON rollout
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER quarantine_stays BEFORE UPDATE ON quarantine
        BEGIN SELECT RAISE (ABORT, 'a quarantine is for good'); END;
    CREATE TRIGGER quarantine_is_kept BEFORE DELETE ON quarantine
        BEGIN SELECT RAISE (ABORT, 'a quarantine is for good'); END;
";

/// A store in a file of SQLite.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    claims: Claims,
}

impl Sqlite {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Foreign`] if it holds something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let flags = OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_READ_WRITE;
        let opened = Connection::open_with_flags(path, flags);
        let connection = opened.map_err(|error| match problem(&error) {
            StoreError::Database(why) | StoreError::Damaged(why) => {
                StoreError::Open { path: shown.clone(), why }
            }
            other => other,
        })?;
        let claims = Claims::new(path)?;
        let mut store = Self { connection, claims };
        store.prepare(&shown)?;
        Ok(store)
    }

    fn prepare(&mut self, path: &str) -> Result<(), StoreError> {
        let foreign = |error| match problem(&error) {
            StoreError::Foreign(_) => StoreError::Foreign(path.to_owned()),
            other => other,
        };
        self.connection.busy_timeout(PATIENCE).map_err(foreign)?;
        let (application, version) = self.stamp().map_err(foreign)?;
        match (application, version) {
            (APPLICATION, VERSION) => {}
            (APPLICATION, found) => return Err(StoreError::Newer { found, known: VERSION }),
            (0, 0) => self.make(path)?,
            _ => return Err(StoreError::Foreign(path.to_owned())),
        }
        let pragmas = "PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON;";
        self.connection.execute_batch(pragmas).map_err(|error| problem(&error))
    }

    fn stamp(&self) -> rusqlite::Result<(i64, i64)> {
        let number = |pragma| self.connection.query_row(pragma, (), |row| row.get(0));
        Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?))
    }

    /// Makes the tables, unless somebody else just has.
    fn make(&mut self, path: &str) -> Result<(), StoreError> {
        self.writing(|transaction| {
            let number = |query| transaction.query_row(query, (), |row| row.get::<_, i64>(0));
            if number("PRAGMA application_id")? == APPLICATION {
                return Ok(Ok(()));
            }
            if number("SELECT count(*) FROM sqlite_schema")? > 0 {
                return Ok(Err(StoreError::Foreign(path.to_owned())));
            }
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            Ok(Ok(()))
        })?
    }

    /// Does something as a whole or not at all.
    fn writing<T>(
        &mut self,
        act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, StoreError>>,
    ) -> Result<Result<T, StoreError>, StoreError> {
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = begun.and_then(|transaction| {
            let outcome = act(&transaction)?;
            if outcome.is_ok() {
                transaction.commit()?;
            }
            Ok(outcome)
        });
        done.map_err(|error| problem(&error))
    }
}

impl Store for Sqlite {
    fn create(&mut self, name: &RolloutName, first: &Entry) -> Result<(), StoreError> {
        let row = Row::of(first, NOTHING)?;
        self.writing(|transaction| {
            if id(transaction, name)?.is_some() {
                return Ok(Err(StoreError::Exists(name.clone())));
            }
            transaction.execute("INSERT INTO rollout (name) VALUES (?1)", [name.as_str()])?;
            insert(transaction, transaction.last_insert_rowid(), first.sequence, &row)?;
            Ok(Ok(()))
        })?
    }

    fn append(
        &mut self,
        name: &RolloutName,
        entry: &Entry,
        quarantine: Option<&str>,
    ) -> Result<Appended, StoreError> {
        self.writing(|transaction| {
            let Some(id) = id(transaction, name)? else {
                return Ok(Err(StoreError::Unknown(name.clone())));
            };
            let last = "SELECT sequence, hash FROM entry WHERE rollout = ?1 \
                        ORDER BY sequence DESC LIMIT 1";
            let (sequence, before): (u64, Hash) =
                transaction.query_row(last, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if entry.sequence != sequence + 1 {
                return Ok(Ok(Appended::Conflict));
            }
            let row = match Row::of(entry, before) {
                Ok(row) => row,
                Err(error) => return Ok(Err(error)),
            };
            insert(transaction, id, entry.sequence, &row)?;
            if let Some(build) = quarantine {
                let note = "INSERT OR IGNORE INTO quarantine (build, rollout, sequence) \
                            VALUES (?1, ?2, ?3)";
                transaction.execute(note, (build, id, entry.sequence))?;
            }
            Ok(Ok(Appended::Done))
        })?
    }

    fn read(&mut self, name: &RolloutName) -> Result<Log, StoreError> {
        let known = id(&self.connection, name).map_err(|error| problem(&error))?;
        let id = known.ok_or_else(|| StoreError::Unknown(name.clone()))?;
        let mut log = Log::EMPTY;
        let all = "SELECT entry, hash FROM entry WHERE rollout = ?1 ORDER BY sequence";
        let rows = self.connection.prepare(all).and_then(|mut statement| {
            let rows = statement
                .query_map([id], |row| Ok(Row { text: row.get(0)?, hash: row.get(1)? }))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        for row in rows.map_err(|error| problem(&error))? {
            log.push(&row)?;
        }
        Ok(log)
    }

    fn try_claim(&mut self, name: &RolloutName) -> Result<bool, StoreError> {
        self.claims.try_take(name)
    }

    fn rollouts(&mut self) -> Result<Vec<RolloutName>, StoreError> {
        let names = texts(&self.connection, "SELECT name FROM rollout ORDER BY name")?;
        let named = names.into_iter().map(|name| {
            name.parse().map_err(|_| StoreError::Damaged(format!("a rollout is called {name:?}")))
        });
        named.collect()
    }

    fn quarantined(&mut self) -> Result<BTreeSet<String>, StoreError> {
        Ok(texts(&self.connection, "SELECT build FROM quarantine")?.into_iter().collect())
    }
}

fn id(connection: &Connection, name: &RolloutName) -> rusqlite::Result<Option<i64>> {
    let query = "SELECT id FROM rollout WHERE name = ?1";
    connection.query_row(query, [name.as_str()], |row| row.get(0)).optional()
}

fn insert(connection: &Connection, id: i64, sequence: u64, row: &Row) -> rusqlite::Result<()> {
    let insert = "INSERT INTO entry (rollout, sequence, entry, hash) VALUES (?1, ?2, ?3, ?4)";
    connection.execute(insert, (id, sequence, &row.text, row.hash)).map(|_| ())
}

fn texts(connection: &Connection, query: &str) -> Result<Vec<String>, StoreError> {
    let texts = connection.prepare(query).and_then(|mut statement| {
        let rows = statement.query_map((), |row| row.get(0))?;
        rows.collect()
    });
    texts.map_err(|error| problem(&error))
}

/// What an error of SQLite means here.
fn problem(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        Some(ErrorCode::NotADatabase) => StoreError::Foreign(String::new()),
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged(text),
        _ => StoreError::Database(text),
    }
}
