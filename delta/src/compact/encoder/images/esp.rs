//! Application images of Espressif's chips: a header, then segments with their addresses.
//!
//! (esptool documentation, "Firmware Image Format"; memory maps of the chips' technical reference manuals.)

use alloc::vec::Vec;

use super::super::super::isa::InstructionSet;
use super::super::super::layout::Ram;
use super::{Content, Segment, word};

const MAGIC: u8 = 0xe9;

/// Length of the header; the older chip has a short one.
const HEADER: usize = 24;
const SHORT_HEADER: usize = 8;

/// Where flash is seen by the older chip.
const SHORT_FLASH: u32 = 0x4020_0000;

/// The instruction set and data RAM of a chip, by the number in its images' headers.
fn chip(id: u8) -> Option<(InstructionSet, Ram)> {
    use InstructionSet::{Riscv32, Xtensa};
    let (set, start, end) = match id {
        0 => (Xtensa, 0x3ffa_e000, 0x4000_0000),
        2 => (Xtensa, 0x3ffb_0000, 0x4000_0000),
        9 => (Xtensa, 0x3fc8_8000, 0x3fd0_0000),
        5 => (Riscv32, 0x3fc8_0000, 0x3fce_0000),
        12 => (Riscv32, 0x3fca_0000, 0x3fce_0000),
        13 | 16 | 20 | 23 => (Riscv32, 0x4080_0000, 0x4088_0000),
        18 => (Riscv32, 0x4ff0_0000, 0x4ffc_0000),
        _ => return None,
    };
    Some((set, Ram { start, len: end - start }))
}

/// What an image's headers say.
pub(super) fn parse(image: &[u8]) -> Option<(InstructionSet, Ram, Vec<Segment>)> {
    if image.first() != Some(&MAGIC) {
        return None;
    }
    let chip = image.get(12).and_then(|id| chip(*id));
    let is_riscv = chip.is_some_and(|(set, _)| set == InstructionSet::Riscv32);
    if let Some((segments, _)) = segments(image, HEADER, is_riscv) {
        let (set, ram) = chip?;
        return Some((set, ram, segments));
    }
    let (mut segments, end) = segments(image, SHORT_HEADER, false)?;
    // Behind the segments that are copied to RAM lies the code that runs from flash.
    let flash = u32::try_from(end.checked_add(0x100f)? & !0xfff).ok()?;
    if (flash as usize) < image.len() {
        // Constants lie among the functions.
        let address = SHORT_FLASH + flash;
        segments.push(Segment { start: flash, address, content: Content::Mixed });
    }
    Some((InstructionSet::Xtensa, Ram { start: 0x3ffe_8000, len: 0x1_8000 }, segments))
}

/// The segments behind a header of this length, and where they end.
fn segments(image: &[u8], header: usize, is_riscv: bool) -> Option<(Vec<Segment>, usize)> {
    let mut at = header;
    let mut segments = Vec::new();
    for _ in 0..*image.get(1)? {
        let (address, len) = (word(image, at)?, word(image, at + 4)? as usize);
        let start = at + 8;
        at = start.checked_add(len).filter(|end| *end <= image.len())?;
        if !(0x3c00_0000..0x6000_0000).contains(&address) {
            return None;
        }
        let is_code = (0x4000_0000..0x5000_0000).contains(&address);
        let content = match (is_code, header) {
            (false, _) => Content::Data,
            (true, HEADER) if is_riscv => Content::Mixed,
            (true, _) => Content::Code,
        };
        segments.push(Segment { start: u32::try_from(start).ok()?, address, content });
    }
    (!segments.is_empty()).then_some((segments, at))
}
