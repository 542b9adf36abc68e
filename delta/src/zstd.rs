//! Operations in one zstd frame: decodes at hundreds of MB/s, for devices with a heap.
//!
//! The payload is one zstd frame (RFC 8878) without checksum or dictionary around the operations of `ops`; a full
//! image is a single insert. The frame's window is the decoder's RAM, so it is bounded by the encoder and checked by
//! the decoder before anything is allocated.

use alloc::vec::Vec;

use ruzstd::decoding::FrameDecoder;
use ruzstd::io::Read as _;

use crate::ops::OperationReader;
use crate::{DecodeError, Decoder, Images, Sizes, Wants};

/// Smallest window, as a power of two.
pub const MIN_WINDOW_LOG2: u8 = 10;

/// Largest window, as a power of two (8 MiB, what zstd decoders accept by default).
pub const MAX_WINDOW_LOG2: u8 = 23;

const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
const MAX_BLOCK_BYTES: u64 = 128 << 10;
const BLOCK_HEADER_LEN: usize = 3;

/// Entropy tables, buffers of one block's literals and sequences, and the decoder itself: measured, with a margin.
const TABLES_BYTES: u64 = 24 << 10;

/// RAM that the decoder needs for a window of this size, in bytes.
///
/// The window and the decoded block behind it in a ring that doubles, the compressed block in front of it, its
/// literals, and its sequences (12 bytes each, one for every three bytes at worst, in a vector that doubles). Measured
/// over all windows; what a block declares beyond this is refused. Only a signer who crafts a stream by hand can take
/// more, by one match of at most 128 KiB that runs over its block's end.
#[must_use]
pub fn decoder_ram_bytes(window_bytes: u64) -> u64 {
    let block = window_bytes.min(MAX_BLOCK_BYTES);
    let ring = window_bytes.saturating_add(block).checked_next_power_of_two().unwrap_or(u64::MAX);
    ring.saturating_add(block.saturating_mul(12)).saturating_add(TABLES_BYTES)
}

/// Decodes one frame that arrives in chunks of any size.
pub struct ZstdDecoder {
    frame: FrameDecoder,
    /// Bytes of the unit that is not complete yet: the frame header, or one block with its header.
    pending: Vec<u8>,
    stage: Stage,
    operations: OperationReader,
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    FrameHeader,
    Blocks { max_len: u64 },
    Finished,
}

impl ZstdDecoder {
    /// A decoder that stays within `limit` bytes of RAM.
    #[must_use]
    pub fn new(sizes: Sizes, limit: u64) -> Self {
        let operations = OperationReader::new(sizes);
        Self {
            frame: FrameDecoder::new(),
            pending: Vec::new(),
            stage: Stage::FrameHeader,
            operations,
            limit,
        }
    }

    /// How long the unit at hand is, as far as its first bytes tell.
    fn unit_len<E>(&self) -> Result<usize, DecodeError<E>> {
        match self.stage {
            Stage::FrameHeader => frame_header_len(&self.pending).ok_or(DecodeError::Corrupt),
            Stage::Blocks { max_len } => {
                let Some([a, b, c]) = self.pending.first_chunk().copied() else {
                    return Ok(BLOCK_HEADER_LEN);
                };
                let header = u32::from_le_bytes([a, b, c, 0]);
                let is_run = (header >> 1) & 3 == 1;
                let len = if is_run { 1 } else { header >> 3 };
                if u64::from(header >> 3) > max_len {
                    return Err(DecodeError::Memory);
                }
                usize::try_from(len)
                    .unwrap_or(usize::MAX)
                    .checked_add(BLOCK_HEADER_LEN)
                    .ok_or(DecodeError::Corrupt)
            }
            Stage::Finished => Err(DecodeError::TrailingBytes),
        }
    }

