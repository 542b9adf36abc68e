//! The payload of a delta that is applied in place: how the base is rearranged, and what makes the target.
//!
//! ```text
//! 0 1  sectors of 2^n bytes      1 2  sectors of the room      3 2  length n of the seats
//! 5 n  seats, see arrangement.rs                               …    a `compact` payload
//! ```

#[cfg(feature = "encode")]
use alloc::{vec, vec::Vec};

use crate::compact::{CompactDecoder, Memory};
use crate::state::{StateBytes, StateError};
use crate::{DecodeError, Decoder, Images, InPlace, Resume, Sizes, Wants, parse_seats};

/// Bytes in front of the seats.
const HEAD_LEN: usize = 5;

/// Longest seats, in bytes: a base that is moved as a whole takes a few, one with a thousand sectors in disorder two each.
const MAX_SEATS_LEN: usize = 1024;

/// Puts the arrangement in front of a `compact` payload; `None` if it is too long for a decoder.
#[cfg(feature = "encode")]
#[must_use]
pub fn emit(in_place: InPlace<'_>, room_sectors: u16, compact: &[u8]) -> Option<Vec<u8>> {
    let seats = crate::emit_seats(in_place.seats());
    let len = u16::try_from(seats.len()).ok().filter(|_| seats.len() <= MAX_SEATS_LEN)?;
    let [log2, ..] = in_place.sector_bytes().trailing_zeros().to_le_bytes();
    let mut payload = vec![log2];
    payload.extend(room_sectors.to_le_bytes());
    payload.extend(len.to_le_bytes());
    payload.extend(seats);
    payload.extend(compact);
    Some(payload)
}

/// How a base is rearranged in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrangement<'a> {
    /// The seat of each sector of the base.
    pub in_place: InPlace<'a>,
    /// Sectors of the room.
    pub room_sectors: u16,
}

/// Decodes such a payload.
///
/// As long as there is no room for target bytes, it pauses when [`Self::arrangement`] has become known: the base must be
/// rearranged before it goes on, where the target really takes its room.
pub struct InPlaceDecoder<'a> {
    sizes: Sizes,
    arrangement: Option<Arrangement<'a>>,
    /// Until the head is complete. (In front of `stage`, since moving it within would bring `memmove` along.)
    memory: Option<Memory<'a>>,
    stage: Stage<'a>,
}

#[expect(clippy::large_enum_variant, reason = "the large one is the rule, and there is no heap")]
enum Stage<'a> {
    Head { bytes: &'a mut [u8], filled: usize, seats: &'a mut [u16] },
    Body(CompactDecoder<'a>),
}

/// Memory for the arrangement.
#[derive(Debug)]
pub struct ArrangementBuffers<'a> {
    /// One for each sector of the largest base.
    pub seats: &'a mut [u16],
    /// Holds the head of the payload: [`InPlaceDecoder::HEAD_BYTES`] are always enough.
    pub head: &'a mut [u8],
}

impl<'a> InPlaceDecoder<'a> {
    /// Longest head.
    pub const HEAD_BYTES: usize = HEAD_LEN + MAX_SEATS_LEN;

    /// A decoder with these tables.
    #[must_use]
    pub fn new(sizes: Sizes, memory: Memory<'a>, buffers: ArrangementBuffers<'a>) -> Self {
        let ArrangementBuffers { seats, head } = buffers;
        let stage = Stage::Head { bytes: head, filled: 0, seats };
        Self { sizes, arrangement: None, memory: Some(memory), stage }
    }

    /// How the base is rearranged, once that has been read.
    #[must_use]
    pub fn arrangement(&self) -> Option<Arrangement<'a>> {
        self.arrangement
    }

    /// Takes the head off the front of the input; whether it is complete.
    fn take_head<E>(&mut self, input: &mut &[u8]) -> Result<bool, DecodeError<E>> {
        let Stage::Head { bytes, filled, seats } = &mut self.stage else { return Ok(true) };
        let whole = loop {
            let got = bytes.get(..*filled).unwrap_or_default();
            let len = match got {
                [_, _, _, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
                _ => 0,
            };
            if len > MAX_SEATS_LEN {
                return Err(DecodeError::Corrupt);
            }
            if *filled == HEAD_LEN.saturating_add(len) {
                break got;
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(false) };
            *bytes.get_mut(*filled).ok_or(DecodeError::Memory)? = *byte;
            *filled = filled.saturating_add(1);
            *input = rest;
        };
        let (head, mut coded) = whole.split_at_checked(HEAD_LEN).ok_or(DecodeError::Corrupt)?;
        let &[log2, low, high, ..] = head else { return Err(DecodeError::Corrupt) };
        let sector_bytes = 1u32.checked_shl(log2.into()).ok_or(DecodeError::Corrupt)?;
        let room_sectors = u16::from_le_bytes([low, high]);
        let sectors = self.sizes.base.div_ceil(sector_bytes.max(1));
        let sectors = usize::try_from(sectors).unwrap_or(usize::MAX);
        let seats = core::mem::take(seats).get_mut(..sectors).ok_or(DecodeError::Memory)?;
        parse_seats(&mut coded, seats).filter(|()| coded.is_empty()).ok_or(DecodeError::Corrupt)?;
        let in_place = InPlace::new(sector_bytes, seats).ok_or(DecodeError::Corrupt)?;
        let room = u64::from(room_sectors).saturating_mul(sector_bytes.into());
        if !in_place.fits(room_sectors) || u64::from(self.sizes.target) > room {
            return Err(DecodeError::Corrupt);
        }
        let memory = self.memory.take().ok_or(DecodeError::Corrupt)?;
        self.arrangement = Some(Arrangement { in_place, room_sectors });
        self.stage = Stage::Body(CompactDecoder::in_place(self.sizes, memory, in_place));
        Ok(true)
    }
}

impl Decoder for InPlaceDecoder<'_> {
    fn push<I: Images>(
        &mut self,
        input: &mut &[u8],
        images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>> {
        if let Stage::Head { .. } = self.stage {
            if !self.take_head(input)? {
                return Ok(Wants::Input);
            }
            if images.room() == 0 {
                return Ok(Wants::Room);
            }
        }
        match &mut self.stage {
            Stage::Body(decoder) => decoder.push(input, images),
            Stage::Head { .. } => Ok(Wants::Input),
        }
    }

    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        match &mut self.stage {
            Stage::Body(decoder) => decoder.finish(images),
            Stage::Head { .. } => Err(DecodeError::Incomplete),
        }
    }
}

impl Resume for InPlaceDecoder<'_> {
    fn state_bytes(&self) -> u64 {
        match &self.stage {
            Stage::Body(decoder) => decoder.state_bytes(),
            Stage::Head { .. } => 0,
        }
    }

    /// The head is not part of the state: the new decoder is given it first, up to where it pauses.
    fn pass_state<S: StateBytes>(&mut self, state: &mut S) -> Result<(), StateError<S::Error>> {
        match &mut self.stage {
            Stage::Body(decoder) => decoder.pass_state(state),
            Stage::Head { .. } => Err(StateError::Corrupt),
        }
    }
}
