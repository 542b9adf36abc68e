//! A directory of entries which count only if the same user wrote them, under the same names.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{longest_unused, private};

/// Bytes of the MAC behind an entry.
const MAC_BYTES: usize = 32;

/// Bytes of the key: a block of SHA-256, which HMAC takes as it is.
const KEY_BYTES: usize = 64;

/// File of the key.
const KEY_FILE: &str = "sealing.key";

/// What the files of entries end with, and those that were being written when a process was killed. Others are not this directory's, and stay.
const ENTRY_SUFFIX: &str = ".sealed";

/// A directory of entries, `<name>.sealed`, each with a MAC by a key that is made at random in the same directory. Any number of processes may share it.
///
/// Key and entries are readable by their owner alone, and where that is not so, as in a directory that others may write to, nothing
/// is read and nothing is kept. Whatever is not right about an entry or the key (truncated, changed, renamed, copied from elsewhere)
/// makes it no entry.
///
/// ```text
/// 0       ..  what was kept
/// len-32  32  HMAC-SHA-256 (RFC 2104), with the directory's key, of: length of the name (8, little-endian), name, what was kept
/// ```
#[derive(Clone, Debug)]
pub struct SealedDirectory {
    directory: PathBuf,
    max_bytes: u64,
}

impl SealedDirectory {
    /// Names the directory, which is made when it is needed, and how many bytes of entries it keeps.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self { directory: directory.into(), max_bytes }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Why the directory is not used: it belongs to somebody else, is a link, or others may write to it or put another in its place.
    /// None if it is used, or will be once it is made.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        private::directory_trouble(&self.directory)
    }

    /// What was kept under this name, if it is there and right.
    #[must_use]
    pub fn load(&self, name: &str) -> Option<Vec<u8>> {
        self.trouble().is_none().then_some(())?;
        let path = self.entry(name);
        let mut entry = private::read(&path)?;
        let key = read_key(&self.directory.join(KEY_FILE))?;
        let (kept, mac) = entry.split_last_chunk::<MAC_BYTES>()?;
        authenticate(&key, name, kept).verify(mac.into()).ok()?;
        let len = kept.len();
        entry.truncate(len);
        // Where this fails, the entry looks older than it is.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(entry)
    }

    /// Keeps an entry, in place of one that may be there; the longest unused make room for it.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written to, or has [`trouble`](Self::trouble). No entry is ever half there.
    pub fn store(&self, name: &str, kept: &[u8]) -> io::Result<()> {
        private::make_directory(&self.directory)?;
        if let Some(trouble) = self.trouble() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, trouble));
        }
        let key = self.key()?;
        let mut file = private::new_file(&self.directory, ENTRY_SUFFIX)?;
        file.write_all(kept)?;
        file.write_all(&authenticate(&key, name, kept).finalize().into_bytes())?;
        file.persist(self.entry(name))?;
        self.shrink()
    }

    fn entry(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}{ENTRY_SUFFIX}"))
    }

    /// Removes the longest unused entries until the others are few enough.
    fn shrink(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            // Gone by now, perhaps.
            let Ok(data) = file.metadata() else { continue };
            let is_own = file.file_name().to_str().is_some_and(|name| name.ends_with(ENTRY_SUFFIX));
            if is_own && data.is_file() {
                entries.push((data.modified()?, data.len(), file.path()));
            }
        }
        longest_unused::remove(entries, self.max_bytes);
        Ok(())
    }

    /// The key, which is made if there is none. Of several processes that make one at once the first wins.
    fn key(&self) -> io::Result<[u8; KEY_BYTES]> {
        let path = self.directory.join(KEY_FILE);
        if let Some(key) = read_key(&path) {
            return Ok(key);
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let mut file = private::new_file(&self.directory, ENTRY_SUFFIX)?;
        file.write_all(&key)?;
        if let Err(error) = file.persist_noclobber(&path) {
            // Another process was first, or what stands there is no key of ours, and entries that it authenticated are lost.
            if let Some(key) = read_key(&path) {
                return Ok(key);
            }
            error.file.persist(&path)?;
        }
        Ok(key)
    }
}

fn read_key(path: &Path) -> Option<[u8; KEY_BYTES]> {
    private::read(path)?.try_into().ok()
}

fn authenticate(key: &[u8; KEY_BYTES], name: &str, kept: &[u8]) -> Hmac<Sha256> {
    let mac: Hmac<Sha256> = KeyInit::new(key.into());
    // So that no two pairs of name and entry look alike.
    let name_len = name.len() as u64;
    mac.chain_update(name_len.to_le_bytes()).chain_update(name).chain_update(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_make_a_key_at_once_one_wins() {
        for _ in 0..50 {
            let room = tempfile::tempdir().expect("there is room");
            let sealed = SealedDirectory::new(room.path().join("sealed"), 1 << 20);
            let names = ["a", "b", "c", "d"];
            std::thread::scope(|scope| {
                for name in names {
                    let sealed = &sealed;
                    scope.spawn(move || sealed.store(name, name.as_bytes()).expect("kept"));
                }
            });
            for name in names {
                assert_eq!(sealed.load(name).as_deref(), Some(name.as_bytes()), "{name}");
            }
        }
    }

    #[test]
    fn an_entry_counts_under_its_own_name_only() {
        let room = tempfile::tempdir().expect("there is room");
        let sealed = SealedDirectory::new(room.path().join("sealed"), 1 << 20);
        sealed.store("one", b"kept").expect("kept");
        fs::copy(sealed.entry("one"), sealed.entry("other")).expect("copied");
        assert_eq!(sealed.load("one").as_deref(), Some(&b"kept"[..]));
        assert_eq!(sealed.load("other"), None);
        assert_eq!(sealed.load("another"), None);
    }

    #[test]
    fn a_key_that_is_none_is_made_anew() {
        let room = tempfile::tempdir().expect("there is room");
        let sealed = SealedDirectory::new(room.path().join("sealed"), 1 << 20);
        sealed.store("one", b"kept").expect("kept");
        fs::write(sealed.path().join(KEY_FILE), b"short").expect("written");
        assert_eq!(sealed.load("one"), None);
        sealed.store("one", b"again").expect("kept");
        assert_eq!(sealed.load("one").as_deref(), Some(&b"again"[..]));
    }

    #[test]
    fn the_longest_unused_make_room() {
        let room = tempfile::tempdir().expect("there is room");
        let sealed = SealedDirectory::new(room.path().join("sealed"), 100);
        private::make_directory(sealed.path()).expect("made");
        let foreign = sealed.path().join("holiday.jpg");
        fs::write(&foreign, [0; 1000]).expect("written");
        for name in ["one", "two", "three"] {
            sealed.store(name, &[0; 10]).expect("kept");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let there = ["one", "two", "three"].map(|name| sealed.load(name).is_some());
        assert_eq!(there, [false, true, true]);
        assert!(foreign.exists(), "it is somebody else's");
    }
}
