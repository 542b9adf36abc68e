//! The signed list of what a release holds.
//!
//! The payload of an index envelope. A server or a device that knows which image it runs chooses a package from it:
//! the smallest delta from that base which fits, else the full image.
//!
//! ```text
//!  0  4  magic "WHX" 01 (the last byte is the format version)
//!  4  4  security counter
//!  8  2  lowest hardware revision     10  2  highest hardware revision
//! 12  4  target size                  16 32  target SHA-256
//! 48  1  length of the product        49  1  length of the version
//! 50  1  bases b     51  1  packages p     52  1  attachments a
//! 53  …  product, target version
//!        b × base:        0 4 size    4 32 SHA-256
//!        p × package:     0 1 kind (0 full, 1 delta)   1 1 number of its base (255: none)   2 1 codec
//!                         3 1 memory class   4 1 block size (2^n)   5 2 encoder revision
//!                         7 4 size of the package file   11 32 its SHA-256
//!        a × attachment:  0 1 kind (0 release notes, 1 SBOM)   1 4 size   5 32 SHA-256
//! ```
//!
//! A listed base without a delta is served by the full image: a delta would not have been clearly smaller.

use core::marker::PhantomData;

use crate::limits;
use crate::manifest::{Codec, KIND_DELTA, KIND_FULL, at_most};
pub use crate::release::Release;
use crate::wire::{Field, Reader, Writer};
use crate::{Digest, FormatError, Part};

mod field {
    use super::{Digest, Field};
    use crate::release::head;

    pub(super) const BASES: Field<u8> = head::VERSION_LEN.then();
    pub(super) const PACKAGES: Field<u8> = BASES.then();
    pub(super) const ATTACHMENTS: Field<u8> = PACKAGES.then();
    pub(super) const FIXED_LEN: usize = ATTACHMENTS.end();

    pub(super) const BASE_SIZE: Field<u32> = Field::first();
    pub(super) const BASE_DIGEST: Field<Digest> = BASE_SIZE.then();

    pub(super) const PACKAGE_KIND: Field<u8> = Field::first();
    pub(super) const PACKAGE_BASE: Field<u8> = PACKAGE_KIND.then();
    pub(super) const PACKAGE_CODEC: Field<u8> = PACKAGE_BASE.then();
    pub(super) const PACKAGE_MEMORY_CLASS: Field<u8> = PACKAGE_CODEC.then();
    pub(super) const PACKAGE_BLOCK_LOG2: Field<u8> = PACKAGE_MEMORY_CLASS.then();
    pub(super) const PACKAGE_ENCODER: Field<u16> = PACKAGE_BLOCK_LOG2.then();
    pub(super) const PACKAGE_SIZE: Field<u32> = PACKAGE_ENCODER.then();
    pub(super) const PACKAGE_DIGEST: Field<Digest> = PACKAGE_SIZE.then();

    pub(super) const ATTACHMENT_KIND: Field<u8> = Field::first();
    pub(super) const ATTACHMENT_SIZE: Field<u32> = ATTACHMENT_KIND.then();
    pub(super) const ATTACHMENT_DIGEST: Field<Digest> = ATTACHMENT_SIZE.then();
}

/// First bytes of an index payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHX\x01";

const NO_BASE: u8 = u8::MAX;

/// A base that the release was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Size in bytes.
    pub size: u32,
    /// Its SHA-256.
    pub digest: Digest,
}

/// One package file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Number of its base in the index; `None` for the full image.
    pub base: Option<u8>,
    /// How the payload is coded.
    pub codec: Codec,
    /// The decoder needs at most `2^memory_class` bytes of RAM.
    pub memory_class: u8,
    /// Block size, `2^block_log2` bytes.
    pub block_log2: u8,
    /// Revision of the encoder.
    pub encoder: u16,
    /// Size of the package file in bytes.
    pub size: u32,
    /// SHA-256 of the package file.
    pub digest: Digest,
}

/// What an attachment is. The number is the code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum AttachmentKind {
    /// Release notes for people.
    Notes = 0,
    /// Software bill of materials.
    Sbom = 1,
}

/// A file that belongs to the release but is not needed to install it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// Size in bytes.
    pub size: u32,
    /// Its SHA-256.
    pub digest: Digest,
}

