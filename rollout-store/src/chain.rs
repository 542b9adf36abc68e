//! Entries as they are kept: text, and a chain of hashes over it. Writing and reading stand side by side.

use sha2::{Digest, Sha256};
use whittle_rollout::Entry;

use crate::error::StoreError;

/// SHA-256 over the hash of the entry before (32 zeros for the first), and an entry's text.
pub type Hash = [u8; 32];

/// What the first entry is chained to.
pub(crate) const NOTHING: Hash = [0; 32];

/// The log of a rollout, as far as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// In their order, from 0.
    pub entries: Vec<Entry>,
    /// Hash of the last entry.
    pub head: Hash,
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) hash: Hash,
}

impl Row {
    /// Writes an entry down behind the one that has this hash.
    pub(crate) fn of(entry: &Entry, before: Hash) -> Result<Self, StoreError> {
        let text = serde_json::to_string(entry).map_err(StoreError::Unwritable)?;
        let hash = chained(before, &text);
        Ok(Self { text, hash })
    }
}

impl Log {
    pub(crate) const EMPTY: Self = Self { entries: vec![], head: NOTHING };

    /// Reads the entry that follows.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), StoreError> {
        let sequence = self.entries.len() as u64;
        if row.hash != chained(self.head, &row.text) {
            return Err(StoreError::Edited { sequence });
        }
        let entry: Entry = serde_json::from_str(&row.text)
            .map_err(|source| StoreError::Unreadable { sequence, source })?;
        if entry.sequence != sequence {
            return Err(StoreError::Edited { sequence });
        }
        self.entries.push(entry);
        self.head = row.hash;
        Ok(())
    }
}

fn chained(before: Hash, text: &str) -> Hash {
    Sha256::new().chain_update(before).chain_update(text).finalize().into()
}
