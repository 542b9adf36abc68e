//! Files that lie, are cut off, or describe something else.

use proptest::prelude::*;
use whittle_explain::{Doubt, Error, Program};

use super::support::*;

fn parse(file: &[u8]) -> Result<Program, Error> {
    Program::parse(file, TARGET)
}

/// The file with a little-endian number at an offset.
fn patched(file: &[u8], at: usize, number: u32) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + 4].copy_from_slice(&number.to_le_bytes());
    file
}

fn word(at: usize) -> usize {
    u32::from_le_bytes(TARGET_ELF[at..at + 4].try_into().unwrap()) as usize
}

/// Offset of the header of a section by its name.
fn section_header(name: &str) -> usize {
    let (table, names) = (word(32), u16::from_le_bytes([TARGET_ELF[50], TARGET_ELF[51]]));
    let names = word(table + 40 * usize::from(names) + 16);
    let is_named = |header: &usize| {
        let found = &TARGET_ELF[names + word(*header)..];
        found.starts_with(name.as_bytes()) && found[name.len()] == 0
    };
    (0..).map(|number| table + 40 * number).find(is_named).unwrap()
}

#[test]
fn elf_files_with_lying_sizes_are_refused() {
    let text = section_header(".text");
    for (what, file) in [
        ("table of sections", patched(TARGET_ELF, 32, u32::MAX)),
        ("table of segments", patched(TARGET_ELF, 28, u32::MAX - 3)),
        ("offset of .text", patched(TARGET_ELF, text + 16, 0xffff_fff0)),
        ("size of .text", patched(TARGET_ELF, text + 20, u32::MAX)),
        ("size of .symtab", patched(TARGET_ELF, section_header(".symtab") + 20, u32::MAX)),
        ("size of .rel.text", patched(TARGET_ELF, section_header(".rel.text") + 20, u32::MAX)),
        ("size of .strtab", patched(TARGET_ELF, section_header(".strtab") + 20, u32::MAX)),
    ] {
        assert!(matches!(parse(&file), Err(Error::BadElf(_))), "{what}: {:?}", parse(&file));
    }
    // A link of the symbols to a section that is no table of strings.
    assert!(parse(&patched(TARGET_ELF, section_header(".symtab") + 24, 0)).is_err());
}

#[test]
fn a_size_of_a_symbol_ends_with_its_section() {
    let header = section_header(".symtab");
    let last = word(header + 16) + word(header + 20) - 16;
    let program = parse(&patched(TARGET_ELF, last + 8, u32::MAX)).expect("describes the image");
    assert!(program.symbols().iter().all(|symbol| symbol.range.end <= TARGET.len() as u32));
}

#[test]
fn an_elf_file_that_is_cut_off_is_refused() {
    for len in (0..TARGET_ELF.len()).step_by(97) {
        assert!(parse(&TARGET_ELF[..len]).is_err(), "{len}");
    }
}

#[test]
fn files_of_another_image_are_refused() {
    for file in [BASE_ELF, BASE_MAP, LLD_BASE_MAP] {
        let shorter = &TARGET[..1000];
        assert!(matches!(Program::parse(file, shorter), Err(Error::OtherImage { .. })));
        assert!(matches!(Program::parse(file, &[]), Err(Error::OtherImage { .. })));
    }
    let other = Program::parse(BASE_ELF, &[0x5a; 4000]);
    assert_eq!(
        other.unwrap_err().to_string(),
        "describes another image: 0 of 1952 bytes are found in this one"
    );
}

/// The base is shorter than the target, so that the target's map cannot be its; the other way round, only the fit tells.
#[test]
fn maps_of_another_build_are_refused_or_doubted() {
    for (own, other, image) in
        [(BASE_MAP, TARGET_MAP, BASE), (LLD_BASE_MAP, LLD_TARGET_MAP, LLD_BASE)]
    {
        assert_eq!(Program::parse(own, image).expect("describes the image").doubts(), []);
        assert!(matches!(Program::parse(other, image), Err(Error::OtherImage { .. })));
    }
    for (own, other, image) in
        [(TARGET_MAP, BASE_MAP, TARGET), (LLD_TARGET_MAP, LLD_BASE_MAP, LLD_TARGET)]
    {
        assert_eq!(Program::parse(own, image).expect("describes the image").doubts(), []);
        let doubted = Program::parse(other, image).expect("its code lies within the image");
        assert_eq!(doubted.doubts(), [Doubt::Addresses { begin: 2, of: 10 }]);
    }
    let other = include_bytes!("../../../fixtures/thermostat/images/1.2.2.bin");
    let doubted = Program::parse(TARGET_MAP, other).expect("its code lies within the image");
    // The last three bytes are alike, as filler would be.
    let of = other.len() - 3;
    assert_eq!(doubted.doubts(), [Doubt::Covers { covered: 2158, of }]);
    // What erased flash looks like behind an image belongs to no section.
    let filled = [TARGET, &[0xff; 4000]].concat();
    assert_eq!(Program::parse(TARGET_MAP, &filled).expect("describes the image").doubts(), []);
}

/// Where the image's file tells its address, a map must lie there; and there may be a header in front.
#[test]
fn maps_lie_where_the_image_does() {
    let at = |address| Program::parse_at(TARGET_MAP, TARGET, Some(address));
    let whole = parse(TARGET_MAP).expect("describes the image");
    assert_eq!(at(0x0800_0000).expect("describes the image"), whole);
    for address in [0, 0x0800_4000, 0x0700_0000] {
        assert!(matches!(at(address), Err(Error::OtherImage { .. })), "{address:#x}");
    }
    let signed = [&[0x3d; 512][..], TARGET].concat();
    let behind = Program::parse_at(TARGET_MAP, &signed, Some(0x0800_0000 - 512));
    let behind = behind.expect("describes the image");
    assert_eq!(behind.doubts(), []);
    assert_eq!(behind.sections()[0].range.start, 512);
}

