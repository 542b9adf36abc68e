//! Lays out a package file and signs it.

use std::path::Path;

use whittle_format::block::BlockLayout;
use whittle_format::envelope::{self, KeyId, OVERHEAD, SIGNATURE_LEN, TBS_OVERHEAD};
use whittle_format::{Manifest, ShortDigest, block, manifest, shorten};
use whittle_patcher_nostd::key_id;

use crate::image::Sha256Digest;
use crate::keys::Signer;
use crate::{Error, Result, files};

/// The bytes of one COSE_Sign1 envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEnvelope(pub Vec<u8>);

impl SignedEnvelope {
    /// Signs a payload.
    ///
    /// # Errors
    /// What the signer returns, or [`Error::Format`] for a payload above 64 KiB.
    pub fn sign(payload: &[u8], signer: &dyn Signer) -> Result<Self> {
        let key_id = key_id(&signer.public_key());
        let mut tbs = vec![0; payload.len() + TBS_OVERHEAD];
        let len = envelope::tbs(&key_id, payload, &mut tbs)
            .map_err(Error::format("what is to be signed"))?;
        Self::with_signature(payload, &key_id, &signer.sign(&tbs[..len])?)
    }

    /// Writes it to a file, in one step; what stood there is replaced.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NotAFile`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_atomically(path, &self.0)
    }

    /// Puts a payload and a signature together, without asking whether they fit each other.
    pub(crate) fn with_signature(
        payload: &[u8],
        key_id: &KeyId,
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<Self> {
        let mut bytes = vec![0; payload.len() + OVERHEAD];
        let len = envelope::emit(key_id, payload, signature, &mut bytes)
            .map_err(Error::format("the envelope"))?;
        bytes.truncate(len);
        Ok(Self(bytes))
    }
}

/// A package before it is signed.
pub struct Package {
    manifest: Vec<u8>,
    blocks: Vec<u8>,
}

impl Package {
    /// Cuts a payload into blocks and completes the manifest with its size and root.
    ///
    /// # Errors
    /// [`Error::Format`] for a number above its limit.
    pub fn new(mut manifest: Manifest, payload: &[u8]) -> Result<Self> {
        let wrong = || Error::format("the package to be built");
        manifest.payload_size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let layout =
            BlockLayout::new(manifest.payload_size, manifest.block_log2).map_err(wrong())?;
        let mut blocks = vec![0; usize::try_from(layout.wire_len()).unwrap_or(usize::MAX)];
        manifest.root = block::emit(payload, layout, &mut blocks, short_hash).map_err(wrong())?;
        let mut bytes = vec![0; manifest::MAX_LEN];
        let len = manifest.emit(&mut bytes).map_err(wrong())?;
        bytes.truncate(len);
        Ok(Self { manifest: bytes, blocks })
    }

    /// The package file, signed.
    ///
    /// # Errors
    /// What the signer returns.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>> {
        SignedEnvelope::sign(&self.manifest, signer).map(|envelope| self.behind(envelope))
    }

    /// The package file with zeros for a key id and a signature, for a replay before it is signed.
    pub(crate) fn unsigned(&self) -> Result<Vec<u8>> {
        let envelope =
            SignedEnvelope::with_signature(&self.manifest, &KeyId::default(), &[0; SIGNATURE_LEN])?;
        Ok(self.behind(envelope))
    }

    /// The payload that is to be signed.
    pub(crate) fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// How many bytes the package file has, whoever signs it.
    pub(crate) fn file_bytes(&self) -> u64 {
        let envelope = envelope::encoded_len(self.manifest.len());
        (envelope + self.blocks.len()) as u64
    }

    /// Puts a package that was taken apart together again.
    pub(crate) fn from_parts(manifest: &[u8], blocks: &[u8]) -> Self {
        Self { manifest: manifest.to_vec(), blocks: blocks.to_vec() }
    }

    pub(crate) fn behind(&self, envelope: SignedEnvelope) -> Vec<u8> {
        let mut bytes = envelope.0;
        bytes.extend_from_slice(&self.blocks);
        bytes
    }
}

fn short_hash(bytes: &[u8]) -> ShortDigest {
    shorten(&Sha256Digest::of(bytes).0)
}
