//! Whether an image is Thumb code, and where it lies: told from what it refers to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::thumb;
use super::super::window::Window;

/// Thumb code has more distinct call targets than one in this many bytes; in data and other code, halfwords that look
/// like calls lead nowhere in particular. (Thumb images of the corpus: one in 180 to 280; others: one in 2,600 or fewer.)
const MAX_BYTES_PER_TARGET: usize = 1024;

/// Call targets that vote, at most.
const MAX_TARGETS: usize = 6000;

/// Most images begin on a boundary of this size, some on one of the smaller size.
const GRIDS: [u32; 2] = [4096, 256];

/// The addresses worth trying, if this is Thumb code at all: the one that is known, or else those that the vector
/// table and most pointers speak for.
pub(super) fn candidates(image: &[u8], known: Option<u32>) -> Vec<u32> {
    if let Some(known) = known {
        return alloc::vec![known];
    }
    let mut targets = call_targets(image);
    targets.sort_unstable();
    targets.dedup();
    if targets.len() < image.len() / MAX_BYTES_PER_TARGET || targets.is_empty() {
        return Vec::new();
    }
    if let Some(load) = from_elf(image) {
        return alloc::vec![load];
    }
    let votes = votes(image, &targets);
    let [coarse, fine] = GRIDS.map(|grid| most_votes(&votes, grid));
    let mut candidates: Vec<u32> =
        [coarse, from_vector_table(image).or(fine)].into_iter().flatten().collect();
    candidates.sort_unstable();
    candidates.dedup();
    candidates
}

/// Functions are called by BL with a distance, and pointed to by odd words with an address: where the two agree on an
/// address of byte 0, that is a vote.
fn votes(image: &[u8], targets: &[u32]) -> BTreeMap<u32, u32> {
    let [.., finest] = GRIDS;
    let step = 1 + targets.len() / MAX_TARGETS;
    let mut pointers: Vec<u32> = words(image).filter(|word| word & 1 == 1).collect();
    pointers.sort_unstable();
    pointers.dedup();
    let mut votes: BTreeMap<u32, u32> = BTreeMap::new();
    for pointer in pointers {
        for target in targets.iter().step_by(step) {
            let load = (pointer & !1).wrapping_sub(*target);
            if load % finest == 0 {
                *votes.entry(load).or_default() += 1;
            }
        }
    }
    votes
}

fn most_votes(votes: &BTreeMap<u32, u32>, grid: u32) -> Option<u32> {
    let on_grid = votes.iter().filter(|(load, _)| **load % grid == 0);
    on_grid.max_by_key(|(load, votes)| (**votes, core::cmp::Reverse(**load))).map(|(load, _)| *load)
}

/// An image that begins with a stack pointer into RAM and an odd reset handler lies where that handler does.
fn from_vector_table(image: &[u8]) -> Option<u32> {
    let mut words = words(image);
    let (stack, reset) = (words.next()?, words.next()?);
    ((0x2000_0000..0x2010_0000).contains(&stack) && reset & 1 == 1).then_some(reset & !0xffff)
}

/// A 32-bit little-endian ELF file says where its code lies: the address that its executable segment gives byte 0.
/// (Tool Interface Standard, Executable and Linking Format 1.2.)
fn from_elf(image: &[u8]) -> Option<u32> {
    const LOADABLE: u32 = 1;
    const EXECUTABLE: u32 = 1;
    let word = |at: usize| Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*image.get(at..)?.first_chunk()?)));
    if !image.starts_with(b"\x7fELF\x01\x01") {
        return None;
    }
    let (table, size, count) = (usize::try_from(word(28)?).ok()?, half(42)?, half(44)?);
    (0..count).map(|index| table.saturating_add(index * size)).find_map(|entry| {
        let (kind, offset, address, flags) =
            (word(entry)?, word(entry + 4)?, word(entry + 8)?, word(entry + 24)?);
        let is_code = kind == LOADABLE && flags & EXECUTABLE != 0;
        is_code.then(|| address.wrapping_sub(offset))
    })
}

fn words(image: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
    image.chunks_exact(4).filter_map(|word| Some(u32::from_le_bytes(*word.first_chunk()?)))
}

fn call_targets(image: &[u8]) -> Vec<u32> {
    let len = u32::try_from(image.len()).unwrap_or(u32::MAX);
    let mut targets = Vec::new();
    let mut offset = 0;
    while offset + 4 <= len {
        let bytes = image.get(offset as usize..offset as usize + 4).unwrap_or_default();
        match thumb::call_at(&Window::new(offset & !3, offset, bytes), offset) {
            Some(halves) => {
                let target = i64::from(offset) + 4 + thumb::call_distance(halves);
                targets
                    .extend(u32::try_from(target).ok().filter(|target| (1..len).contains(target)));
                offset += 4;
            }
            None => offset += 2,
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elf_file_says_where_its_code_lies() {
        let mut elf = alloc::vec![0; 128];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        elf[28] = 52;
        elf[42] = 32;
        elf[44] = 2;
        let segment = |kind: u32, offset: u32, address: u32, flags: u32| {
            [kind, offset, address, 0, 0, 0, flags, 0].map(u32::to_le_bytes).concat()
        };
        elf[52..84].copy_from_slice(&segment(1, 0, 0x1_0000, 4));
        elf[84..116].copy_from_slice(&segment(1, 0x400, 0x2_1400, 5));
        assert_eq!(from_elf(&elf), Some(0x2_1000));
        assert_eq!(from_elf(&elf[..100]), None);
        assert_eq!(from_elf(b"not an ELF file"), None);
    }
}
