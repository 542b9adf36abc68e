//! The binary arithmetic coder: carry-less, 32 bits wide, with 16-bit probabilities.
//!
//! The low and the high end of an interval; each binary decision shrinks it in proportion to its probability, and
//! leading bytes on which both ends agree leave or enter. (The scheme of Matt Mahoney's paq coders.)

#[cfg(feature = "encode")]
use alloc::vec::Vec;

use crate::state::Passing;

/// Codes binary decisions: writes the one that it is given, or reads one and ignores what it is given.
pub(super) trait BitCoder {
    /// Whether what it is given counts.
    const IS_TOLD: bool;

    /// What it shall code, if that counts: a decoder works nothing of it out.
    fn told<T: Default>(&self, what: impl FnOnce() -> T) -> T {
        if Self::IS_TOLD { what() } else { T::default() }
    }

    /// Codes a decision; `p` is the probability of `true` in 1/65536, from 1 to 65535.
    fn bit(&mut self, bit: bool, p: u16) -> bool;
}

/// The interval that both directions keep.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    #[cfg(feature = "encode")]
    fn new() -> Self {
        Self { low: 0, high: u32::MAX }
    }

    /// The last point of the part that stands for `true`.
    fn split(&self, p: u16) -> u32 {
        let range = self.high.wrapping_sub(self.low);
        let part = (u64::from(range) * u64::from(p)) >> 16;
        self.low.wrapping_add(u32::try_from(part).unwrap_or(range))
    }

    fn narrow(&mut self, bit: bool, split: u32) {
        if bit { self.high = split } else { self.low = split.wrapping_add(1) }
    }

    /// The leading byte, once both ends agree on it.
    fn settled(&mut self) -> Option<u8> {
        if (self.low ^ self.high) >> 24 != 0 {
            return None;
        }
        let [byte, ..] = self.high.to_be_bytes();
        self.low <<= 8;
        self.high = (self.high << 8) | 0xff;
        Some(byte)
    }
}

/// Reads decisions from a ring of input bytes.
// What is small stands in front, where short instructions reach it.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct BitReader {
    interval: Interval,
    code: u32,
    /// Bytes taken in and bytes used so far; they run freely.
    taken: u32,
    used: u32,
    /// Set once the payload has ended: what is missing reads as zeros.
    ended: bool,
    ring: [u8; RING],
}

/// Input bytes that are held at most.
const RING: usize = 256;

/// Bytes that must be at hand before a step begins: a decision needs two at most in the long run, and up to four of what
/// others before it have left open, and the first four are taken in late; a step makes at most [`super::stream::MAX_DECISIONS`].
const LOOKAHEAD: u32 = 2 * super::stream::MAX_DECISIONS + 12;

// More than the lookahead: a decoder that is done must see that more comes.
const _: () = assert!((LOOKAHEAD as usize) < RING);

/// Trailing zeros that the encoder leaves out at most. The decoder reads that far ahead, and where it needs more, the payload
/// is cut.
const MAX_PADDING: i32 = 8;

impl BitReader {
    pub(super) const NEW: Self = Self {
        // A point: the first four bytes make it the whole range.
        interval: Interval { low: 0, high: 0 },
        code: 0,
        ring: [0; RING],
        taken: 0,
        used: 0,
        ended: false,
    };

    pub(super) const STATE_BYTES: usize = 5 * 4 + 1 + RING;

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { interval: Interval { low, high }, code, ring, taken, used, ended } = self;
        for number in [low, high, code, taken, used] {
            state.u32(number);
        }
        state.flag(ended);
        state.bytes(ring);
    }

    /// Takes what fits and returns the rest.
    pub(super) fn fill<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let held = self.taken.wrapping_sub(self.used);
        let room = RING.saturating_sub(usize::try_from(held).unwrap_or(RING));
        let (now, later) = input.split_at_checked(room).unwrap_or((input, &[]));
        for byte in now {
            *super::pick(&mut self.ring, self.taken as usize % RING) = *byte;
            self.taken = self.taken.wrapping_add(1);
        }
        later
    }

    /// Whether a whole step can be decoded.
    pub(super) fn is_ready(&self) -> bool {
        self.ended || self.taken.wrapping_sub(self.used) >= LOOKAHEAD
    }

    /// Tells that no input follows.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether more has been read than an honest encoder leaves out.
    pub(super) fn is_exhausted(&self) -> bool {
        self.used.wrapping_sub(self.taken).cast_signed() > MAX_PADDING
    }

    /// Whether input is left that nothing has looked at.
    pub(super) fn has_unread(&self) -> bool {
        self.taken.wrapping_sub(self.used).cast_signed() > 0
    }

    /// Takes in bytes for those that the ends of the interval agree on; behind the payload's end, zeros.
    pub(super) fn settle(&mut self) {
        while self.interval.settled().is_some() {
            let byte = super::peek(&self.ring, self.used as usize % RING);
            let byte = if self.used < self.taken { byte } else { 0 };
            self.used = self.used.wrapping_add(1);
            self.code = (self.code << 8) | u32::from(byte);
        }
    }
}

impl BitCoder for BitReader {
    const IS_TOLD: bool = false;

    fn bit(&mut self, _: bool, p: u16) -> bool {
        self.settle();
        let split = self.interval.split(p);
        let bit = self.code <= split;
        self.interval.narrow(bit, split);
        bit
    }
}

/// Writes decisions.
#[cfg(feature = "encode")]
#[derive(Clone, Debug)]
pub(super) struct BitWriter {
    interval: Interval,
    bytes: Vec<u8>,
}

#[cfg(feature = "encode")]
impl BitWriter {
    pub(super) fn new() -> Self {
        Self { interval: Interval::new(), bytes: Vec::new() }
    }

    /// Bits that a decision takes: by how much it shrinks the interval, rounding and all, so that they add up.
    pub(super) fn bits(&self, bit: bool, p: u16) -> f64 {
        let width = |interval: &Interval| f64::from(interval.high - interval.low) + 1.0;
        let mut narrowed = self.interval.clone();
        narrowed.narrow(bit, self.interval.split(p));
        (width(&self.interval) / width(&narrowed)).log2()
    }

    /// Ends the stream with as few bytes as lead into the interval; trailing zeros are left out, as many as a decoder
    /// makes up for.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let Interval { low, high } = self.interval;
        let shortest = (0..=4u32).map(|kept| {
            let unit = u32::MAX.checked_shr(8 * kept).unwrap_or(0);
            low.checked_add(unit).map_or(low, |up| up & !unit)
        });
        let point = shortest.into_iter().find(|point| (low..=high).contains(point)).unwrap_or(low);
        self.bytes.extend(point.to_be_bytes());
        let zeros = self.bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let kept = self.bytes.len() - zeros.min(MAX_PADDING.unsigned_abs() as usize);
        self.bytes.truncate(kept);
        self.bytes
    }
}

#[cfg(feature = "encode")]
impl BitCoder for BitWriter {
    const IS_TOLD: bool = true;

    fn bit(&mut self, bit: bool, p: u16) -> bool {
        let split = self.interval.split(p);
        self.interval.narrow(bit, split);
        while let Some(byte) = self.interval.settled() {
            self.bytes.push(byte);
        }
        bit
    }
}
