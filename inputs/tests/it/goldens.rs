//! Files that real tools made.

use std::fmt::Write;

use whittle_inputs::elf::{ElfError, Kept};
use whittle_inputs::{
    Error, Format, Header, MemoryError, Note, Options, Place, WayOut, mcuboot, read,
};

use crate::support::{chain, files, fixture, fixtures, line};

/// Each file, and what is made of it; what has changed is shown as the whole new list.
#[test]
fn real_files_are_recognised() {
    let mut lines = String::new();
    for (name, file) in files(&fixtures()) {
        if matches!(&*name, "README.md" | "make.sh" | "taken.txt") {
            continue;
        }
        let taken = match read(file, &Options::default()) {
            Ok(input) => line(&input),
            Err(error) => format!("REFUSED: {}", chain(&error)),
        };
        writeln!(lines, "{name}: {taken}").unwrap();
    }
    let wanted = std::fs::read_to_string(fixtures().join("taken.txt")).unwrap_or_default();
    assert!(lines == wanted, "the files are now:\n{lines}");
}

#[test]
fn every_form_of_an_image_gives_the_bytes_that_objcopy_gives() {
    let flashed = fixture("firmware.bin");
    let names = [
        "firmware.elf",
        "firmware.hex",
        "firmware.srec",
        "firmware-s3.srec",
        "bincopy.hex",
        "bincopy.srec",
        "intelhex.hex",
    ];
    for name in names {
        let input = read(fixture(name), &Options::default()).unwrap();
        assert_eq!((input.load_address, &input.bytes), (Some(0x0800_4000), &flashed), "{name}");
    }
    // A UF2 file is made of whole blocks.
    let uf2 = read(fixture("firmware.uf2"), &Options::default()).unwrap();
    assert_eq!(uf2.load_address, Some(0x0800_4000));
    assert!(uf2.bytes.starts_with(&flashed));

    let mut filled = flashed.clone();
    filled[0x4c..0x400].iter_mut().filter(|byte| **byte == 0xff).for_each(|byte| *byte = 0);
    let options = Options { fill: 0, ..Options::default() };
    let zeros = read(fixture("firmware.hex"), &options).unwrap();
    assert_eq!(zeros.bytes.len(), flashed.len());
    assert_ne!(zeros.bytes, flashed);
    assert!(zeros.bytes.iter().zip(&flashed).all(|(a, b)| a == b || (*a, *b) == (0, 0xff)));
}

#[test]
fn signed_images_stay_as_they_are() {
    for (name, file) in files(&fixtures()) {
        if name.ends_with(".bin") {
            assert_eq!(read(file.clone(), &Options::default()).unwrap().bytes, file, "{name}");
        }
    }
    let signed = read(fixture("mcuboot.hex"), &Options::default()).unwrap();
    assert_eq!((signed.format, signed.load_address), (Format::IntelHex, Some(0x0800_4000)));
    assert!(matches!(signed.header, Some(Header::Mcuboot(_))));
}

#[test]
fn headers_say_what_their_tools_were_told() {
    let signed = read(fixture("mcuboot.bin"), &Options::default()).unwrap();
    let Some(Header::Mcuboot(header)) = signed.header else { panic!("{:?}", signed.header) };
    let version = mcuboot::Version { major: 1, minor: 4, revision: 2, build: 7 };
    assert_eq!(header.version, version);
    assert_eq!((header.security_counter, header.is_signed), (Some(5), true));
    assert_eq!((header.header_bytes, header.image_bytes), (0x80, 1032));
    assert!(!header.is_encrypted && header.load_address.is_none());

    let app = read(fixture("app.bin"), &Options::default()).unwrap();
    let Some(Header::Esp(header)) = app.header else { panic!("{:?}", app.header) };
    assert_eq!(header.chip.name(), "ESP32-C3");
    let described = header.app.unwrap();
    assert_eq!((&*described.project, &*described.version), ("thermostat", "1.4.2-rc1"));
    assert_eq!((&*described.idf_version, described.secure_version), ("v5.3.1", 3));
    assert_eq!(header.entry, 0x4038_0000);
}

#[test]
fn callers_may_know_better() {
    let take = |name: &str, format: Format| {
        read(fixture(name), &Options { format: Some(format), ..Options::default() })
    };
    for (name, file) in files(&fixtures()) {
        let raw = take(&name, Format::Raw).unwrap();
        assert_eq!((raw.bytes, raw.notes), (file, vec![]), "{name}");
    }
    // Linked for an operating system, but told to be firmware.
    let program = take("program.elf", Format::Elf).unwrap();
    assert!(program.load_address.is_some() && program.bytes.len() < 200_000);
    // The container alone counts.
    assert_eq!(take("mcuboot.hex", Format::IntelHex).unwrap().header, None);
    assert!(take("firmware.bin", Format::Mcuboot).is_err());
    assert!(take("firmware.bin", Format::Elf).is_err());
    assert!(take("firmware.bin", Format::Uf2).is_err());
    assert!(take("firmware.srec", Format::IntelHex).is_err());

    let range = Some(0x0800_4400..0x0800_4408);
    for name in ["firmware.hex", "firmware.srec", "firmware.elf", "firmware.uf2"] {
        let options = Options { range: range.clone(), ..Options::default() };
        assert_eq!(read(fixture(name), &options).unwrap().bytes, b"settings", "{name}");
    }
}

