//! Images without a header: whose code they are, and where they lie, told from what they refer to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::super::isa::{Code, Form, InstructionSet};
use super::super::super::layout::Ram;
use super::word;

/// Code has more distinct call targets than one in this many bytes; in data and other code, what looks like calls leads
/// nowhere in particular. (Thumb images that were looked at: one in 180 to 280.)
const MAX_BYTES_PER_TARGET: usize = 1024;

/// Call targets that vote, at most.
const MAX_TARGETS: usize = 6000;

/// Pairs of pointers and targets that are looked at, at most.
const MAX_PAIRS: usize = 4_000_000;

/// Most images begin on a boundary of this size, some on one of the smaller size.
const GRIDS: [u32; 2] = [4096, 256];

/// The instruction set with the most calls, if there are enough of them.
pub(super) fn instruction_set(image: &[u8]) -> Option<InstructionSet> {
    const SETS: [InstructionSet; 4] = [
        InstructionSet::Thumb,
        InstructionSet::Riscv32,
        InstructionSet::Aarch64,
        InstructionSet::Arm,
    ];
    let counted = SETS.map(|set| (call_targets(image, set).len(), set));
    let (count, set) = counted.into_iter().max_by_key(|(count, _)| *count)?;
    (count > 0 && count >= image.len() / MAX_BYTES_PER_TARGET).then_some(set)
}

/// Which of the two sets of 32-bit Arm an image is mostly in.
pub(super) fn set_of_32_bit_arm(image: &[u8]) -> InstructionSet {
    let [arm, thumb] =
        [InstructionSet::Arm, InstructionSet::Thumb].map(|set| call_targets(image, set).len());
    if arm > thumb { InstructionSet::Arm } else { InstructionSet::Thumb }
}

/// The addresses of byte 0 that are worth trying: those that the vector table and most pointers speak for.
pub(super) fn load_addresses(image: &[u8], set: InstructionSet) -> Vec<u32> {
    let votes = votes(image, set);
    let [coarse, fine] = GRIDS.map(|grid| most_votes(&votes, grid));
    let vectors = if set == InstructionSet::Thumb { VectorTable::of(image) } else { None };
    // Where both grids agree, they are hardly wrong, but where code makes its addresses by pairs of instructions few
    // pointers vote at all.
    let is_allowed = vectors.is_none_or(|table| coarse.is_some_and(|load| table.allows(load)));
    let is_sure = coarse == fine && is_allowed;
    let other = if is_sure { None } else { vectors.map(VectorTable::load_address).or(fine) };
    let mut addresses: Vec<u32> = [coarse, other].into_iter().flatten().collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        addresses.push(0);
    }
    addresses
}

/// Functions are called with a distance, and pointed to by words with an address: where the two agree on an address of
/// byte 0, that is a vote.
fn votes(image: &[u8], set: InstructionSet) -> BTreeMap<u32, u32> {
    let [.., finest] = GRIDS;
    let targets = call_targets(image, set);
    let step = 1 + targets.len() / MAX_TARGETS;
    let odd = u32::from(set.has_odd_functions());
    let mut pointers: Vec<u32> = words(image).filter(|word| word & 1 == odd).collect();
    pointers.sort_unstable();
    pointers.dedup();
    // Where byte 0 lies decides whether a target is on the grid: those that agree with the pointer are few.
    let mut by_remainder: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for target in targets.iter().step_by(step) {
        by_remainder.entry(target % finest).or_default().push(*target);
    }
    // Where all targets agree with all pointers, a part of the pointers speaks for them.
    let crowd = by_remainder.values().map(Vec::len).max().unwrap_or(1);
    let step = 1 + pointers.len().saturating_mul(crowd) / MAX_PAIRS;
    let mut votes: BTreeMap<u32, u32> = BTreeMap::new();
    for pointer in pointers.iter().step_by(step) {
        let pointer = pointer & !odd;
        for target in by_remainder.get(&(pointer % finest)).into_iter().flatten() {
            *votes.entry(pointer.wrapping_sub(*target)).or_default() += 1;
        }
    }
    votes
}

fn most_votes(votes: &BTreeMap<u32, u32>, grid: u32) -> Option<u32> {
    let on_grid = votes.iter().filter(|(load, _)| **load % grid == 0);
    on_grid.max_by_key(|(load, votes)| (**votes, core::cmp::Reverse(**load))).map(|(load, _)| *load)
}

/// Where an image may lie that begins with a stack pointer into RAM and the odd addresses of handlers in itself.
#[derive(Clone, Copy, Debug)]
struct VectorTable {
    lowest_load: u32,
    highest_load: u32,
}

