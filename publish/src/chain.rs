//! Checks a package while it arrives: the signature over its manifest, and each block by the hash in the one before.

use whittle_format::block::{self, BlockLayout};
use whittle_format::envelope::Envelope;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;
use whittle_format::{Manifest, ShortDigest, shorten};
use whittle_release::Sha256Digest;
use whittle_release::directory::verify_manifest;
use whittle_release::keys::Keyring;

use crate::{Error, Result};

/// A package of which the front has been checked.
pub(crate) struct Chain<'a> {
    key: &'a str,
    keys: &'a Keyring,
    blocks: Option<Blocks>,
    /// What came after the last thing that could be checked.
    pending: Vec<u8>,
    checked_bytes: u64,
}

struct Blocks {
    layout: BlockLayout,
    next: ShortDigest,
    consumed: u32,
    left: u32,
}

impl<'a> Chain<'a> {
    /// `key` names the package in errors.
    pub(crate) fn new(key: &'a str, keys: &'a Keyring) -> Self {
        Self { key, keys, blocks: None, pending: Vec::new(), checked_bytes: 0 }
    }

    /// Bytes from the front that are authentic.
    pub(crate) fn checked_bytes(&self) -> u64 {
        self.checked_bytes
    }

    /// Bytes that have come.
    pub(crate) fn bytes(&self) -> u64 {
        self.checked_bytes + self.pending.len() as u64
    }

    /// Takes the bytes that come next, and checks what can be checked.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }

    /// Whether something could be checked.
    fn step(&mut self) -> Result<bool> {
        let damaged = |why: &str| Error::damaged(self.key, why);
        let Some(blocks) = &mut self.blocks else {
            let len = Envelope::length(&self.pending).map_err(|_| damaged("it is no package"))?;
            let len = match len {
                Some(len) if len > MAX_MANIFEST_ENVELOPE_BYTES => {
                    return Err(damaged("its manifest is too long"));
                }
                Some(len) if len <= self.pending.len() => len,
                _ => return Ok(false),
            };
            let envelope = self.pending.get(..len).unwrap_or_default();
            let (manifest, len) = verify_manifest(self.key, envelope, self.keys)?;
            self.blocks =
                Some(Blocks::of(&manifest).ok_or_else(|| damaged("its blocks are none"))?);
            self.take(len);
            return Ok(true);
        };
        if blocks.left == 0 {
            return if self.pending.is_empty() {
                Ok(false)
            } else {
                Err(damaged("more follows it"))
            };
        }
        let next = blocks.layout.block_after(blocks.consumed);
        let len = next.len as usize;
        let Some(bytes) = self.pending.get(..len) else { return Ok(false) };
        if shorten(&Sha256Digest::of(bytes).0) != blocks.next {
            let why = format!("the block at byte {} is not the signed one", self.checked_bytes);
            return Err(Error::damaged(self.key, why));
        }
        let (following, _) = block::parse(bytes, next.has_next);
        blocks.next = following.unwrap_or_default();
        blocks.consumed = blocks.consumed.saturating_add(next.data_len);
        blocks.left -= 1;
        self.take(len);
        Ok(true)
    }

    fn take(&mut self, len: usize) {
        self.pending.drain(..len);
        self.checked_bytes += len as u64;
    }
}

impl Blocks {
    fn of(manifest: &Manifest) -> Option<Self> {
        let layout = BlockLayout::new(manifest.payload_size, manifest.block_log2).ok()?;
        Some(Self { layout, next: manifest.root, consumed: 0, left: layout.count() })
    }
}