#[test]
fn programs_of_an_operating_system_stay_files() {
    let firmware = fixture("firmware.elf");
    let kept = |file: &[u8]| {
        let input = read(file.to_vec(), &Options::default()).unwrap();
        assert_eq!((input.format, &*input.bytes), (Format::Raw, file));
        input.notes
    };
    let mut of_linux = firmware.clone();
    of_linux[7] = 3;
    assert_eq!(kept(&of_linux), [Note::ElfKept(Kept::OperatingSystem(3))]);
    // The first program header lies behind the header of 52 bytes.
    for kind in [2, 3] {
        let mut linked_later = firmware.clone();
        linked_later[52] = kind;
        assert_eq!(kept(&linked_later), [Note::ElfKept(Kept::Dynamic)]);
    }
    let mut object = firmware;
    object[16] = 1;
    assert_eq!(kept(&object), [Note::ElfKept(Kept::Type(1))]);
}

/// A program of Linux is told by its note; nothing else tells it from firmware whose linker had room for the file's header.
#[test]
fn files_that_load_their_header_are_kept_only_for_a_system_that_they_name() {
    let program = read(fixture("program.elf"), &Options::default()).unwrap();
    assert_eq!(program.notes, [Note::ElfKept(Kept::SystemNote)]);
    for name in ["headed-gnu.elf", "headed-lld.elf", "unnamed.elf"] {
        let error = read(fixture(name), &Options::default()).unwrap_err();
        assert_eq!(error, Error::Elf(ElfError::FirmwareOrProgram), "{name}");
        assert_eq!(error.way_out(), WayOut::FirmwareOrProgram);
    }
    for name in ["headed-gnu.elf", "headed-lld.elf"] {
        let options = Options { format: Some(Format::Elf), ..Options::default() };
        let input = read(fixture(name), &options).unwrap();
        assert_eq!((input.load_address, input.bytes), (Some(0x0800_4000), fixture("headed.bin")));
    }
}

/// The rule is about the load address: without sections, segments count as a whole.
#[test]
fn segments_count_where_sections_are_stripped() {
    let mut stripped = fixture("firmware.elf");
    // Offset, count and index of names in the table of sections.
    stripped[32..36].fill(0);
    stripped[48..52].fill(0);
    let input = read(stripped, &Options::default()).unwrap();
    assert_eq!(input.format, Format::Elf);
    assert!(input.bytes.ends_with(b"settings"));
}

/// A length that is wrong by a few bytes must not take the vectors from an image that is then signed.
#[test]
fn a_section_that_lies_is_refused() {
    let file = fixture("firmware.elf");
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let (table, count) = (word(32) as usize, usize::from(file[48]));
    let is_loaded = |header: &usize| {
        word(header + 4) == 1 && word(header + 8) & 2 != 0 && word(header + 20) > 0
    };
    let headers: Vec<usize> = (0..count).map(|n| table + 40 * n).filter(is_loaded).collect();
    assert!(headers.len() > 2);
    let whole = read(file.clone(), &Options::default()).unwrap();
    let mut refused = 0;
    for header in headers {
        for more in [64, 0x1000] {
            let mut lies = file.clone();
            let size = (word(header + 20) + more).to_le_bytes();
            lies[header + 20..header + 24].copy_from_slice(&size);
            match read(lies, &Options::default()) {
                Err(Error::Elf(ElfError::SectionAcross { .. } | ElfError::Section { .. })) => {
                    refused += 1;
                }
                // A section may be said to reach over the next ones of its segment.
                other => assert_eq!(other.unwrap().bytes, whole.bytes),
            }
        }
    }
    assert!(refused > 2);
}

/// The last address of 32 bits is one that may be loaded.
#[test]
fn a_segment_may_end_with_the_last_address() {
    let mut file = fixture("firmware.elf");
    file[32..36].fill(0);
    file[48..52].fill(0);
    let count = file[44];
    let len = u32::from_le_bytes(file[52 + 16..52 + 20].try_into().unwrap());
    // Only the first segment stays.
    assert!(count > 1 && len > 0);
    file[44] = 1;
    let last = |past: u32| {
        let mut file = file.clone();
        file[52 + 12..52 + 16].copy_from_slice(&(0u32.wrapping_sub(len) + past).to_le_bytes());
        read(file, &Options::default())
    };
    assert_eq!(last(0).unwrap().load_address, Some((1 << 32) - u64::from(len)));
    let behind = MemoryError::BehindTheEnd(Place::Segment(0));
    assert_eq!(last(1).unwrap_err(), Error::Memory(behind));
}