    fn take_unit<E>(&mut self) -> Result<(), DecodeError<E>> {
        if self.stage == Stage::FrameHeader {
            let window = window_bytes(&self.pending).ok_or(DecodeError::Corrupt)?;
            let needed = decoder_ram_bytes(window);
            if needed > self.limit {
                return Err(DecodeError::Memory);
            }
            self.frame.set_max_window_size(window);
            self.frame.init(self.pending.as_slice()).map_err(|_| DecodeError::Corrupt)?;
            self.stage = Stage::Blocks { max_len: window.min(MAX_BLOCK_BYTES) };
        } else {
            if let Stage::Blocks { max_len } = self.stage {
                check_block(&self.pending, max_len)?;
            }
            let (taken, _) = self
                .frame
                .decode_from_to(&self.pending, &mut [])
                .map_err(|_| DecodeError::Corrupt)?;
            if taken != self.pending.len() {
                return Err(DecodeError::Corrupt);
            }
            if self.frame.is_finished() {
                self.stage = Stage::Finished;
            }
        }
        self.pending.clear();
        Ok(())
    }

    /// Carries out the operations that the frame has given so far; each of their bytes makes one of the target at most.
    fn drain<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        let mut buffer = [0; 512];
        while self.frame.can_collect() > 0 {
            let room = usize::try_from(images.room()).unwrap_or(usize::MAX).min(buffer.len());
            let into = buffer.get_mut(..room).unwrap_or_default();
            if into.is_empty() {
                return Ok(Wants::Room);
            }
            let len = self.frame.read(into).map_err(|_| DecodeError::Corrupt)?;
            let decoded = into.get(..len).filter(|decoded| !decoded.is_empty());
            self.operations.push(decoded.ok_or(DecodeError::Corrupt)?, images)?;
        }
        Ok(Wants::Input)
    }
}

impl Decoder for ZstdDecoder {
    fn push<I: Images>(
        &mut self,
        input: &mut &[u8],
        images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>> {
        // No block is taken before there was room for the one in front of it: the frame holds one at a time.
        while self.drain(images)? != Wants::Room {
            if input.is_empty() {
                return Ok(Wants::Input);
            }
            let missing = self.unit_len()?.saturating_sub(self.pending.len());
            let (bytes, rest) = input.split_at_checked(missing).unwrap_or((*input, &[]));
            self.pending.extend_from_slice(bytes);
            *input = rest;
            if self.pending.len() == self.unit_len()? {
                self.take_unit()?;
            }
        }
        Ok(Wants::Room)
    }

    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        if self.drain(images)? == Wants::Room {
            return Ok(Wants::Room);
        }
        self.operations.finish()?;
        if self.stage == Stage::Finished { Ok(Wants::Nothing) } else { Err(DecodeError::Corrupt) }
    }
}

/// Refuses a compressed block whose literals or sequences would take more room than a whole block (RFC 8878 §3.1.1.3):
/// the library makes room for what a block declares.
fn check_block<E>(block: &[u8], max_len: u64) -> Result<(), DecodeError<E>> {
    const COMPRESSED: u8 = 2;
    const SHORTEST_SEQUENCE: u64 = 3;
    let Some((header, body)) = block.split_first_chunk::<BLOCK_HEADER_LEN>() else { return Ok(()) };
    let [first, ..] = header;
    if (first >> 1) & 3 != COMPRESSED {
        return Ok(());
    }
    let (literals, after_literals) = literals_section(body).ok_or(DecodeError::Corrupt)?;
    let sequences = sequence_count(body.get(after_literals..).unwrap_or_default())
        .ok_or(DecodeError::Corrupt)?;
    let needed = literals.max(sequences.saturating_mul(SHORTEST_SEQUENCE));
    if needed > max_len { Err(DecodeError::Memory) } else { Ok(()) }
}

