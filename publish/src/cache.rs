//! Encoded artifacts, kept in a directory and shared through a store.
//!
//! What is kept is not believed: `release` checks the digest of an entry, and replays every artifact on the device crate before it is
//! signed. So a directory that others may write to, or a bucket that all runners of a pipeline write to, costs time at worst: what
//! is wrong in it is coded again, and overwritten.
//!
//! A replay is spared where this program has made it before for the same user. That is taken down with a MAC in a directory which
//! nobody else can write to ([`SealedDirectory`]); where others can, everything is replayed each time.
//!
//! ```text
//! <directory>/<2 digits>/<64 digits>     an entry, by its key
//! <directory>/replayed/<64 digits>.sealed  digest of an entry that was replayed, and of the program that did
//! ```
//!
//! A directory is kept below its size: the longest unused go first. A store is not: let it forget what is old, by a rule of its own
//! for `artifacts/`.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use whittle_own_files::{SealedDirectory, longest_unused};
use whittle_release::Sha256Digest;
use whittle_release::artifact_cache::{ArtifactCache, CacheKey, MAX_ENTRY_BYTES};

use crate::layout::artifact_key;
use crate::store::{Condition, Lifetime, Store};

/// How much a directory keeps, unless it is told otherwise: thousands of artifacts of firmware.
pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;

/// What temporary files begin with.
const TEMPORARY_PREFIX: &str = ".whittle-";

/// How many digits name a shard, and an entry.
const SHARD_DIGITS: usize = 2;
const KEY_DIGITS: usize = 64;

/// Where replays are taken down.
const REPLAYED_DIRECTORY: &str = "replayed";

/// How much of them is kept: as many as there may be entries of a few hundred bytes.
const MAX_REPLAYED_BYTES: u64 = 1 << 20;

/// Artifacts in a directory. Any number of processes may share it.
#[derive(Debug)]
pub struct DirectoryCache {
    directory: PathBuf,
    max_bytes: u64,
    replayed: SealedDirectory,
    trouble: Mutex<Option<String>>,
}

impl DirectoryCache {
    /// Names the directory, which is made when it is needed, and how many bytes it keeps.
    #[must_use]
    pub fn new(directory: &Path, max_bytes: u64) -> Self {
        let replayed = SealedDirectory::new(directory.join(REPLAYED_DIRECTORY), MAX_REPLAYED_BYTES);
        Self { directory: directory.to_owned(), max_bytes, replayed, trouble: Mutex::new(None) }
    }

    /// Why something could not be kept; none if everything could.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().ok()?.clone()
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.directory.join(format!("{key:.2}")).join(key.to_string())
    }

    fn write(&self, path: &Path, entry: &[u8]) -> std::io::Result<()> {
        let parent = path.parent().unwrap_or(&self.directory);
        whittle_own_files::make_directory(parent)?;
        let mut file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(parent)?;
        file.write_all(entry)?;
        file.persist(path)?;
        self.prune()
    }

    /// Removes the longest unused entries until the others are small enough together. What is not the cache's own neither counts nor
    /// goes: the directory may be one that somebody named by a slip of the pen.
    fn prune(&self) -> std::io::Result<()> {
        let mut entries = Vec::new();
        for shard in fs::read_dir(&self.directory)? {
            let shard = shard?;
            let is_shard = |name: &str| is_digits(name, SHARD_DIGITS);
            let Some(name) = shard.file_name().into_string().ok().filter(|name| is_shard(name))
            else {
                continue;
            };
            // A link leads elsewhere, and is not followed.
            if !shard.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            // Gone by now, perhaps.
            let Ok(files) = fs::read_dir(shard.path()) else { continue };
            for file in files {
                let Ok(file) = file else { continue };
                let Ok(data) = file.metadata() else { continue };
                let is_own = file.file_name().to_str().is_some_and(|file| is_entry(&name, file));
                if is_own && data.is_file() {
                    entries.push((data.modified()?, data.len(), file.path()));
                }
            }
        }
        longest_unused::remove(entries, self.max_bytes);
        Ok(())
    }
}

/// Whether a file of this name in this shard is the cache's: an entry, or one that was being written.
fn is_entry(shard: &str, file: &str) -> bool {
    file.starts_with(TEMPORARY_PREFIX) || (file.starts_with(shard) && is_digits(file, KEY_DIGITS))
}

