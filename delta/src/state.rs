//! What a decoder knows where it pauses, as bytes: a new decoder that is given them goes on from there.

use crate::Decoder;

/// A decoder that can be stopped where it pauses, and gone on with by another one.
pub trait Resume: Decoder {
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
    /// [`StateError`]; a decoder that was to take the state is of no further use then.
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

/// [`StateError`], with the error of the bytes kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Bytes,
    Corrupt,
}

/// A state that is being passed on.
///
/// The code that goes over all parts is there once, not for each direction: it does not know who is behind this.
pub(crate) struct Passing<'a>(&'a mut dyn FnMut(&mut [u8]) -> Result<(), Stop>);

/// Passes on what `parts` goes over.
pub(crate) fn pass<S: StateBytes>(
    state: &mut S,
    parts: impl FnOnce(&mut Passing<'_>) -> Result<(), Stop>,
) -> Result<(), StateError<S::Error>> {
    let mut failed = None;
    let mut bytes = |bytes: &mut [u8]| {
        state.pass(bytes).map_err(|error| {
            failed = Some(error);
            Stop::Bytes
        })
    };
    let outcome = parts(&mut Passing(&mut bytes));
    match (outcome, failed) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(error)) => Err(StateError::Bytes(error)),
        (Err(_), None) => Err(StateError::Corrupt),
    }
}

impl Passing<'_> {
    pub(crate) fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Stop> {
        let Self(pass) = self;
        pass(bytes)
    }

    /// A number of one byte, at most `max`.
    pub(crate) fn small(&mut self, number: &mut u8, max: u8) -> Result<(), Stop> {
        self.bytes(core::slice::from_mut(number))?;
        self.check(*number <= max)
    }

    pub(crate) fn flag(&mut self, flag: &mut bool) -> Result<(), Stop> {
        let mut byte = u8::from(*flag);
        self.small(&mut byte, 1)?;
        *flag = byte == 1;
        Ok(())
    }

    pub(crate) fn u16(&mut self, number: &mut u16) -> Result<(), Stop> {
        let mut bytes = number.to_le_bytes();
        self.bytes(&mut bytes)?;
        *number = u16::from_le_bytes(bytes);
        Ok(())
    }

    pub(crate) fn i16(&mut self, number: &mut i16) -> Result<(), Stop> {
        let mut unsigned = number.cast_unsigned();
        self.u16(&mut unsigned)?;
        *number = unsigned.cast_signed();
        Ok(())
    }

    pub(crate) fn u32(&mut self, number: &mut u32) -> Result<(), Stop> {
        let mut bytes = number.to_le_bytes();
        self.bytes(&mut bytes)?;
        *number = u32::from_le_bytes(bytes);
        Ok(())
    }

    pub(crate) fn i32(&mut self, number: &mut i32) -> Result<(), Stop> {
        let mut unsigned = number.cast_unsigned();
        self.u32(&mut unsigned)?;
        *number = unsigned.cast_signed();
        Ok(())
    }

    /// Ends it, unless something holds that every decoder relies on.
    pub(crate) fn check(&mut self, holds: bool) -> Result<(), Stop> {
        if holds { Ok(()) } else { Err(Stop::Corrupt) }
    }
}
