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
        let unwritable = |error: serde_json::Error| StoreError::Unwritable(error.to_string());
        let text = serde_json::to_string(entry).map_err(unwritable)?;
        // A log with an entry that is never read again would be lost: JSON takes what is no number without a word.
        let again: Entry = serde_json::from_str(&text).map_err(unwritable)?;
        if again != *entry {
            return Err(StoreError::Unwritable("it would be read as another one".to_owned()));
        }
        let hash = chained(before, text.as_bytes());
        Ok(Self { text, hash })
    }
}

impl Log {
    pub(crate) const EMPTY: Self = Self { entries: vec![], head: NOTHING };

    /// Appends the entry that has this hash.
    pub(crate) fn push(&mut self, entry: Entry, hash: Hash) {
        self.entries.push(entry);
        self.head = hash;
    }
}

/// Reads on, from the last entry of a log: it must be there as it was.
pub(crate) struct Reader<'a> {
    log: &'a mut Log,
    has_joined: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn behind(log: &'a mut Log) -> Self {
        let has_joined = log.entries.is_empty();
        Self { log, has_joined }
    }

    /// Place of the entry that it wants first.
    pub(crate) fn from(&self) -> u64 {
        (self.log.entries.len() as u64).saturating_sub(1)
    }

    /// Reads the entry that follows: its place, text and hash, as they are found.
    pub(crate) fn take(&mut self, place: i64, text: &[u8], hash: &[u8]) -> Result<(), StoreError> {
        let sequence = if self.has_joined { self.log.entries.len() as u64 } else { self.from() };
        let edited = StoreError::Edited { sequence };
        if u64::try_from(place) != Ok(sequence) {
            return Err(edited);
        }
        if !self.has_joined {
            self.has_joined = true;
            return if hash == self.log.head { Ok(()) } else { Err(edited) };
        }
        let chained = chained(self.log.head, text);
        if hash != chained {
            return Err(edited);
        }
        let entry: Entry = serde_json::from_slice(text)
            .map_err(|source| StoreError::Unreadable { sequence, source })?;
        if entry.sequence != sequence {
            return Err(edited);
        }
        self.log.push(entry, chained);
        Ok(())
    }

    /// There are no more entries.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        let sequence = self.from();
        // The first one is written together with the rollout's name.
        let is_whole = self.has_joined && !self.log.entries.is_empty();
        if is_whole { Ok(()) } else { Err(StoreError::Edited { sequence }) }
    }
}

fn chained(before: Hash, text: &[u8]) -> Hash {
    Sha256::new().chain_update(before).chain_update(text).finalize().into()
}
