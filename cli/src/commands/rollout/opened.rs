//! A rollout of a store.

use std::path::Path;

use whittle_rollout::Terms;
use whittle_rollout_store::{
    RolloutName, Session, SessionError, StoreError, file_of, open, open_existing,
};

use crate::error::{Error, Result};

/// Which rollout, and where its log is.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Name of the rollout.
    #[arg(value_name = "ROLLOUT")]
    pub(super) name: RolloutName,

    /// Where logs are kept: a file of SQLite, or `postgres://USER@HOST/DATABASE` [default: `WHITTLE_STORE`, or `rollouts.whittle` in this
    /// directory].
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

impl StoreArgs {
    fn address(&self) -> Result<String> {
        let of_environment =
            || std::env::var("WHITTLE_STORE").ok().filter(|store| !store.is_empty());
        let address = self.store.clone().or_else(of_environment);
        let address = address.unwrap_or_else(|| "rollouts.whittle".to_owned());
        // Nobody calls a file so, and it is not repeated.
        if address.contains("password=") && !address.contains("://") {
            let text = "`--store`: wanted a file, or `postgres://USER@HOST/DATABASE`";
            return Err(Error::Usage(text.to_owned()));
        }
        Ok(address)
    }

    /// Opens a rollout that has started.
    pub(super) fn open(&self) -> Result<Session> {
        let address = self.address()?;
        let file = file_of(&address);
        if file.is_some_and(|path| !path.exists()) {
            return Err(Error::NoStore(address));
        }
        let opened = open_existing(&address).map_err(SessionError::from);
        let opened = opened.and_then(|store| Session::open(store, self.name.clone()));
        opened.map_err(|error| match (file, error) {
            (Some(file), SessionError::Store(StoreError::Damaged(why))) => {
                Error::DamagedStore { path: file.to_owned(), why }
            }
            (_, error) => error.into(),
        })
    }

    /// Starts a rollout, in a store that is made if there is none.
    pub(super) fn start(&self, file: &Path, terms: Terms, at_s: u64) -> Result<Session> {
        match Session::start(open(&self.address()?)?, self.name.clone(), terms, at_s) {
            Err(SessionError::Terms(bad)) => {
                Err(Error::BadRollout { path: file.to_owned(), why: bad.to_string() })
            }
            other => Ok(other?),
        }
    }
}
