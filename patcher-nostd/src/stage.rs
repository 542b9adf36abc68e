//! Whether a device may take a target now, told without a server.

use core::ops::Deref;

use whittle_format::limits::MAX_STAGE_ENVELOPE_BYTES;
use whittle_format::{Manifest, Stage, shorten};

use crate::document::authenticate_document;
use crate::draw::eligible;
use crate::verify::KeyId;
use crate::{DocumentError, Verifier};

/// A stage that a trusted key signed; there is no other way to make one.
///
/// # Example
///
/// ```
/// use whittle_patcher_nostd::{DocumentError, TrustedKeys, VerifiedManifest, VerifiedStage};
/// # fn ask(
/// #     journal_bytes: &[u8], received: &[u8], manifest: &VerifiedManifest, key: [u8; 32],
/// # ) -> Result<bool, DocumentError> {
/// let keys = [key];
/// let accepted = VerifiedStage::check(journal_bytes, "thermostat", None, &TrustedKeys(&keys)).ok();
/// // The application puts `received` into its journal once it has been accepted.
/// let stage = VerifiedStage::check(received, "thermostat", accepted.as_deref(), &TrustedKeys(&keys))?;
/// Ok(stage.is_for(manifest) && stage.includes(b"TH-0042"))
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VerifiedStage {
    stage: Stage,
    key_id: KeyId,
}

impl Deref for VerifiedStage {
    type Target = Stage;
    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl VerifiedStage {
    /// Checks a stage for this product that does not fall behind the accepted one, if they are of the same rollout.
    ///
    /// The same stage counts again. A stage with another seed is one of another rollout, and may begin anywhere.
    ///
    /// # Errors
    /// [`DocumentError`]; the accepted stage still holds.
    pub fn check(
        envelope: &[u8],
        product: &str,
        accepted: Option<&Stage>,
        verifier: &impl Verifier,
    ) -> Result<Self, DocumentError> {
        let stage = Self::authenticate(envelope, verifier)?;
        if stage.product.as_bytes() != product.as_bytes() {
            return Err(DocumentError::WrongProduct);
        }
        accepted.map_or(Ok(()), |accepted| follows(&stage, accepted))?;
        Ok(stage)
    }

    /// Checks that a trusted key signed the stage, whatever product and rollout it is of: for hosts.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn authenticate(envelope: &[u8], verifier: &impl Verifier) -> Result<Self, DocumentError> {
        let envelope = authenticate_document::<MAX_STAGE_ENVELOPE_BYTES>(envelope, verifier)?;
        let stage = Stage::parse(envelope.payload).map_err(DocumentError::Document)?;
        Ok(Self { stage, key_id: envelope.key_id })
    }

    /// The key that signed it.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Whether a package leads to the target that this stage is about.
    #[must_use]
    pub fn is_for(&self, manifest: &Manifest) -> bool {
        self.product == manifest.product && self.target_digest == shorten(&manifest.target_digest)
    }

    /// Whether the device is within the share.
    #[must_use]
    pub fn includes(&self, device_id: &[u8]) -> bool {
        eligible(&self.seed, device_id, self.share)
    }
}

/// Checks that a stage goes on where another one of the same rollout stands; stages of other rollouts may be anything.
///
/// # Errors
/// [`DocumentError::TargetChanged`], [`DocumentError::StageTooLow`] or [`DocumentError::ShareTooLow`].
pub fn follows(stage: &Stage, accepted: &Stage) -> Result<(), DocumentError> {
    if stage.seed != accepted.seed {
        return Ok(());
    }
    if stage.target_digest != accepted.target_digest {
        return Err(DocumentError::TargetChanged);
    }
    if stage.number < accepted.number {
        return Err(DocumentError::StageTooLow);
    }
    if stage.share < accepted.share {
        return Err(DocumentError::ShareTooLow);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use whittle_format::Share;

    use super::*;

    fn stage(seed: u8, target: u8, number: u32, ppm: u32) -> Stage {
        Stage {
            product: "thermostat".parse().expect("a label"),
            target_version: "2.4.1".parse().expect("a label"),
            target_digest: [target; 16],
            seed: [seed; 16],
            number,
            share: Share::from_ppm(ppm).expect("in range"),
        }
    }

    #[test]
    fn within_a_rollout_nothing_falls() {
        let accepted = stage(1, 1, 3, 200_000);
        let cases = [
            (stage(1, 1, 3, 200_000), Ok(())),
            (stage(1, 1, 3, 300_000), Ok(())),
            (stage(1, 1, 4, 200_000), Ok(())),
            (stage(1, 1, 9, 1_000_000), Ok(())),
            (stage(1, 1, 2, 1_000_000), Err(DocumentError::StageTooLow)),
            (stage(1, 1, 4, 199_999), Err(DocumentError::ShareTooLow)),
            (stage(1, 2, 4, 200_000), Err(DocumentError::TargetChanged)),
            (stage(2, 2, 0, 0), Ok(())),
        ];
        for (next, outcome) in cases {
            assert_eq!(follows(&next, &accepted), outcome, "{next:?}");
        }
    }
}
