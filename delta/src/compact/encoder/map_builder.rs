//! Builds the address map from a parse: where stretches have moved, thinned to what pays.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::super::isa::{Code, Form, References};
use super::super::map::{Entry, PackedEntry};
use super::super::predict::target_of;
use super::super::stream::Segment;
use super::super::view::unit_code;
use super::Job;
use super::units::Slice;

/// Shorter segments say nothing about where code has moved.
const MIN_SEGMENT: u32 = 16;

/// References to one target count at most this often: the decoder learns the exception from the second one. More than these
/// two is right since an entry serves other targets as well; measured over whole series.
pub(super) const MANY_VOTES: u32 = 6;

/// Better for some small updates, by up to a tenth, whose parse the other maps lead astray.
pub(super) const FEW_VOTES: u32 = 3;

/// How a map is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Whether what references say of a place outweighs where the bytes there come from.
    follows_references: bool,
    /// An entry takes about three bytes, as much as a reference that is predicted wrongly: it has to fix more than these.
    useless: i64,
}

/// The styles that are worth trying: which one is best depends on how much has changed.
pub(super) const STYLES: [Style; 3] = [
    Style { follows_references: true, useless: 1 },
    Style { follows_references: false, useless: 1 },
    Style { follows_references: true, useless: 3 },
];

/// How often references to an old address have moved by a shift; in the order of places.
struct Vote {
    place: u32,
    shift: i32,
    count: u32,
}

/// The map that fixes the most references, within the class's limit.
pub(super) fn build(
    job: &Job<'_>,
    segments: &[Segment],
    style: Style,
    max_votes: u32,
) -> Vec<Entry> {
    let Some(references) = job.references() else { return Vec::new() };
    let votes = votes(job, references, segments, max_votes);
    let mut moves: BTreeMap<u32, i32> =
        moved_bytes(job, references, segments).into_iter().collect();
    let is_outside = |place: u32| place >= references.base.len();
    let targets = moved_targets(&votes).into_iter();
    moves.extend(
        targets
            .filter(|(place, (count, _))| {
                is_outside(*place) || style.follows_references && *count > 1
            })
            .map(|(place, (_, shift))| (place, shift)),
    );
    let mut entries: Vec<Entry> = Vec::new();
    let fits = |entry: &Entry| PackedEntry::new(*entry).is_some();
    for entry in moves.into_iter().map(|(from, shift)| Entry { from, shift }).filter(fits) {
        if entries.last().map_or(0, |last| last.shift) != entry.shift {
            entries.push(entry);
        }
    }
    let limit = job.class.shape().map;
    thin(entries, &votes, limit.into(), style.useless)
}

/// The place of each byte of the base that is copied, and how far it has moved; the longest segment owns a byte.
fn moved_bytes(job: &Job<'_>, references: &References, segments: &[Segment]) -> Vec<(u32, i32)> {
    let mut owners = vec![(0u32, 0i32); job.base.len()];
    for segment in segments.iter().filter(|segment| segment.len >= MIN_SEGMENT) {
        let Some(source) = segment.source.filter(|source| *source < job.sizes().base) else {
            continue;
        };
        for (off, owner) in (0..segment.len).zip(owners.iter_mut().skip(source as usize)) {
            if owner.0 < segment.len {
                let old = references.base.address(source + off);
                let new = references.target.address(segment.start + off);
                *owner = (segment.len, new.wrapping_sub(old).cast_signed());
            }
        }
    }
    let copied = (0..).zip(owners).filter(|(_, (len, _))| *len > 0);
    copied.map(|(offset, (_, shift))| (offset, shift)).collect()
}

/// The places that are referred to: how many references to them have moved alike, and how far.
fn moved_targets(votes: &[Vote]) -> BTreeMap<u32, (u32, i32)> {
    let mut best: BTreeMap<u32, (u32, i32)> = BTreeMap::new();
    for vote in votes {
        let known = best.entry(vote.place).or_default();
        *known = (*known).max((vote.count, vote.shift));
    }
    best
}

