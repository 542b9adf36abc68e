//! The seats of a rearranged base as bytes.
//!
//! ```text
//! seats  = run …           until every sector of the base has a seat
//! run    = zigzag LEB128   its first seat, counted from the one behind the last run's end
//!          LEB128          how many sectors after the first one follow in the next seats
//! ```
//!
//! A base that is moved as a whole takes one run.

#[cfg(feature = "encode")]
use alloc::vec::Vec;

/// The bytes that stand for the seats of an [`InPlace`](crate::InPlace).
#[cfg(feature = "encode")]
#[must_use]
pub fn emit_seats(seats: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = 0u16;
    for run in seats.chunk_by(|seat, next| seat.checked_add(1) == Some(*next)) {
        let first = run.first().copied().unwrap_or(next);
        let step = i32::from(first).wrapping_sub(next.into());
        emit((step.wrapping_shl(1) ^ (step >> 31)).cast_unsigned(), &mut bytes);
        let more = u16::try_from(run.len()).unwrap_or(u16::MAX).wrapping_sub(1);
        emit(more.into(), &mut bytes);
        next = first.wrapping_add(more).wrapping_add(1);
    }
    bytes
}

#[cfg(feature = "encode")]
fn emit(mut number: u32, bytes: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        bytes.push(if number == 0 { low & 0x7f } else { low | 0x80 });
        if number == 0 {
            return;
        }
    }
}

/// Fills the seats of all sectors of a base off the front of their bytes; `None` if they are not there, or no seats.
pub fn parse_seats(bytes: &mut &[u8], seats: &mut [u16]) -> Option<()> {
    let mut rest = seats;
    let mut next = 0u16;
    while !rest.is_empty() {
        let step = take(bytes)?;
        let step = (step >> 1).cast_signed() ^ (step & 1).cast_signed().wrapping_neg();
        let first = u16::try_from(i32::from(next).checked_add(step)?).ok()?;
        let len = usize::try_from(take(bytes)?).ok()?.checked_add(1)?;
        let (run, behind) = rest.split_at_mut_checked(len)?;
        next = first;
        for seat in run {
            *seat = next;
            next = next.checked_add(1)?;
        }
        rest = behind;
    }
    Some(())
}

/// A number of at most 21 bits.
fn take(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0u32;
    for shift in [0, 7, 14] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use proptest::prelude::*;

    use super::{emit_seats, parse_seats};

    #[test]
    fn a_base_that_is_moved_as_a_whole_takes_one_run() {
        let seats: Vec<u16> = (2..59).collect();
        assert_eq!(emit_seats(&seats), [4, 56]);
        assert_eq!(emit_seats(&[5, 6, 1, 2, 3]), [10, 1, 11, 2]);
        assert_eq!(emit_seats(&[]), []);
    }

    proptest! {
        #[test]
        fn seats_are_read_as_they_were_written(
            seats in proptest::collection::vec(0u16..=65_534, 0..100),
            runs in proptest::collection::vec((0u16..60_000, 1u16..300), 0..10),
        ) {
            let runs = runs.iter().flat_map(|(first, len)| *first..first + len);
            let seats: Vec<u16> = seats.into_iter().chain(runs).collect();
            let mut bytes = emit_seats(&seats);
            bytes.push(7);
            let mut parsed = vec![0; seats.len()];
            let mut rest = &bytes[..];
            prop_assert_eq!(parse_seats(&mut rest, &mut parsed), Some(()));
            prop_assert_eq!((parsed, rest), (seats, &[7][..]));
        }

        #[test]
        fn any_bytes_end_in_a_result(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            count in 0usize..300,
        ) {
            let _ = parse_seats(&mut &bytes[..], &mut vec![0; count]);
        }
    }
}
