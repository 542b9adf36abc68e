//! Compiled policies, kept in a directory so that compiling them again is not the price of every start.
//!
//! What is read back is machine code that will run outside of any sandbox. So an entry counts only if this cache wrote
//! it: its first bytes are a MAC over the rest and over what it was compiled from, with a key that is made at random in
//! the same directory. Both are readable by their owner alone. Whatever is not right about an entry or the key
//! (truncated, changed, copied from elsewhere, another version of wasmtime) makes it no entry, and it is written anew.
//!
//! ```text
//! 0   32  HMAC-SHA-256, with the cache's key, of: name of the entry, then the bytes that follow
//! 32  ..  what wasmtime serialised
//! ```

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::PolicyDigest;

/// Bytes of the MAC in front of an entry.
const MAC_BYTES: usize = 32;

/// Bytes of the key: a block of SHA-256, which HMAC takes as it is.
const KEY_BYTES: usize = 64;

/// File of the key.
const KEY_FILE: &str = "key";

/// A directory of compiled policies. Any number of processes may share it.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Names the directory, which is made when it is needed. It should be readable by its owner alone: whoever can write
    /// the key in it can have code run.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Loads what was compiled from this policy for this engine, if it is there and right.
    pub(crate) fn load(&self, engine: &Engine, policy: &PolicyDigest) -> Option<Component> {
        let name = entry_name(engine, policy);
        let entry = fs::read(self.directory.join(&name)).ok()?;
        let (mac, compiled) = entry.split_first_chunk::<MAC_BYTES>()?;
        let key = read_key(&self.directory.join(KEY_FILE))?;
        authenticate(&key, &name, compiled).verify(mac.into()).ok()?;
        // SAFETY: `deserialize` demands bytes that wasmtime itself serialised, unchanged. The MAC has just shown that
        // `store` wrote them: nobody else has the key, unless they may write our files, and then they may replace the
        // program, too. The name binds them to this policy, and to the version and the settings of this engine. The
        // bytes are in our memory, so that nobody changes them after the check.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, compiled) };
        component.ok()
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
        make_private_directory(&self.directory)?;
        let key = self.key()?;
        let name = entry_name(engine, policy);
        let mac = authenticate(&key, &name, &compiled).finalize().into_bytes();
        let mut file = private_file(&self.directory)?;
        file.write_all(&mac)?;
        file.write_all(&compiled)?;
        file.persist(self.directory.join(&name))?;
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
        let mut file = private_file(&self.directory)?;
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
    fs::read(path).ok()?.try_into().ok()
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

/// Makes a file that nobody else may read, and which becomes visible by its name only once it is whole.
fn private_file(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    // On Unix a temporary file has mode 0600; elsewhere the directory's rights count.
    tempfile::NamedTempFile::new_in(directory)
}

fn make_private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}
