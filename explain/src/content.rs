//! What bytes of a target are by themselves: stamps, filler, tables of addresses, noise, text.

use std::ops::Range;

use whittle_delta::compact::{ByteCost, Explained, Told};
use whittle_delta::entropy;

use crate::program::Program;
use crate::stamp::Stamp;

/// What a byte is, if it can be told without knowing what has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Content {
    #[default]
    Other,
    Stamp,
    Filler,
    Pointers,
    Noise,
}

/// A run of equal bytes, of 0x00 or 0xff, is filler from this length on, in bytes.
const MIN_FILLER: usize = 16;

/// A gap between functions is alignment up to this length, in bytes.
const MAX_ALIGNMENT: usize = 15;

/// So many addresses in a row are a table.
const MIN_POINTERS: usize = 4;

/// What each byte of the target is.
pub(crate) fn of_target(
    target: &[u8],
    explained: &Explained,
    program: Option<&Program>,
    stamps: &[Stamp],
) -> Vec<Content> {
    let mut contents = vec![Content::Other; target.len()];
    let mut mark = |ranges: Vec<Range<usize>>, content| {
        for range in ranges {
            if let Some(marked) = contents.get_mut(range) {
                marked.fill(content);
            }
        }
    };
    // Whatever is more certain comes later.
    mark(pointer_tables(target, explained, program), Content::Pointers);
    mark(noise(target, &explained.bytes), Content::Noise);
    mark(filler(target), Content::Filler);
    mark(program.map(alignment).unwrap_or_default(), Content::Filler);
    mark(stamps.iter().map(|stamp| stamp.range.clone()).collect(), Content::Stamp);
    contents
}

/// Runs of the same byte that flash is filled with.
pub(crate) fn filler(target: &[u8]) -> Vec<Range<usize>> {
    let mut fillers = Vec::new();
    let mut start = 0;
    for run in target.chunk_by(|a, b| a == b) {
        let end = start + run.len();
        if run.len() >= MIN_FILLER && matches!(run.first(), Some(0 | 0xff)) {
            fillers.push(start..end);
        }
        start = end;
    }
    fillers
}

/// Short gaps between functions, and between sections.
fn alignment(program: &Program) -> Vec<Range<usize>> {
    const MAX_BETWEEN_SECTIONS: usize = 255;
    let mut gaps = Vec::new();
    for two in program.sections.windows(2) {
        let [one, next] = two else { continue };
        let gap = one.range.end as usize..next.range.start as usize;
        if !gap.is_empty() && gap.len() <= MAX_BETWEEN_SECTIONS {
            gaps.push(gap);
        }
    }
    for two in program.symbols.windows(2) {
        let [one, next] = two else { continue };
        let gap = one.range.end as usize..next.range.start as usize;
        let is_code = one.is_code && next.is_code && one.section == next.section;
        if is_code && !gap.is_empty() && gap.len() <= MAX_ALIGNMENT {
            gaps.push(gap);
        }
    }
    gaps
}

/// Runs of words that are addresses of the image or of RAM, outside of code as far as it is known.
fn pointer_tables(
    target: &[u8],
    explained: &Explained,
    program: Option<&Program>,
) -> Vec<Range<usize>> {
    let is_address = |word: u32| known_address(word, target.len(), explained, program);
    let is_code = |at: usize| {
        let section = program
            .and_then(|program| program.sections.get(program.section_at(u32::try_from(at).ok()?)?));
        section.is_some_and(|section| section.is_code)
    };
    let (words, _) = target.as_chunks();
    let words: Vec<Word> = words
        .iter()
        .enumerate()
        .map(|(number, word)| match u32::from_le_bytes(*word) {
            _ if is_code(4 * number) => Word::Other,
            0 => Word::Zero,
            word if is_address(word) => Word::Address,
            _ => Word::Other,
        })
        .collect();
    let may_be: Vec<bool> = words.iter().map(|word| *word != Word::Other).collect();
    let table = |run: Range<usize>| {
        let is_address = |number: &usize| words.get(*number) == Some(&Word::Address);
        let (first, last) = (run.clone().find(is_address)?, run.clone().rfind(is_address)?);
        let count = (first..=last).filter(is_address).count();
        let is_table = count >= MIN_POINTERS && 2 * count > last - first;
        is_table.then_some(4 * first..4 * (last + 1))
    };
    runs(&may_be, MIN_POINTERS).filter_map(table).collect()
}

/// What a word of a table may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Address,
    /// Nothing, between addresses.
    Zero,
    Other,
}

/// Runs of `true` that have at least a length.
fn runs(flags: &[bool], min_len: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    flags.chunk_by(|a, b| a == b).filter_map(move |run| {
        let range = start..start + run.len();
        start = range.end;
        (run.first() == Some(&true) && run.len() >= min_len).then_some(range)
    })
}

/// Whether a word is the address of something in the image or in RAM.
fn known_address(
    word: u32,
    target_bytes: usize,
    explained: &Explained,
    program: Option<&Program>,
) -> bool {
    let (ram, ram_bytes) = explained.ram;
    if word.wrapping_sub(ram) < ram_bytes {
        return true;
    }
    if let Some(program) = program {
        let is_in = |start: u32, len: u32| start != 0 && word.wrapping_sub(start) < len;
        let holds = |section: &crate::Section| {
            is_in(section.address, section.range.end - section.range.start)
        };
        return program.sections.iter().any(holds) || program.variable_at(word).is_some();
    }
    let pieces = &explained.target_pieces;
    let ends = pieces.iter().skip(1).map(|piece| piece.start);
    let len = u32::try_from(target_bytes).unwrap_or(u32::MAX);
    let mut pieces = pieces.iter().zip(ends.chain([len]));
    // Small numbers are addresses of images that begin at 0, but seldom meant so.
    pieces.any(|(piece, end)| {
        word >= 0x100 && word.wrapping_sub(piece.address) < end.saturating_sub(piece.start)
    })
}

/// Blocks of which nearly nothing is predicted, and whose bytes are spread as evenly as those of compressed data.
fn noise(target: &[u8], costs: &[ByteCost]) -> Vec<Range<usize>> {
    const BLOCK: usize = 256;
    const MIN_BITS: f64 = 7.8;
    let is_new = |costs: &[ByteCost]| {
        let told = costs.iter().filter(|cost| cost.told != Told::Hit).count();
        costs.len() == BLOCK && told * 100 >= BLOCK * 85
    };
    let blocks: Vec<bool> = costs.chunks(BLOCK).map(is_new).collect();
    runs(&blocks, 1)
        .map(|run| run.start * BLOCK..(run.end * BLOCK).min(target.len()))
        .filter(|run| entropy(target.get(run.clone()).unwrap_or_default()) >= MIN_BITS)
        .collect()
}

/// Whether most bytes around an offset are text.
pub(crate) fn is_text(target: &[u8], at: usize) -> bool {
    const AROUND: usize = 32;
    let around = target.get(at.saturating_sub(AROUND)..(at + AROUND).min(target.len()));
    let around = around.unwrap_or_default();
    let text = around.iter().filter(|byte| matches!(byte, 0 | b'\n' | b' '..=b'~')).count();
    let zeros = around.iter().filter(|byte| **byte == 0).count();
    text * 10 >= around.len() * 9 && zeros * 3 <= around.len()
}
