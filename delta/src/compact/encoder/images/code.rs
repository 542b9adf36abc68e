//! Which stretches of an image are code: instructions of some sets are valid, or typical, where data is not.

use alloc::vec::Vec;
use core::ops::Range;

use super::super::super::isa::InstructionSet;
use super::{half, word};

/// A stretch this many blocks on either side speaks for a block.
const AROUND: usize = 4;

/// Shorter runs of blocks are not told apart.
const MIN_RUN: usize = 8;

/// The code in a stretch of the image.
pub(super) fn ranges(image: &[u8], set: InstructionSet, within: Range<usize>) -> Vec<Range<usize>> {
    match set {
        InstructionSet::Riscv32 => riscv(image, within, false),
        InstructionSet::Riscv64 => riscv(image, within, true),
        InstructionSet::Xtensa => xtensa(image, within),
        InstructionSet::Arm => fixed(image, within, |own| own >> 28 == 0xe),
        InstructionSet::Aarch64 => fixed(image, within, is_common_in_aarch64),
        InstructionSet::Thumb => alloc::vec![within],
    }
}

/// Where nearly all opcodes are valid.
fn riscv(image: &[u8], within: Range<usize>, is_64: bool) -> Vec<Range<usize>> {
    const BLOCK: usize = 128;
    const MIN_VALID_PERCENT: usize = 93;
    let is_code = |block: Range<usize>| {
        let (mut at, mut valid, mut all) = (block.start, 0, 0);
        while at + 4 <= block.end {
            let (Some(short), Some(long)) = (half(image, at), word(image, at)) else { break };
            let is_long = short & 3 == 3;
            let is_valid = if is_long {
                const OPCODES: [u32; 14] = [
                    0x03, 0x07, 0x13, 0x17, 0x23, 0x27, 0x33, 0x37, 0x63, 0x67, 0x6f, 0x73, 0x0f,
                    0x2f,
                ];
                long != u32::MAX
                    && (OPCODES.contains(&(long & 0x7f))
                        || is_64 && matches!(long & 0x7f, 0x1b | 0x3b))
            } else {
                let (quadrant, function) = (short & 3, short >> 13);
                let reserved = quadrant == 0
                    && (function == 4
                        || !is_64 && function & 1 == 1
                        || function == 0 && short >> 5 == 0);
                short != 0 && !reserved
            };
            valid += usize::from(is_valid);
            all += 1;
            at += if is_long { 4 } else { 2 };
        }
        all > 0 && valid * 100 >= all * MIN_VALID_PERCENT
    };
    runs(&smooth(&blocks(&within, BLOCK).map(is_code).collect::<Vec<_>>()), &within, BLOCK)
}

/// Additions, moves, loads, stores, calls and branches.
fn is_common_in_aarch64(own: u32) -> bool {
    let branches = own & 0x7c00_0000 == 0x1400_0000 || own & 0x7c00_0000 == 0x3400_0000;
    let accesses = own & 0x3a00_0000 == 0x2800_0000 || own & 0x3b00_0000 == 0x3900_0000;
    let computes = own & 0x1f00_0000 == 0x1100_0000 || own & 0x1f00_0000 == 0x1000_0000;
    let moves = own & 0x1f80_0000 == 0x1280_0000 || own & 0x1f00_0000 == 0x0a00_0000;
    branches || accesses || computes || moves || own >> 24 == 0x54 || own >> 24 == 0xd6
}

/// Where most words are common instructions of four bytes.
fn fixed(image: &[u8], within: Range<usize>, is_common: fn(u32) -> bool) -> Vec<Range<usize>> {
    const BLOCK: usize = 512;
    let is_code = |block: Range<usize>| {
        let words = block.len() / 4;
        let common = block.step_by(4).filter(|at| word(image, *at).is_some_and(is_common));
        common.count() * 2 > words
    };
    let aligned = within.start.next_multiple_of(4)..within.end;
    runs(&smooth(&blocks(&aligned, BLOCK).map(is_code).collect::<Vec<_>>()), &aligned, BLOCK)
}

/// Where functions begin and end.
fn xtensa(image: &[u8], within: Range<usize>) -> Vec<Range<usize>> {
    const BLOCK: usize = 512;
    const MIN_AROUND: usize = 2;
    let marks = |block: Range<usize>| {
        let is_mark = |at: &usize| match image.get(*at..*at + 3) {
            Some([0x0d | 0x1d, 0xf0, _] | [0x80, 0, 0]) => true,
            Some([0x12, 0xc1, frame]) => *frame >= 0x80,
            Some([0x36, frame, 0]) => frame & 15 == 1,
            _ => false,
        };
        block.filter(is_mark).count()
    };
    let marks: Vec<usize> = blocks(&within, BLOCK).map(marks).collect();
    let is_code = |index: usize| {
        let around = around(&marks, index);
        around.iter().sum::<usize>() * 9 >= MIN_AROUND * around.len()
    };
    let is_code: Vec<bool> = (0..marks.len()).map(is_code).collect();
    runs(&is_code, &within, BLOCK)
}

/// Each block as most of those around it are.
fn smooth(blocks: &[bool]) -> Vec<bool> {
    let smooth = |index: usize| {
        let around = around(blocks, index);
        around.iter().filter(|is_code| **is_code).count() * 2 > around.len()
    };
    (0..blocks.len()).map(smooth).collect()
}

fn blocks(within: &Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let end = within.end;
    within.clone().step_by(len).map(move |start| start..(start + len).min(end))
}

fn around<T>(blocks: &[T], index: usize) -> &[T] {
    let end = (index + AROUND + 1).min(blocks.len());
    blocks.get(index.saturating_sub(AROUND)..end).unwrap_or_default()
}

fn runs(is_code: &[bool], within: &Range<usize>, block: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    for run in is_code.chunk_by(|a, b| a == b) {
        if run.first() == Some(&true) && run.len() >= MIN_RUN {
            let start = within.start + at * block;
            ranges.push(start..(start + run.len() * block).min(within.end));
        }
        at += run.len();
    }
    ranges
}
