//! Where an image refers to addresses, told by the relocations that a linker leaves in an ELF file (`--emit-relocs`).
//!
//! Only Thumb code and words are read; what refers in another way makes the list incomplete, which it then says.

use object::read::elf::{ElfFile, FileHeader, Rel as _, SectionHeader as _};
use object::{SectionIndex, elf};

use crate::{Error, Result};

/// How a place refers to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A word that is an address.
    Word,
    /// A word that is the distance to it.
    Distance,
    /// A word whose lower 31 bits are the distance to it.
    ShortDistance,
    /// `BL` or `B.W`.
    Branch,
    /// `MOVW`, the lower half of an address.
    Low,
    /// `MOVT`, the upper half of it.
    High,
}

/// A place in a section that refers to an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) section: usize,
    /// Its own address.
    pub(super) address: u32,
    pub(super) form: Form,
}

/// Relocations are not read beyond so many.
const MAX_RELOCATIONS: usize = 1 << 22;

/// All places that refer to something; `None` if there are none, or some of a kind that is not known.
pub(super) fn read<E: FileHeader>(elf: &ElfFile<'_, E>, file: &[u8]) -> Result<Option<Vec<Place>>> {
    let endian = elf.endian();
    if elf.elf_header().e_machine(endian) != elf::EM_ARM || elf.elf_header().is_big_endian() {
        return Ok(None);
    }
    let mut places = Vec::new();
    let table = elf.elf_section_table();
    for header in table.iter() {
        let relocations = header.rel(endian, file);
        let Some((relocations, _)) =
            relocations.map_err(|error| Error::BadElf(error.to_string()))?
        else {
            continue;
        };
        let section = usize::try_from(header.sh_info(endian)).unwrap_or(usize::MAX);
        let is_loaded = |found: &E::SectionHeader| found.sh_flags(endian).contains(elf::SHF_ALLOC);
        if !table.section(SectionIndex(section)).is_ok_and(is_loaded) {
            continue;
        }
        if places.len() + relocations.len() > MAX_RELOCATIONS {
            return Err(Error::BadElf(format!("more than {MAX_RELOCATIONS} relocations")));
        }
        for relocation in relocations {
            let form = match relocation.r_type(endian) {
                elf::R_ARM_ABS32 | elf::R_ARM_TARGET1 => Form::Word,
                elf::R_ARM_REL32 => Form::Distance,
                elf::R_ARM_PREL31 => Form::ShortDistance,
                elf::R_ARM_THM_PC22 | elf::R_ARM_THM_JUMP24 => Form::Branch,
                elf::R_ARM_THM_MOVW_ABS_NC => Form::Low,
                elf::R_ARM_THM_MOVT_ABS => Form::High,
                elf::R_ARM_NONE | elf::R_ARM_V4BX => continue,
                _ => return Ok(None),
            };
            let address = super::elf::low(relocation.r_offset(endian).into());
            places.push(Place { section, address, form });
        }
    }
    Ok((!places.is_empty()).then_some(places))
}
