//! Compiled policies, kept in a directory so that compiling them again is not the price of every start.
//!
//! What is read back is machine code that will run outside of any sandbox. So an entry counts only if this cache wrote
//! it: its first bytes are a MAC over the rest and over what it was compiled from, with a key that is made at random in
//! the same directory. Both are readable by their owner alone, and where that is not so, as in a directory that
//! others may write to, nothing is read and nothing is kept. Whatever is not right about an entry or the key (truncated,
//! changed, copied from elsewhere, another version of wasmtime) makes it no entry, and it is written anew.
//!
//! ```text
//! 0   32  HMAC-SHA-256, with the cache's key, of: name of the entry, then the bytes that follow
//! 32  ..  what wasmtime serialised
//! ```

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::PolicyDigest;
use crate::private;

/// Bytes of the MAC in front of an entry.
const MAC_BYTES: usize = 32;

/// Bytes of the key: a block of SHA-256, which HMAC takes as it is.
const KEY_BYTES: usize = 64;

/// File of the key.
const KEY_FILE: &str = "key";

/// All entries together; the longest unused go first. A policy in Python has 40 MB, one in Rust less than one.
const MAX_BYTES: u64 = 512 << 20;

/// A directory of compiled policies. Any number of processes may share it.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Names the directory, which is made when it is needed. Whoever can write to it could have code run, so one that
    /// belongs to somebody else, is a link, or lets others write is not used.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Loads what was compiled from this policy for this engine, if it is there and right.
    pub(crate) fn load(&self, engine: &Engine, policy: &PolicyDigest) -> Option<Component> {
        let name = entry_name(engine, policy);
        self.trouble().is_none().then_some(())?;
        let path = self.directory.join(&name);
        let entry = private::read(&path)?;
        let (mac, compiled) = entry.split_first_chunk::<MAC_BYTES>()?;
        let key = read_key(&self.directory.join(KEY_FILE))?;
        authenticate(&key, &name, compiled).verify(mac.into()).ok()?;
        // SAFETY: `deserialize` demands bytes that wasmtime itself serialised, unchanged. The MAC has just shown that
        // `store` wrote them: nobody else has the key, unless they may write our files, and then they may replace the
        // program, too. The name binds them to this policy, and to the version and the settings of this engine. The
        // bytes are in our memory, so that nobody changes them after the check.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, compiled) }.ok()?;
        // Where this fails, the entry looks older than it is.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(component)
    }

    /// Why the directory is not used; none if it is, or will be once it is made.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let why = private::directory_trouble(&self.directory)?;
        Some(format!("compiled policies are not kept in `{}`: {why}", self.directory.display()))
    }

    /// Keeps what was compiled.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written to. No entry is ever half there.
    pub(crate) fn store(
        &self,
        engine: &Engine,
        policy: &PolicyDigest,
        component: &Component,
    ) -> io::Result<()> {
        let compiled = component.serialize().map_err(io::Error::other)?;
        private::make_directory(&self.directory)?;
        if let Some(trouble) = self.trouble() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, trouble));
        }
        let key = self.key()?;
        let name = entry_name(engine, policy);
        let mac = authenticate(&key, &name, &compiled).finalize().into_bytes();
        let mut file = private::new_file(&self.directory)?;
        file.write_all(&mac)?;
        file.write_all(&compiled)?;
        file.persist(self.directory.join(&name))?;
        self.shrink()
    }

    /// Removes the longest unused entries until the others are few enough.
    fn shrink(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            let data = file.metadata()?;
            if data.is_file() && file.file_name() != KEY_FILE {
                entries.push((data.modified()?, data.len(), file.path()));
            }
        }
        entries.sort();
        let mut bytes: u64 = 0;
        for (_, len, path) in entries.into_iter().rev() {
            bytes = bytes.saturating_add(len);
            if bytes > MAX_BYTES {
                // Somebody else may have removed it, too.
                let _ = fs::remove_file(path);
            }
        }
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
        let mut file = private::new_file(&self.directory)?;
        file.write_all(&key)?;
        if path.exists() {
            // Not a key of ours: entries that it authenticated are lost.
            file.persist(&path)?;
            return Ok(key);
        }
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(key),
            Err(error) => read_key(&path).ok_or(error.error),
        }
    }
}

fn read_key(path: &Path) -> Option<[u8; KEY_BYTES]> {
    private::read(path)?.try_into().ok()
}

fn authenticate(key: &[u8; KEY_BYTES], name: &str, compiled: &[u8]) -> Hmac<Sha256> {
    // A name has always the same length, so that no two pairs look alike.
    let mac: Hmac<Sha256> = KeyInit::new(key.into());
    mac.chain_update(name).chain_update(compiled)
}

/// Name of an entry: a digest of the policy, the version of wasmtime, and all settings and the processor that it
/// compiles for.
fn entry_name(engine: &Engine, policy: &PolicyDigest) -> String {
    let mut hasher = Sha256Hasher(Sha256::new_with_prefix("whittle compiled policy 1"));
    policy.0.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    PolicyDigest(hasher.0.finalize().into()).to_string()
}

/// Lets wasmtime's description of an engine be digested by something better than a hash of 64 bits.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the whole digest is taken")
    }
}
