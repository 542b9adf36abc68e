//! The operations that rebuild a target from a base, as a byte stream that can be cut anywhere.
//!
//! ```text
//! stream    = operation …                until the target is complete
//! operation = seek                       zigzag LEB128: how far the cursor in the base moves
//!             add length, insert length  LEB128 each, not both 0
//!             add bytes                  the base at the cursor plus these, byte by byte, modulo 256
//!             insert bytes               appended as they are
//! ```
//!
//! The cursor begins at 0 and also moves on with each added byte. The scheme is that of Colin Percival, "Naive
//! differences of executable code" (2003); the three streams of bsdiff are interleaved here so that a device needs to
//! hold none of them.

#[cfg(any(feature = "encode", test))]
use alloc::vec::Vec;

use crate::{DecodeError, Images, Sizes};

/// How a stretch of the target comes about.
#[cfg(any(feature = "encode", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// How far the base cursor moves first.
    pub(crate) seek: i64,
    /// Bytes that come from the base, plus a difference.
    pub(crate) add_len: u32,
    /// Bytes that come from the stream.
    pub(crate) insert_len: u32,
}

/// Bytes handled at a time.
const STEP: usize = 64;

/// Longest LEB128 of 64 bits.
const MAX_VARINT_LEN: u32 = 10;

/// Appends an operation; its add bytes, then its insert bytes, must follow.
#[cfg(any(feature = "encode", test))]
pub(crate) fn emit(operation: Operation, out: &mut Vec<u8>) {
    emit_varint(zigzag(operation.seek), out);
    emit_varint(operation.add_len.into(), out);
    emit_varint(operation.insert_len.into(), out);
}

#[cfg(any(feature = "encode", test))]
fn emit_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(any(feature = "encode", test))]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Seek,
    AddLen,
    InsertLen,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Number { field: Field, value: u64, shift: u32 },
    Add,
    Insert,
    Done,
}

const FIRST_NUMBER: State = State::Number { field: Field::Seek, value: 0, shift: 0 };

/// Carries out a stream of operations that arrives in chunks of any size.
#[derive(Clone, Debug)]
pub(crate) struct OperationReader {
    sizes: Sizes,
    state: State,
    /// What is left of the operation at hand.
    add_len: u32,
    insert_len: u32,
    cursor: i64,
    written: u32,
}

impl OperationReader {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let state = if sizes.target == 0 { State::Done } else { FIRST_NUMBER };
        Self { sizes, state, add_len: 0, insert_len: 0, cursor: 0, written: 0 }
    }

    /// Takes the whole chunk.
    pub(crate) fn push<I: Images>(
        &mut self,
        mut chunk: &[u8],
        images: &mut I,
    ) -> Result<(), DecodeError<I::Error>> {
        while !chunk.is_empty() {
            match self.state {
                State::Number { field, value, shift } => {
                    let Some((byte, rest)) = chunk.split_first() else { break };
                    chunk = rest;
                    self.take_number_byte(*byte, field, value, shift)?;
                }
                State::Add => chunk = self.add(chunk, images)?,
                State::Insert => chunk = self.insert(chunk, images)?,
                State::Done => return Err(DecodeError::TrailingBytes),
            }
        }
        Ok(())
    }

    pub(crate) fn finish<E>(&self) -> Result<(), DecodeError<E>> {
        match self.state {
            State::Done => Ok(()),
            _ => Err(DecodeError::Incomplete),
        }
    }

    fn take_number_byte<E>(
        &mut self,
        byte: u8,
        field: Field,
        value: u64,
        shift: u32,
    ) -> Result<(), DecodeError<E>> {
        let bits = u64::from(byte & 0x7f);
        let shifted = bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits);
        let value = value | shifted.ok_or(DecodeError::Corrupt)?;
        if byte & 0x80 != 0 {
            let shift = shift.saturating_add(7);
            if shift >= MAX_VARINT_LEN.saturating_mul(7) {
                return Err(DecodeError::Corrupt);
            }
            self.state = State::Number { field, value, shift };
            return Ok(());
        }
        let next = match field {
            Field::Seek => {
                self.cursor =
                    self.cursor.checked_add(unzigzag(value)).ok_or(DecodeError::Corrupt)?;
                Field::AddLen
            }
            Field::AddLen => {
                self.add_len = self.within_target(value)?;
                Field::InsertLen
            }
            Field::InsertLen => {
                let both = self.within_target(value.saturating_add(self.add_len.into()))?;
                self.insert_len = both.saturating_sub(self.add_len);
                return self.begin();
            }
        };
        self.state = State::Number { field: next, value: 0, shift: 0 };
        Ok(())
    }

    /// A length that must still fit behind what is written.
    fn within_target<E>(&self, len: u64) -> Result<u32, DecodeError<E>> {
        let room = self.sizes.target.saturating_sub(self.written);
        u32::try_from(len).ok().filter(|len| *len <= room).ok_or(DecodeError::TargetOverrun)
    }

    fn begin<E>(&mut self) -> Result<(), DecodeError<E>> {
        let (len, base) = (self.add_len, self.sizes.base);
        if len == 0 && self.insert_len == 0 {
            return Err(DecodeError::Corrupt);
        }
        let end = self.cursor.checked_add(len.into());
        let inside = self.cursor >= 0 && end.is_some_and(|end| end <= base.into());
        if len > 0 && !inside {
            return Err(DecodeError::OutsideBase);
        }
        self.state = if len > 0 { State::Add } else { State::Insert };
        Ok(())
    }

    fn add<'a, I: Images>(
        &mut self,
        chunk: &'a [u8],
        images: &mut I,
    ) -> Result<&'a [u8], DecodeError<I::Error>> {
        let (differences, rest) = split_at_most(chunk, self.add_len, STEP);
        let mut buffer = [0; STEP];
        let bytes = buffer.get_mut(..differences.len()).ok_or(DecodeError::Corrupt)?;
        let offset = u32::try_from(self.cursor).map_err(|_| DecodeError::Corrupt)?;
        images.read_base(offset, bytes).map_err(DecodeError::Images)?;
        for (byte, difference) in bytes.iter_mut().zip(differences) {
            *byte = byte.wrapping_add(*difference);
        }
        images.append(bytes).map_err(DecodeError::Images)?;
        let len = len_u32(differences);
        self.add_len = self.add_len.saturating_sub(len);
        self.cursor = self.cursor.saturating_add(len.into());
        self.advance(len);
        Ok(rest)
    }

    fn insert<'a, I: Images>(
        &mut self,
        chunk: &'a [u8],
        images: &mut I,
    ) -> Result<&'a [u8], DecodeError<I::Error>> {
        let (bytes, rest) = split_at_most(chunk, self.insert_len, usize::MAX);
        images.append(bytes).map_err(DecodeError::Images)?;
        let len = len_u32(bytes);
        self.insert_len = self.insert_len.saturating_sub(len);
        self.advance(len);
        Ok(rest)
    }

    fn advance(&mut self, len: u32) {
        self.written = self.written.saturating_add(len);
        self.state = match (self.add_len, self.insert_len) {
            (0, 0) if self.written == self.sizes.target => State::Done,
            (0, 0) => FIRST_NUMBER,
            (0, _) => State::Insert,
            _ => State::Add,
        };
    }
}

