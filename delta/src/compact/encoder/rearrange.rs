//! Finds where in a room each sector of the base should lie before the target takes its place.
//!
//! A sector of the base is lost once the target reaches its seat. What that costs in each seat is told by a parse that
//! knows of no room: the bytes that come from the sector from then on.

use alloc::vec;
use alloc::vec::Vec;

use super::super::stream::Segment;
use super::assign::assign;

/// What a byte that is lost weighs against a seat that a sector lies from where it would be if all were moved alike.
const LOSS: i64 = 1 << 12;

/// A base of more sectors is moved as a whole: to assign them takes time with the cube of their number.
const MAX_ASSIGNED: usize = 1024;

/// The seat of each sector of the base; `None` if a seat has no number, or the room is too small: for the
/// base and one sector more, or for the target.
pub(super) fn seats(
    [base_len, target_len]: [usize; 2],
    segments: &[Segment],
    sector_bytes: u32,
    room_sectors: u32,
) -> Option<Vec<u16>> {
    u16::try_from(room_sectors).ok()?;
    let [base, target] = [base_len, target_len].map(|len| len.div_ceil(sector_bytes as usize));
    let room = room_sectors as usize;
    let moved = room.checked_sub(base).filter(|spare| *spare > 0)?;
    room.checked_sub(target)?;
    let seats: Vec<usize> = if base > MAX_ASSIGNED {
        (0..base).map(|sector| sector + moved).collect()
    } else {
        let uses = uses(base, base_len, segments, sector_bytes);
        let losses: Vec<Vec<u32>> = uses.iter().map(|uses| losses(uses, room)).collect();
        assign(base, room, |sector, seat| {
            let loss = losses.get(sector).and_then(|of_seats| of_seats.get(seat)).copied();
            let away = i64::try_from((sector + moved).abs_diff(seat)).unwrap_or(i64::MAX);
            i64::from(loss.unwrap_or(0)) * LOSS + away
        })
    };
    seats.into_iter().map(|seat| u16::try_from(seat).ok()).collect()
}

/// For each sector of the base: which sectors of the target take how many bytes from it, in the target's order.
fn uses(
    base_sectors: usize,
    base_len: usize,
    segments: &[Segment],
    sector_bytes: u32,
) -> Vec<Vec<(usize, u32)>> {
    let mut uses: Vec<Vec<(usize, u32)>> = vec![Vec::new(); base_sectors];
    for segment in segments {
        let Some(source) = segment.source.filter(|source| (*source as usize) < base_len) else {
            continue;
        };
        let mut done = 0;
        while done < segment.len {
            let (from, to) = (source + done, segment.start + done);
            let left = |offset: u32| sector_bytes - offset % sector_bytes;
            let len = left(from).min(left(to)).min(segment.len - done);
            let by = (to / sector_bytes) as usize;
            match uses.get_mut((from / sector_bytes) as usize) {
                Some(uses) => match uses.last_mut() {
                    Some((last, bytes)) if *last == by => *bytes += len,
                    _ => uses.push((by, len)),
                },
                None => break,
            }
            done += len;
        }
    }
    uses
}

/// The bytes that are lost in each seat.
fn losses(uses: &[(usize, u32)], room: usize) -> Vec<u32> {
    let mut losses = vec![0; room];
    for (by, bytes) in uses {
        losses.iter_mut().take(by + 1).for_each(|loss| *loss += bytes);
    }
    losses
}
