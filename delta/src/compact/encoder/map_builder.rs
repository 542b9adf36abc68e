//! Builds the address map from a parse: where stretches have moved, thinned to what pays.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::super::map::Entry;
use super::super::stream::Segment;
use super::super::thumb::{self, Addresses, Class};
use super::super::view::Source;
use super::Job;
use super::side::SliceView;

/// Shorter segments say nothing about where code has moved.
const MIN_SEGMENT: u32 = 16;

/// References to one target count at most this often.
const MAX_VOTES: usize = 3;

/// The map that fixes the most references, within the class's limit.
pub(super) fn build(job: &Job<'_>, segments: &[Segment]) -> Vec<Entry> {
    let Some(addresses) = job.addresses() else { return Vec::new() };
    let entries = raw_entries(job, segments);
    let limit = job.class.shape().map;
    let references = references(job, segments, addresses);
    thin(entries, &references, job.sizes().base, limit)
}

/// One entry wherever the shift changes; the longest segment owns each old byte.
fn raw_entries(job: &Job<'_>, segments: &[Segment]) -> Vec<Entry> {
    let mut owners = vec![(0u32, 0i32); job.base.len()];
    for segment in segments.iter().filter(|segment| segment.len >= MIN_SEGMENT) {
        let Some(source) = segment.source.filter(|source| *source < job.sizes().base) else {
            continue;
        };
        let shift = segment.start.wrapping_sub(source).cast_signed();
        for owner in owners.iter_mut().skip(source as usize).take(segment.len as usize) {
            if owner.0 < segment.len {
                *owner = (segment.len, shift);
            }
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    for (from, (len, shift)) in (0..).zip(owners) {
        if len > 0 && entries.last().map_or(0, |last| last.shift) != shift {
            entries.push(Entry { from, shift });
        }
    }
    entries
}

/// The shifts that references to each old target really took.
fn references(
    job: &Job<'_>,
    segments: &[Segment],
    addresses: Addresses,
) -> BTreeMap<u32, Vec<i64>> {
    let (view, sizes) = (SliceView::new(job.base, job.target), job.sizes());
    let mut references: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for segment in segments {
        let Some(source) = segment.source.filter(|source| *source < sizes.base) else { continue };
        for step in 0..segment.len.saturating_sub(3) {
            let (old, new) = (source + step, segment.start + step);
            let old_window = view.window_at(Source::Base(old), 0);
            let unit = thumb::classify(&old_window, old, addresses);
            if unit.index != 0 {
                continue;
            }
            let new_window = view.window_at(Source::Target(new), sizes.target);
            let same_high = old_window.byte(old + 1) == new_window.byte(new + 1);
            let (old_i, new_i) = (i64::from(old), i64::from(new));
            let pair = match unit.class {
                Class::Call => thumb::call_at(&old_window, old)
                    .zip(thumb::call_at(&new_window, new))
                    .map(|(before, after)| {
                        let before = old_i + 4 + thumb::call_distance(before);
                        (before, new_i + 4 + thumb::call_distance(after))
                    }),
                Class::Pointer if new & 3 == 0 => {
                    old_window.word(old).zip(new_window.word(new)).and_then(|(before, after)| {
                        let offset = |word: u32| i64::from(word.wrapping_sub(addresses.load) & !1);
                        addresses.in_image(after).then(|| (offset(before), offset(after)))
                    })
                }
                Class::Literal if same_high => {
                    old_window.byte(old).zip(new_window.byte(new)).map(|(before, after)| {
                        let before = thumb::literal_target(old, before);
                        (before.into(), thumb::literal_target(new, after).into())
                    })
                }
                Class::Branch if same_high => {
                    old_window.byte(old).zip(new_window.byte(new)).map(|(before, after)| {
                        let before = old_i + 4 + thumb::branch_distance(before);
                        (before, new_i + 4 + thumb::branch_distance(after))
                    })
                }
                _ => None,
            };
            if let Some((before, after)) = pair
                && let Ok(target) = u32::try_from(before)
                && target < sizes.base
            {
                references.entry(target).or_default().push(after - before);
            }
        }
    }
    references
}

/// Drops entries until each one fixes references that the one before it would not, and there are few enough.
fn thin(
    mut entries: Vec<Entry>,
    references: &BTreeMap<u32, Vec<i64>>,
    base_size: u32,
    limit: usize,
) -> Vec<Entry> {
    loop {
        let gains = gains(&entries, references, base_size);
        let mut threshold = 0;
        if entries.len() > limit {
            let mut sorted = gains.clone();
            sorted.sort_unstable();
            let excess = ((entries.len() - limit) / 4).max(1);
            threshold = sorted.get(excess).copied().unwrap_or(0).max(0);
        }
        let before = entries.len();
        let (mut kept, mut dropped_last): (Vec<Entry>, bool) = (Vec::new(), false);
        for (entry, gain) in entries.iter().zip(&gains) {
            // Never two neighbours in one round: without the first, the second gains more.
            if *gain <= threshold && !dropped_last {
                dropped_last = true;
                continue;
            }
            dropped_last = false;
            if kept.last().map_or(0, |last: &Entry| last.shift) != entry.shift {
                kept.push(*entry);
            }
        }
        entries = kept;
        if entries.len() == before {
            entries.truncate(limit);
            return entries;
        }
    }
}

/// How many more references each entry fixes than the shift before it would.
fn gains(entries: &[Entry], references: &BTreeMap<u32, Vec<i64>>, base_size: u32) -> Vec<i64> {
    let ends = entries.iter().skip(1).map(|entry| entry.from).chain([base_size]);
    let before = [0].into_iter().chain(entries.iter().map(|entry| entry.shift));
    let count = |shifts: &[i64], shift: i32| {
        let votes = shifts.iter().filter(|vote| **vote == i64::from(shift)).count().min(MAX_VOTES);
        i64::try_from(votes).unwrap_or(0)
    };
    let gain = |((entry, end), before): ((&Entry, u32), i32)| {
        let inside = references.range(entry.from..end.max(entry.from));
        inside.map(|(_, shifts)| count(shifts, entry.shift) - count(shifts, before)).sum()
    };
    entries.iter().zip(ends).zip(before).map(gain).collect()
}
