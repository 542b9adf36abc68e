//! ELF files: program headers say where the bytes lie. (System V Application Binary Interface, chapters 4 and 5.)

use alloc::vec::Vec;

use super::super::super::isa::InstructionSet;
use super::super::super::layout::Ram;
use super::{Content, Segment, half, word};

const LOADABLE: u32 = 1;
const EXECUTABLE: u32 = 1;
const PAGE: u32 = 0xfff;

/// Program headers of real files are few.
const MAX_HEADERS: u16 = 64;

/// Whether this is such a file, of whatever machine.
pub(super) fn is_elf(image: &[u8]) -> bool {
    image.starts_with(b"\x7fELF")
}

/// What a little-endian file's headers say; addresses are cut to 32 bits. Of the two sets of 32-bit Arm, `hint` may be
/// known to be meant.
pub(super) fn parse(
    image: &[u8],
    hint: Option<InstructionSet>,
) -> Option<(InstructionSet, Ram, Vec<Segment>)> {
    let is_64 = match image.get(..6)? {
        [0x7f, b'E', b'L', b'F', 1, 1] => false,
        [0x7f, b'E', b'L', b'F', 2, 1] => true,
        _ => return None,
    };
    let set = match (half(image, 18)?, is_64) {
        // 32-bit Arm says nothing of which of its two sets a file holds.
        (40, false) => match hint {
            Some(set @ (InstructionSet::Arm | InstructionSet::Thumb)) => set,
            _ => super::raw::set_of_32_bit_arm(image),
        },
        (94, false) => InstructionSet::Xtensa,
        (183, true) => InstructionSet::Aarch64,
        (243, false) => InstructionSet::Riscv32,
        (243, true) => InstructionSet::Riscv64,
        _ => return None,
    };
    let (table, shape) = if is_64 { (32, 54) } else { (28, 42) };
    let table = usize::try_from(word(image, table)?).ok()?;
    let (size, count) = (usize::from(half(image, shape)?), half(image, shape + 2)?);
    if count > MAX_HEADERS {
        return None;
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut ram = Ram::default();
    for entry in (0..usize::from(count)).map(|index| table.saturating_add(index * size)) {
        let field =
            |narrow: usize, wide: usize| word(image, entry + if is_64 { wide } else { narrow });
        let (kind, flags) = (field(0, 0)?, field(24, 4)?);
        let (start, address) = (field(4, 8)?, field(8, 16)?);
        let (in_file, in_memory) = (field(16, 32)?, field(20, 40)?);
        if kind != LOADABLE {
            continue;
        }
        if in_file > 0 {
            let content = if flags & EXECUTABLE == 0 { Content::Data } else { Content::Mixed };
            segments.push(Segment { start, address, content });
        }
        if in_memory > in_file {
            let first = address.wrapping_add(in_file) & !PAGE;
            let end = (address.wrapping_add(in_memory) | PAGE).wrapping_add(1);
            ram = Ram { start: first, len: end.wrapping_sub(first) };
        }
    }
    (!segments.is_empty()).then_some((set, ram, segments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_where_its_code_lies() {
        let mut elf = alloc::vec![0; 128];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        elf[18] = 40;
        elf[28] = 52;
        elf[42] = 32;
        elf[44] = 2;
        let segment = |start: u32, address: u32, in_memory: u32, flags: u32| {
            [1, start, address, 0, 16, in_memory, flags, 0].map(u32::to_le_bytes).concat()
        };
        elf[52..84].copy_from_slice(&segment(0, 0x1_0000, 16, 4));
        elf[84..116].copy_from_slice(&segment(0x40, 0x2_1040, 0x30, 5));
        let (set, ram, segments) = parse(&elf, None).unwrap();
        assert_eq!(set, InstructionSet::Thumb);
        assert_eq!(ram, Ram { start: 0x2_1000, len: 0x1000 });
        assert_eq!(segments[1].content, Content::Mixed);
        assert!(parse(&elf[..100], None).is_none());
        assert_eq!(parse(&elf, Some(InstructionSet::Arm)).unwrap().0, InstructionSet::Arm);
        assert!(parse(b"not an ELF file", None).is_none());
    }
}
