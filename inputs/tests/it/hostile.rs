//! Files that mean no good.

use std::fmt::Write;
use std::path::Path;

use whittle_inputs::{Format, Options, read};

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
