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

use crate::chain::{Hash, Log, NOTHING, Reader, Row};
use crate::claim::Claims;
use crate::error::{OpenError, StoreError};
use crate::name::RolloutName;
use crate::store::{Appended, Claim, Created, Store, build};

/// `whtl`: tells a store from other files of SQLite.
const APPLICATION: i64 = 0x7768_746c;

/// Version of the tables.
const VERSION: i64 = 1;

/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(10);

/// The triggers of insertions are for `INSERT OR REPLACE`, which deletes without asking the others.
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
    CREATE TRIGGER entry_comes_next BEFORE INSERT ON entry
        WHEN NEW.sequence <> (SELECT coalesce(max(sequence) + 1, 0) FROM entry WHERE rollout = NEW.rollout)
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER rollout_is_new BEFORE INSERT ON rollout
        WHEN EXISTS (SELECT 1 FROM rollout WHERE name = NEW.name OR id = NEW.id)
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER rollout_stays BEFORE UPDATE ON rollout
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER rollout_is_kept BEFORE DELETE ON rollout
        BEGIN SELECT RAISE (ABORT, 'a log only ever grows'); END;
    CREATE TRIGGER quarantine_is_new BEFORE INSERT ON quarantine
        WHEN EXISTS (SELECT 1 FROM quarantine WHERE build = NEW.build)
        BEGIN SELECT RAISE (IGNORE); END;
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

/// What becomes of a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Made,
    Refused,
}

