//! Approvals: several keys vouch for a target, each at its own place and time.

use std::path::Path;

use whittle_format::approval;
pub use whittle_format::approval::Approval;
use whittle_format::limits::MAX_APPROVAL_ENVELOPE_BYTES;
use whittle_patcher_nostd::{KeyId, PublicKey, key_id};

use crate::directory::ReleaseIndex;
use crate::image::hex;
use crate::joint::Joint;
use crate::keys::Signer;
use crate::{Culprit, Error, Result, files};

/// Name of an approval beside the release that it is about.
pub const APPROVAL_FILE: &str = "approval.cose";

/// An approval and the signatures that it has so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedApproval {
    /// What is approved.
    pub approval: Approval,
    joint: Joint,
}

impl SignedApproval {
    /// Begins the approval of a release's target.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub fn of(index: &ReleaseIndex) -> Result<Self> {
        let approval = Approval(index.release);
        let mut payload = vec![0; approval::MAX_LEN];
        let len = approval.emit(&mut payload).map_err(Error::format("the approval"))?;
        payload.truncate(len);
        Ok(Self { approval, joint: Joint::new(payload) })
    }

    /// Reads an approval; whether its signatures count is another question.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`] or [`Error::Format`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_document(path, MAX_APPROVAL_ENVELOPE_BYTES)?;
        Self::parse(&format!("`{}`", path.display()), &bytes)
    }

    /// The same of bytes, of wherever they come from; `what` names them in errors.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let (joint, rest) = Joint::parse(what, bytes)?;
        if !rest.is_empty() {
            let extra = whittle_format::FormatError::TrailingBytes;
            return Err(Error::format(what.to_owned())(extra));
        }
        let approval = Approval::parse(&joint.payload).map_err(Error::format(what.to_owned()))?;
        Ok(Self { approval, joint })
    }

    /// Checks the signatures of these keys; those of others count for nobody who does not know them.
    ///
    /// # Errors
    /// [`Error::Refused`] for one that is damaged.
    pub fn check(&self, keys: &[PublicKey]) -> Result<()> {
        for key in keys {
            if !self.joint.is_whole(key)? {
                let id = hex(&key_id(key));
                let (what, culprit) = ("the approval".to_owned(), Culprit::Key);
                let why = format!("it has a damaged signature of key {id}");
                return Err(Error::Refused { what, why, culprit });
            }
        }
        Ok(())
    }

    /// Adds a signature.
    ///
    /// # Errors
    /// What the signer returns.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<()> {
        self.joint.sign(signer)
    }

    /// Who is said to have signed.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.joint.signers()
    }

    /// The bytes that devices take.
    ///
    /// # Errors
    /// [`Error::Format`] while nobody has signed.
    pub fn emit(&self) -> Result<Vec<u8>> {
        self.joint.emit()
    }

    /// Writes it to a file, in one step; what stood there is replaced.
    ///
    /// # Errors
    /// As [`Self::emit`]; [`Error::Io`] or [`Error::NotAFile`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_atomically(path, &self.emit()?)
    }
}