fn is_digits(name: &str, count: usize) -> bool {
    name.len() == count && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

impl ArtifactCache for DirectoryCache {
    fn load(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let path = self.path(key);
        // Looked at before it is opened: a pipe would be waited for.
        fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let file = File::open(path).ok()?;
        // Where this fails, the entry looks older than it is.
        let _ = file.set_modified(SystemTime::now());
        let mut entry = Vec::new();
        file.take(MAX_ENTRY_BYTES + 1).read_to_end(&mut entry).ok()?;
        (entry.len() as u64 <= MAX_ENTRY_BYTES).then_some(entry)
    }

    fn store(&self, key: &CacheKey, entry: &[u8]) {
        if entry.len() as u64 > self.max_bytes {
            return;
        }
        if let Err(error) = self.write(&self.path(key), entry) {
            let why = format!("artifacts are not kept in `{}`: {error}", self.directory.display());
            note(&self.trouble, why);
        }
    }

    fn was_replayed(&self, key: &CacheKey, entry: &[u8]) -> bool {
        let told = self.replayed.load(&key.to_string());
        told.is_some_and(|told| replay_of(entry).is_some_and(|replay| told == replay))
    }

    fn note_replayed(&self, key: &CacheKey, entry: &[u8]) {
        if let Some(replay) = replay_of(entry) {
            // Where it cannot be taken down, the next build replays the artifact again, as in a directory that others may write to.
            let _ = self.replayed.store(&key.to_string(), &replay);
        }
    }
}

/// What is taken down of a replay: of which entry, and by which program, since another one's decoder may be another.
fn replay_of(entry: &[u8]) -> Option<Vec<u8>> {
    let program = std::env::current_exe().and_then(fs::metadata).ok()?;
    let made = program.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let program = format!("{} {}", program.len(), made.as_nanos());
    let entry = Sha256Digest::of(entry).0;
    Some([&entry[..], program.as_bytes()].concat())
}

/// Artifacts in a store, for all who can reach it.
#[derive(Debug)]
pub struct SharedCache {
    store: Store,
    /// After the first trouble the store is left alone: builds do not wait for it again and again.
    trouble: Mutex<Option<String>>,
}

impl SharedCache {
    /// Keeps artifacts under `artifacts/` in a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, trouble: Mutex::new(None) }
    }

    /// Why the store is not used; none if it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().ok()?.clone()
    }

    fn check<T>(&self, result: crate::Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                let cause = std::error::Error::source(&error);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                note(&self.trouble, format!("shared artifacts are not used: {error}{cause}"));
            })
            .ok()
    }
}

impl ArtifactCache for SharedCache {
    fn load(&self, key: &CacheKey) -> Option<Vec<u8>> {
        if self.trouble().is_some() {
            return None;
        }
        let max_bytes = usize::try_from(MAX_ENTRY_BYTES).unwrap_or(usize::MAX);
        match self.store.get(&artifact_key(&key.to_string()), max_bytes) {
            // What is no entry is made anew.
            Err(crate::Error::Damaged { .. }) => None,
            found => Some(self.check(found)??.bytes),
        }
    }

    fn store(&self, key: &CacheKey, entry: &[u8]) {
        if self.trouble().is_none() {
            let key = artifact_key(&key.to_string());
            self.check(self.store.put(&key, entry, Condition::Always, Lifetime::ForEver));
        }
    }
}

fn note(trouble: &Mutex<Option<String>>, why: String) {
    if let Ok(mut trouble) = trouble.lock() {
        trouble.get_or_insert(why);
    }
}

/// A near cache in front of one that is shared: what is found there is kept near, what is made goes to both.
#[derive(Debug)]
pub struct TieredCache {
    /// Asked first, if there is one.
    pub near: Option<DirectoryCache>,
    /// Asked for what is not near.
    pub far: SharedCache,
}

impl TieredCache {
    /// Why one of them is not used; none if both are.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.near.as_ref().and_then(DirectoryCache::trouble).or_else(|| self.far.trouble())
    }
}

impl ArtifactCache for TieredCache {
    fn load(&self, key: &CacheKey) -> Option<Vec<u8>> {
        self.near.as_ref().and_then(|near| near.load(key)).or_else(|| {
            let entry = self.far.load(key)?;
            if let Some(near) = &self.near {
                near.store(key, &entry);
            }
            Some(entry)
        })
    }

    fn store(&self, key: &CacheKey, entry: &[u8]) {
        if let Some(near) = &self.near {
            near.store(key, entry);
        }
        self.far.store(key, entry);
    }

    fn was_replayed(&self, key: &CacheKey, entry: &[u8]) -> bool {
        self.near.as_ref().is_some_and(|near| near.was_replayed(key, entry))
    }

    fn note_replayed(&self, key: &CacheKey, entry: &[u8]) {
        if let Some(near) = &self.near {
            near.note_replayed(key, entry);
        }
    }
}
