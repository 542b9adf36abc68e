//! Finds where in a room each sector of the base should lie before the target takes its place.
//!
//! A sector of the base is lost once the target reaches its slot. What each slot would cost a sector is told by a parse that
//! knows of no room: the bytes that come from it from then on. Sectors trade places as long as that pays.

use alloc::vec;
use alloc::vec::Vec;

use super::super::stream::Segment;

/// A trade has to save more than this many bytes: it also has to be told.
const MIN_GAIN: u64 = 8;

/// The slot of each sector of the base; `None` if a slot has no number, or the room is too small for either image.
pub(super) fn slots(
    [base_len, target_len]: [usize; 2],
    segments: &[Segment],
    sector_bytes: u32,
    room_sectors: u32,
) -> Option<Vec<u16>> {
    u16::try_from(room_sectors).ok()?;
    let [base, target] = [base_len, target_len].map(|len| len.div_ceil(sector_bytes as usize));
    let room = room_sectors as usize;
    let moved = room.checked_sub(base)?;
    room.checked_sub(target)?;
    let uses = uses(base, base_len, segments, sector_bytes);
    let losses: Vec<Vec<u64>> = uses.iter().map(|uses| losses(uses, room)).collect();
    let by_need = {
        let mut sectors: Vec<usize> = (0..base).collect();
        sectors.sort_by_key(|sector| (middle(uses.get(*sector)), *sector));
        let mut slots = vec![0; base];
        for (slot, sector) in (moved..).zip(sectors) {
            if let Some(room) = slots.get_mut(sector) {
                *room = slot;
            }
        }
        slots
    };
    let starts = [(0..base).map(|sector| sector + moved).collect(), by_need];
    let traded = starts.map(|slots| trade(slots, room, &losses));
    let [shifted, sorted] = traded;
    let (slots, _) =
        if sorted.1 + MIN_GAIN * base as u64 / 8 < shifted.1 { sorted } else { shifted };
    slots.into_iter().map(|slot| u16::try_from(slot).ok()).collect()
}

/// For each sector of the base: which sectors of the target take how many bytes from it, in the target's order.
fn uses(
    base_sectors: usize,
    base_len: usize,
    segments: &[Segment],
    sector_bytes: u32,
) -> Vec<Vec<(usize, u64)>> {
    let mut uses: Vec<Vec<(usize, u64)>> = vec![Vec::new(); base_sectors];
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
                    Some((last, bytes)) if *last == by => *bytes += u64::from(len),
                    _ => uses.push((by, len.into())),
                },
                None => break,
            }
            done += len;
        }
    }
    uses
}

/// The bytes that are lost in each slot.
fn losses(uses: &[(usize, u64)], room: usize) -> Vec<u64> {
    let mut losses = vec![0; room];
    for (by, bytes) in uses {
        losses.iter_mut().take(by + 1).for_each(|loss| *loss += bytes);
    }
    losses
}

/// The sector of the target by which half of the bytes have been taken.
fn middle(uses: Option<&Vec<(usize, u64)>>) -> usize {
    let uses = uses.map(Vec::as_slice).unwrap_or_default();
    let half = uses.iter().map(|(_, bytes)| bytes).sum::<u64>() / 2;
    let mut sum = 0;
    let reaches = |(_, bytes): &&(usize, u64)| {
        sum += bytes;
        sum > half
    };
    uses.iter().find(reaches).map_or(0, |(by, _)| *by)
}

/// Trades slots while that pays; returns them and the bytes that are lost.
fn trade(mut slots: Vec<usize>, room: usize, losses: &[Vec<u64>]) -> (Vec<usize>, u64) {
    let mut owners: Vec<Option<usize>> = vec![None; room];
    for (sector, slot) in slots.iter().enumerate() {
        if let Some(owner) = owners.get_mut(*slot) {
            *owner = Some(sector);
        }
    }
    let loss = |sector: usize, slot: usize| {
        losses.get(sector).and_then(|of_slots| of_slots.get(slot)).copied().unwrap_or(0)
    };
    let mut is_changed = true;
    while is_changed {
        is_changed = false;
        for sector in 0..slots.len() {
            let Some(own) = slots.get(sector).copied() else { continue };
            let other_loss = |slot: usize, at: usize| {
                let owner = owners.get(slot).copied().flatten();
                owner.map_or(0, |owner| loss(owner, at))
            };
            let gain = |slot: usize| {
                let before = loss(sector, own) + other_loss(slot, slot);
                before.saturating_sub(loss(sector, slot) + other_loss(slot, own))
            };
            let best = (0..room).map(|slot| (gain(slot), slot)).max_by_key(|(gain, _)| *gain);
            let Some((_, slot)) = best.filter(|(gain, _)| *gain > MIN_GAIN) else { continue };
            let other = owners.get(slot).copied().flatten();
            for (sector, slot) in [(Some(sector), slot), (other, own)] {
                if let Some(owner) = owners.get_mut(slot) {
                    *owner = sector;
                }
                if let Some(room) = sector.and_then(|sector| slots.get_mut(sector)) {
                    *room = slot;
                }
            }
            is_changed = true;
        }
    }
    let lost = slots.iter().enumerate().map(|(sector, slot)| loss(sector, *slot)).sum();
    (slots, lost)
}
