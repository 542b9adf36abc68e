//! A connection that is made again when it is lost.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use super::address::{Address, Tls};
use super::errors::not_connected;
use super::{PATIENCE, tls};
use crate::error::{OpenError, StoreError};

/// Between two attempts to reach a server that was there.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection to a server.
pub(super) struct Connection {
    address: Address,
    client: Option<Client>,
    /// Numbers of the rollouts whose fleets this connection alone drives.
    pub(super) claims: BTreeSet<i32>,
}

impl Connection {
    pub(super) fn open(address: Address) -> Result<Self, StoreError> {
        let mut connection = Self { address, client: None, claims: BTreeSet::new() };
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

    /// Forgets a client whose connection is gone, and what the server has let go of with it.
    pub(super) fn lose(&mut self) {
        self.client = None;
        self.claims.clear();
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
