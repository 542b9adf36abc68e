//! Reading with a limit, and writing so that a crash leaves nothing half made.

use std::io::{Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::{Error, Result};

/// What temporary files and directories begin with; one that is left behind by a kill may be removed.
pub(crate) const TEMPORARY_PREFIX: &str = ".whittle-";

/// Reads a whole file of at most `limit` bytes; `Ok(None)` if it is larger.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The same of what is to be wiped: its room is made at once, so that no copy is left behind where it grew.
pub(crate) fn read_secret(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    // One byte to tell that it is too long, and one by which reading ends without asking for more room.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.saturating_add(2)));
    let most = (limit as u64).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

/// Reads the file of a signed document of at most `limit` bytes.
pub(crate) fn read_document(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let limit = limit as u64;
    let too_large = || Error::FileTooLarge { path: path.to_owned(), limit };
    read_at_most(path, limit)?.ok_or_else(too_large)
}

/// Writes a file beside its place, syncs it, and renames it into place.
///
/// # Errors
/// [`Error::NotAFile`] or [`Error::Io`]; the place then holds what it held before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let special = std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    if special {
        return Err(Error::NotAFile(path.to_owned()));
    }
    let mut file = temporary_beside(path, Readable::ByAll)?;
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
pub(crate) fn write_new(path: &Path, bytes: &[u8], readable: Readable) -> Result<()> {
    let mut file = temporary_beside(path, readable)?;
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

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readable {
    /// Whoever the user's umask lets.
    ByAll,
    /// Its owner alone: private keys.
    ByOwner,
}

/// A temporary file in the same directory.
fn temporary_beside(path: &Path, readable: Readable) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    if readable == Readable::ByAll {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = readable;
    builder.tempfile_in(parent(path)).map_err(Error::io("write", path))
}

/// Makes a rename in this directory survive a power cut.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_directory(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let opened = std::fs::File::open(directory);
        opened.and_then(|opened| opened.sync_all()).map_err(Error::io("write", directory))?;
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}
