//! Compiled policies, kept in a directory so that compiling them again is not the price of every start.
//!
//! What is read back is machine code that will run outside of any sandbox. So an entry counts only if this cache wrote it, which
//! [`SealedDirectory`] sees to. One that is not right (truncated, changed, of another version of wasmtime) is no entry, and is
//! written anew.

use std::hash::{Hash, Hasher};
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;
use whittle_own_files::SealedDirectory;

use crate::digest::PolicyDigest;

/// All entries together. A policy in Python has 40 MB, one in Rust less than one.
const MAX_BYTES: u64 = 512 << 20;

/// A directory of compiled policies. Any number of processes may share it.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: SealedDirectory,
}

impl Cache {
    /// Names the directory, which is made when it is needed. Whoever can write to it could have code run, so one that
    /// belongs to somebody else, is a link, or lets others write is not used.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: SealedDirectory::new(directory, MAX_BYTES) }
    }

    /// Loads what was compiled from this policy for this engine, if it is there and right.
    pub(crate) fn load(&self, engine: &Engine, policy: &PolicyDigest) -> Option<Component> {
        let compiled = self.directory.load(&entry_name(engine, policy))?;
        // SAFETY: `deserialize` demands bytes that wasmtime itself serialised, unchanged. Their MAC has just shown that
        // `store` wrote them: nobody else has the key, unless they may write our files, and then they may replace the
        // program, too. The name, which the MAC covers, binds them to this policy, and to the version and the settings of
        // this engine. The bytes are in our memory, so that nobody changes them after the check.
        #[allow(unsafe_code)]
        unsafe { Component::deserialize(engine, compiled) }.ok()
    }

    /// Why the directory is not used; none if it is, or will be once it is made.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let (why, directory) = (self.directory.trouble()?, self.directory.path().display());
        Some(format!("compiled policies are not kept in `{directory}`: {why}"))
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
        self.directory.store(&entry_name(engine, policy), &compiled)
    }
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