/// Size of a block's literals, and where the section behind them begins (RFC 8878 §3.1.1.3.1.1).
fn literals_section(body: &[u8]) -> Option<(u64, usize)> {
    let mut five = [0; 8];
    for (to, from) in five.iter_mut().zip(body.iter().take(5)) {
        *to = *from;
    }
    let header = u64::from_le_bytes(five);
    let (kind, format) = (header & 3, (header >> 2) & 3);
    let (header_len, size, content) = if kind < 2 {
        let (header_len, size) = match format {
            1 => (2, (header >> 4) & 0xfff),
            3 => (3, (header >> 4) & 0xf_ffff),
            _ => (1, (header >> 3) & 0x1f),
        };
        (header_len, size, if kind == 0 { size } else { 1 })
    } else {
        let (header_len, bits): (usize, u32) = match format {
            0 | 1 => (3, 10),
            2 => (4, 14),
            _ => (5, 18),
        };
        let mask = (1u64 << bits).checked_sub(1)?;
        (header_len, (header >> 4) & mask, header.checked_shr(bits.checked_add(4)?)? & mask)
    };
    let end = usize::try_from(content).ok()?.checked_add(header_len)?;
    Some((size, end))
}

/// How many sequences a block has (RFC 8878 §3.1.1.3.2.1).
fn sequence_count(section: &[u8]) -> Option<u64> {
    let byte = |at: usize| section.get(at).map(|byte| u64::from(*byte));
    match byte(0)? {
        count @ 0..=127 => Some(count),
        high @ 128..=254 => high.checked_sub(128)?.checked_mul(256)?.checked_add(byte(1)?),
        _ => byte(2)?.checked_mul(256)?.checked_add(byte(1)?)?.checked_add(0x7f00),
    }
}

/// Length of the frame header (RFC 8878 §3.1.1.1) as far as the bytes tell, or `None` if this is no frame that the
/// encoder emits: dictionaries and checksums are not.
fn frame_header_len(bytes: &[u8]) -> Option<usize> {
    let known = bytes.len().min(MAGIC.len());
    if bytes.get(..known) != MAGIC.get(..known) {
        return None;
    }
    let shortest = MAGIC.len().checked_add(1)?;
    let Some(descriptor) = bytes.get(MAGIC.len()) else { return Some(shortest) };
    let (dictionary, checksum) = (descriptor & 3, descriptor & 4);
    if dictionary != 0 || checksum != 0 {
        return None;
    }
    let (single_segment, size_flag) = (descriptor & 0x20 != 0, descriptor >> 6);
    let window_len = usize::from(!single_segment);
    let size_len = match size_flag {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    shortest.checked_add(window_len)?.checked_add(size_len)
}

/// The window that a complete frame header asks for, in bytes (RFC 8878 §3.1.1.1.2).
fn window_bytes(header: &[u8]) -> Option<u64> {
    let (descriptor, fields) = header.get(MAGIC.len()..)?.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = fields.first()?;
        let (exponent, mantissa) = (u32::from(window >> 3), u64::from(window & 7));
        let base = 1u64.checked_shl(exponent.checked_add(MIN_WINDOW_LOG2.into())?)?;
        return base.checked_add((base >> 3).checked_mul(mantissa)?);
    }
    let size = fields
        .iter()
        .rev()
        .try_fold(0u64, |size, byte| size.checked_mul(256)?.checked_add((*byte).into()))?;
    // RFC 8878 §3.1.1.1.4: a two-byte size counts from 256.
    let size = if fields.len() == 2 { size.checked_add(256)? } else { size };
    Some(size.max(1 << MIN_WINDOW_LOG2))
}

/// What the encoder may use of the device.
#[cfg(feature = "encode")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// RAM that the decoder may need, in bytes.
    pub decoder_ram_bytes: u64,
    /// zstd's compression level, 1 to 22.
    pub level: i32,
}

#[cfg(feature = "encode")]
impl Default for Options {
    fn default() -> Self {
        Self { decoder_ram_bytes: decoder_ram_bytes(1 << MAX_WINDOW_LOG2), level: 19 }
    }
}

/// Revision of the encoder: the version of zstd, 10507 for 1.5.7.
#[cfg(feature = "encode")]
#[must_use]
pub fn encoder_revision() -> u16 {
    u16::try_from(::zstd::zstd_safe::version_number()).unwrap_or(u16::MAX)
}

