//! The signed description of one artifact.
//!
//! The payload of a manifest envelope, 96 fixed bytes and two names:
//!
//! ```text
//!  0  4  magic "WHM" 01 (the last byte is the format version)
//!  4  1  kind: 0 full image, 1 delta
//!  5  1  codec: 0 stored, 1 zstd, 2 bsdiff, 3 compact, 4 compact in place
//!  6  1  memory class: the decoder needs at most 2^n bytes of RAM
//!  7  1  block size: 2^n bytes
//!  8  2  encoder revision, meaningful together with the codec
//! 10  2  lowest hardware revision     12  2  highest hardware revision
//! 14  4  security counter
//! 18  4  target size                  22 32  target SHA-256
//! 54  4  base size                    58 16  base SHA-256, first 16 bytes     (zeros for a full image)
//! 74  4  payload size                 78 16  authentication root: first 16 bytes of block 0's SHA-256
//! 94  1  length p of the product      95  1  length v of the version
//! 96  p  product                      …   v  target version
//! ```

use crate::block::BlockLayout;
use crate::label::Label;
use crate::limits;
use crate::wire::{Field, Reader, Writer, from_code};
use crate::{Digest, FormatError, Part, ShortDigest};

mod field {
    use super::{Digest, Field, ShortDigest};

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const KIND: Field<u8> = MAGIC.then();
    pub(super) const CODEC: Field<u8> = KIND.then();
    pub(super) const MEMORY_CLASS: Field<u8> = CODEC.then();
    pub(super) const BLOCK_LOG2: Field<u8> = MEMORY_CLASS.then();
    pub(super) const ENCODER: Field<u16> = BLOCK_LOG2.then();
    pub(super) const HARDWARE_MIN: Field<u16> = ENCODER.then();
    pub(super) const HARDWARE_MAX: Field<u16> = HARDWARE_MIN.then();
    pub(super) const SECURITY_COUNTER: Field<u32> = HARDWARE_MAX.then();
    pub(super) const TARGET_SIZE: Field<u32> = SECURITY_COUNTER.then();
    pub(super) const TARGET_DIGEST: Field<Digest> = TARGET_SIZE.then();
    pub(super) const BASE_SIZE: Field<u32> = TARGET_DIGEST.then();
    pub(super) const BASE_DIGEST: Field<ShortDigest> = BASE_SIZE.then();
    pub(super) const PAYLOAD_SIZE: Field<u32> = BASE_DIGEST.then();
    pub(super) const ROOT: Field<ShortDigest> = PAYLOAD_SIZE.then();
    pub(super) const PRODUCT_LEN: Field<u8> = ROOT.then();
    pub(super) const VERSION_LEN: Field<u8> = PRODUCT_LEN.then();
    pub(super) const FIXED_LEN: usize = VERSION_LEN.end();
}

/// First bytes of a manifest payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHM\x01";

/// Longest manifest payload.
pub const MAX_LEN: usize = field::FIXED_LEN + 2 * limits::MAX_LABEL_BYTES;

const _: () = assert!(MAX_LEN + crate::envelope::OVERHEAD <= limits::MAX_MANIFEST_ENVELOPE_BYTES);

/// How the payload is coded. The number is the code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Codec {
    /// The image as it is.
    Stored = 0,
    /// bsdiff-style operations in one zstd frame, which streams; the encoder revision is zstd's version number.
    Zstd = 1,
    /// A classic BSDIFF40 patch, for devices already in the field.
    Bsdiff = 2,
    /// Structure-aware prediction and a mixed-context arithmetic coder, for microcontrollers.
    Compact = 3,
    /// The same for a target that takes the room of its base, sector by sector.
    InPlace = 4,
}

impl Codec {
    /// All codecs, in the order of their codes.
    pub const ALL: [Self; 5] =
        [Self::Stored, Self::Zstd, Self::Bsdiff, Self::Compact, Self::InPlace];

    /// The name in messages and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Zstd => "zstd",
            Self::Bsdiff => "bsdiff",
            Self::Compact => "compact",
            Self::InPlace => "in-place",
        }
    }

    pub(crate) fn from_code(got: u8) -> Result<Self, FormatError> {
        from_code(Part::Codec, &Self::ALL, got)
    }
}

/// The exact image that a delta applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BaseRef {
    /// Size in bytes.
    pub size: u32,
    /// First half of its SHA-256.
    pub digest: ShortDigest,
}

/// What an artifact needs besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// Nothing: the payload holds the whole image.
    Full,
    /// One exact base.
    Delta(BaseRef),
}

/// Code of a full image, here and in the index.
pub(crate) const KIND_FULL: u8 = 0;
/// Code of a delta, here and in the index.
pub(crate) const KIND_DELTA: u8 = 1;

impl Kind {
    /// `full` or `delta`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta(_) => "delta",
        }
    }
}

/// An inclusive range of hardware revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HardwareRange {
    /// Lowest revision that the target runs on.
    pub min: u16,
    /// Highest revision that the target runs on.
    pub max: u16,
}

impl HardwareRange {
    /// Every revision.
    pub const ANY: Self = Self { min: 0, max: u16::MAX };

