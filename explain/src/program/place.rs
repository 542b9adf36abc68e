//! Where sections stand in an image.
//!
//! A raw image begins at the lowest load address. It may have a header in front (MCUboot's), be cut into segments with headers of
//! their own (ESP's), or be the ELF file itself; then bytes are looked for.

use super::Described;
use crate::{Error, Result};

/// Sections that are looked for one by one, the largest ones.
const MAX_SOUGHT: usize = 32;

/// Bytes of a section that are looked for.
const NEEDLE: usize = 64;

/// Of 100 bytes, so many must be the same: signatures, checksums and build ids may be put in afterwards.
const MIN_SAME_PERCENT: u64 = 90;

/// The offset of each section whose bytes are known and in the image.
pub(super) fn by_content(sections: &[Described<'_>], image: &[u8]) -> Result<Vec<Option<u32>>> {
    let all: u64 = stored(sections).map(|(_, section)| u64::from(section.len)).sum();
    let ways = [
        by_load_address(sections, 0),
        by_load_address(sections, header_len(sections, image)),
        by_file_offset(sections),
        one_by_one(sections, image),
    ];
    let scored = ways.into_iter().map(|places| (same_bytes(sections, &places, image), places));
    // Of equally good ways the first.
    let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
    let (same, mut places) = best.unwrap_or_default();
    if same == 0 || same * 100 < all * MIN_SAME_PERCENT {
        return Err(Error::OtherImage { same, all });
    }
    drop_outside(sections, &mut places, image);
    Ok(places)
}

/// The same where no bytes are known: by load addresses alone, from that of the image on, or else from the lowest one. No part of what
/// must be in the image may lie outside.
pub(super) fn by_address(
    sections: &[Described<'_>],
    image: &[u8],
    load_address: Option<u32>,
) -> Result<Vec<Option<u32>>> {
    let first = load_address.unwrap_or_else(|| lowest(sections));
    let begin = |section: &Described<'_>| {
        let is_there = section.is_stored && section.len > 0;
        is_there.then(|| section.load_address.checked_sub(first)).flatten()
    };
    let mut places: Vec<_> = sections.iter().map(begin).collect();
    let wanted: Vec<_> = stored(sections)
        .filter(|(number, section)| {
            let begins = places.get(*number).copied().flatten();
            section.is_code || begins.is_some_and(|at| cannot_end_outside(section, at, image))
        })
        .collect();
    drop_outside(sections, &mut places, image);
    let bytes = |(_, section): &(usize, &Described<'_>)| u64::from(section.len);
    let all: u64 = wanted.iter().map(bytes).sum();
    let is_inside = |number: usize| places.get(number).is_some_and(Option::is_some);
    let same = wanted.iter().filter(|(number, _)| is_inside(*number)).map(bytes).sum();
    if same == 0 || same < all {
        return Err(Error::OtherImage { same, all });
    }
    Ok(places)
}

/// Whether a section that begins inside the image must end there, too: what has a place in RAM may only be room for variables, unless it
/// is called data.
fn cannot_end_outside(section: &Described<'_>, place: u32, image: &[u8]) -> bool {
    let is_bytes = section.address == section.load_address || section.is_writable;
    is_bytes && (place as usize) < image.len()
}

fn stored<'a, 'b>(
    sections: &'a [Described<'b>],
) -> impl Iterator<Item = (usize, &'a Described<'b>)> {
    sections.iter().enumerate().filter(|(_, section)| section.is_stored && section.len > 0)
}

fn by_load_address(sections: &[Described<'_>], header_len: u32) -> Vec<Option<u32>> {
    let first = lowest(sections);
    let place = |section: &Described<'_>| {
        let is_there = section.is_stored && section.len > 0;
        is_there.then(|| (section.load_address - first).checked_add(header_len)).flatten()
    };
    sections.iter().map(place).collect()
}

fn lowest(sections: &[Described<'_>]) -> u32 {
    stored(sections).map(|(_, section)| section.load_address).min().unwrap_or(0)
}

fn by_file_offset(sections: &[Described<'_>]) -> Vec<Option<u32>> {
    let place = |section: &Described<'_>| {
        section.is_stored.then(|| u32::try_from(section.file_offset).ok()).flatten()
    };
    sections.iter().map(place).collect()
}

/// How long a header in front of the image would be, told by where the largest section is found.
fn header_len(sections: &[Described<'_>], image: &[u8]) -> u32 {
    let places = by_load_address(sections, 0);
    let largest = stored(sections).max_by_key(|(_, section)| section.len);
    let len = largest.and_then(|(number, section)| {
        let found = find(section.bytes?, image)?;
        found.checked_sub(places.get(number).copied().flatten()?)
    });
    len.unwrap_or(0)
}

fn one_by_one(sections: &[Described<'_>], image: &[u8]) -> Vec<Option<u32>> {
    let mut places = vec![None; sections.len()];
    let mut largest: Vec<_> = stored(sections).collect();
    largest.sort_by_key(|(_, section)| std::cmp::Reverse(section.len));
    for (number, section) in largest.into_iter().take(MAX_SOUGHT) {
        if let (Some(place), Some(bytes)) = (places.get_mut(number), section.bytes) {
            *place = find(bytes, image);
        }
    }
    places
}

/// Where the first bytes of a section stand that are not all alike.
fn find(section: &[u8], image: &[u8]) -> Option<u32> {
    let starts = (0..section.len()).step_by(NEEDLE);
    let needles = starts.filter_map(|start| Some((start, section.get(start..start + NEEDLE)?)));
    let (start, needle) = needles.take(64).find(|(_, needle)| {
        let first = needle.first();
        needle.iter().filter(|byte| Some(*byte) != first).count() > NEEDLE / 4
    })?;
    let found = image.windows(NEEDLE).position(|window| window == needle)?;
    u32::try_from(found.checked_sub(start)?).ok()
}

fn same_bytes(sections: &[Described<'_>], places: &[Option<u32>], image: &[u8]) -> u64 {
    let same = |(section, place): (&Described<'_>, &Option<u32>)| {
        let (Some(place), Some(bytes)) = (place, section.bytes) else { return 0 };
        let there = image.get(*place as usize..).unwrap_or_default();
        there.iter().zip(bytes).filter(|(a, b)| a == b).count() as u64
    };
    sections.iter().zip(places).map(same).sum()
}

/// Takes places away that the image does not have.
fn drop_outside(sections: &[Described<'_>], places: &mut [Option<u32>], image: &[u8]) {
    for (section, place) in sections.iter().zip(places) {
        let end = place.and_then(|place| place.checked_add(section.len));
        if end.is_none_or(|end| end as usize > image.len()) {
            *place = None;
        }
    }
}
