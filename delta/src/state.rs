//! What a decoder knows where it pauses, as bytes: a new decoder that is given them goes on from there.

use crate::Decoder;

/// A decoder that can be stopped where it pauses, and gone on with by another one.
pub trait Resume: Decoder {
    /// Most bytes of the state, as far as what has come of the payload tells.
    fn state_bytes(&self) -> u64;

    /// Passes on the whole state in a fixed order, piece by piece.
    ///
    /// A decoder that has run tells its state; a new one, made from the same sizes, takes it. What it had taken of the
    /// payload is part of the state: the next input is what follows. Both directions run this one function, so they cannot
    /// drift.
    ///
    /// A state is checked as far as it must be for nothing to panic. Whether it is the one that was stored, only a checksum
    /// of the caller's can tell.
    ///
    /// # Errors
    /// [`StateError`]; the decoder is of no further use then.
    fn pass_state<S: StateBytes>(&mut self, state: &mut S) -> Result<(), StateError<S::Error>>;
}

/// Where the bytes of a state go, or come from.
pub trait StateBytes {
    /// Why they do not.
    type Error;

    /// Stores the next bytes, or fills them with those that were stored.
    ///
    /// # Errors
    /// The implementor's.
    fn pass(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error>;
}

/// Why a state cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError<E> {
    /// Storing or reading bytes failed.
    Bytes(E),
    /// No decoder of these sizes has this state, or this decoder has begun already.
    Corrupt,
}

/// A state that is being passed on, until something fails: what follows then is left as it is.
///
/// The code that goes over all parts is there once, not for each direction: it does not know who is behind this.
pub(crate) struct Passing<'a> {
    /// Returns whether it could pass the bytes on.
    pass: &'a mut dyn FnMut(&mut [u8]) -> bool,
    is_failed: bool,
}

/// Passes on what `parts` goes over.
pub(crate) fn pass<S: StateBytes>(
    state: &mut S,
    parts: impl FnOnce(&mut Passing<'_>),
) -> Result<(), StateError<S::Error>> {
    let mut outcome = Ok(());
    let mut bytes = |bytes: &mut [u8]| {
        outcome = state.pass(bytes);
        outcome.is_ok()
    };
    let mut passing = Passing { pass: &mut bytes, is_failed: false };
    parts(&mut passing);
    let is_failed = passing.is_failed;
    outcome.map_err(StateError::Bytes)?;
    if is_failed { Err(StateError::Corrupt) } else { Ok(()) }
}

impl Passing<'_> {
    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &mut [u8]) {
        self.is_failed = self.is_failed || !(self.pass)(bytes);
    }

    /// A number of one byte, at most `max`.
    #[inline(never)]
    pub(crate) fn small(&mut self, number: &mut u8, max: u8) {
        self.bytes(core::slice::from_mut(number));
        self.check(*number <= max);
    }

    #[inline(never)]
    pub(crate) fn flag(&mut self, flag: &mut bool) {
        let mut byte = u8::from(*flag);
        self.small(&mut byte, 1);
        *flag = byte == 1;
    }

    #[inline(never)]
    pub(crate) fn u16(&mut self, number: &mut u16) {
        let mut bytes = number.to_le_bytes();
        self.bytes(&mut bytes);
        *number = u16::from_le_bytes(bytes);
    }

    #[inline(never)]
    pub(crate) fn i16(&mut self, number: &mut i16) {
        let mut unsigned = number.cast_unsigned();
        self.u16(&mut unsigned);
        *number = unsigned.cast_signed();
    }

    #[inline(never)]
    pub(crate) fn u32(&mut self, number: &mut u32) {
        let mut bytes = number.to_le_bytes();
        self.bytes(&mut bytes);
        *number = u32::from_le_bytes(bytes);
    }

    #[inline(never)]
    pub(crate) fn i32(&mut self, number: &mut i32) {
        let mut unsigned = number.cast_unsigned();
        self.u32(&mut unsigned);
        *number = unsigned.cast_signed();
    }

    /// Fails unless something holds that every decoder relies on.
    pub(crate) fn check(&mut self, holds: bool) {
        self.is_failed |= !holds;
    }
}
