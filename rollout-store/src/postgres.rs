//! A store in a database of PostgreSQL, version 11 or later, which several people and hosts share.
//!
//! The tables are in a schema of their own, `whittle`, which is made when the store is first opened, if the role may `CREATE` in the
//! database. Whoever works with rollouts may read and append, nothing else, and needs no more:
//!
//! ```sql
//! GRANT USAGE ON SCHEMA whittle TO operators;
//! GRANT SELECT, INSERT ON whittle.rollout, whittle.entry, whittle.quarantine TO operators;
//! GRANT SELECT ON whittle.version TO operators;
//! ```
//!
//! Triggers refuse each `UPDATE`, `DELETE` and `TRUNCATE`, of the owner too. A role with `SELECT` alone can look at everything.
//!
//! Each entry is a transaction under an advisory lock of its rollout, and is flushed to the disk before it counts, whatever
//! `synchronous_commit` says; with `fsync = off` the server itself gives that up. A connection that was lost is made again. If that
//! happens while an entry is committed, the server is asked what became of the transaction.
//!
//! What leaves the machine is encrypted, and the server's certificate is verified; `sslmode=disable` says otherwise, and
//! `sslrootcert` names the file of an authority that the system does not know. The password is in the address, or in `PGPASSWORD`, or
//! in the file that `passfile` or `PGPASSFILE` names, or in `~/.pgpass`.

mod address;
mod connection;
mod errors;
mod passfile;
mod tls;
mod transaction;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Error, Row as PgRow, Transaction};
use whittle_rollout::Entry;

use self::address::Address;
use self::connection::Connection;
use self::errors::problem;
use self::transaction::{ALL, take_lock};
use crate::chain::{Hash, Log, NOTHING, Reader, Row};
use crate::error::{OpenError, StoreError};
use crate::name::RolloutName;
use crate::store::{Appended, Claim, Created, Store, build};

/// Version of the tables.
const VERSION: i64 = 1;

/// How long to wait for others who write, and for a server that comes up again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Advisory locks of whoever drives a fleet are pairs of this, `whtd`, and the number of the rollout.
const CLAIMS: i32 = 0x7768_7464;

const TABLES: &str = include_str!("postgres/tables.sql");

/// A store in a database of PostgreSQL.
///
/// It must not be used within an asynchronous runtime of tokio, because it has one of its own.
pub struct Postgres {
    connection: Connection,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Postgres").field(&self.connection.shown()).finish()
    }
}

