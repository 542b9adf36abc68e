//! Chooses how an artifact is coded: the smallest payload that the device can decode.

use serde::Serialize;
use whittle_delta::compact::{CodeHint, InstructionSet};
use whittle_delta::{
    EncodeError, Encoded, InPlace, bsdiff40, compact, in_place_payload, stored, zstd,
};
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
    /// Blocks of `2^block_log2` bytes; if none is given, as many as suit the RAM.
    pub fixed_block_log2: Option<u8>,
    /// Where the first byte of all images lies, whatever their files tell.
    pub load_address: Option<u32>,
    /// Whose code all images are, whatever their files tell.
    pub code: CodeHint,
    /// Set for devices with a single slot: deltas are then made to be applied in place.
    pub in_place: Option<InPlaceRoom>,
}

/// The room of a single slot, without what the image's envelope takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlaceRoom {
    /// Bytes that are erased at a time, or a multiple of them; a power of two.
    pub sector_bytes: u32,
    /// Sectors for base and target, and to spare: two to spare are enough for most updates.
    pub sectors: u16,
}

impl InPlaceRoom {
    /// Whether there can be such sectors, and as many.
    #[must_use]
    pub fn is_possible(sector_bytes: u32, sectors: u16) -> bool {
        sectors > 0 && InPlace::new(sector_bytes, &[]).is_some()
    }
}

impl DeviceProfile {
    /// The RAM that a decoder may take, in bytes: a manifest declares a power of two, so the largest one that the device has.
    #[must_use]
    pub fn declarable_ram_bytes(&self) -> u64 {
        1 << self.decoder_ram_bytes.max(1).ilog2()
    }

    /// An encoder's error by what the profile says: the RAM that a package would declare, and that of the device.
    #[must_use]
    pub fn declared(&self, error: EncodeError) -> EncodeError {
        match error {
            EncodeError::Memory { needed, .. } => EncodeError::Memory {
                needed: needed.next_power_of_two(),
                limit: self.decoder_ram_bytes,
            },
            other => other,
        }
    }

    /// The blocks' size as a power of two: blocks are authenticated one by one, and the device holds one in RAM; each takes 16 bytes of hash.
    #[must_use]
    pub fn block_log2(&self) -> u8 {
        const SMALL: u8 = 12;
        const LARGE: u8 = 16;
        let fitting = if self.decoder_ram_bytes >= 1 << 20 { LARGE } else { SMALL };
        self.fixed_block_log2.unwrap_or(fitting)
    }

    /// Options of the `compact` codec for these images: what the profile says, else what their files tell.
    ///
    /// What one of two files tells and the other one does not is taken for both.
    #[must_use]
    pub fn compact_options(
        &self,
        base: Option<&Image>,
        target: &Image,
        decoder_ram_bytes: u64,
    ) -> compact::Options {
        let of_target = self.load_address.or(target.source().short_load_address());
        let of_base = base.and_then(|base| base.source().short_load_address());
        let of_base = self.load_address.or(of_base);
        let told = || {
            let of_base = base.and_then(|base| base.source().instruction_set);
            target.source().instruction_set.or(of_base)
        };
        compact::Options {
            decoder_ram_bytes,
            load_address: of_target.or(of_base),
            base_load_address: of_base,
            code: match self.code {
                CodeHint::Find => told().map_or(CodeHint::Find, CodeHint::Set),
                said => said,
            },
            ..Default::default()
        }
    }
}