    /// Whether the target runs on this revision.
    #[must_use]
    pub fn contains(self, revision: u16) -> bool {
        (self.min..=self.max).contains(&revision)
    }

    pub(crate) fn check(self) -> Result<Self, FormatError> {
        let (got, limit) = (u32::from(self.min), u32::from(self.max));
        if got > limit {
            return Err(FormatError::OutOfRange { field: Part::HardwareMin });
        }
        Ok(self)
    }
}

/// Everything that a device must know before it reads the first byte of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Manifest {
    /// Which product the target is for.
    pub product: Label,
    /// Version of the target, for people; order comes from the security counter alone.
    pub target_version: Label,
    /// Hardware revisions that the target runs on.
    pub hardware: HardwareRange,
    /// Never falls on a device; raised when a commit makes older releases unsafe to return to.
    pub security_counter: u32,
    /// Size of the target in bytes.
    pub target_size: u32,
    /// SHA-256 of the target.
    pub target_digest: Digest,
    /// Full image, or delta and its base.
    pub kind: Kind,
    /// How the payload is coded.
    pub codec: Codec,
    /// Revision of the encoder that made the payload.
    pub encoder: u16,
    /// The decoder needs at most `2^memory_class` bytes of RAM.
    pub memory_class: u8,
    /// The payload is cut into blocks of `2^block_log2` bytes.
    pub block_log2: u8,
    /// Size of the payload in bytes, without the hashes between its blocks.
    pub payload_size: u32,
    /// Authenticates block 0.
    pub root: ShortDigest,
}

impl Manifest {
    /// Parses a payload whose signature has been checked.
    ///
    /// # Errors
    /// Any [`FormatError`]; no declared number above its limit in [`limits`] gets through.
    #[inline(never)]
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        field::MAGIC.expect(bytes, MAGIC)?;
        let (fixed, names) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
        let fixed: &[u8; field::FIXED_LEN] = fixed;
        let mut names = Reader::new(names, 0);
        let product = Label::parse(names.take(field::PRODUCT_LEN.of(fixed).into())?)?;
        let target_version = Label::parse(names.take(field::VERSION_LEN.of(fixed).into())?)?;
        names.finish()?;

        let base =
            BaseRef { size: field::BASE_SIZE.of(fixed), digest: field::BASE_DIGEST.of(fixed) };
        let no_base = BaseRef { size: 0, digest: ShortDigest::default() };
        let kind = match field::KIND.of(fixed) {
            KIND_FULL if base == no_base => Kind::Full,
            KIND_FULL => return Err(FormatError::Contradiction { field: Part::BaseOfFullImage }),
            KIND_DELTA => Kind::Delta(base),
            _ => return Err(FormatError::UnknownCode { field: Part::Kind }),
        };
        let manifest = Self {
            product,
            target_version,
            hardware: HardwareRange {
                min: field::HARDWARE_MIN.of(fixed),
                max: field::HARDWARE_MAX.of(fixed),
            },
            security_counter: field::SECURITY_COUNTER.of(fixed),
            target_size: field::TARGET_SIZE.of(fixed),
            target_digest: field::TARGET_DIGEST.of(fixed),
            kind,
            codec: Codec::from_code(field::CODEC.of(fixed))?,
            encoder: field::ENCODER.of(fixed),
            memory_class: field::MEMORY_CLASS.of(fixed),
            block_log2: field::BLOCK_LOG2.of(fixed),
            payload_size: field::PAYLOAD_SIZE.of(fixed),
            root: field::ROOT.of(fixed),
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Emits the payload into `out` and returns its length, [`MAX_LEN`] at most.
    ///
    /// # Errors
    /// A number above its limit, or [`FormatError::BufferTooSmall`]: what `parse` would refuse is never emitted.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, FormatError> {
        self.check()?;
        let mut writer = Writer::new(out);
        let (kind, base) = match self.kind {
            Kind::Full => (KIND_FULL, BaseRef { size: 0, digest: ShortDigest::default() }),
            Kind::Delta(base) => (KIND_DELTA, base),
        };
        let (product, version) = (self.product.as_bytes(), self.target_version.as_bytes());
        let fixed = writer.claim(field::FIXED_LEN)?;
        field::MAGIC.set(fixed, MAGIC)?;
        field::KIND.set(fixed, kind)?;
        field::CODEC.set(fixed, self.codec as u8)?;
        field::MEMORY_CLASS.set(fixed, self.memory_class)?;
        field::BLOCK_LOG2.set(fixed, self.block_log2)?;
        field::ENCODER.set(fixed, self.encoder)?;
        field::HARDWARE_MIN.set(fixed, self.hardware.min)?;
        field::HARDWARE_MAX.set(fixed, self.hardware.max)?;
        field::SECURITY_COUNTER.set(fixed, self.security_counter)?;
        field::TARGET_SIZE.set(fixed, self.target_size)?;
        field::TARGET_DIGEST.set(fixed, self.target_digest)?;
        field::BASE_SIZE.set(fixed, base.size)?;
        field::BASE_DIGEST.set(fixed, base.digest)?;
        field::PAYLOAD_SIZE.set(fixed, self.payload_size)?;
        field::ROOT.set(fixed, self.root)?;
        field::PRODUCT_LEN.set(fixed, label_len(product)?)?;
        field::VERSION_LEN.set(fixed, label_len(version)?)?;
        writer.put(product)?;
        writer.put(version)?;
        Ok(writer.len())
    }

