//! Firmware files: whatever they hold, they are refused or become an image, at bounded cost.

use whittle_inputs::{Format, Input, MAX_IMAGE_BYTES, Options, read};

/// Reads a file in one format and as it is recognised, and checks what must hold of both.
fn check(format: Format, file: &[u8]) {
    let options = Options { format: Some(format), ..Options::default() };
    if let Ok(input) = read(file.to_vec(), &options) {
        assert_eq!(input.format, format);
        check_input(&input, file);
        assert_eq!(read(file.to_vec(), &options).as_ref(), Ok(&input), "it is the same every time");
    }
    if let Ok(input) = read(file.to_vec(), &Options::default()) {
        check_input(&input, file);
        let again = Options { format: Some(input.format), ..Options::default() };
        let again = read(file.to_vec(), &again).expect("it is in the format that was recognised");
        assert_eq!(again.bytes, input.bytes);
    }
}

fn check_input(input: &Input, file: &[u8]) {
    match input.format {
        Format::Raw | Format::Esp | Format::Mcuboot => assert_eq!(input.bytes, file),
        _ => {
            assert!(!input.bytes.is_empty() && input.bytes.len() as u64 <= MAX_IMAGE_BYTES);
            assert!(input.load_address.is_some() || input.header.is_some());
        }
    }
}

/// Any bytes as Intel HEX.
///
/// # Panics
/// If what is read contradicts itself.
pub fn input_ihex(file: &[u8]) {
    check(Format::IntelHex, file);
}

/// Any bytes as S-records.
///
/// # Panics
/// If what is read contradicts itself.
pub fn input_srec(file: &[u8]) {
    check(Format::Srec, file);
}

/// Any bytes as UF2.
///
/// # Panics
/// If what is read contradicts itself.
pub fn input_uf2(file: &[u8]) {
    check(Format::Uf2, file);
}

/// Any bytes as an ELF file.
///
/// # Panics
/// If what is read contradicts itself.
pub fn input_elf(file: &[u8]) {
    check(Format::Elf, file);
}

/// Any bytes as an ESP-IDF image.
///
/// # Panics
/// If what is read contradicts itself.
pub fn input_esp(file: &[u8]) {
    check(Format::Esp, file);
}

/// Any bytes as an MCUboot image.
///
/// # Panics
/// If what is read contradicts itself.
pub fn input_mcuboot(file: &[u8]) {
    check(Format::Mcuboot, file);
}