#[test]
fn other_files_are_no_programs() {
    for file in [&b""[..], b"MZ", b"\x7fELF", b"VMA LMA\n", b"hello\n", &[0xff; 100], TARGET] {
        assert!(parse(file).is_err());
    }
}

#[test]
fn maps_that_make_no_sense_are_refused() {
    let head = "     VMA      LMA     Size Align Out     In      Symbol\n";
    for (body, line) in [
        ("x\n", 2),
        (" 8000000  8000000       60     4 \n", 2),
        (" 8000000  8000000       60     4 .text\n zzz\n", 3),
        (" 8000000  8000000       60 -4 .text\n", 2),
        ("123456789abcdef01 0 60 4 .text\n", 2),
        ("", 1),
    ] {
        let result = parse(format!("{head}{body}").as_bytes());
        assert!(
            matches!(result, Err(Error::BadMap { line: found }) if found == line),
            "{body}: {result:?}"
        );
    }
    let gnu = parse(b"Linker script and memory map\n\nLOAD a.o\n");
    assert!(matches!(gnu, Err(Error::BadMap { .. })));
}

#[test]
fn maps_with_lying_numbers_end_somewhere() {
    let huge = "Linker script and memory map\n\n.text           0xffffffffffffffff 0xffffffffffffffff\n \
                .text.a         0xfffffffffffffff0     0xffff a.o\n                0xfffffffffffffff8                a\n";
    assert!(matches!(parse(huge.as_bytes()), Err(Error::OtherImage { .. })));
    let overlapping = "Linker script and memory map\n\n.text           0x08000000      0x100\n .text.a        0x08000000      0x100 a.o\n \
                       .text.b        0x08000010      0x200 b.o\n.rodata         0x08000080      0x100\n";
    let program = parse(overlapping.as_bytes()).expect("describes the image");
    let ends: Vec<_> = program.symbols().iter().map(|symbol| symbol.range.clone()).collect();
    assert_eq!(ends, [0..0x10, 0x10..0x100]);
    assert_eq!(program.sections().len(), 1);
}

fn with_sections(map: &[u8], sections: &str) -> Vec<u8> {
    [map, sections.as_bytes()].concat()
}

/// What only tools read has no address, and 0 in the map.
#[test]
fn sections_for_tools_at_0_are_left_out() {
    let whole = parse(TARGET_MAP).expect("describes the image");
    for name in [
        ".GCC.command.line",
        ".gnu.build.attributes",
        ".gnu.attributes",
        ".mdebug.abi32",
        ".of_a_tool",
    ] {
        let section = format!("\n{name}\n                0x00000000       0x64\n");
        let program = parse(&with_sections(TARGET_MAP, &section));
        assert_eq!(program.expect("describes the image"), whole, "{name}");
    }
}

/// Vectors at 0 belong to an image that begins there.
#[test]
fn sections_at_0_that_code_follows_are_kept() {
    let sections = "Linker script and memory map\n\n.vectors        0x00000000       0x40\n\
                    .config         0x00000100       0x10\n.text           0x00000110      0x100\n";
    let program = parse(sections.as_bytes()).expect("describes the image");
    let names: Vec<&str> = program.sections().iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, [".vectors", ".config", ".text"]);
    assert_eq!(program.sections()[2].range, 0x110..0x210);
}

/// Names of files need not be UTF-8.
#[test]
fn maps_with_other_bytes_are_read() {
    for map in [TARGET_MAP, LLD_TARGET_MAP] {
        let image = if map == TARGET_MAP { TARGET } else { LLD_TARGET };
        let whole = Program::parse(map, image).expect("describes the image");
        let at = map.windows(9).position(|window| window == b"startup.o").expect("is named");
        let mut other = map.to_vec();
        other[at] = 0xe4;
        let program = Program::parse(&other, image).expect("describes the image");
        assert_eq!(program.sections(), whole.sections());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_end_in_an_error_or_in_ranges_of_the_image(
        which in 0..3usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut file = [TARGET_ELF, TARGET_MAP, LLD_TARGET_MAP][which].to_vec();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(program) = parse(&file) {
            let mut end = 0;
            for section in program.sections() {
                prop_assert!(section.range.start >= end && section.range.end as usize <= TARGET.len());
                end = section.range.end;
            }
            let mut end = 0;
            for symbol in program.symbols() {
                prop_assert!(symbol.range.start >= end && symbol.range.end as usize <= TARGET.len());
                end = symbol.range.end;
            }
        }
    }
}

#[test]
fn files_that_would_take_for_ever_are_refused() {
    // Two sections that are each nearly the whole file.
    let mut file = TARGET_ELF.to_vec();
    for name in [".text", ".rodata"] {
        let header = section_header(name);
        file = patched(&patched(&file, header + 16, 0), header + 20, TARGET_ELF.len() as u32 - 100);
    }
    assert!(
        matches!(parse(&file), Err(Error::BadElf(why)) if why == "sections lie over each other")
    );
    // Each of many input sections has all of many symbols.
    let mut map =
        "Linker script and memory map\n\n.text           0x08000000      0x400\n".to_owned();
    map += &" .text.a        0x08000000      0x400 a.o\n".repeat(3000);
    map += &"                0x08000000                a\n".repeat(3000);
    assert!(matches!(parse(map.as_bytes()), Err(Error::BadMap { .. })));
}