    /// The base, if this is a delta.
    #[must_use]
    pub fn base(&self) -> Option<BaseRef> {
        match self.kind {
            Kind::Full => None,
            Kind::Delta(base) => Some(base),
        }
    }

    /// The blocks of the payload.
    #[must_use]
    pub fn block_layout(&self) -> BlockLayout {
        BlockLayout::of(self.payload_size, self.block_log2)
    }

    /// RAM that the decoder needs at most, in bytes.
    #[must_use]
    pub fn decoder_ram_bytes(&self) -> u32 {
        1u32.checked_shl(self.memory_class.into()).unwrap_or(u32::MAX)
    }

    fn check(&self) -> Result<(), FormatError> {
        self.hardware.check()?;
        at_most(Part::TargetSize, self.target_size, limits::MAX_IMAGE_BYTES)?;
        at_most(Part::BaseSize, self.base().map_or(0, |base| base.size), limits::MAX_IMAGE_BYTES)?;
        at_most(Part::PayloadSize, self.payload_size, limits::MAX_PAYLOAD_BYTES)?;
        at_most(Part::MemoryClass, self.memory_class.into(), limits::MAX_MEMORY_CLASS.into())?;
        crate::block::check_block_log2(self.block_log2)?;
        let contradicts = match self.kind {
            Kind::Full => matches!(self.codec, Codec::Bsdiff | Codec::InPlace),
            Kind::Delta(_) => self.codec == Codec::Stored,
        };
        if contradicts { Err(FormatError::Contradiction { field: Part::Codec }) } else { Ok(()) }
    }
}

/// Whether a payload tells of the target with this digest; nothing else of it is looked at.
#[must_use]
pub fn is_for(payload: &[u8], target: &ShortDigest) -> bool {
    let at = field::TARGET_SIZE.end();
    payload.get(at..).is_some_and(|bytes| bytes.starts_with(target))
}

pub(crate) fn at_most(field: Part, got: u32, limit: u32) -> Result<(), FormatError> {
    if got > limit { Err(FormatError::OutOfRange { field }) } else { Ok(()) }
}

pub(crate) fn label_len(label: &[u8]) -> Result<u8, FormatError> {
    u8::try_from(label.len()).map_err(|_| FormatError::BadLabel)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label() -> impl Strategy<Value = Label> {
        "[A-Za-z0-9_+][A-Za-z0-9._+-]{0,31}".prop_map(|s| s.parse().expect("label characters"))
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let delta = (0..=limits::MAX_IMAGE_BYTES, any::<ShortDigest>())
            .prop_map(|(size, digest)| Kind::Delta(BaseRef { size, digest }));
        prop_oneof![Just(Kind::Full), delta]
    }

    prop_compose! {
        fn manifest()(
            (product, target_version, kind) in (label(), label(), kind()),
            revisions in any::<[u16; 2]>(),
            (security_counter, encoder) in any::<(u32, u16)>(),
            target_size in 0..=limits::MAX_IMAGE_BYTES,
            payload_size in 0..=limits::MAX_PAYLOAD_BYTES,
            target_digest in any::<Digest>(),
            root in any::<ShortDigest>(),
            any_codec in proptest::sample::select(&Codec::ALL[..]),
            memory_class in 0..=limits::MAX_MEMORY_CLASS,
            block_log2 in limits::MIN_BLOCK_LOG2..=limits::MAX_BLOCK_LOG2,
        ) -> Manifest {
            let [a, b] = revisions;
            let hardware = HardwareRange { min: a.min(b), max: a.max(b) };
            let codec = match (kind, any_codec) {
                (Kind::Full, Codec::Bsdiff | Codec::InPlace) | (Kind::Delta(_), Codec::Stored) => Codec::Zstd,
                (_, codec) => codec,
            };
            Manifest {
                product, target_version, hardware, security_counter, target_size, target_digest, kind, codec,
                encoder, memory_class, block_log2, payload_size, root,
            }
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(manifest in manifest()) {
            let mut out = [0; MAX_LEN];
            let len = manifest.emit(&mut out).expect("within limits");
            prop_assert_eq!(Manifest::parse(&out[..len]), Ok(manifest));
            for cut in 0..len {
                prop_assert!(Manifest::parse(&out[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn what_parses_emits_the_same_bytes(manifest in manifest(), at in 0..MAX_LEN, bit in 0..8u32) {
            let mut out = [0; MAX_LEN];
            let len = manifest.emit(&mut out).expect("within limits");
            let at = at % len;
            out[at] ^= 1u8 << bit;
            if let Ok(flipped) = Manifest::parse(&out[..len]) {
                let mut again = [0; MAX_LEN];
                let again_len = flipped.emit(&mut again).expect("parsed");
                prop_assert_eq!(&out[..len], &again[..again_len]);
            }
        }
    }
}
