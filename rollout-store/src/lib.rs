//! Keeps the logs of rollouts, and lets several people and timers act on them at once.
//!
//! ```text
//! Session ── load ──▶ Store ──▶ Entry, Entry, … ──▶ replay ──▶ Rollout
//!    │                                                            │ observe, tick, command
//!    └────────── append, if nobody else was first ◀── Entry ◀─────┘
//! ```
//!
//! A [`Store`] holds the log of each rollout by its name. A log only ever grows: an entry is appended if its
//! [`sequence`](whittle_rollout::Entry::sequence) is the next one, and nothing is ever changed. A [`Session`] is how everybody
//! acts: what it has decided counts when it has been appended, and if somebody else was first, it decides anew. One person's logs are in
//! a file ([`Sqlite`]); those of several hosts are in a database ([`Postgres`]), which keeps each role to what it may do.
//!
//! Each entry has the SHA-256 of the one before it and itself, so that a log that was edited is found when it is read. Whoever may
//! write to the database can make a new chain; who must be kept from that keeps the last hash elsewhere ([`Log::head`]).
//!
//! Nothing is remembered outside of the log but the builds that are quarantined, which is a list for the start of other rollouts.

mod chain;
mod claim;
mod error;
mod name;
mod postgres;
mod session;
mod sqlite;
mod store;

pub use self::postgres::Postgres;
pub use chain::{Hash, Log};
pub use error::{OpenError, StoreError};
pub use name::{BadName, RolloutName};
pub use session::{Session, SessionError, Ticked};
pub use sqlite::Sqlite;
pub use store::{Appended, Claim, Created, Store, file_of, open, open_existing};
