//! A connection that is made again when it is lost, and what the errors of a server mean.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::{Client, Error, NoTls};

use super::address::{Address, Tls};
use super::{PATIENCE, tls, told};
use crate::error::{OpenError, StoreError};

/// Between two attempts to reach a server that was there.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection to a server.
pub(super) struct Connection {
    address: Address,
    client: Option<Client>,
}

impl Connection {
    pub(super) fn open(address: Address) -> Result<Self, StoreError> {
        let mut connection = Self { address, client: None };
        match connect(&connection.address) {
            Ok(client) => connection.client = Some(client),
            Err(why) => return Err(connection.failed(why)),
        }
        Ok(connection)
    }

    /// The address, without its password.
    pub(super) fn shown(&self) -> &str {
        &self.address.shown
    }

    /// The client; if it was lost, another one, for which a server that comes up again is waited for.
    pub(super) fn client(&mut self) -> Result<&mut Client, StoreError> {
        if self.client.is_none() {
            let client = reconnect(&self.address);
            self.client = Some(client.map_err(|why| self.failed(why))?);
        }
        let gone = "the connection is closed".to_owned();
        match self.client {
            Some(ref mut client) => Ok(client),
            None => Err(self.failed(OpenError::Unreachable(gone))),
        }
    }

    /// Forgets a client whose connection is gone.
    pub(super) fn lose(&mut self) {
        self.client = None;
    }

    /// An error about this server.
    pub(super) fn failed(&self, why: OpenError) -> StoreError {
        StoreError::Open { store: self.address.shown.clone(), why }
    }
}

fn reconnect(address: &Address) -> Result<Client, OpenError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match connect(address) {
            Err(OpenError::Unreachable(_)) if Instant::now() < until => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// Makes a connection. The library bounds the time of the first step alone, so it works in a thread that is left behind if it
/// takes twice as long.
fn connect(address: &Address) -> Result<Client, OpenError> {
    let connector = match &address.tls {
        Tls::Without => None,
        Tls::Verified(roots) => Some(tls::connector(roots.as_deref())?),
    };
    let config = address.config.clone();
    let (made, receiver) = mpsc::channel();
    let work = move || {
        let client = match connector {
            None => config.connect(NoTls),
            Some(connector) => config.connect(connector),
        };
        // Nobody waits any more if it took too long.
        let _ = made.send(client);
    };
    let no_thread = |error: io::Error| OpenError::Unreachable(error.to_string());
    std::thread::Builder::new().spawn(work).map_err(no_thread)?;
    let time = 2 * address.config.get_connect_timeout().copied().unwrap_or(PATIENCE);
    match receiver.recv_timeout(time) {
        Ok(client) => client.map_err(|error| not_connected(&error)),
        Err(_) => Err(OpenError::Unreachable(format!("no answer within {} s", time.as_secs()))),
    }
}

/// Why there is no connection.
fn not_connected(error: &Error) -> OpenError {
    let why = told(error);
    let Some(code) = error.code() else {
        // The library keeps the kind to itself, but has a text for each.
        return match error.to_string().as_str() {
            "error performing TLS handshake" => OpenError::Tls(why),
            "invalid configuration" | "authentication error" => OpenError::Login(why),
            _ => OpenError::Unreachable(why),
        };
    };
    match code {
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            OpenError::Login(why)
        }
        &SqlState::INVALID_CATALOG_NAME => OpenError::NoDatabase(why),
        &SqlState::INSUFFICIENT_PRIVILEGE => {
            OpenError::NotAllowed { may_not: "connect to the database", why }
        }
        _ => OpenError::Unreachable(why),
    }
}

/// Whether the connection is gone.
pub(super) fn is_loss(error: &Error) -> bool {
    use std::error::Error as _;
    let is_io = error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>);
    error.is_closed()
        || is_io
        || error.code().is_some_and(|code| {
            code.code().starts_with("08")
                || [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                ]
                .contains(code)
        })
}

/// What an error of a connection that is there means.
pub(super) fn problem(error: &Error) -> StoreError {
    let why = told(error);
    match error.code() {
        Some(&SqlState::DISK_FULL) => StoreError::Full,
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION | &SqlState::INSUFFICIENT_PRIVILEGE) => {
            StoreError::ReadOnly
        }
        Some(
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::QUERY_CANCELED
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::T_R_SERIALIZATION_FAILURE,
        ) => StoreError::Busy,
        Some(
            &SqlState::DATA_CORRUPTED
            | &SqlState::INDEX_CORRUPTED
            | &SqlState::UNDEFINED_TABLE
            | &SqlState::UNDEFINED_COLUMN,
        ) => StoreError::Damaged(why),
        _ => StoreError::Database(why),
    }
}
