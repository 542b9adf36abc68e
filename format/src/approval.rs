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

use crate::release::{Release, head};
use crate::wire::{Reader, Writer};
use crate::{FormatError, Manifest, limits};

const FIXED_LEN: usize = head::VERSION_LEN.end();

/// First bytes of the payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHA\x01";

/// Longest payload.
pub const MAX_LEN: usize = FIXED_LEN + 2 * limits::MAX_LABEL_BYTES;

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
        let mut names = Reader::new(bytes, FIXED_LEN);
        let release = Release::parse(bytes, MAGIC, &mut names)?;
        names.finish()?;
        Ok(Self(release))
    }

    /// Emits the payload into `out` and returns its length, [`MAX_LEN`] at most.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] or [`FormatError::BufferTooSmall`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, FormatError> {
        let Self(release) = self;
        let mut writer = Writer::new(out);
        release.emit_head(MAGIC, writer.claim(FIXED_LEN)?)?;
        release.emit_names(&mut writer)?;
        Ok(writer.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Digest;
    use crate::manifest::HardwareRange;

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
