//! What all packages of a release have in common: the head of its [index](crate::index), and of an
//! [approval](crate::approval).
//!
//! ```text
//!  0  4  magic: three letters and the format version
//!  4  4  security counter
//!  8  2  lowest hardware revision     10  2  highest hardware revision
//! 12  4  target size                  16 32  target SHA-256
//! 48  1  length of the product        49  1  length of the version
//!        behind all numbers of the document: product, target version
//! ```

use crate::label::Label;
use crate::manifest::{HardwareRange, at_most, label_len};
use crate::wire::{Reader, Writer};
use crate::{Digest, FormatError, Part, limits};

pub(crate) mod head {
    use crate::Digest;
    use crate::wire::Field;

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const SECURITY_COUNTER: Field<u32> = MAGIC.then();
    pub(super) const HARDWARE_MIN: Field<u16> = SECURITY_COUNTER.then();
    pub(super) const HARDWARE_MAX: Field<u16> = HARDWARE_MIN.then();
    pub(super) const TARGET_SIZE: Field<u32> = HARDWARE_MAX.then();
    pub(super) const TARGET_DIGEST: Field<Digest> = TARGET_SIZE.then();
    pub(super) const PRODUCT_LEN: Field<u8> = TARGET_DIGEST.then();
    /// The last one.
    pub(crate) const VERSION_LEN: Field<u8> = PRODUCT_LEN.then();
}

/// What all packages of a release have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which product the target is for.
    pub product: Label,
    /// Version of the target.
    pub target_version: Label,
    /// Hardware revisions that the target runs on.
    pub hardware: HardwareRange,
    /// Security counter of every package.
    pub security_counter: u32,
    /// Size of the target in bytes.
    pub target_size: u32,
    /// SHA-256 of the target.
    pub target_digest: Digest,
}

impl Release {
    /// Parses the head of a document with this magic, and the names that come next in `names`.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub(crate) fn parse(
        bytes: &[u8],
        magic: [u8; 4],
        names: &mut Reader<'_>,
    ) -> Result<Self, FormatError> {
        head::MAGIC.expect(bytes, magic)?;
        let product = Label::parse(names.take(head::PRODUCT_LEN.get(bytes)?.into())?)?;
        let target_version = Label::parse(names.take(head::VERSION_LEN.get(bytes)?.into())?)?;
        let target_size = head::TARGET_SIZE.get(bytes)?;
        at_most(Part::TargetSize, target_size, limits::MAX_IMAGE_BYTES)?;
        let (min, max) = (head::HARDWARE_MIN.get(bytes)?, head::HARDWARE_MAX.get(bytes)?);
        Ok(Self {
            product,
            target_version,
            hardware: HardwareRange { min, max }.check()?,
            security_counter: head::SECURITY_COUNTER.get(bytes)?,
            target_size,
            target_digest: head::TARGET_DIGEST.get(bytes)?,
        })
    }

    /// Emits the head.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] or [`FormatError::BufferTooSmall`].
    pub(crate) fn emit_head(&self, magic: [u8; 4], out: &mut [u8]) -> Result<(), FormatError> {
        at_most(Part::TargetSize, self.target_size, limits::MAX_IMAGE_BYTES)?;
        let hardware = self.hardware.check()?;
        head::MAGIC.set(out, magic)?;
        head::SECURITY_COUNTER.set(out, self.security_counter)?;
        head::HARDWARE_MIN.set(out, hardware.min)?;
        head::HARDWARE_MAX.set(out, hardware.max)?;
        head::TARGET_SIZE.set(out, self.target_size)?;
        head::TARGET_DIGEST.set(out, self.target_digest)?;
        head::PRODUCT_LEN.set(out, label_len(self.product.as_bytes())?)?;
        head::VERSION_LEN.set(out, label_len(self.target_version.as_bytes())?)
    }

    /// Emits the names.
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`].
    pub(crate) fn emit_names(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.put(self.product.as_bytes())?;
        writer.put(self.target_version.as_bytes())
    }
}
