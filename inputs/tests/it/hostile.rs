//! Files that mean no good.

use std::fmt::Write;
use std::path::Path;

use whittle_inputs::{Error, Format, Options, WayOut, elf, read};

use crate::support::{chain, files, fixture, fixtures, line};

/// Each file with its error; a file that is not in the list, and an error that has changed, are shown as the whole new list.
#[test]
fn hostile_files_have_their_errors() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut errors = String::new();
    for (name, file) in files(&directory) {
        if matches!(&*name, "errors.txt" | "make.py") {
            continue;
        }
        let error = match read(file, &Options::default()) {
            Err(error) => chain(&error),
            Ok(input) => format!("TAKEN: {}", line(&input)),
        };
        writeln!(errors, "{name}: {error}").unwrap();
    }
    let wanted = std::fs::read_to_string(directory.join("errors.txt")).unwrap_or_default();
    assert!(errors == wanted, "the errors are now:\n{errors}");
    assert!(!errors.contains("TAKEN"));
}

/// Who takes a container as it is ships its text, its blocks or its headers to devices.
#[test]
fn no_container_is_to_be_taken_as_it_is() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    for (name, file) in files(&directory) {
        let Err(error) = read(file, &Options::default()) else { continue };
        let is_the_image = name.starts_with("esp-") || name.starts_with("mcuboot-");
        assert_eq!(error.way_out() == WayOut::Raw, is_the_image, "{name}: {error}");
    }
    let text = String::from_utf8(fixture("mcuboot.hex")).unwrap();
    let first = text.lines().find(|line| line.len() == 43 && line[7..9] == *"00").unwrap();
    // One byte more and one less leave the checksum of the line alone.
    let mut changed = first.to_owned().into_bytes();
    let last = changed.len();
    changed[last - 4..last - 2].copy_from_slice(b"01");
    changed[last - 6..last - 4].copy_from_slice(b"FF");
    let changed = text.replacen(first, std::str::from_utf8(&changed).unwrap(), 1);
    let options = Options { format: Some(Format::IntelHex), ..Options::default() };
    assert!(read(text.into_bytes(), &Options::default()).is_ok());
    let error = read(changed.clone().into_bytes(), &Options::default()).unwrap_err();
    assert_eq!(error.way_out(), WayOut::Unlooked, "{error}");
    assert!(read(changed.into_bytes(), &options).is_ok());
}

/// Sections are held against segments: that must not take the square of what a file has room for.
#[test]
fn more_segments_than_any_firmware_has_are_refused() {
    let with = |count: u16| {
        let words = [1u32, 52, 0x2000_0000, 0x0800_0000, 4, 4, 5, 4];
        let mut file = fixture("firmware.elf")[..52].to_vec();
        file[32..36].fill(0);
        file[44..46].copy_from_slice(&count.to_le_bytes());
        file[48..52].fill(0);
        for number in 0..u32::from(count) {
            let mut words = words;
            words[3] += 4 * number;
            file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        read(file, &Options::default())
    };
    let limit = u16::try_from(elf::MAX_LOADABLE_SEGMENTS).unwrap();
    assert_eq!(with(limit).unwrap().bytes.len(), 4 * elf::MAX_LOADABLE_SEGMENTS);
    let too_many = elf::ElfError::TooManySegments(elf::MAX_LOADABLE_SEGMENTS + 1);
    assert_eq!(with(limit + 1).unwrap_err(), Error::Elf(too_many));
}

/// A file that was cut is refused, or kept as the ELF file that it is; one that was recognised never becomes a raw image.
#[test]
fn cut_files_are_refused() {
    for (name, file) in files(&fixtures()) {
        let Ok(whole) = read(file.clone(), &Options::default()) else { continue };
        if whole.format == Format::Raw {
            continue;
        }
        for len in (64..file.len()).step_by(1 + file.len() / 600) {
            match read(file[..len].to_vec(), &Options::default()) {
                Err(_) => {}
                // What behind the bytes in flash is cut from an ELF file or from a last line changes nothing.
                Ok(cut) => {
                    let is_padding = cut.bytes.len() < whole.bytes.len()
                        && whole.bytes[cut.bytes.len()..].iter().all(|byte| *byte == 0xff);
                    let trailer = name == "mcuboot-padded.bin" && cut.format == Format::Mcuboot;
                    let is_same = cut.bytes == whole.bytes && cut.format == whole.format;
                    assert!(
                        is_same || is_padding || trailer,
                        "{name} cut to {len}: {}",
                        line(&cut)
                    );
                }
            }
        }
    }
}

/// Any flipped bit of a text format is noticed, unless it changes the case of a digit or the kind of a blank.
#[test]
fn flipped_bits_of_text_are_noticed() {
    for name in ["firmware.hex", "firmware.srec", "bincopy.srec"] {
        let file = fixture(name);
        let whole = read(file.clone(), &Options::default()).unwrap();
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(input) = read(flipped, &Options::default()) {
                assert_eq!((input.format, &input.bytes), (whole.format, &whole.bytes), "bit {bit}");
            }
        }
    }
}

/// Headers that lie cost neither memory nor time.
#[test]
fn nothing_panics_on_changed_files() {
    for (name, file) in files(&fixtures()) {
        let step = 1 + file.len() / 400;
        for at in (0..file.len()).step_by(step) {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] = value;
                if let Ok(input) = read(changed, &Options::default()) {
                    assert!(input.bytes.len() <= file.len().max(2 << 20), "{name} at {at}");
                }
            }
        }
    }
}
