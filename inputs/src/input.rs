//! From a file to the bytes in flash, and what is known of them.

use std::ops::Range;

use whittle_delta::compact::InstructionSet;

use crate::memory::Flat;
use crate::{Error, Format, Note, elf, esp, format, ihex, mcuboot, raw, recognise, srec, uf2};

/// What callers know better than the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file's format, if it is not to be recognised.
    ///
    /// Headers inside are then neither looked for nor checked, and [`Format::Raw`] takes any file as it is.
    pub format: Option<Format>,
    /// What stands in gaps: what erased flash reads as.
    pub fill: u8,
    /// Which addresses are wanted, of files with addresses; all if none are given.
    pub range: Option<Range<u64>>,
    /// Which family of chips is wanted, of UF2 files that hold several.
    pub family: Option<u32>,
}

impl Options {
    /// What most flash reads as once it is erased.
    pub const ERASED: u8 = 0xff;
}

impl Default for Options {
    fn default() -> Self {
        Self { format: None, fill: Self::ERASED, range: None, family: None }
    }
}

/// What stands in the device's flash, and what its file tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file's format.
    pub format: Format,
    /// The bytes in flash.
    pub bytes: Vec<u8>,
    /// Address of the first byte as the processor sees it, if the file tells.
    pub load_address: Option<u64>,
    /// Whose code it is, if the file tells.
    pub instruction_set: Option<InstructionSet>,
    /// Its version, if the file tells.
    pub version: Option<String>,
    /// The header that the bytes begin with, if it is a known one.
    pub header: Option<Header>,
    /// What people should know.
    pub notes: Vec<Note>,
}

/// A header that belongs to the bytes in flash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Header {
    /// Of ESP-IDF.
    Esp(esp::Header),
    /// Of MCUboot.
    Mcuboot(mcuboot::Header),
}

/// Reads a file: in the format that it is said to be in, or in the one that it begins as.
///
/// # Errors
/// [`Error`]; a file is taken as a whole or not at all.
pub fn read(file: Vec<u8>, options: &Options) -> Result<Input, Error> {
    if file.is_empty() {
        return Err(Error::Empty);
    }
    let format = match options.format {
        Some(format) => format,
        None => match format::of_utf_16(&file) {
            Some(format) => return Err(Error::Utf16 { format }),
            None => recognise(&file),
        },
    };
    let is_known = options.format.is_some();
    match format {
        Format::Raw => Ok(raw::read(file, Vec::new())),
        Format::Esp | Format::Mcuboot => {
            if is_known && format::header(&file) != format {
                return Err(Error::NotThatFormat { wanted: format });
            }
            with_header(Input { format, ..raw::read(file, Vec::new()) })
        }
        Format::IntelHex => flat(format, ihex::read(&file, options)?, is_known),
        Format::Srec => flat(format, srec::read(&file, options)?, is_known),
        Format::Uf2 => {
            let uf2::Contents { flat: bytes, family, version } = uf2::read(&file, options)?;
            let mut input = flat(format, bytes, is_known)?;
            let set = family.and_then(uf2::instruction_set);
            input.instruction_set = input.instruction_set.or(set);
            input.version = input.version.or(version);
            if let (Some(family), None) = (family, input.instruction_set) {
                input.notes.push(Note::UnknownFamily(family));
            }
            Ok(input)
        }
        Format::Elf => {
            if !elf::begins(&file) {
                return Err(Error::NotThatFormat { wanted: format });
            }
            match elf::read(&file, options)? {
                elf::Contents::Firmware { flat: bytes, instruction_set } => {
                    let mut input = flat(format, bytes, is_known)?;
                    input.instruction_set = input.instruction_set.or(instruction_set);
                    Ok(input)
                }
                elf::Contents::Program(why) => Ok(raw::read(file, vec![Note::ElfKept(why)])),
            }
        }
    }
}

/// Pieces that were put together; `is_known` if the format alone is to count.
fn flat(format: Format, flat: Flat, is_known: bool) -> Result<Input, Error> {
    let Flat { address, bytes, notes } = flat;
    let input = Input { format, load_address: Some(address), ..raw::read(bytes, notes) };
    if is_known {
        return Ok(input);
    }
    with_header(input).map_err(|source| Error::Inside { format, source: Box::new(source) })
}

/// Checks the header that the bytes begin with, if there is a known one, and takes what it tells.
fn with_header(mut input: Input) -> Result<Input, Error> {
    match format::header(&input.bytes) {
        Format::Mcuboot => {
            let (header, notes) = mcuboot::check(&input.bytes)?;
            input.notes.extend(notes);
            input.load_address = input.load_address.or(header.load_address.map(u64::from));
            input.version = Some(header.version.to_string());
            input.header = Some(Header::Mcuboot(header));
        }
        Format::Esp => {
            let (header, notes) = esp::check(&input.bytes)?;
            input.notes.extend(notes);
            // Its segments have addresses of their own; where it lies in flash is none that the processor sees.
            input.load_address = None;
            input.instruction_set = Some(header.chip.instruction_set());
            input.version = header.app.as_ref().map(|app| app.version.clone());
            input.header = Some(Header::Esp(header));
        }
        _ => {}
    }
    Ok(input)
}
