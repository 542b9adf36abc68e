//! Reading with a limit, and writing so that a crash leaves nothing half made.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::keys::is_private_file;
use crate::{Error, Result};

/// What temporary files and directories begin with; one that is left behind by a kill may be removed.
pub(crate) const TEMPORARY_PREFIX: &str = ".whittle-";

/// Reads a whole file of at most `limit` bytes; `Ok(None)` if it is larger.
///
/// # Errors
/// [`Error::Io`].
pub fn read_at_most(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The same of what is to be wiped.
pub(crate) fn read_secret(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>> {
    // One byte to tell that it is too long.
    let bytes = read_secret_head(path, limit.saturating_add(1))?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

/// The first bytes of a file, `limit` at most, which are to be wiped: their room is made at once, so that no copy is left behind
/// where it grew.
pub(crate) fn read_secret_head(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    // One byte by which reading ends without asking for more room.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.saturating_add(1)));
    file.take(limit as u64).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
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
/// As [`check_replaceable`], or [`Error::Io`]; the place then holds what it held before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    check_replaceable(path)?;
    let mut file = temporary_beside(path, Readable::ByAll)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", path))?;
    file.persist(path).map_err(|failed| Error::io("write", path)(failed.error))?;
    Ok(())
}

/// Checks that a file may be written here: what stands there is nothing, or a file that can be made again.
///
/// # Errors
/// [`Error::NotAFile`], [`Error::KeyExists`] for a private key, or [`Error::Io`] for a file that may be one, since it cannot be read.
pub fn check_replaceable(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(Error::NotAFile(path.to_owned())),
        Ok(_) if is_private_file(path)? => Err(Error::KeyExists(path.to_owned())),
        _ => Ok(()),
    }
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
#[must_use]
pub fn parent(path: &Path) -> &Path {
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

/// What others wait for who would change the same files. Where directories cannot be locked, as on some networks, it is nothing.
#[derive(Debug)]
pub struct DirectoryLock {
    _directory: Option<File>,
}

impl DirectoryLock {
    /// Waits until no other process has the lock of this directory, and takes it.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be opened.
    pub fn wait(directory: &Path) -> Result<Self> {
        let opened = open_directory(directory)?;
        Ok(Self { _directory: opened.filter(|opened| opened.lock().is_ok()) })
    }

    /// Takes the lock, unless another process has it.
    ///
    /// # Errors
    /// [`Error::InUse`], or [`Error::Io`] if the directory cannot be opened.
    pub fn now(directory: &Path) -> Result<Self> {
        let Some(opened) = open_directory(directory)? else {
            return Ok(Self { _directory: None });
        };
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
            locked => Ok(Self { _directory: locked.is_ok().then_some(opened) }),
        }
    }
}

/// Waits until no other process has the lock of this file, and takes it. The file is made if need be, and what is in it is left alone:
/// others may see the directory, or write into it.
///
/// # Errors
/// [`io::Error`] if it cannot be opened or locked, or if a link, a pipe or anything else but a file stands there.
pub fn lock_file(path: &Path) -> io::Result<File> {
    let opened = File::options().write(true).create_new(true).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !std::fs::symlink_metadata(path)?.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            File::options().write(true).open(path)?
        }
        opened => opened?,
    };
    file.lock()?;
    Ok(file)
}

fn open_directory(directory: &Path) -> Result<Option<File>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    File::open(directory).map(Some).map_err(Error::io("open", directory))
}

/// Makes a rename in this directory survive a power cut.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_directory(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let opened = File::open(directory);
        opened.and_then(|opened| opened.sync_all()).map_err(Error::io("write", directory))?;
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}