impl VectorTable {
    /// Those of the processor itself; what stands behind them depends on the chip.
    const HANDLERS: usize = 15;

    fn of(image: &[u8]) -> Option<Self> {
        const RAM: core::ops::Range<u32> = 0x1000_0000..0x4000_0000;
        let stack = words(image).next().filter(|stack| RAM.contains(stack) && stack & 3 == 0);
        stack?;
        let handlers = || words(image).skip(1).take(Self::HANDLERS).filter(|word| *word != 0);
        let (lowest, highest) = (handlers().min()?, handlers().max()?);
        let last = u32::try_from(image.len()).ok()?.checked_sub(1)?;
        let is_table = handlers().all(|word| word & 1 == 1) && highest - lowest <= last;
        let lowest_load = highest.saturating_sub(last);
        is_table.then_some(Self { lowest_load, highest_load: lowest })
    }

    fn allows(self, load: u32) -> bool {
        (self.lowest_load..=self.highest_load).contains(&load)
    }

    /// The roundest of the addresses that are allowed.
    fn load_address(self) -> u32 {
        let round = (0..u32::BITS).map(|zeros| self.highest_load >> zeros << zeros);
        round.take_while(|load| self.allows(*load)).last().unwrap_or(self.highest_load)
    }
}

fn words(image: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
    image.chunks_exact(4).filter_map(|word| Some(u32::from_le_bytes(*word.first_chunk()?)))
}

/// The distinct offsets in the image that are called.
fn call_targets(image: &[u8], set: InstructionSet) -> Vec<u32> {
    let len = u32::try_from(image.len()).unwrap_or(u32::MAX);
    let mut targets = Vec::new();
    let mut offset = 0;
    while let Some(own) = word(image, offset) {
        let at = u32::try_from(offset).unwrap_or(u32::MAX);
        let form = Form::of_call(set, own, at).filter(|_| is_telling(set, own));
        if let Some(form) = form {
            let target = form.target(Code { own, ..Code::default() }, at);
            targets.extend((1..len).contains(&target).then_some(target));
        }
        offset += if form.is_some() { 4 } else { 2 };
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// Whether a call is one that chance seldom makes: of A32, one that always happens and returns.
fn is_telling(set: InstructionSet, own: u32) -> bool {
    set != InstructionSet::Arm || own >> 24 == 0xeb
}

/// Where most constants outside the image lie that RISC-V code makes with LUI and ADDI: its RAM, most likely.
pub(super) fn riscv_ram(image: &[u8], load: u32) -> Ram {
    const REGION: u32 = 20;
    const PAGE: u32 = 0xfff;
    let len = u32::try_from(image.len()).unwrap_or(u32::MAX);
    let mut regions: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for at in (0..image.len()).step_by(2) {
        let (Some(high), Some(low)) = (word(image, at), word(image, at + 4)) else { break };
        let register = high >> 7 & 31;
        let is_pair = high & 0x7f == 0x37 && low & 0x707f == 0x13 && low >> 15 & 31 == register;
        let value = (high & !PAGE).wrapping_add_signed(low.cast_signed() >> 20);
        if is_pair && value.wrapping_sub(load) >= len {
            regions.entry(value >> REGION).or_default().push(value);
        }
    }
    let fullest = regions.into_values().max_by_key(Vec::len).unwrap_or_default();
    match (fullest.iter().min(), fullest.iter().max()) {
        (Some(first), Some(last)) => {
            let start = first & !PAGE;
            Ram { start, len: (last | PAGE).wrapping_sub(start).wrapping_add(1) }
        }
        _ => Ram::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector table with these words in front, of an image of 64 KiB.
    fn table(words: &[u32]) -> Option<VectorTable> {
        let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        image.resize(64 << 10, 0);
        VectorTable::of(&image)
    }

    #[test]
    fn a_vector_table_tells_where_an_image_lies() {
        let load = |words: &[u32]| table(words).map(VectorTable::load_address);
        assert_eq!(load(&[0x2040_0000, 0x401, 0xe73, 0xf2d]), Some(0));
        assert_eq!(
            load(&[0x2000_1000, 0x0800_0145, 0x0800_8e73, 0, 0x0800_0147]),
            Some(0x0800_0000)
        );
        assert!(!table(&[0x2000_1000, 0x0801_ff01, 0x0802_7f01]).unwrap().allows(0x0800_0000));
        assert_eq!(load(&[0x0800_0000, 0x0800_0145]), None, "no stack in RAM");
        assert_eq!(load(&[0x2000_1000, 0x0800_0144]), None, "an even handler");
        assert_eq!(load(&[0x2000_1000, 0x0800_0145, 0x0900_0145]), None, "too far apart");
    }
}
