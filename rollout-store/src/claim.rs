//! Who drives the fleet of a rollout whose log is in a file: whoever has locked another file beside it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{OpenError, StoreError};
use crate::name::RolloutName;
use crate::store::Claim;

/// The locks that one store holds; the system lets go of them when its process ends, however it does.
#[derive(Debug)]
pub(crate) struct Claims {
    store: PathBuf,
    held: BTreeMap<RolloutName, File>,
}

impl Claims {
    /// None yet, of a store in this file, which is there.
    pub(crate) fn new(store: &Path) -> Result<Self, StoreError> {
        // By whatever path it was named.
        let store = store.canonicalize().map_err(|error| failed(store, &error))?;
        Ok(Self { store, held: BTreeMap::new() })
    }

    /// Takes this one, unless somebody else holds it.
    pub(crate) fn try_take(&mut self, name: &RolloutName) -> Result<Claim, StoreError> {
        if self.held.contains_key(name) {
            return Ok(Claim::Held);
        }
        let mut path = OsString::from(&self.store);
        path.push(format!(".{name}.lock"));
        let path = PathBuf::from(path);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|error| failed(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {
                self.held.insert(name.clone(), file);
                Ok(Claim::Taken)
            }
            Err(TryLockError::WouldBlock) => Ok(Claim::Others),
            Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Open { store: path.display().to_string(), why: OpenError::File(error.to_string()) }
}
