//! Chooses how an artifact is coded: the smallest payload that the device can decode.

use whittle_delta::{EncodeError, Encoded, bsdiff40, compact, stored, zstd};
use whittle_format::limits::MAX_MEMORY_CLASS;
use whittle_format::manifest::Codec;

use crate::{Error, Image, Result};

/// What the devices of a release have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceProfile {
    /// RAM that a decoder may use, in bytes.
    pub decoder_ram_bytes: u64,
    /// Capacity of the slot, in bytes, if it is to be checked.
    pub slot_bytes: Option<u64>,
    /// Which codecs are tried.
    pub codec: CodecChoice,
    /// Blocks of `2^block_log2` bytes.
    pub block_log2: u8,
}

impl Default for DeviceProfile {
    fn default() -> Self {
        Self {
            decoder_ram_bytes: 16 << 20,
            slot_bytes: None,
            codec: CodecChoice::Auto,
            block_log2: 12,
        }
    }
}

/// Which codecs the builder may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodecChoice {
    /// Whatever makes the smallest package.
    #[default]
    Auto,
    /// `compact` only.
    Compact,
    /// zstd only.
    Zstd,
    /// BSDIFF40 deltas, for devices that know nothing else; the full image is stored.
    Bsdiff,
    /// No compression: full images only.
    Stored,
}

/// Larger images are tried with `compact` only on request: they are Linux-class, and encoding takes seconds per MB.
const MAX_COMPACT_BY_ITSELF: u32 = 8 << 20;

/// Images above this are encoded with less effort.
const LARGE: u32 = 1 << 20;

/// A payload and everything that the manifest says about it.
pub(crate) struct Candidate {
    pub(crate) codec: Codec,
    pub(crate) encoded: Encoded,
}

impl Candidate {
    /// The memory class that holds the decoder: the exponent of a power of two.
    pub(crate) fn memory_class(&self) -> u8 {
        let log2 =
            self.encoded.decoder_ram_bytes.checked_next_power_of_two().unwrap_or(u64::MAX).ilog2();
        u8::try_from(log2).unwrap_or(u8::MAX)
    }
}

/// Encodes `target`, against `base` if there is one; `None` if the choice of codec allows no such artifact.
///
/// # Errors
/// [`Error::Encode`] if no allowed codec fits the device.
pub(crate) fn encode(
    base: Option<&Image>,
    target: &Image,
    profile: &DeviceProfile,
) -> Result<Option<Candidate>> {
    let mut best: Option<Candidate> = None;
    let mut refusal = None;
    for codec in allowed(profile.codec, base.is_some(), target.size()) {
        match encode_with(*codec, base, target, profile) {
            Ok(candidate) if candidate.memory_class() > MAX_MEMORY_CLASS => {
                let (needed, limit) = (candidate.encoded.decoder_ram_bytes, 1 << MAX_MEMORY_CLASS);
                refusal = Some(EncodeError::Memory { needed, limit });
            }
            Ok(candidate) => {
                let smaller =
                    |best: &Candidate| candidate.encoded.payload.len() < best.encoded.payload.len();
                if best.as_ref().is_none_or(smaller) {
                    best = Some(candidate);
                }
            }
            Err(error @ EncodeError::Memory { .. }) => refusal = Some(error),
            Err(source) => return Err(Error::Encode { what: describe(base), source }),
        }
    }
    match (best, refusal) {
        (Some(best), _) => Ok(Some(best)),
        (None, Some(source)) => Err(Error::Encode { what: describe(base), source }),
        (None, None) => Ok(None),
    }
}

fn allowed(choice: CodecChoice, delta: bool, target_size: u32) -> &'static [Codec] {
    match (choice, delta) {
        (CodecChoice::Auto, true) if target_size > MAX_COMPACT_BY_ITSELF => &[Codec::Zstd],
        (CodecChoice::Auto, false) if target_size > MAX_COMPACT_BY_ITSELF => {
            &[Codec::Zstd, Codec::Stored]
        }
        (CodecChoice::Auto, true) => &[Codec::Compact, Codec::Zstd],
        (CodecChoice::Auto, false) => &[Codec::Compact, Codec::Zstd, Codec::Stored],
        (CodecChoice::Compact, _) => &[Codec::Compact],
        (CodecChoice::Zstd, true) => &[Codec::Zstd],
        (CodecChoice::Zstd, false) => &[Codec::Zstd],
        (CodecChoice::Bsdiff, true) => &[Codec::Bsdiff],
        (CodecChoice::Stored, true) => &[],
        (CodecChoice::Bsdiff | CodecChoice::Stored, false) => &[Codec::Stored],
    }
}

fn encode_with(
    codec: Codec,
    base: Option<&Image>,
    target: &Image,
    profile: &DeviceProfile,
) -> Result<Candidate, EncodeError> {
    let limit = profile.decoder_ram_bytes;
    let encoded = match codec {
        Codec::Zstd => {
            // The manifest declares a power of two, so the largest one that the device has bounds the decoder.
            let decoder_ram_bytes = 1 << limit.max(1).ilog2();
            let options = zstd::Options { decoder_ram_bytes, ..Default::default() };
            zstd::encode(base.map(Image::bytes), target.bytes(), options).map_err(|error| {
                match error {
                    EncodeError::Memory { needed, .. } => {
                        EncodeError::Memory { needed: needed.next_power_of_two(), limit }
                    }
                    other => other,
                }
            })?
        }
        Codec::Compact => {
            let effort = if target.size() > LARGE {
                compact::Effort::Quick
            } else {
                compact::Effort::Thorough
            };
            let options =
                compact::Options { decoder_ram_bytes: limit, effort, ..Default::default() };
            compact::encode(base.map(Image::bytes), target.bytes(), options)?
        }
        Codec::Bsdiff => {
            bsdiff40::encode(base.ok_or(EncodeError::NoBase)?.bytes(), target.bytes())?
        }
        _ => stored::encode(target.bytes()),
    };
    let candidate = Candidate { codec, encoded };
    let needed = 1u64 << candidate.memory_class();
    if needed > limit { Err(EncodeError::Memory { needed, limit }) } else { Ok(candidate) }
}

fn describe(base: Option<&Image>) -> String {
    base.map_or("the full image".to_owned(), |base| {
        format!("the delta from {}", base.digest().short())
    })
}