/// Encodes `target`, against `base` if there is one.
///
/// # Errors
/// [`crate::EncodeError::Memory`] if not even the smallest window fits the device.
#[cfg(feature = "encode")]
pub fn encode(
    base: Option<&[u8]>,
    target: &[u8],
    options: Options,
) -> Result<crate::Encoded, crate::EncodeError> {
    let operations = match base {
        Some(base) => operations(base, target)?,
        None => one_insert(target)?,
    };
    let limit = options.decoder_ram_bytes;
    let fits = |log2: &u8| decoder_ram_bytes(1 << log2) <= limit;
    let too_small =
        crate::EncodeError::Memory { needed: decoder_ram_bytes(1 << MIN_WINDOW_LOG2), limit };
    let largest = (MIN_WINDOW_LOG2..=MAX_WINDOW_LOG2).rev().find(fits).ok_or(too_small)?;
    let useful = operations.len().max(1 << MIN_WINDOW_LOG2).next_power_of_two().ilog2();
    let window_log2 = u32::from(largest).min(useful);

    let compress = || {
        use ::zstd::zstd_safe::CParameter;
        let mut compressor = ::zstd::bulk::Compressor::new(options.level)?;
        compressor.set_parameter(CParameter::WindowLog(window_log2))?;
        compressor.set_parameter(CParameter::ChecksumFlag(false))?;
        compressor.compress(&operations)
    };
    let payload = compress().map_err(crate::EncodeError::Compressor)?;
    Ok(crate::Encoded {
        payload,
        decoder_ram_bytes: decoder_ram_bytes(1 << window_log2),
        encoder: encoder_revision(),
        instruction_set: None,
    })
}

#[cfg(feature = "encode")]
fn one_insert(target: &[u8]) -> Result<Vec<u8>, crate::EncodeError> {
    let mut stream = Vec::new();
    if !target.is_empty() {
        crate::ops::emit(
            crate::ops::Operation { seek: 0, add_len: 0, insert_len: length(target.len())? },
            &mut stream,
        );
        stream.extend_from_slice(target);
    }
    Ok(stream)
}

/// Matches the images with bsdiff's suffix-array search and lays its three streams out as one.
#[cfg(feature = "encode")]
fn operations(base: &[u8], target: &[u8]) -> Result<Vec<u8>, crate::EncodeError> {
    use crate::bsdiff40;
    let broken =
        || crate::EncodeError::Compressor(std::io::Error::other("the matcher made no valid patch"));
    let patch = bsdiff40::make_patch(base, target, 1)?;
    let mut patch = bsdiff40::Patch::parse(&patch).ok_or_else(broken)?;
    let (mut stream, mut written, mut seek) = (Vec::new(), 0u64, 0i64);
    while written < target.len() as u64 {
        let control = patch.next_control().ok_or_else(broken)?;
        let (add_len, insert_len) = (length(control.add_len)?, length(control.insert_len)?);
        if add_len > 0 || insert_len > 0 {
            crate::ops::emit(crate::ops::Operation { seek, add_len, insert_len }, &mut stream);
            seek = 0;
        }
        seek = seek.checked_add(control.seek).ok_or_else(broken)?;
        for (source, len) in [(&mut patch.differences, add_len), (&mut patch.inserts, insert_len)] {
            let copied = std::io::copy(&mut std::io::Read::take(source, len.into()), &mut stream);
            let copied = copied.map_err(crate::EncodeError::Compressor)?;
            written = written.saturating_add(copied);
            if copied != u64::from(len) {
                return Err(broken());
            }
        }
    }
    Ok(stream)
}

#[cfg(feature = "encode")]
fn length(len: impl TryInto<u32> + TryInto<u64> + Copy) -> Result<u32, crate::EncodeError> {
    len.try_into()
        .map_err(|_| crate::EncodeError::TooLarge { got: len.try_into().unwrap_or(u64::MAX) })
}
