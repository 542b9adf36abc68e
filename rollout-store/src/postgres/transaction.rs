//! Reading and writing that a lost connection neither loses nor doubles.

use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::types::Type;
use postgres::{Client, Error, IsolationLevel, Transaction};

use super::PATIENCE;
use super::connection::Connection;
use super::errors::{is_loss, problem, told};
use crate::error::{OpenError, StoreError};

/// How often a connection may be lost before something is given up.
const TRIES: usize = 3;

/// Advisory locks of a store are pairs of this, `whtl`, and the number of a rollout, or 0.
const LOCKS: i32 = 0x7768_746c;

/// The lock of whatever concerns all rollouts.
pub(super) const ALL: i32 = 0;

/// What became of a transaction.
enum Attempt<T> {
    /// It is through, or refused.
    Settled(Result<T, StoreError>),
    /// It was undone, because the connection was lost.
    Lost,
    /// The connection was lost when it was to be committed.
    InDoubt { number: i64, value: T, why: String },
}

/// What is done in a transaction: an error of ours undoes it, too.
pub(super) type Act<'a, T> =
    &'a dyn Fn(&mut Transaction<'_>) -> Result<Result<T, StoreError>, Error>;

impl Connection {
    /// Reads; once more if the connection was lost.
    pub(super) fn reading<T>(
        &mut self,
        read: &dyn Fn(&mut Client) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let mut why = String::new();
        for _ in 0..TRIES {
            match read(self.client()?) {
                Ok(value) => return Ok(value),
                Err(error) if is_loss(&error) => why = told(&error),
                Err(error) => return Err(self.unreadable(&error)),
            }
            self.lose();
        }
        Err(self.failed(OpenError::Unreachable(why)))
    }

    fn unreadable(&self, error: &Error) -> StoreError {
        if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return problem(error);
        }
        self.failed(OpenError::NotAllowed {
            may_not: "read the store",
            why: format!("{}; it needs USAGE of the schema and SELECT on its tables", told(error)),
        })
    }

    /// Does something as a whole or not at all; once more if the connection was lost.
    pub(super) fn writing<T>(&mut self, lock: i32, act: Act<'_, T>) -> Result<T, StoreError> {
        for _ in 0..TRIES {
            match attempt(self.client()?, lock, act) {
                Attempt::Settled(outcome) => return outcome,
                Attempt::Lost => self.lose(),
                Attempt::InDoubt { number, value, why } => {
                    self.lose();
                    match self.is_committed(number) {
                        Ok(true) => return Ok(value),
                        Ok(false) => {}
                        Err(later) => return Err(self.in_doubt(&why, &later)),
                    }
                }
            }
        }
        let why = format!("the connection was lost {TRIES} times");
        Err(self.failed(OpenError::Unreachable(why)))
    }

    /// The connection was lost for one reason, and is not there again for another one.
    fn in_doubt(&self, why: &str, later: &StoreError) -> StoreError {
        use std::error::Error as _;
        let later = later.source().map_or_else(|| later.to_string(), ToString::to_string);
        self.failed(OpenError::InDoubt(format!("{why}; {later}")))
    }

    /// What became of a transaction, according to the server.
    fn is_committed(&mut self, number: i64) -> Result<bool, StoreError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.reading(&|client| {
                let status = "SELECT txid_status($1)";
                let row = client.query_typed_one(status, &[(&number, Type::INT8)])?;
                row.try_get::<_, Option<String>>(0)
            })?;
            match status.as_deref() {
                Some("committed") => return Ok(true),
                Some("aborted") => return Ok(false),
                // The server has not noticed yet that nobody is there.
                Some(_) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                _ => return Err(StoreError::Busy),
            }
        }
    }
}

/// Does something in a transaction, under a lock.
fn attempt<T>(client: &mut Client, lock: i32, act: Act<'_, T>) -> Attempt<T> {
    let failed = |error: &Error| {
        if is_loss(error) { Attempt::Lost } else { Attempt::Settled(Err(problem(error))) }
    };
    // What a server has by default for transactions may see too little of what others have written.
    let begun = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start();
    let mut transaction = match begun {
        Ok(transaction) => transaction,
        Err(error) => return failed(&error),
    };
    let (number, value) = match within(&mut transaction, lock, act) {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Attempt::Settled(Err(error)),
        Err(error) => return failed(&error),
    };
    match transaction.commit() {
        Ok(()) => Attempt::Settled(Ok(value)),
        Err(error) if is_loss(&error) => Attempt::InDoubt { number, value, why: told(&error) },
        Err(error) => Attempt::Settled(Err(problem(&error))),
    }
}

/// Does something under a lock; with the transaction's number.
fn within<T>(
    transaction: &mut Transaction<'_>,
    lock: i32,
    act: Act<'_, T>,
) -> Result<Result<(i64, T), StoreError>, Error> {
    transaction.batch_execute(&settings())?;
    take_lock(transaction, lock)?;
    match act(transaction)? {
        Err(error) => Ok(Err(error)),
        Ok(value) => {
            let number = transaction.query_typed_one("SELECT txid_current()", &[])?.try_get(0)?;
            Ok(Ok((number, value)))
        }
    }
}

/// For a transaction that writes: it waits for a while, and counts when it is on the disk. What is stricter than that is left.
fn settings() -> String {
    let patience_ms = PATIENCE.as_millis();
    format!(
        "SET LOCAL lock_timeout = {patience_ms};
         SELECT set_config('synchronous_commit', 'on', true)
         WHERE current_setting('synchronous_commit') = 'off';"
    )
}

/// Takes a lock until the transaction ends.
pub(super) fn take_lock(transaction: &mut Transaction<'_>, lock: i32) -> Result<(), Error> {
    let take = "SELECT pg_advisory_xact_lock($1, $2)";
    transaction.query_typed(take, &[(&LOCKS, Type::INT4), (&lock, Type::INT4)]).map(|_| ())
}
