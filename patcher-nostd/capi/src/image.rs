//! What a manifest says, for C.

use core::ffi::c_char;

use whittle_format::Label;
use whittle_patcher_nostd::{Manifest, SlotId};

/// Bytes of the longest name with the zero behind it.
pub const WHITTLE_NAME_BYTES: usize = 33;

const _: () = assert!(WHITTLE_NAME_BYTES == whittle_format::limits::MAX_LABEL_BYTES + 1);

/// A slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Slot {
    /// The first slot.
    A = 0,
    /// The second slot.
    B = 1,
    /// Neither of them: the boot loader must offer its recovery, such as an image in ROM.
    None = 2,
}

/// An image that a trusted key signed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SignedImage {
    /// SHA-256 of the image.
    pub digest: [u8; 32],
    /// Size of the image in bytes.
    pub size: u32,
    /// Security counter of the image.
    pub security_counter: u32,
    /// Bytes of the package's blocks: what the block buffer must hold, or the whole payload if that is smaller.
    pub block_bytes: u32,
    /// Name of the product.
    pub product: [c_char; WHITTLE_NAME_BYTES],
    /// Version, for people.
    pub version: [c_char; WHITTLE_NAME_BYTES],
    /// 1 if it came, or comes, as a delta, 0 if whole.
    pub is_delta: u8,
}

impl SignedImage {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self {
            digest: manifest.target_digest,
            size: manifest.target_size,
            security_counter: manifest.security_counter,
            block_bytes: 1u32.checked_shl(manifest.block_log2.into()).unwrap_or(u32::MAX),
            product: name(&manifest.product),
            version: name(&manifest.target_version),
            is_delta: u8::from(manifest.base().is_some()),
        }
    }
}

/// A name, and zeros behind it.
pub(crate) fn name(label: &Label) -> [c_char; WHITTLE_NAME_BYTES] {
    let mut name = [0; WHITTLE_NAME_BYTES];
    for (to, from) in name.iter_mut().zip(label.as_bytes()) {
        *to = c_char::from_ne_bytes([*from]);
    }
    name
}

impl From<SlotId> for Slot {
    fn from(slot: SlotId) -> Self {
        match slot {
            SlotId::A => Self::A,
            SlotId::B => Self::B,
        }
    }
}
