//! The signed document that opens a stage of a rollout.
//!
//! The payload of a stage envelope. A device that holds it knows without any server whether it may take the target:
//! its place in the draw of the rollout's seed is compared with the share.
//!
//! ```text
//!  0  4  magic "WHS" 01 (the last byte is the format version)
//!  4  4  number of the stage: never falls within a rollout
//!  8  4  share of the fleet in parts per million, cumulative: never falls within a rollout
//! 12 16  seed of the rollout
//! 28 16  target SHA-256, first 16 bytes
//! 44  1  length p of the product      45  1  length v of the version
//! 46  p  product                      …   v  target version
//! ```

use crate::label::Label;
use crate::limits;
use crate::manifest::label_len;
use crate::share::{Seed, Share};
use crate::wire::{Field, Reader, Writer};
use crate::{FormatError, ShortDigest};

mod field {
    use super::{Field, Seed, ShortDigest};

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const NUMBER: Field<u32> = MAGIC.then();
    pub(super) const SHARE: Field<u32> = NUMBER.then();
    pub(super) const SEED: Field<Seed> = SHARE.then();
    pub(super) const TARGET_DIGEST: Field<ShortDigest> = SEED.then();
    pub(super) const PRODUCT_LEN: Field<u8> = TARGET_DIGEST.then();
    pub(super) const VERSION_LEN: Field<u8> = PRODUCT_LEN.then();
    pub(super) const FIXED_LEN: usize = VERSION_LEN.end();
}

/// First bytes of a stage payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHS\x01";

/// Longest stage payload.
pub const MAX_LEN: usize = field::FIXED_LEN + 2 * limits::MAX_LABEL_BYTES;

const _: () = assert!(MAX_LEN + crate::envelope::OVERHEAD <= limits::MAX_STAGE_ENVELOPE_BYTES);

/// A stage of a rollout: up to which share of the fleet the target goes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stage {
    /// Which product the target is for.
    pub product: Label,
    /// Version of the target, for people.
    pub target_version: Label,
    /// First half of the target's SHA-256: what a package must lead to.
    pub target_digest: ShortDigest,
    /// Names the rollout and draws its devices.
    pub seed: Seed,
    /// Order within the rollout.
    pub number: u32,
    /// Cumulative share of the fleet.
    pub share: Share,
}

impl Stage {
    /// Parses a payload whose signature has been checked.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        field::MAGIC.expect(bytes, MAGIC)?;
        let mut names = Reader::new(bytes, field::FIXED_LEN);
        let product = Label::parse(names.take(field::PRODUCT_LEN.get(bytes)?.into())?)?;
        let target_version = Label::parse(names.take(field::VERSION_LEN.get(bytes)?.into())?)?;
        names.finish()?;
        Ok(Self {
            product,
            target_version,
            target_digest: field::TARGET_DIGEST.get(bytes)?,
            seed: field::SEED.get(bytes)?,
            number: field::NUMBER.get(bytes)?,
            share: Share::from_ppm(field::SHARE.get(bytes)?)?,
        })
    }

    /// Emits the payload into `out` and returns its length, [`MAX_LEN`] at most.
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, FormatError> {
        let mut writer = Writer::new(out);
        let (product, version) = (self.product.as_bytes(), self.target_version.as_bytes());
        let fixed = writer.claim(field::FIXED_LEN)?;
        field::MAGIC.set(fixed, MAGIC)?;
        field::NUMBER.set(fixed, self.number)?;
        field::SHARE.set(fixed, self.share.ppm())?;
        field::SEED.set(fixed, self.seed)?;
        field::TARGET_DIGEST.set(fixed, self.target_digest)?;
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
        fn stage()(
            product in "[A-Za-z0-9_+][A-Za-z0-9._+-]{0,31}",
            version in "[A-Za-z0-9_+][A-Za-z0-9._+-]{0,31}",
            target_digest in any::<ShortDigest>(),
            seed in any::<Seed>(),
            number in any::<u32>(),
            ppm in 0..=Share::WHOLE_PPM,
        ) -> Stage {
            Stage {
                product: product.parse().expect("label characters"),
                target_version: version.parse().expect("label characters"),
                target_digest, seed, number,
                share: Share::from_ppm(ppm).expect("in range"),
            }
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(stage in stage()) {
            let mut out = [0; MAX_LEN];
            let len = stage.emit(&mut out).expect("room");
            prop_assert_eq!(Stage::parse(&out[..len]), Ok(stage));
            for cut in 0..len {
                prop_assert!(Stage::parse(&out[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn what_parses_emits_the_same_bytes(stage in stage(), at in 0..MAX_LEN, bit in 0..8u32) {
            let mut out = [0; MAX_LEN];
            let len = stage.emit(&mut out).expect("room");
            out[at % len] ^= 1u8 << bit;
            if let Ok(flipped) = Stage::parse(&out[..len]) {
                let mut again = [0; MAX_LEN];
                let again_len = flipped.emit(&mut again).expect("parsed");
                prop_assert_eq!(&out[..len], &again[..again_len]);
            }
        }
    }

    #[test]
    fn no_other_document_is_a_stage() {
        let mut out = [0; MAX_LEN];
        for magic in [crate::manifest::MAGIC, crate::index::MAGIC, crate::flags::MAGIC] {
            field::MAGIC.set(&mut out, magic).expect("room");
            let error = FormatError::WrongMagic;
            assert_eq!(Stage::parse(&out), Err(error));
        }
    }
}
