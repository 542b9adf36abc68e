//! A store in a directory, for a web server, a file server or a stick.
//!
//! An object is written beside its place, synced, and renamed. Conditions hold because writers of objects that change hold a lock;
//! an object that must not exist yet is linked into place, which fails if it does.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use whittle_release::Sha256Digest;
use whittle_release::files::lock_file;

use super::{Backend, Condition, Entry, Lifetime, MAX_CHANGING_BYTES, Object, Tag, Written};
use crate::{Error, Result};

/// What temporary files begin with.
const TEMPORARY_PREFIX: &str = ".whittle-";

const LOCK_FILE: &str = ".whittle.lock";

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Reads at most `len` bytes from `start` on; none if there is no such file.
    fn read(&self, key: &str, start: u64, len: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(key);
        let read = || {
            let mut file = open(&path)?;
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(len).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Keeps others from changing what changes; until it is dropped.
    fn lock(&self) -> Result<File> {
        let path = self.root.join(LOCK_FILE);
        lock_file(&path).map_err(Error::io("lock", &path))
    }

    /// Shows all that lies below, but directories; links are shown, and not followed.
    fn walk(
        &self,
        directory: &Path,
        found: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<()>,
    ) -> Result<()> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(Error::io("read", directory)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("read", directory))?;
            let path = entry.path();
            let data = match fs::symlink_metadata(&path) {
                Ok(data) => data,
                // Somebody was quicker.
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(Error::io("read", &path)(error)),
            };
            if data.is_dir() {
                self.walk(&path, found)?;
            } else {
                found(&path, &data)?;
            }
        }
        Ok(())
    }
}

impl Backend for Directory {
    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>> {
        let bytes = self.read(key, 0, limit.saturating_add(1))?;
        Ok(bytes.map(|bytes| Object { tag: Tag(Sha256Digest::of(&bytes).to_string()), bytes }))
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        self.read(key, range.start, range.end.saturating_sub(range.start))
    }

    fn stat(&self, key: &str) -> Result<Option<Entry>> {
        let path = self.path(key);
        match fs::metadata(&path) {
            Ok(data) if data.is_file() => Ok(Some(entry(key.to_owned(), &data))),
            Ok(_) => Err(Error::io("read", &path)(no_file())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
        _: Lifetime,
    ) -> Result<Written> {
        let path = self.path(key);
        let parent = path.parent().unwrap_or(&self.root);
        make_directories(parent)?;
        let io = |error| Error::io("write", &path)(error);
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        #[cfg(unix)]
        {
            // Web servers read it: the umask decides, as for any other file.
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(parent).map_err(io)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        let written = match condition {
            Condition::Always => file.persist(&path).map(|_| Written::Now),
            Condition::Absent => match file.persist_noclobber(&path) {
                Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                    Ok(Written::Not)
                }
                persisted => persisted.map(|_| Written::Now),
            },
            Condition::Unchanged(tag) => {
                let _lock = self.lock()?;
                match self.get(key, MAX_CHANGING_BYTES)? {
                    Some(found) if found.tag == *tag => file.persist(&path).map(|_| Written::Now),
                    _ => Ok(Written::Not),
                }
            }
        };
        let written = written.map_err(|failed| io(failed.error))?;
        sync_directory(parent)?;
        Ok(written)
    }

    /// Reading follows links, and listing does not: what is behind one would seem to be needed by nobody, or would be another store's. So a
    /// link is an error.
    fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        // Behind a slash it would be what a link leads to.
        let top = self.path(prefix.trim_end_matches('/'));
        if fs::symlink_metadata(&top).is_ok_and(|data| !data.is_dir()) {
            return Err(Error::damaged(prefix, "it is no directory"));
        }
        let mut entries = Vec::new();
        self.walk(&top, &mut |path, data| {
            let below = path.strip_prefix(&self.root).unwrap_or(path);
            let is_hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
            // What begins with a dot is not ours to show.
            if below.iter().any(is_hidden) {
                return Ok(());
            }
            if !data.is_file() {
                let why = "it is neither a file nor a directory";
                return Err(Error::damaged(&below.display().to_string(), why));
            }
            // What is no text is no key.
            entries.extend(below.to_str().map(|key| entry(key.to_owned(), data)));
            Ok(())
        })?;
        Ok(entries)
    }

    fn must_exist(&self) -> Result<()> {
        let read = fs::read_dir(&self.root).map_err(Error::io("read", &self.root));
        read.map(|_| ())
    }

    fn remove(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if !is_absent(&error) => Err(Error::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    fn remove_leftovers(&self, older_than_s: u64) -> Result<usize> {
        let before = SystemTime::now().checked_sub(Duration::from_secs(older_than_s));
        let mut old = Vec::new();
        self.walk(&self.root, &mut |path, data| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_old = before.is_some_and(|before| data.modified().is_ok_and(|at| at < before));
            if name.starts_with(TEMPORARY_PREFIX) && data.is_file() && is_old {
                old.push(path.to_owned());
            }
            Ok(())
        })?;
        // Its writer may have finished in between.
        Ok(old.into_iter().filter(|path| fs::remove_file(path).is_ok()).count())
    }
}

/// Opens what is to be read; a pipe would be waited for, and a device need have no end.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(no_file()) }
}

fn no_file() -> io::Error {
    io::Error::other("it is no regular file")
}

fn entry(key: String, data: &fs::Metadata) -> Entry {
    let modified = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Entry { key, size: data.len(), modified_s: modified.map_or(0, |since| since.as_secs()) }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Makes a directory and those above it, each of which survives a power cut.
fn make_directories(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directories(parent)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", directory)(error));
        }
        _ => {}
    }
    sync_directory(parent.unwrap_or(Path::new(".")))
}

/// Makes a rename in this directory survive a power cut.
fn sync_directory(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let opened = File::open(directory);
        opened.and_then(|opened| opened.sync_all()).map_err(Error::io("write", directory))?;
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}
