//! What an image is made of: sections and symbols, by their offsets in the image, told by an ELF file or a linker's map.

mod doubt;
mod elf;
mod gnu_map;
mod lld_map;
mod names;
mod place;
mod relocations;

use std::ops::Range;

use crate::{Error, Result};

pub use doubt::Doubt;
pub(crate) use relocations::Form;

/// Sections and symbols of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Those whose bytes stand in the image, by rising offsets.
    pub(crate) sections: Vec<Section>,
    /// Functions and constants, by rising offsets.
    pub(crate) symbols: Vec<Symbol>,
    /// Variables, by rising addresses.
    pub(crate) variables: Vec<Variable>,
    /// Whether any name was one of Rust's.
    pub(crate) has_rust: bool,
    /// All places in the image that refer to an address, where an ELF file tells them, by rising offsets.
    pub(crate) references: Option<Vec<Reference>>,
    doubts: Vec<Doubt>,
}

/// A place in the image that refers to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Its offset in the image, and its own address.
    pub(crate) offset: u32,
    pub(crate) address: u32,
    pub(crate) form: Form,
}

/// A section whose bytes stand in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Where it stands in the image.
    pub range: Range<u32>,
    /// Where it lies when the program runs.
    pub address: u32,
    /// Where it is loaded from.
    pub load_address: u32,
    /// Whether it holds instructions.
    pub is_code: bool,
}

/// A function or a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name as people write it.
    pub name: String,
    /// What it is known by in another build.
    pub key: String,
    /// Where it stands in the image.
    pub range: Range<u32>,
    /// Where it lies when the program runs.
    pub address: u32,
    /// Whether it is a function.
    pub is_code: bool,
    /// The number of its section.
    pub section: usize,
}

/// A variable in RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// What it is known by in another build.
    pub(crate) key: String,
    /// Its address.
    pub(crate) address: u32,
    /// Its length in bytes.
    pub(crate) len: u32,
}

/// Symbols are not read beyond so many.
const MAX_SYMBOLS: usize = 1 << 20;

/// Sections are not read beyond so many: linked programs have tens of them.
const MAX_SECTIONS: usize = 4096;

impl Program {
    /// Reads an ELF file, or a map of GNU ld or LLD, whatever it is; `image` is what was made of it.
    ///
    /// # Errors
    /// [`Error::NoProgram`] for other files, [`Error::BadElf`] and [`Error::BadMap`] for damaged ones, [`Error::OtherImage`] if the
    /// image was not made of it.
    pub fn parse(file: &[u8], image: &[u8]) -> Result<Self> {
        Self::parse_at(file, image, None)
    }

    /// The same of an image whose first byte lies at this address, if that is known: then a map that lies elsewhere is another's.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_at(file: &[u8], image: &[u8], load_address: Option<u32>) -> Result<Self> {
        if file.starts_with(b"\x7fELF") {
            return elf::parse(file, image);
        }
        // Names of files are whatever bytes their directory holds; what is no map is none in any encoding.
        let text = String::from_utf8_lossy(file);
        if lld_map::is_map(&text) {
            lld_map::parse(&text, image, load_address)
        } else if gnu_map::is_map(&text) {
            gnu_map::parse(&text, image, load_address)
        } else {
            Err(Error::NoProgram)
        }
    }

    /// Sections whose bytes stand in the image, by rising offsets; none overlaps another, or reaches over the image's end.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Functions and constants, by rising offsets; none overlaps another, or reaches over its section's end.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Why it may be that of another build: none for ELF files, whose bytes were found in the image.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// The number of the section that holds an offset.
    pub(crate) fn section_at(&self, offset: u32) -> Option<usize> {
        let behind = self.sections.partition_point(|section| section.range.start <= offset);
        let number = behind.checked_sub(1)?;
        self.sections
            .get(number)
            .is_some_and(|found| found.range.contains(&offset))
            .then_some(number)
    }

    /// The variable that holds an address.
    pub(crate) fn variable_at(&self, address: u32) -> Option<&Variable> {
        let behind = self.variables.partition_point(|variable| variable.address <= address);
        let found = self.variables.get(behind.checked_sub(1)?)?;
        (address - found.address < found.len).then_some(found)
    }
}

