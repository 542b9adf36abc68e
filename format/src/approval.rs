//! The document by which several keys approve a target, where a device wants more than one.
//!
//! The payload of a [joint envelope](crate::joint). It names the image and all that packages say about it, so that one approval
//! covers whichever package leads to it:
//!
//! ```text
//!  0  4  magic "WHA" 01 (the last byte is the format version)
//!  4  4  security counter
//!  8  2  lowest hardware revision     10  2  highest hardware revision
//! 12  4  target size                  16 32  target SHA-256
//! 48  1  length p of the product      49  1  length v of the version
//! 50  p  product                      …   v  target version
//! ```

use crate::index::Release;
use crate::label::Label;
use crate::manifest::{HardwareRange, at_most, label_len};
use crate::wire::{Field, Reader, Writer};
use crate::{Digest, FormatError, Manifest, Part, limits};

mod field {
    use super::{Digest, Field};

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const SECURITY_COUNTER: Field<u32> = MAGIC.then();
    pub(super) const HARDWARE_MIN: Field<u16> = SECURITY_COUNTER.then();
    pub(super) const HARDWARE_MAX: Field<u16> = HARDWARE_MIN.then();
    pub(super) const TARGET_SIZE: Field<u32> = HARDWARE_MAX.then();
    pub(super) const TARGET_DIGEST: Field<Digest> = TARGET_SIZE.then();
    pub(super) const PRODUCT_LEN: Field<u8> = TARGET_DIGEST.then();
    pub(super) const VERSION_LEN: Field<u8> = PRODUCT_LEN.then();
    pub(super) const FIXED_LEN: usize = VERSION_LEN.end();
}

/// First bytes of the payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHA\x01";

/// Longest payload.
pub const MAX_LEN: usize = field::FIXED_LEN + 2 * limits::MAX_LABEL_BYTES;

/// A target that is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval(pub Release);

impl Approval {
    /// What must be approved for a package with this manifest.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self(Release {
            product: manifest.product,
            target_version: manifest.target_version,
            hardware: manifest.hardware,
            security_counter: manifest.security_counter,
            target_size: manifest.target_size,
            target_digest: manifest.target_digest,
        })
    }

    /// Parses a payload.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        field::MAGIC.expect(bytes, MAGIC)?;
        let mut names = Reader::new(bytes, field::FIXED_LEN);
        let product = Label::parse(names.take(field::PRODUCT_LEN.get(bytes)?.into())?)?;
        let target_version = Label::parse(names.take(field::VERSION_LEN.get(bytes)?.into())?)?;
        names.finish()?;
        let target_size = field::TARGET_SIZE.get(bytes)?;
        at_most(Part::TargetSize, target_size, limits::MAX_IMAGE_BYTES)?;
        let (min, max) = (field::HARDWARE_MIN.get(bytes)?, field::HARDWARE_MAX.get(bytes)?);
        Ok(Self(Release {
            product,
            target_version,
            hardware: HardwareRange { min, max }.check()?,
            security_counter: field::SECURITY_COUNTER.get(bytes)?,
            target_size,
            target_digest: field::TARGET_DIGEST.get(bytes)?,
        }))
    }

    /// Emits the payload into `out` and returns its length, [`MAX_LEN`] at most.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] or [`FormatError::BufferTooSmall`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, FormatError> {
        let Self(release) = self;
        at_most(Part::TargetSize, release.target_size, limits::MAX_IMAGE_BYTES)?;
        let hardware = release.hardware.check()?;
        let (product, version) = (release.product.as_bytes(), release.target_version.as_bytes());
        let mut writer = Writer::new(out);
        let fixed = writer.claim(field::FIXED_LEN)?;
        field::MAGIC.set(fixed, MAGIC)?;
        field::SECURITY_COUNTER.set(fixed, release.security_counter)?;
        field::HARDWARE_MIN.set(fixed, hardware.min)?;
        field::HARDWARE_MAX.set(fixed, hardware.max)?;
        field::TARGET_SIZE.set(fixed, release.target_size)?;
        field::TARGET_DIGEST.set(fixed, release.target_digest)?;
        field::PRODUCT_LEN.set(fixed, label_len(product)?)?;
        field::VERSION_LEN.set(fixed, label_len(version)?)?;
        writer.put(product)?;
        writer.put(version)?;
        Ok(writer.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn approval()(
            product in "[A-Za-z0-9_+][A-Za-z0-9._+-]{0,31}",
            version in "[A-Za-z0-9_+][A-Za-z0-9._+-]{0,31}",
            (a, b) in any::<(u16, u16)>(),
            security_counter in any::<u32>(),
            target_size in 0..=limits::MAX_IMAGE_BYTES,
            target_digest in any::<Digest>(),
        ) -> Approval {
            Approval(Release {
                product: product.parse().expect("label characters"),
                target_version: version.parse().expect("label characters"),
                hardware: HardwareRange { min: a.min(b), max: a.max(b) },
                security_counter, target_size, target_digest,
            })
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(approval in approval(), at in 0..MAX_LEN, bit in 0..8u32) {
            let mut out = [0; MAX_LEN];
            let len = approval.emit(&mut out).expect("room");
            prop_assert_eq!(Approval::parse(&out[..len]), Ok(approval));
            for cut in 0..len {
                prop_assert!(Approval::parse(&out[..cut]).is_err(), "cut at {}", cut);
            }
            out[at % len] ^= 1u8 << bit;
            if let Ok(flipped) = Approval::parse(&out[..len]) {
                let mut again = [0; MAX_LEN];
                let again_len = flipped.emit(&mut again).expect("parsed");
                prop_assert_eq!(&out[..len], &again[..again_len]);
            }
        }
    }
}