/// A record of fixed length in the index, or in a bundle.
pub trait Record: Sized {
    /// Length in bytes.
    const LEN: usize;
    /// Most records of this kind in one document.
    const MAX_COUNT: usize;
    /// Name in errors.
    const FIELD: Part;
    /// Parses [`Self::LEN`] bytes.
    ///
    /// # Errors
    /// A [`FormatError`] for an unknown code or a number above its limit.
    fn parse(bytes: &[u8]) -> Result<Self, FormatError>;
    /// Emits [`Self::LEN`] bytes.
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`].
    fn emit(&self, out: &mut [u8]) -> Result<(), FormatError>;
}

impl Record for Base {
    const LEN: usize = field::BASE_DIGEST.end();
    const MAX_COUNT: usize = limits::MAX_BASES;
    const FIELD: Part = Part::Bases;

    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let base =
            Self { size: field::BASE_SIZE.get(bytes)?, digest: field::BASE_DIGEST.get(bytes)? };
        at_most(Part::BaseSize, base.size, limits::MAX_IMAGE_BYTES)?;
        Ok(base)
    }

    fn emit(&self, out: &mut [u8]) -> Result<(), FormatError> {
        field::BASE_SIZE.set(out, self.size)?;
        field::BASE_DIGEST.set(out, self.digest)
    }
}

impl Record for Package {
    const LEN: usize = field::PACKAGE_DIGEST.end();
    const MAX_COUNT: usize = limits::MAX_PACKAGES;
    const FIELD: Part = Part::Packages;

    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let base = match (field::PACKAGE_KIND.get(bytes)?, field::PACKAGE_BASE.get(bytes)?) {
            (KIND_FULL, NO_BASE) => None,
            (KIND_DELTA, number) if number != NO_BASE => Some(number),
            (KIND_FULL | KIND_DELTA, _) => {
                return Err(FormatError::Contradiction { field: Part::BaseOfPackage });
            }
            _ => return Err(FormatError::UnknownCode { field: Part::Kind }),
        };
        Ok(Self {
            base,
            codec: Codec::from_code(field::PACKAGE_CODEC.get(bytes)?)?,
            memory_class: field::PACKAGE_MEMORY_CLASS.get(bytes)?,
            block_log2: field::PACKAGE_BLOCK_LOG2.get(bytes)?,
            encoder: field::PACKAGE_ENCODER.get(bytes)?,
            size: field::PACKAGE_SIZE.get(bytes)?,
            digest: field::PACKAGE_DIGEST.get(bytes)?,
        })
    }

    fn emit(&self, out: &mut [u8]) -> Result<(), FormatError> {
        let (kind, base) = self.base.map_or((KIND_FULL, NO_BASE), |number| (KIND_DELTA, number));
        field::PACKAGE_KIND.set(out, kind)?;
        field::PACKAGE_BASE.set(out, base)?;
        field::PACKAGE_CODEC.set(out, self.codec as u8)?;
        field::PACKAGE_MEMORY_CLASS.set(out, self.memory_class)?;
        field::PACKAGE_BLOCK_LOG2.set(out, self.block_log2)?;
        field::PACKAGE_ENCODER.set(out, self.encoder)?;
        field::PACKAGE_SIZE.set(out, self.size)?;
        field::PACKAGE_DIGEST.set(out, self.digest)
    }
}

impl Record for Attachment {
    const LEN: usize = field::ATTACHMENT_DIGEST.end();
    const MAX_COUNT: usize = limits::MAX_ATTACHMENTS;
    const FIELD: Part = Part::Attachments;

    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let kind = match field::ATTACHMENT_KIND.get(bytes)? {
            0 => AttachmentKind::Notes,
            1 => AttachmentKind::Sbom,
            _ => return Err(FormatError::UnknownCode { field: Part::AttachmentKind }),
        };
        let (size, digest) =
            (field::ATTACHMENT_SIZE.get(bytes)?, field::ATTACHMENT_DIGEST.get(bytes)?);
        Ok(Self { kind, size, digest })
    }

    fn emit(&self, out: &mut [u8]) -> Result<(), FormatError> {
        field::ATTACHMENT_KIND.set(out, self.kind as u8)?;
        field::ATTACHMENT_SIZE.set(out, self.size)?;
        field::ATTACHMENT_DIGEST.set(out, self.digest)
    }
}

/// Records that have been checked one by one when they were parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'a, R> {
    bytes: &'a [u8],
    kind: PhantomData<R>,
}

impl<'a, R: Record + 'a> Records<'a, R> {
    pub(crate) fn parse(reader: &mut Reader<'a>, count: u8) -> Result<Self, FormatError> {
        check_count::<R>(count.into())?;
        let bytes = reader.take(R::LEN.saturating_mul(count.into()))?;
        for record in bytes.chunks_exact(R::LEN) {
            R::parse(record)?;
        }
        Ok(Self { bytes, kind: PhantomData })
    }

    /// The records in their order.
    pub fn iter(&self) -> impl Iterator<Item = R> + use<'a, R> {
        self.bytes.chunks_exact(R::LEN).filter_map(|record| R::parse(record).ok())
    }
}

/// A parsed index, borrowing the payload it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index<'a> {
    /// What all packages have in common.
    pub release: Release,
    /// The bases that the release was built for.
    pub bases: Records<'a, Base>,
    /// The package files.
    pub packages: Records<'a, Package>,
    /// Further files.
    pub attachments: Records<'a, Attachment>,
}

impl<'a> Index<'a> {
    /// Parses a payload whose signature has been checked.
    ///
    /// # Errors
    /// Any [`FormatError`]; every record is checked, and every delta's base is one of the listed bases.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut rest = Reader::new(bytes, field::FIXED_LEN);
        let release = Release::parse(bytes, MAGIC, &mut rest)?;
        let bases = Records::parse(&mut rest, field::BASES.get(bytes)?)?;
        let packages = Records::parse(&mut rest, field::PACKAGES.get(bytes)?)?;
        let attachments = Records::parse(&mut rest, field::ATTACHMENTS.get(bytes)?)?;
        rest.finish()?;
        check_base_numbers(packages.iter(), field::BASES.get(bytes)?)?;
        Ok(Self { release, bases, packages, attachments })
    }
}

/// Emits an index payload into `out` and returns its length.
///
/// # Errors
/// [`FormatError::OutOfRange`] for more records than the limits allow, [`FormatError::Contradiction`] for a delta
/// whose base is not listed, or [`FormatError::BufferTooSmall`].
pub fn emit(
    release: &Release,
    bases: &[Base],
    packages: &[Package],
    attachments: &[Attachment],
    out: &mut [u8],
) -> Result<usize, FormatError> {
    let base_count = check_count::<Base>(bases.len())?;
    check_base_numbers(packages.iter().copied(), base_count)?;

    let mut writer = Writer::new(out);
    let fixed = writer.claim(field::FIXED_LEN)?;
    release.emit_head(MAGIC, fixed)?;
    field::BASES.set(fixed, base_count)?;
    field::PACKAGES.set(fixed, check_count::<Package>(packages.len())?)?;
    field::ATTACHMENTS.set(fixed, check_count::<Attachment>(attachments.len())?)?;
    release.emit_names(&mut writer)?;
    put_records(&mut writer, bases)?;
    put_records(&mut writer, packages)?;
    put_records(&mut writer, attachments)?;
    Ok(writer.len())
}

pub(crate) fn put_records<R: Record>(
    writer: &mut Writer<'_>,
    records: &[R],
) -> Result<(), FormatError> {
    records.iter().try_for_each(|record| record.emit(writer.claim(R::LEN)?))
}

pub(crate) fn check_count<R: Record>(count: usize) -> Result<u8, FormatError> {
    let limit = u32::try_from(R::MAX_COUNT).unwrap_or(u32::MAX);
    at_most(R::FIELD, u32::try_from(count).unwrap_or(u32::MAX), limit)?;
    u8::try_from(count).map_err(|_| FormatError::OutOfRange { field: R::FIELD })
}

fn check_base_numbers(
    mut packages: impl Iterator<Item = Package>,
    bases: u8,
) -> Result<(), FormatError> {
    let listed = |package: Package| package.base.is_none_or(|number| number < bases);
    if packages.all(listed) {
        Ok(())
    } else {
        Err(FormatError::Contradiction { field: Part::BaseOfPackage })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::HardwareRange;

    fn package(bases: u8) -> impl Strategy<Value = Package> {
        let base =
            prop_oneof![Just(None), (0..bases.max(1)).prop_map(move |n| (bases > 0).then_some(n))];
        let codec = proptest::sample::select(&Codec::ALL[..]);
        (base, codec, any::<(u8, u8, u16, u32)>(), any::<Digest>()).prop_map(
            |(base, codec, numbers, digest)| {
                let (memory_class, block_log2, encoder, size) = numbers;
                Package { base, codec, memory_class, block_log2, encoder, size, digest }
            },
        )
    }

    fn records() -> impl Strategy<Value = (Vec<Base>, Vec<Package>, Vec<Attachment>)> {
        let base = (0..=limits::MAX_IMAGE_BYTES, any::<Digest>())
            .prop_map(|(size, digest)| Base { size, digest });
        let kind = proptest::sample::select(&[AttachmentKind::Notes, AttachmentKind::Sbom][..]);
        let attachment = (kind, any::<u32>(), any::<Digest>())
            .prop_map(|(kind, size, digest)| Attachment { kind, size, digest });
        vec(base, 0..6).prop_flat_map(move |bases| {
            let count = u8::try_from(bases.len()).expect("few");
            (Just(bases), vec(package(count), 0..6), vec(attachment.clone(), 0..3))
        })
    }

    proptest! {
        #[test]
        fn parse_undoes_emit((bases, packages, attachments) in records(), counter in any::<u32>()) {
            let release = Release {
                product: "thermostat".parse().unwrap(),
                target_version: "1.2.3".parse().unwrap(),
                hardware: HardwareRange { min: 2, max: 5 },
                security_counter: counter,
                target_size: 1234,
                target_digest: [9; 32],
            };
            let mut out = [0; 2048];
            let len = emit(&release, &bases, &packages, &attachments, &mut out).unwrap();
            let index = Index::parse(&out[..len]).unwrap();
            prop_assert_eq!(index.release, release);
            prop_assert_eq!(index.bases.iter().collect::<Vec<_>>(), bases);
            prop_assert_eq!(index.packages.iter().collect::<Vec<_>>(), packages);
            prop_assert_eq!(index.attachments.iter().collect::<Vec<_>>(), attachments);
            for cut in 0..len {
                prop_assert!(Index::parse(&out[..cut]).is_err(), "cut at {}", cut);
            }
        }
    }
}