impl Default for DeviceProfile {
    fn default() -> Self {
        Self {
            decoder_ram_bytes: 16 << 20,
            slot_bytes: None,
            codec: CodecChoice::Auto,
            fixed_block_log2: None,
            load_address: None,
            code: CodeHint::Find,
            in_place: None,
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

/// Whether the encoder might have made this for such devices: what comes out of a cache need not be so.
pub(crate) fn is_possible(
    candidate: &Candidate,
    base: Option<&Image>,
    target: &Image,
    profile: &DeviceProfile,
) -> bool {
    let class = candidate.memory_class();
    class <= MAX_MEMORY_CLASS
        && 1u64 << class <= profile.decoder_ram_bytes
        && allowed_for(profile, base.is_some(), target.size()).contains(&candidate.codec)
}

/// What a codec would have made, or made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Alternative {
    /// Name of the codec.
    pub codec: &'static str,
    /// Name of the instruction set that it knew, if any.
    pub instruction_set: Option<&'static str>,
    /// Name of its memory class, if the codec has such.
    pub memory_class: Option<&'static str>,
    /// Size of the payload in bytes.
    pub payload_bytes: u64,
    /// RAM in bytes that its decoder needs at most.
    pub decoder_ram_bytes: u64,
}

impl Alternative {
    /// Describes what a codec made.
    #[must_use]
    pub fn of(codec: Codec, encoded: &Encoded) -> Self {
        Self {
            codec: codec.name(),
            instruction_set: encoded.instruction_set.map(InstructionSet::name),
            memory_class: (codec == Codec::Compact)
                .then(|| compact::Class::from_code(*encoded.payload.first()?))
                .flatten()
                .map(compact::Class::name),
            payload_bytes: encoded.payload.len() as u64,
            decoder_ram_bytes: encoded.decoder_ram_bytes,
        }
    }
}

/// The smallest candidate, and all that were made.
pub(crate) struct Choice {
    pub(crate) best: Candidate,
    pub(crate) tried: Vec<Alternative>,
}

/// Encodes `target`, against `base` if there is one; `None` if the choice of codec allows no such artifact.
///
/// `report` is told how far it is, of 1000; only of the codec that takes long.
///
/// # Errors
/// [`Error::Encode`] if no allowed codec fits the device.
pub(crate) fn encode(
    base: Option<&Image>,
    target: &Image,
    profile: &DeviceProfile,
    report: &dyn Fn(u32),
) -> Result<Option<Choice>> {
    let (mut made, mut refusal) = (Vec::new(), None);
    // Of several refusals for want of RAM, the codec that needs least speaks.
    let refuse = |refusal: &mut Option<EncodeError>, error: EncodeError| {
        let needed = |error: &EncodeError| match error {
            EncodeError::Memory { needed, .. } => *needed,
            _ => u64::MAX,
        };
        if refusal.as_ref().is_none_or(|known| needed(&error) < needed(known)) {
            *refusal = Some(error);
        }
    };
    for codec in allowed_for(profile, base.is_some(), target.size()) {
        match encode_with(*codec, base, target, profile, report) {
            Ok(candidate) if candidate.memory_class() > MAX_MEMORY_CLASS => {
                let (needed, limit) = (candidate.encoded.decoder_ram_bytes, 1 << MAX_MEMORY_CLASS);
                refuse(&mut refusal, EncodeError::Memory { needed, limit });
            }
            Ok(candidate) => made.push(candidate),
            Err(
                error @ (EncodeError::Memory { .. }
                | EncodeError::TooLarge { .. }
                | EncodeError::NoRoom),
            ) => {
                refuse(&mut refusal, error);
            }
            Err(source) => return Err(Error::Encode { what: describe(base), source }),
        }
    }
    let tried = made.iter().map(|made| Alternative::of(made.codec, &made.encoded)).collect();
    let best = made.into_iter().min_by_key(|made| made.encoded.payload.len());
    match (best, refusal) {
        (Some(best), _) => Ok(Some(Choice { best, tried })),
        (None, Some(source)) => Err(Error::Encode { what: describe(base), source }),
        (None, None) => Ok(None),
    }
}

fn allowed_for(profile: &DeviceProfile, delta: bool, target_size: u32) -> &'static [Codec] {
    match profile.in_place {
        Some(_) => allowed_in_place(profile.codec, delta),
        None => allowed(profile.codec, delta, target_size),
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

/// An update in place goes on from a decoder's state, which not every codec can tell.
fn allowed_in_place(choice: CodecChoice, delta: bool) -> &'static [Codec] {
    match (choice, delta) {
        (CodecChoice::Auto | CodecChoice::Compact, true) => &[Codec::InPlace],
        (CodecChoice::Auto, false) => &[Codec::Compact, Codec::Stored],
        (CodecChoice::Compact, false) => &[Codec::Compact],
        (CodecChoice::Stored, false) => &[Codec::Stored],
        (CodecChoice::Zstd | CodecChoice::Bsdiff | CodecChoice::Stored, _) => &[],
    }
}

fn encode_with(
    codec: Codec,
    base: Option<&Image>,
    target: &Image,
    profile: &DeviceProfile,
    report: &dyn Fn(u32),
) -> Result<Candidate, EncodeError> {
    let decoder_ram_bytes = profile.declarable_ram_bytes();
    let declared = |error| profile.declared(error);
    let encoded = match codec {
        Codec::Zstd => {
            let options = zstd::Options { decoder_ram_bytes, ..Default::default() };
            zstd::encode(base.map(Image::bytes), target.bytes(), options).map_err(declared)?
        }
        Codec::Compact => {
            let options = profile.compact_options(base, target, decoder_ram_bytes);
            compact::encode_reporting(base.map(Image::bytes), target.bytes(), options, report)
                .map_err(declared)?
        }
        Codec::InPlace => {
            let base = base.ok_or(EncodeError::NoBase)?;
            let room = profile.in_place.ok_or(EncodeError::NoRoom)?;
            let options = profile.compact_options(Some(base), target, decoder_ram_bytes);
            encode_in_place(base, target, options, room).map_err(declared)?
        }
        Codec::Bsdiff => {
            bsdiff40::encode(base.ok_or(EncodeError::NoBase)?.bytes(), target.bytes())?
        }
        _ => stored::encode(target.bytes()),
    };
    let candidate = Candidate { codec, encoded };
    let needed = 1u64 << candidate.memory_class();
    let limit = profile.decoder_ram_bytes;
    if needed > limit { Err(EncodeError::Memory { needed, limit }) } else { Ok(candidate) }
}

/// Rearranges the base in the room, and encodes for what is left of it sector by sector.
fn encode_in_place(
    base: &Image,
    target: &Image,
    options: compact::Options,
    room: InPlaceRoom,
) -> Result<Encoded, EncodeError> {
    let InPlaceRoom { sector_bytes, sectors } = room;
    let (base, target) = (base.bytes(), target.bytes());
    if !InPlaceRoom::is_possible(sector_bytes, sectors) {
        return Err(EncodeError::NoRoom);
    }
    let seats = compact::rearrange(base, target, options, sector_bytes, sectors.into())?;
    let seats = seats.ok_or(EncodeError::NoRoom)?;
    let in_place = InPlace::new(sector_bytes, &seats).ok_or(EncodeError::NoRoom)?;
    if !in_place.fits(sectors) {
        return Err(EncodeError::NoRoom);
    }
    let encoded = compact::encode_in_place(base, target, options, in_place)?;
    let payload = in_place_payload::emit(in_place, sectors, &encoded.payload);
    Ok(Encoded { payload: payload.ok_or(EncodeError::NoRoom)?, ..encoded })
}

fn describe(base: Option<&Image>) -> String {
    base.map_or("the full image".to_owned(), |base| {
        format!("the delta from {}", base.digest().short())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_between_two_classes_serves_the_smaller_one() {
        // Each class finds more in it than the one below it.
        let words = (0..6_000u32).map(|n| n.wrapping_mul(n) >> 3 & 0x3f1f);
        let target = Image::new(words.flat_map(u32::to_le_bytes).collect()).unwrap();
        let classes = [(4, "tiny"), (8, "small"), (16, "medium"), (64, "large"), (1024, "huge")];
        for (class, name) in classes.map(|(kib, name)| (kib << 10, name)) {
            for ram in [class, class + 1, class * 3 / 2] {
                let codec = CodecChoice::Compact;
                let profile = DeviceProfile { decoder_ram_bytes: ram, codec, ..Default::default() };
                assert_eq!(profile.declarable_ram_bytes(), class);
                let made = encode(None, &target, &profile, &|_| {}).unwrap().unwrap();
                assert_eq!(made.tried[0].memory_class, Some(name), "{ram}");
            }
        }
        let codec = CodecChoice::Compact;
        let profile = DeviceProfile { decoder_ram_bytes: 4095, codec, ..Default::default() };
        assert!(encode(None, &target, &profile, &|_| {}).is_err());
    }
}
