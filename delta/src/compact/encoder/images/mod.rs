//! Whose code a pair of images is, and where they lie: told by their headers, or from what they refer to.

mod code;
mod elf;
mod esp;
mod raw;

use alloc::vec::Vec;

use super::super::isa::{InstructionSet, References};
use super::super::layout::{Layout, MAX_PIECES, Piece, Ram};
use super::{CodeHint, Options};

/// A stretch of an image with its address; it ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    start: u32,
    address: u32,
    content: Content,
}

/// What is in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Code,
    Data,
    /// Code, and perhaps data too.
    Mixed,
}

/// What is known of two images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) references: References,
    /// The target as it will be seen as the base of the next update, with its code told apart.
    pub(super) target_as_base: Layout,
}

/// What is worth trying, the likeliest first; nothing if this is no code that is known.
pub(super) fn candidates(base: &[u8], target: &[u8], options: &Options) -> Vec<Known> {
    let set = match options.code {
        CodeHint::Unknown => return Vec::new(),
        CodeHint::Set(set) => Some(set),
        CodeHint::Find => None,
    };
    if options.load_address.is_none()
        && let Some(known) = from_headers(base, target, set)
        && set.is_none_or(|set| set == known.references.set)
    {
        return alloc::vec![known];
    }
    if set.is_none() && elf::is_elf(target) {
        // A machine that is not known, or headers that are not to be believed: no guess is better.
        return Vec::new();
    }
    let set = set.or_else(|| raw::instruction_set(target));
    let Some(set) = set else { return Vec::new() };
    let loads = match options.load_address {
        Some(load) => alloc::vec![load],
        None => raw::load_addresses(target, set),
    };
    let of = |load: u32| {
        let at = |address| [Segment { start: 0, address, content: Content::Mixed }];
        let base_load = options.base_load_address.filter(|_| options.load_address.is_some());
        let ram = match set {
            InstructionSet::Riscv32 | InstructionSet::Riscv64 => raw::riscv_ram(target, load),
            _ => set.usual_ram(),
        };
        references(set, ram, (base, &at(base_load.unwrap_or(load))), (target, &at(load)))
    };
    loads.into_iter().map(of).collect()
}

fn from_headers(base: &[u8], target: &[u8], hint: Option<InstructionSet>) -> Option<Known> {
    let parse = |image, hint| esp::parse(image).or_else(|| elf::parse(image, hint));
    let (set, ram, segments) = parse(target, hint)?;
    if base.is_empty() {
        return Some(references(set, ram, (base, &[]), (target, &segments)));
    }
    let (base_set, base_ram, base_segments) = parse(base, Some(set))?;
    let start = ram.start.min(base_ram.start);
    let end = |ram: Ram| ram.start.wrapping_add(ram.len);
    let ram = Ram { start, len: end(ram).max(end(base_ram)).wrapping_sub(start) };
    (set == base_set).then(|| references(set, ram, (base, &base_segments), (target, &segments)))
}

fn references(
    set: InstructionSet,
    ram: Ram,
    (base, base_segments): (&[u8], &[Segment]),
    (target, target_segments): (&[u8], &[Segment]),
) -> Known {
    let base_layout = layout(base, set, base_segments);
    let target_layout = layout(target, set, target_segments);
    let pointers = [(base, &base_layout), (target, &target_layout)]
        .map(|(image, layout)| global_pointer(image, set, layout).unwrap_or(0));
    let global_pointers = if pointers.contains(&0) { [0; 2] } else { pointers };
    let target = target_layout.merged();
    let references = References { set, base: base_layout, target, ram, global_pointers };
    Known { references, target_as_base: target_layout }
}

/// Cuts segments into code and data, as far as there is room for it.
fn layout(image: &[u8], set: InstructionSet, segments: &[Segment]) -> Layout {
    let is_inside = |segment: &&Segment| (segment.start as usize) < image.len();
    let mut sorted: Vec<Segment> = segments.iter().filter(is_inside).copied().collect();
    sorted.sort_unstable_by_key(|segment| segment.start);
    sorted.dedup_by_key(|segment| segment.start);
    // What stands in front of the first segment gets the addresses in front of it.
    let first = sorted.first().map_or((1, 1), |first| (first.address, first.start));
    if let (address, behind @ 1..) = first {
        let address = address.wrapping_sub(behind);
        sorted.insert(0, Segment { start: 0, address, content: Content::Data });
    }
    let ends = sorted.iter().skip(1).map(|next| next.start as usize).chain([image.len()]);
    let mut pieces: Vec<Piece> = Vec::new();
    for (segment, end) in sorted.iter().zip(ends) {
        let start = segment.start as usize;
        let code = match segment.content {
            Content::Data => Vec::new(),
            Content::Code => alloc::vec![start..end],
            Content::Mixed => code::ranges(image, set, start..end.max(start)),
        };
        let mut bounds = alloc::vec![(start, false)];
        for range in code {
            bounds.push((range.start, true));
            bounds.push((range.end, false));
        }
        for (at, is_code) in bounds.into_iter().filter(|(at, _)| *at < end || *at == 0) {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let address = segment.address.wrapping_add(at.wrapping_sub(segment.start));
            match pieces.last_mut() {
                Some(last) if last.start == at => last.is_code = is_code,
                _ => pieces.push(Piece { start: at, address, is_code }),
            }
        }
    }
    let mut layout = Layout::new(u32::try_from(image.len()).unwrap_or(u32::MAX));
    for piece in fewer(pieces) {
        layout.push(piece);
    }
    layout
}

/// Joins pieces until there is room for them: first neighbours that only tell code from data.
fn fewer(mut pieces: Vec<Piece>) -> Vec<Piece> {
    while pieces.len() > MAX_PIECES {
        let goes_on = |pair: &[Piece]| {
            let [a, b] = pair else { return None };
            let len = b.start - a.start;
            (a.address.wrapping_add(len) == b.address).then_some(len)
        };
        let shortest = (1..).zip(pieces.windows(2).map(goes_on));
        let shortest = shortest.filter_map(|(index, len)| Some((len?, index))).min();
        match shortest {
            Some((_, index)) => pieces.remove(index),
            None => pieces.remove(MAX_PIECES),
        };
    }
    pieces
}

/// What start-up code sets the global pointer of RISC-V to.
fn global_pointer(image: &[u8], set: InstructionSet, layout: &Layout) -> Option<u32> {
    const GP: u32 = 3;
    if !matches!(set, InstructionSet::Riscv32 | InstructionSet::Riscv64) {
        return None;
    }
    (0..image.len()).step_by(2).find_map(|at| {
        let (high, low) = (word(image, at)?, word(image, at + 4)?);
        let adds = low & 0xf_ffff == GP << 15 | GP << 7 | 0x13;
        let sets = high & 0xfff;
        let offset = u32::try_from(at).ok().filter(|at| adds && layout.piece_at(*at).0.is_code)?;
        let from = match sets {
            _ if sets == GP << 7 | 0x17 => layout.address(offset),
            _ if sets == GP << 7 | 0x37 => 0,
            _ => return None,
        };
        let low = low.cast_signed() >> 20;
        Some(from.wrapping_add(high & !0xfff).wrapping_add_signed(low))
    })
}

fn word(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?))
}

fn half(image: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*image.get(at..)?.first_chunk()?))
}