fn split_at_most(chunk: &[u8], wanted: u32, step: usize) -> (&[u8], &[u8]) {
    let len = chunk.len().min(usize::try_from(wanted).unwrap_or(usize::MAX)).min(step);
    chunk.split_at_checked(len).unwrap_or((chunk, &[]))
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::InMemory;

    fn run(stream: &[u8], sizes: Sizes, base: &[u8]) -> Result<Vec<u8>, DecodeError<Infallible>> {
        let mut reader = OperationReader::new(sizes);
        let mut images = InMemory::new(base);
        reader.push(stream, &mut images)?;
        reader.finish()?;
        Ok(images.target)
    }

    fn sizes(base: &[u8], target: u32) -> Sizes {
        Sizes { base: len_u32(base), target, payload: 0 }
    }

    fn one(seek: i64, add_len: u32, insert_len: u32, bytes: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        emit(Operation { seek, add_len, insert_len }, &mut stream);
        stream.extend_from_slice(bytes);
        stream
    }

    #[test]
    fn seeks_adds_and_inserts() {
        let base = b"0123456789";
        let mut stream = one(0, 3, 2, &[0, 1, 0, b'a', b'b']);
        stream.extend(one(4, 3, 0, &[0, 0, 0]));
        assert_eq!(run(&stream, sizes(base, 8), base), Ok(b"022ab789".to_vec()));
    }

    #[test]
    fn refuses_what_leaves_base_or_target() {
        let base = b"0123456789";
        let outside = Err(DecodeError::OutsideBase);
        assert_eq!(run(&one(0, 11, 0, &[0; 11]), sizes(base, 20), base), outside);
        assert_eq!(run(&one(-1, 1, 0, &[0]), sizes(base, 8), base), outside);
        assert_eq!(run(&one(i64::MAX, 1, 0, &[0]), sizes(base, 8), base), outside);
        let overrun = Err(DecodeError::TargetOverrun);
        assert_eq!(run(&one(0, 9, 0, &[0; 9]), sizes(base, 8), base), overrun);
        assert_eq!(run(&one(0, 4, 5, &[0; 9]), sizes(base, 8), base), overrun);
        assert_eq!(run(&one(0, 0, 0, &[]), sizes(base, 8), base), Err(DecodeError::Corrupt));
        assert_eq!(
            run(&one(0, 8, 0, &[0; 9]), sizes(base, 8), base),
            Err(DecodeError::TrailingBytes)
        );
        assert_eq!(run(&[0xff; 11], sizes(base, 8), base), Err(DecodeError::Corrupt));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_result(stream in proptest::collection::vec(any::<u8>(), 0..200)) {
            let base = [7; 50];
            let _ = run(&stream, sizes(&base, 300), &base);
        }

        #[test]
        fn zigzag_is_undone(value in any::<i64>()) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