impl Sqlite {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Foreign`] if it holds something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_or(Missing::Made, path)
    }

    /// Opens the file of a store, and makes nothing: neither a file, nor a store of an empty one.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Empty`] if nothing was ever written to it.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        Self::open_or(Missing::Refused, path)
    }

    fn open_or(missing: Missing, path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let not_opened =
            |why: String| StoreError::Open { store: shown.clone(), why: OpenError::File(why) };
        // A pipe would wait for ever, and a device would take a log and keep nothing.
        if path.metadata().is_ok_and(|about| !about.is_file()) {
            return Err(not_opened("it is not a file".to_owned()));
        }
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, missing == Missing::Made);
        // In front of `:memory:` and `file:`, which mean something else to SQLite. An absolute path stays as it is.
        let path = Path::new(".").join(path);
        let opened = Connection::open_with_flags(&path, flags);
        let connection = opened.map_err(|error| match problem(&error) {
            StoreError::Database(why) | StoreError::Damaged(why) => not_opened(why),
            other => other,
        })?;
        let claims = Claims::new(&path)?;
        let mut store = Self { connection, claims };
        store.prepare(missing, &shown)?;
        Ok(store)
    }

    fn prepare(&mut self, missing: Missing, path: &str) -> Result<(), StoreError> {
        let foreign = |error| match problem(&error) {
            StoreError::Foreign(_) => StoreError::Foreign(path.to_owned()),
            other => other,
        };
        self.connection.busy_timeout(PATIENCE).map_err(foreign)?;
        let pragmas = "PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON;";
        self.connection.execute_batch(pragmas).map_err(foreign)?;
        // Both halves at once, because somebody may just be writing them.
        let reading = self.connection.transaction().map_err(foreign)?;
        let stamp = stamp(&reading).map_err(foreign)?;
        let has_nothing = stamp == (0, 0) && is_empty(&reading).map_err(foreign)?;
        drop(reading);
        match stamp {
            (APPLICATION, VERSION) => Ok(()),
            (APPLICATION, found) if found > VERSION => {
                Err(StoreError::Newer { found, known: VERSION })
            }
            (0, 0) if missing == Missing::Made => self.make(path),
            _ if has_nothing => Err(StoreError::Empty(path.to_owned())),
            _ => Err(StoreError::Foreign(path.to_owned())),
        }
    }

    /// Makes the tables, unless somebody else just has.
    fn make(&mut self, path: &str) -> Result<(), StoreError> {
        self.writing(|transaction| {
            if stamp(transaction)? == (APPLICATION, VERSION) {
                return Ok(Ok(()));
            }
            if !is_empty(transaction)? {
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
    fn create(&mut self, name: &RolloutName, first: &Entry) -> Result<Created, StoreError> {
        let row = Row::of(first, NOTHING)?;
        self.writing(|transaction| {
            if id(transaction, name)?.is_some() {
                return Ok(Err(StoreError::Exists(name.clone())));
            }
            let known = "SELECT count(*) FROM quarantine WHERE build = ?1";
            if transaction.query_row(known, [build(first)], |row| row.get::<_, i64>(0))? > 0 {
                return Ok(Ok(Created::Quarantined));
            }
            transaction.execute("INSERT INTO rollout (name) VALUES (?1)", [name.as_str()])?;
            insert(transaction, transaction.last_insert_rowid(), 0, &row)?;
            Ok(Ok(Created::Done))
        })?
    }

    fn append(
        &mut self,
        name: &RolloutName,
        head: Hash,
        entry: &Entry,
        quarantine: Option<&str>,
    ) -> Result<Appended, StoreError> {
        let row = Row::of(entry, head)?;
        self.writing(|transaction| {
            let Some(id) = id(transaction, name)? else {
                return Ok(Err(StoreError::Unknown(name.clone())));
            };
            let last = "SELECT sequence, hash = ?2 FROM entry WHERE rollout = ?1 \
                        ORDER BY sequence DESC LIMIT 1";
            let last = transaction
                .query_row(last, (id, head), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (sequence, is_head): (i64, bool) = last.unwrap_or((-1, false));
            let sequence = sequence.saturating_add(1);
            if u64::try_from(sequence) != Ok(entry.sequence) {
                return Ok(Ok(Appended::Conflict));
            }
            if !is_head {
                return Ok(Err(StoreError::Edited { sequence: entry.sequence.saturating_sub(1) }));
            }
            insert(transaction, id, sequence, &row)?;
            if let Some(build) = quarantine {
                let note = "INSERT OR IGNORE INTO quarantine (build, rollout, sequence) \
                            VALUES (?1, ?2, ?3)";
                transaction.execute(note, (build, id, sequence))?;
            }
            Ok(Ok(Appended::Done(row.hash)))
        })?
    }

    fn follow(&mut self, name: &RolloutName, log: &mut Log) -> Result<(), StoreError> {
        let known = id(&self.connection, name).map_err(|error| problem(&error))?;
        let id = known.ok_or_else(|| StoreError::Unknown(name.clone()))?;
        let mut reader = Reader::behind(log);
        read_from(&self.connection, id, &mut reader).map_err(|error| problem(&error))??;
        reader.end()
    }

    fn try_claim(&mut self, name: &RolloutName) -> Result<Claim, StoreError> {
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

/// Whose file it is, and of which version; to be read in a transaction.
fn stamp(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let number = |pragma| connection.query_row(pragma, (), |row| row.get(0));
    Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let count = "SELECT count(*) FROM sqlite_schema";
    Ok(connection.query_row(count, (), |row| row.get::<_, i64>(0))? == 0)
}

fn id(connection: &Connection, name: &RolloutName) -> rusqlite::Result<Option<i64>> {
    let query = "SELECT id FROM rollout WHERE name = ?1";
    connection.query_row(query, [name.as_str()], |row| row.get(0)).optional()
}

fn insert(connection: &Connection, id: i64, sequence: i64, row: &Row) -> rusqlite::Result<()> {
    let insert = "INSERT INTO entry (rollout, sequence, entry, hash) VALUES (?1, ?2, ?3, ?4)";
    connection.execute(insert, (id, sequence, &row.text, row.hash)).map(|_| ())
}

/// Gives a reader all that it wants. What was written there by others may be neither text nor a hash.
fn read_from(
    connection: &Connection,
    id: i64,
    reader: &mut Reader<'_>,
) -> rusqlite::Result<Result<(), StoreError>> {
    let all = "SELECT sequence, CAST (entry AS BLOB), hash FROM entry \
               WHERE rollout = ?1 AND sequence >= ?2 ORDER BY sequence";
    let mut statement = connection.prepare(all)?;
    let mut rows = statement.query((id, reader.from()))?;
    while let Some(row) = rows.next()? {
        let bytes = |column| row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from);
        let outcome = reader.take(row.get(0)?, bytes(1)?, bytes(2)?);
        if outcome.is_err() {
            return Ok(outcome);
        }
    }
    Ok(Ok(()))
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
