//! What devices read besides the indexes: approvals, and which keys count from now on.

use std::path::{Path, PathBuf};

use whittle_format::limits::{MAX_APPROVAL_ENVELOPE_BYTES, MAX_KEYS_FILE_BYTES};
use whittle_release::approval::{APPROVAL_FILE, Approval, SignedApproval};
use whittle_release::directory::VerifiedRelease;
use whittle_release::image::hex;
use whittle_release::keys::KeyId;
use whittle_release::keys_file::KeysFile;

use crate::layout::{approval_key, keys_key};
use crate::{Error, ReleaseKeys, Result};

/// A document that is to be published.
pub(crate) struct Document {
    pub(crate) key: String,
    pub(crate) bytes: Vec<u8>,
    /// The most that one of its kind has.
    pub(crate) limit: usize,
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Approval(SignedApproval),
    Keys(KeysFile),
}

impl Document {
    /// Reads the approval that lies in a release directory, if there is one, and checks what it is about and what the keys of the
    /// release have signed. Others may have signed it, too: devices know whom they trust.
    pub(crate) fn approval(
        directory: &Path,
        release: &VerifiedRelease,
        keys: &ReleaseKeys,
    ) -> Result<Option<Self>> {
        let path = directory.join(APPROVAL_FILE);
        if !path.try_exists().map_err(Error::io("read", &path))? {
            return Ok(None);
        }
        let signed = SignedApproval::read(&path)?;
        if signed.approval != Approval(release.index().release) {
            return Err(Error::OtherApproval(path));
        }
        signed.check(&keys.keyring().0)?;
        let Approval(head) = &signed.approval;
        Ok(Some(Self {
            key: approval_key(&head.product, &head.target_version),
            bytes: signed.emit()?,
            limit: MAX_APPROVAL_ENVELOPE_BYTES,
            path,
            kind: Kind::Approval(signed),
        }))
    }

    /// Reads a keys file, which must be of a product that is published, and signed as far as it tells itself by whom.
    pub(crate) fn keys(path: &Path, releases: &[VerifiedRelease]) -> Result<Self> {
        let file = KeysFile::read(path)?;
        file.check(None)?;
        let product = file.newest().head.product;
        let path = path.to_owned();
        if !releases.iter().any(|release| release.index().release.product == product) {
            return Err(Error::OtherKeys { path, product: product.to_string() });
        }
        Ok(Self {
            key: keys_key(&product),
            bytes: file.emit()?,
            limit: MAX_KEYS_FILE_BYTES,
            path,
            kind: Kind::Keys(file),
        })
    }

    /// Checks that it may take the place of what is published: it is not older, and of the same document it takes no signature back.
    pub(crate) fn check_follows(&self, published: &[u8]) -> Result<()> {
        let what = format!("`{}`", self.key);
        match &self.kind {
            Kind::Approval(signed) => {
                let published = SignedApproval::parse(&what, published)?;
                if published.approval == signed.approval {
                    self.check_keeps(published.signers(), signed.signers())?;
                }
            }
            Kind::Keys(file) => {
                let published = KeysFile::parse(&what, published)?;
                let [current, version] = [&published, file].map(|file| file.newest().head.version);
                if version < current {
                    return Err(Error::OlderKeys { key: self.key.clone(), current, version });
                }
                if version == current {
                    self.check_keeps(published.newest_signers(), file.newest_signers())?;
                }
            }
        }
        Ok(())
    }

    /// Checks that all who have signed what is published have signed this.
    fn check_keeps(
        &self,
        mut published: impl Iterator<Item = KeyId>,
        signers: impl Iterator<Item = KeyId>,
    ) -> Result<()> {
        let signers: Vec<_> = signers.collect();
        match published.find(|signer| !signers.contains(signer)) {
            None => Ok(()),
            Some(signer) => Err(Error::FewerSignatures {
                key: self.key.clone(),
                signer: hex(&signer),
                path: self.path.clone(),
            }),
        }
    }
}