impl Postgres {
    /// Opens the store at an address such as `postgres://alice@db.example/rollouts`, and makes the tables if there are none.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Foreign`] if the schema `whittle` holds something else.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let variable = |name: &str| std::env::var(name).ok();
        let address = Address::parse(address, &variable).map_err(|why| {
            // Not shown: where the password ends is not known.
            StoreError::Open { store: "postgres://…".to_owned(), why }
        })?;
        let mut store = Self { connection: Connection::open(address)? };
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        if !self
            .connection
            .reading(&|client| has_tables(&client.query_typed_one(HAS_TABLES, &[])?))?
        {
            self.make()?;
        }
        let found = self.connection.reading(&|client| {
            let version = "SELECT version FROM whittle.version";
            client.query_typed_one(version, &[])?.try_get(0)
        });
        match found {
            Ok(VERSION) => Ok(()),
            Ok(found) if found > VERSION => Err(StoreError::Newer { found, known: VERSION }),
            Ok(_) | Err(StoreError::Damaged(_)) => {
                Err(StoreError::Foreign(self.connection.shown().to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the tables, unless somebody else just has.
    fn make(&mut self) -> Result<(), StoreError> {
        let shown = self.connection.shown().to_owned();
        let made = self.connection.writing(ALL, &|transaction| {
            if has_tables(&transaction.query_typed_one(HAS_TABLES, &[])?)? {
                return Ok(Ok(()));
            }
            let about = "SELECT current_setting('server_encoding'), \
                         EXISTS (SELECT FROM pg_namespace WHERE nspname = 'whittle')";
            let about = transaction.query_typed_one(about, &[])?;
            let (encoding, is_foreign): (String, bool) = (about.try_get(0)?, about.try_get(1)?);
            if is_foreign {
                return Ok(Err(StoreError::Foreign(shown.clone())));
            }
            if encoding != "UTF8" {
                let why = OpenError::Encoding(encoding);
                return Ok(Err(StoreError::Open { store: shown.clone(), why }));
            }
            transaction.batch_execute(TABLES)?;
            let note = "INSERT INTO whittle.version (version) VALUES ($1)";
            transaction.query_typed(note, &[(&VERSION, Type::INT8)])?;
            Ok(Ok(()))
        });
        made.map_err(|error| match error {
            StoreError::ReadOnly => self.connection.failed(OpenError::NotAllowed {
                may_not: "make the tables",
                why: "it needs CREATE in the database, or somebody else makes them".to_owned(),
            }),
            other => other,
        })
    }
}

/// Looked up in the catalog itself: a connection remembers for a while that there was no table.
const HAS_TABLES: &str = "
    SELECT EXISTS (
        SELECT FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
        WHERE nspname = 'whittle' AND relname = 'version'
    )";

fn has_tables(row: &PgRow) -> Result<bool, Error> {
    row.try_get(0)
}

impl Store for Postgres {
    fn create(&mut self, name: &RolloutName, first: &Entry) -> Result<Created, StoreError> {
        let row = Row::of(first, NOTHING)?;
        self.connection.writing(ALL, &|transaction| {
            let known = "SELECT EXISTS (SELECT FROM whittle.rollout WHERE name = $1), \
                                EXISTS (SELECT FROM whittle.quarantine WHERE build = $2)";
            let values: [Value<'_>; 2] =
                [(&name.as_str(), Type::TEXT), (&build(first), Type::TEXT)];
            let known = transaction.query_typed_one(known, &values)?;
            if known.try_get(0)? {
                return Ok(Err(StoreError::Exists(name.clone())));
            }
            if known.try_get(1)? {
                return Ok(Ok(Created::Quarantined));
            }
            let make = "INSERT INTO whittle.rollout (name) VALUES ($1) RETURNING id";
            let made = transaction.query_typed_one(make, &values[..1])?;
            insert(transaction, made.try_get(0)?, 0, &row)?;
            Ok(Ok(Created::Done))
        })
    }

    fn append(
        &mut self,
        name: &RolloutName,
        head: Hash,
        entry: &Entry,
        quarantine: Option<&str>,
    ) -> Result<Appended, StoreError> {
        let row = Row::of(entry, head)?;
        let id = self.id(name)?;
        self.connection.writing(id, &|transaction| {
            let last = "SELECT sequence, hash FROM whittle.entry WHERE rollout = $1 \
                        ORDER BY sequence DESC LIMIT 1";
            let last = transaction.query_typed_opt(last, &[(&id, Type::INT4)])?;
            let (sequence, hash): (i64, Vec<u8>) = match last {
                Some(last) => (last.try_get(0)?, last.try_get(1)?),
                None => (-1, vec![]),
            };
            let sequence = sequence.saturating_add(1);
            if u64::try_from(sequence) != Ok(entry.sequence) {
                return Ok(Ok(Appended::Conflict));
            }
            if hash != head {
                return Ok(Err(StoreError::Edited { sequence: entry.sequence.saturating_sub(1) }));
            }
            insert(transaction, id, sequence, &row)?;
            if let Some(build) = quarantine {
                take_lock(transaction, ALL)?;
                let note = "INSERT INTO whittle.quarantine (build, rollout, sequence) \
                            VALUES ($1, $2, $3) ON CONFLICT (build) DO NOTHING";
                let values: [Value<'_>; 3] =
                    [(&build, Type::TEXT), (&id, Type::INT4), (&sequence, Type::INT8)];
                transaction.query_typed(note, &values)?;
            }
            Ok(Ok(Appended::Done(row.hash)))
        })
    }

    fn follow(&mut self, name: &RolloutName, log: &mut Log) -> Result<(), StoreError> {
        let id = self.id(name)?;
        let mut reader = Reader::behind(log);
        let from = i64::try_from(reader.from()).unwrap_or(i64::MAX);
        let rows = self.connection.reading(&|client| {
            let all = "SELECT sequence, entry, hash FROM whittle.entry \
                       WHERE rollout = $1 AND sequence >= $2 ORDER BY sequence";
            client.query_typed(all, &[(&id, Type::INT4), (&from, Type::INT8)])
        })?;
        for row in rows {
            let (place, text, hash) = columns(&row).map_err(|error| problem(&error))?;
            reader.take(place, text.as_bytes(), hash)?;
        }
        reader.end()
    }

    fn try_claim(&mut self, name: &RolloutName) -> Result<Claim, StoreError> {
        // By an answer of the server, which tells whether the connection is still there.
        let id = self.id(name)?;
        if self.connection.claims.contains(&id) {
            return Ok(Claim::Held);
        }
        // Of the connection rather than of a transaction: the server lets go of it when the connection ends, however it does.
        let claimed = self.connection.reading(&|client| {
            let take = "SELECT pg_try_advisory_lock($1, $2)";
            client.query_typed_one(take, &[(&CLAIMS, Type::INT4), (&id, Type::INT4)])
        })?;
        if !claimed.try_get(0).map_err(|error| problem(&error))? {
            return Ok(Claim::Others);
        }
        self.connection.claims.insert(id);
        Ok(Claim::Taken)
    }

    fn rollouts(&mut self) -> Result<Vec<RolloutName>, StoreError> {
        // In the order of their bytes, whatever the database is sorted by.
        let names = self.texts("SELECT name FROM whittle.rollout ORDER BY name COLLATE \"C\"")?;
        let named = names.into_iter().map(|name| {
            name.parse().map_err(|_| StoreError::Damaged(format!("a rollout is called {name:?}")))
        });
        named.collect()
    }

    fn quarantined(&mut self) -> Result<BTreeSet<String>, StoreError> {
        Ok(self.texts("SELECT build FROM whittle.quarantine")?.into_iter().collect())
    }
}

impl Postgres {
    fn id(&mut self, name: &RolloutName) -> Result<i32, StoreError> {
        let found = self.connection.reading(&|client| {
            let query = "SELECT id FROM whittle.rollout WHERE name = $1";
            client.query_typed_opt(query, &[(&name.as_str(), Type::TEXT)])
        })?;
        let row = found.ok_or_else(|| StoreError::Unknown(name.clone()))?;
        row.try_get(0).map_err(|error| problem(&error))
    }

    fn texts(&mut self, query: &str) -> Result<Vec<String>, StoreError> {
        self.connection.reading(&|client| {
            let rows = client.query_typed(query, &[])?;
            rows.iter().map(|row| row.try_get(0)).collect()
        })
    }
}

/// A value, and as what it is sent.
type Value<'a> = (&'a (dyn ToSql + Sync), Type);

fn insert(
    transaction: &mut Transaction<'_>,
    id: i32,
    sequence: i64,
    row: &Row,
) -> Result<(), Error> {
    let insert =
        "INSERT INTO whittle.entry (rollout, sequence, entry, hash) VALUES ($1, $2, $3, $4)";
    let hash = &row.hash[..];
    let values: [Value<'_>; 4] =
        [(&id, Type::INT4), (&sequence, Type::INT8), (&row.text, Type::TEXT), (&hash, Type::BYTEA)];
    transaction.query_typed(insert, &values).map(|_| ())
}

/// Place, text and hash of an entry.
fn columns(row: &PgRow) -> Result<(i64, &str, &[u8]), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}