/// The shifts that references to each old target really took.
fn votes(
    job: &Job<'_>,
    references: &References,
    segments: &[Segment],
    max_votes: u32,
) -> Vec<Vote> {
    let mut moves: Vec<(u32, i32)> = Vec::new();
    for segment in segments {
        let Some(source) = segment.source.filter(|source| *source < job.sizes().base) else {
            continue;
        };
        for step in 0..segment.len {
            let cell = job.units.base.get((source + step) as usize).copied().unwrap_or_default();
            let is_whole = step + u32::from(cell.form.len()) <= segment.len;
            if cell.form == Form::Plain || cell.index != 0 || !is_whole {
                continue;
            }
            let [old_pointer, new_pointer] = references.global_pointers;
            let (start, place) = (source + step, segment.start + step);
            let old = unit_code(old_pointer, &mut Slice(job.base), start, cell);
            let new = unit_code(new_pointer, &mut Slice(job.target), place, cell);
            let Some((before, after)) = pair(references, cell.form, old, new, start, place) else {
                continue;
            };
            if let Some(place) = references.place_in_base(before)
                && references.known_in_target(after)
            {
                moves.push((place, after.wrapping_sub(before).cast_signed()));
            }
        }
    }
    moves.sort_unstable();
    let alike = moves.chunk_by(|a, b| a == b);
    alike
        .filter_map(|group| {
            let (place, shift) = *group.first()?;
            let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
            Some(Vote { place, shift, count: count.min(max_votes) })
        })
        .collect()
}

/// What a reference referred to, and what it refers to now.
fn pair(
    references: &References,
    form: Form,
    old: Code,
    new: Code,
    start: u32,
    place: u32,
) -> Option<(u32, u32)> {
    // Words at other places are pointers by chance, and a function and its pointer are to fall into the same entry.
    if matches!(form, Form::Pointer | Form::RamPointer) {
        let odd = u32::from(references.set.has_odd_functions());
        return (place & 3 == 0).then_some((old.own & !odd, new.own & !odd));
    }
    let counts = form.teaches() && form.agree(old, new);
    counts.then(|| {
        let before = target_of(references, form, old, true, start);
        (before, target_of(references, form, new, false, place))
    })
}

/// Drops entries until each one fixes references that the one before it would not, and there are few enough.
fn thin(mut entries: Vec<Entry>, votes: &[Vote], limit: usize, useless: i64) -> Vec<Entry> {
    loop {
        let gains = gains(&entries, votes);
        let mut threshold = useless;
        if entries.len() > limit {
            let mut sorted = gains.clone();
            sorted.sort_unstable();
            let excess = ((entries.len() - limit) / 4).max(1);
            threshold = sorted.get(excess).copied().unwrap_or(0).max(useless);
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
fn gains(entries: &[Entry], votes: &[Vote]) -> Vec<i64> {
    let mut left = votes;
    if let Some(first) = entries.first() {
        votes_below(&mut left, first.from);
    }
    let ends = entries.iter().skip(1).map(|entry| entry.from).chain([u32::MAX]);
    let before = [0].into_iter().chain(entries.iter().map(|entry| entry.shift));
    let gain = |((entry, end), before): ((&Entry, u32), i32)| {
        let gain = |vote: &Vote| {
            let count = i64::from(vote.count);
            (i64::from(vote.shift == entry.shift) - i64::from(vote.shift == before)) * count
        };
        votes_below(&mut left, end).iter().map(gain).sum()
    };
    entries.iter().zip(ends).zip(before).map(gain).collect()
}

/// Takes the votes for places in front of a limit off the front.
fn votes_below<'a>(left: &mut &'a [Vote], limit: u32) -> &'a [Vote] {
    let count = left.partition_point(|vote| vote.place < limit);
    let (below, above) = left.split_at_checked(count).unwrap_or((left, &[]));
    *left = above;
    below
}