/// A section of a file that describes a program, before its place in the image is known.
#[derive(Clone, Debug)]
struct Described<'a> {
    name: &'a str,
    /// Where it lies when the program runs, and where it is loaded from.
    address: u32,
    load_address: u32,
    len: u32,
    is_code: bool,
    is_writable: bool,
    /// Offset in the file that describes it.
    file_offset: u64,
    /// Its bytes, where they are told.
    bytes: Option<&'a [u8]>,
    /// Whether it takes room in the image.
    is_stored: bool,
}

/// A name for a stretch of addresses.
#[derive(Clone, Debug)]
struct Named<'a> {
    name: &'a str,
    address: u32,
    len: u32,
    is_function: bool,
    section: usize,
}

/// Puts together what a file has told, with each section's place in the image.
fn assemble(
    described: &[Described<'_>],
    places: &[Option<u32>],
    named: &[Named<'_>],
    references: Option<&[relocations::Place]>,
) -> Program {
    let mut program = Program::default();
    let mut numbers = vec![None; described.len()];
    let mut stored: Vec<(u32, usize)> =
        places.iter().enumerate().filter_map(|(number, place)| Some(((*place)?, number))).collect();
    stored.sort_unstable();
    let mut end = 0;
    for (start, number) in stored {
        let Some(section) = described.get(number) else { continue };
        let Some(ends) = start.checked_add(section.len).filter(|_| start >= end) else { continue };
        end = ends;
        if let Some(slot) = numbers.get_mut(number) {
            *slot = Some(program.sections.len());
        }
        program.sections.push(Section {
            name: names::bounded(section.name).to_owned(),
            range: start..ends,
            address: section.address,
            load_address: section.load_address,
            is_code: section.is_code,
        });
    }
    for symbol in named {
        program.add(symbol, described, &numbers);
    }
    let in_image = |place: &relocations::Place| {
        let section = described.get(place.section)?;
        let inside = place.address.checked_sub(section.address).filter(|at| *at < section.len)?;
        let number = numbers.get(place.section).copied().flatten()?;
        let offset = program.sections.get(number)?.range.start + inside;
        Some(Reference { offset, address: place.address, form: place.form })
    };
    program.references = references.map(|all| all.iter().filter_map(in_image).collect());
    program.sort();
    program
}

impl Program {
    fn add(&mut self, symbol: &Named<'_>, described: &[Described<'_>], numbers: &[Option<usize>]) {
        let Some(section) = described.get(symbol.section) else { return };
        let Some(inside) = symbol.address.checked_sub(section.address) else { return };
        if symbol.len == 0 || inside >= section.len {
            return;
        }
        let len = symbol.len.min(section.len - inside);
        let names::Name { shown, key, is_rust } = names::Name::of(symbol.name);
        self.has_rust |= is_rust;
        if section.is_writable {
            self.variables.push(Variable { key: key.clone(), address: symbol.address, len });
        }
        let Some(number) = numbers.get(symbol.section).copied().flatten() else { return };
        let Some(start) = self.sections.get(number).map(|section| section.range.start + inside)
        else {
            return;
        };
        self.symbols.push(Symbol {
            name: shown,
            key,
            range: start..start + len,
            address: symbol.address,
            is_code: symbol.is_function,
            section: number,
        });
    }

    /// Puts everything in order; of symbols that begin at one place, the longest stays, and each ends where the next one begins.
    fn sort(&mut self) {
        let by_place = |symbol: &Symbol| (symbol.range.start, u32::MAX - symbol.range.end);
        self.symbols.sort_by(|a, b| by_place(a).cmp(&by_place(b)).then_with(|| a.key.cmp(&b.key)));
        self.symbols.dedup_by_key(|symbol| symbol.range.start);
        let starts: Vec<u32> = self.symbols.iter().map(|symbol| symbol.range.start).collect();
        for (symbol, next) in self.symbols.iter_mut().zip(starts.into_iter().skip(1)) {
            symbol.range.end = symbol.range.end.min(next);
        }
        if let Some(references) = &mut self.references {
            references.sort_by_key(|reference| reference.offset);
        }
        self.variables.sort_by(|a, b| (a.address, &a.key).cmp(&(b.address, &b.key)));
        self.variables.dedup_by_key(|variable| variable.address);
    }
}
