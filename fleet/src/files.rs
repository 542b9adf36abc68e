//! Reading files that somebody else may have made longer than they should be.

use std::path::Path;

use whittle_release::{Error, files};

use crate::DriverError;

/// Reads a whole file of at most so many bytes; none if it is larger.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, DriverError> {
    files::read_at_most(path, limit).map_err(|error| match error {
        Error::Io { action, path, source } => DriverError::Io { action, path, source },
        other => DriverError::Document(other),
    })
}
