//! Sections and symbols of an ELF file.

use object::elf;
use object::read::elf::{ElfFile, FileHeader, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::{FileKind, ReadRef};

use super::{Described, MAX_SECTIONS, MAX_SYMBOLS, Named, Program, assemble, place, relocations};
use crate::{Error, Result};

pub(super) fn parse(file: &[u8], image: &[u8]) -> Result<Program> {
    match FileKind::parse(file).map_err(bad)? {
        FileKind::Elf32 => read::<elf::FileHeader32<object::Endianness>>(file, image),
        FileKind::Elf64 => read::<elf::FileHeader64<object::Endianness>>(file, image),
        _ => Err(Error::NoProgram),
    }
}

fn bad(error: object::read::Error) -> Error {
    Error::BadElf(error.to_string())
}

fn read<E: FileHeader>(file: &[u8], image: &[u8]) -> Result<Program> {
    let elf = ElfFile::<E>::parse(file).map_err(bad)?;
    let described = sections(&elf, file)?;
    // Sections that lie over each other could stand for more bytes than anybody can compare.
    let stored = described.iter().filter(|section| section.is_stored);
    let all: u64 = stored.map(|section| u64::from(section.len)).sum();
    if all > file.len() as u64 {
        return Err(Error::BadElf("sections lie over each other".to_owned()));
    }
    if !described.iter().any(|section| section.is_stored) {
        return Err(Error::BadElf("no section is loaded".to_owned()));
    }
    let named = symbols(&elf, &described)?;
    let places = place::by_content(&described, image)?;
    let references = relocations::read(&elf, file)?;
    Ok(assemble(&described, &places, &named, references.as_deref()))
}

/// All sections, so that symbols find theirs by number.
fn sections<'a, E: FileHeader>(elf: &ElfFile<'a, E>, file: &'a [u8]) -> Result<Vec<Described<'a>>> {
    let (endian, table) = (elf.endian(), elf.elf_section_table());
    if table.len() > MAX_SECTIONS {
        return Err(Error::BadElf(format!("{} sections are too many", table.len())));
    }
    let section = |header: &'a E::SectionHeader| {
        let flags = header.sh_flags(endian);
        let has = |flag| flags.contains(flag);
        let is_loaded = has(elf::SHF_ALLOC);
        let is_stored = is_loaded && header.sh_type(endian) != elf::SHT_NOBITS;
        let name = table.section_name(endian, header).unwrap_or_default();
        let (address, size) = (header.sh_addr(endian).into(), header.sh_size(endian).into());
        let file_offset = header.sh_offset(endian).into();
        let bytes = if is_stored {
            let bytes = file.read_bytes_at(file_offset, size);
            let name = String::from_utf8_lossy(name);
            Some(bytes.map_err(|()| Error::BadElf(format!("section `{name}` is cut off")))?)
        } else {
            None
        };
        let load_address = load_address(elf, file_offset, address, is_stored);
        Ok(Described {
            name: std::str::from_utf8(name).unwrap_or("?"),
            // Addresses above 4 GiB are those of programs for larger processors: their low half tells places apart as well.
            address: low(address),
            load_address: low(load_address),
            len: u32::try_from(size).unwrap_or(if is_stored { 0 } else { u32::MAX }),
            is_code: has(elf::SHF_EXECINSTR),
            is_writable: is_loaded && has(elf::SHF_WRITE),
            file_offset,
            bytes,
            is_stored,
        })
    };
    table.iter().map(section).collect()
}

pub(super) fn low(address: u64) -> u32 {
    u32::try_from(address & u64::from(u32::MAX)).unwrap_or(0)
}

/// Where a section's bytes are loaded from: its segment knows.
fn load_address<E: FileHeader>(
    elf: &ElfFile<'_, E>,
    offset: u64,
    address: u64,
    is_stored: bool,
) -> u64 {
    let endian = elf.endian();
    let segment = elf.elf_program_headers().iter().find(|segment| {
        let (start, size): (u64, u64) =
            (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
        let is_inside = offset.checked_sub(start).is_some_and(|inside| inside < size);
        is_stored && segment.p_type(endian) == elf::PT_LOAD && is_inside
    });
    let Some(segment) = segment else { return address };
    let (physical, start): (u64, u64) =
        (segment.p_paddr(endian).into(), segment.p_offset(endian).into());
    physical.wrapping_add(offset.wrapping_sub(start))
}

fn symbols<'a, E: FileHeader>(
    elf: &ElfFile<'a, E>,
    described: &[Described<'_>],
) -> Result<Vec<Named<'a>>> {
    let (endian, table) = (elf.endian(), elf.elf_symbol_table());
    if table.len() > MAX_SYMBOLS {
        return Err(Error::BadElf(format!("{} symbols are too many", table.len())));
    }
    let is_arm = elf.elf_header().e_machine(endian) == elf::EM_ARM;
    let mut named = Vec::new();
    for symbol in table.iter() {
        let kind = symbol.st_type();
        let Some(section) = symbol.st_shndx(endian).index().map(usize::from) else { continue };
        let is_function = kind == elf::STT_FUNC;
        let is_there =
            described.get(section).is_some_and(|found| found.is_stored || found.is_writable);
        if !is_there || !(is_function || kind == elf::STT_OBJECT) {
            continue;
        }
        let name = table.symbol_name(endian, symbol).map_err(bad)?;
        let address = low(symbol.st_value(endian).into());
        named.push(Named {
            name: std::str::from_utf8(name).unwrap_or("?"),
            // The lowest bit tells Thumb code from Arm code.
            address: if is_arm && is_function { address & !1 } else { address },
            len: u32::try_from(symbol.st_size(endian).into()).unwrap_or(u32::MAX),
            is_function,
            section,
        });
    }
    Ok(named)
}
