//! Reading with a limit, and writing so that a crash leaves nothing half made.

use std::io::{Read, Write};
use std::path::Path;

use crate::{Error, Result};

/// Reads a whole file of at most `limit` bytes; `Ok(None)` if it is larger.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Writes a file beside its place, syncs it, and renames it into place.
///
/// # Errors
/// [`Error::Io`]; the place then holds what it held before.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", path))?;
    file.persist(path).map_err(|failed| Error::io("write", path)(failed.error))?;
    Ok(())
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// [`Error::Io`] with [`std::io::ErrorKind::AlreadyExists`] if it does.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", path))?;
    file.persist_noclobber(path).map_err(|failed| Error::io("write", path)(failed.error))?;
    Ok(())
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file in the same directory, readable by its owner alone.
fn temporary_beside(path: &Path) -> Result<tempfile::NamedTempFile> {
    tempfile::NamedTempFile::with_prefix_in(".whittle-", parent(path))
        .map_err(Error::io("write", path))
}
