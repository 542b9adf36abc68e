//! ELF files of firmware: what their loadable segments put into flash, by load address.
//!
//! A file is firmware if it is an executable for fixed addresses that no operating system loads. Everything else, a program
//! or a library of Linux above all, is delivered as the file that it is ([`Kept`] says why). Where nothing tells which of the two
//! it is, callers must say.
//!
//! Linkers make segments larger than what the sections in them need, by the file's own header for one. So a segment counts from
//! its first section that is loaded to its last one, as `objcopy -O binary` has it. A section that is loaded must then lie in a
//! segment, whole: what lies across its end, or in none, would be missing from the image without a word.

use std::fmt;
use std::ops::Range;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadRef};
use whittle_delta::compact::InstructionSet;

use crate::memory::{Flat, Memory, Place};
use crate::{Error, MemoryError, Options};

const MAGIC: &[u8] = b"\x7fELF";

/// Whose notes of type 1 say which version of their operating system a program wants.
const SYSTEMS: [&[u8]; 5] = [b"GNU", b"Android", b"FreeBSD", b"NetBSD", b"OpenBSD"];

/// Most segments that one file may load; firmware has a handful.
///
/// Each section is held against each of them.
pub const MAX_LOADABLE_SEGMENTS: usize = 256;

/// A file that is delivered as it is, and why it is no firmware for bare flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// It is a library, an executable for any address, an object or a core: its `e_type`.
    Type(u16),
    /// It asks for an interpreter or to be linked when it is loaded.
    Dynamic,
    /// It names an operating system: its `EI_OSABI`.
    OperatingSystem(u8),
    /// A note in it names an operating system, as that of `.note.ABI-tag` does.
    SystemNote,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "it is no executable for fixed addresses (type {kind})"),
            Self::Dynamic => f.write_str("it is linked when it is loaded"),
            Self::OperatingSystem(system) => {
                write!(f, "it is for an operating system (ABI {system})")
            }
            Self::SystemNote => f.write_str("a note in it names an operating system"),
        }
    }
}

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Its headers cannot be read.
    #[error("ELF file is damaged: {0}")]
    Damaged(String),
    /// It has more loadable segments than any firmware.
    #[error("ELF file has {0} loadable segments, the limit is {MAX_LOADABLE_SEGMENTS}")]
    TooManySegments(usize),
    /// A segment lies outside the file.
    #[error(
        "segment {segment} of the ELF file lies from {from:#x} to {to:#x} in a file of {len:#x} bytes"
    )]
    Segment {
        /// Which one, among all program headers.
        segment: u32,
        /// Offset of its first byte.
        from: u64,
        /// Offset behind its last byte.
        to: u64,
        /// Size of the file in bytes.
        len: u64,
    },
    /// A section that is loaded lies outside the file.
    #[error(
        "section {section} of the ELF file lies from {from:#x} to {to:#x} in a file of {len:#x} bytes"
    )]
    Section {
        /// Which one, among all section headers.
        section: u32,
        /// Offset of its first byte.
        from: u64,
        /// Offset behind its last byte.
        to: u64,
        /// Size of the file in bytes.
        len: u64,
    },
    /// A section that is loaded lies only partly in a segment that overlaps it.
    #[error(
        "section {section} of the ELF file lies from {from:#x} to {to:#x}, across an end of segment {segment} from {segment_from:#x} to {segment_to:#x}"
    )]
    SectionAcross {
        /// Which section, among all section headers.
        section: u32,
        /// Offset of its first byte.
        from: u64,
        /// Offset behind its last byte.
        to: u64,
        /// Which segment, among all program headers.
        segment: u32,
        /// Offset of the segment's first byte.
        segment_from: u64,
        /// Offset behind its last byte.
        segment_to: u64,
    },
    /// A section that is loaded lies in no loadable segment.
    #[error(
        "section {section} of the ELF file lies from {from:#x} to {to:#x}, in no loadable segment"
    )]
    SectionInNone {
        /// Which one, among all section headers.
        section: u32,
        /// Offset of its first byte.
        from: u64,
        /// Offset behind its last byte.
        to: u64,
    },
    /// A segment brings more bytes than it takes in memory.
    #[error(
        "segment {segment} of the ELF file has {in_file} bytes for {in_memory} bytes of memory"
    )]
    LargerThanMemory {
        /// Which one, among all program headers.
        segment: u32,
        /// Bytes in the file.
        in_file: u64,
        /// Bytes in memory.
        in_memory: u64,
    },
    /// It loads nothing.
    #[error("ELF file has no loadable segment with bytes")]
    NothingToLoad,
    /// Its own header is loaded, and every segment runs where it is loaded: so are programs of an operating system without any
    /// sign of it, and firmware without variables that are copied, if its linker had room for the header.
    #[error(
        "ELF file loads its own header, and nothing tells whether it is firmware or a program of an operating system"
    )]
    FirmwareOrProgram,
}

/// What a file is.
pub(crate) enum Contents {
    /// Firmware.
    Firmware { flat: Flat, instruction_set: Option<InstructionSet> },
    /// Something that is delivered as it is.
    Program(Kept),
}

/// Whether a file begins as such a one.
pub(crate) fn begins(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// Reads a file.
///
/// # Errors
/// [`Error`] if it is damaged, or if its segments do not make one image.
pub(crate) fn read(file: &[u8], options: &Options) -> Result<Contents, Error> {
    match file.get(4).map(|class| elf::FileClass(*class)) {
        Some(elf::ELFCLASS32) => Reader::<FileHeader32<Endianness>>::new(file)?.read(options),
        Some(elf::ELFCLASS64) => Reader::<FileHeader64<Endianness>>::new(file)?.read(options),
        Some(_) => Err(ElfError::Damaged("it has neither 32 nor 64 bits".to_owned()).into()),
        None => Err(ElfError::Damaged("it ends within its header".to_owned()).into()),
    }
}

/// The number of a section that is loaded, and where it lies in the file.
type Loaded = (u32, Range<u64>);

struct Reader<'a, Elf: FileHeader> {
    file: &'a [u8],
    header: &'a Elf,
    endian: Elf::Endian,
}

impl<'a, Elf: FileHeader<Endian = Endianness>> Reader<'a, Elf> {
    fn new(file: &'a [u8]) -> Result<Self, Error> {
        let header = Elf::parse(file).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        Ok(Self { file, header, endian })
    }

    fn read(&self, options: &Options) -> Result<Contents, Error> {
        if options.format.is_none()
            && let Some(why) = self.kept()?
        {
            return Ok(Contents::Program(why));
        }
        let sections = self.sections()?;
        let mut memory = Memory::new(options.range.clone());
        let mut loads_anything = false;
        let loadable = self.loadable()?;
        if loadable.len() > MAX_LOADABLE_SEGMENTS {
            return Err(ElfError::TooManySegments(loadable.len()).into());
        }
        for (number, segment) in &loadable {
            self.check_segment(*number, segment)?;
        }
        if let Some(sections) = &sections {
            self.check_sections(sections, &loadable)?;
        }
        for (number, segment) in loadable {
            let Range { start: from, end: to } = self.place_in_file(segment);
            let Some(wanted) = within(sections.as_deref(), from..to) else { continue };
            let data =
                self.file.read_bytes_at(wanted.start, wanted.end.saturating_sub(wanted.start));
            let lies = ElfError::Segment { segment: number, from, to, len: self.file.len() as u64 };
            let data = data.map_err(|()| lies)?;
            let inside = wanted.start.saturating_sub(from);
            let address = self.load_address(segment).saturating_add(inside);
            memory.put(address, data, Place::Segment(number))?;
            loads_anything = true;
        }
        if !loads_anything {
            return Err(ElfError::NothingToLoad.into());
        }
        let flat = memory.flatten(options.fill)?;
        Ok(Contents::Firmware { flat, instruction_set: self.instruction_set() })
    }

    /// Whether a segment is in the file, whole even if sections want a part of it only, and memory has room for it.
    fn check_segment(&self, number: u32, segment: &Elf::ProgramHeader) -> Result<(), Error> {
        let (Range { start: from, end: to }, len) =
            (self.place_in_file(segment), self.file.len() as u64);
        if to > len {
            return Err(ElfError::Segment { segment: number, from, to, len }.into());
        }
        let in_file = self.bytes_in_file(segment);
        let in_memory: u64 = segment.p_memsz(self.endian).into();
        if in_file > in_memory {
            return Err(ElfError::LargerThanMemory { segment: number, in_file, in_memory }.into());
        }
        let last = if self.header.is_class_64() { u64::MAX } else { u32::MAX.into() };
        // What is loaded may end with the last address, which is one less than where it ends.
        let ends_at = self.load_address(segment).checked_add(in_file.saturating_sub(1));
        if ends_at.is_none_or(|end| end > last) {
            return Err(MemoryError::BehindTheEnd(Place::Segment(number)).into());
        }
        Ok(())
    }

    /// Whether each section that is loaded lies in a segment, and across the end of none.
    fn check_sections(
        &self,
        sections: &[Loaded],
        loadable: &[(u32, &Elf::ProgramHeader)],
    ) -> Result<(), ElfError> {
        for (number, Range { start, end }) in sections {
            let (section, from, to) = (*number, *start, *end);
            let mut is_in_one = false;
            for (segment, header) in loadable {
                let Range { start: segment_from, end: segment_to } = self.place_in_file(header);
                let overlaps = from < segment_to && to > segment_from;
                let is_inside = from >= segment_from && to <= segment_to;
                if overlaps && !is_inside {
                    let segment = *segment;
                    let across = ElfError::SectionAcross {
                        section,
                        from,
                        to,
                        segment,
                        segment_from,
                        segment_to,
                    };
                    return Err(across);
                }
                is_in_one |= is_inside;
            }
            if !is_in_one {
                return Err(ElfError::SectionInNone { section, from, to });
            }
        }
        Ok(())
    }

    /// Why the file is no firmware, if it is none.
    fn kept(&self) -> Result<Option<Kept>, Error> {
        const NO_SYSTEM: [elf::OsAbi; 4] = [
            elf::ELFOSABI_NONE,
            elf::ELFOSABI_ARM,
            elf::ELFOSABI_ARM_AEABI,
            elf::ELFOSABI_STANDALONE,
        ];
        let kind = self.header.e_type(self.endian);
        if kind != elf::ET_EXEC {
            return Ok(Some(Kept::Type(kind.0)));
        }
        let system = self.header.e_ident().os_abi;
        if !NO_SYSTEM.contains(&system) {
            return Ok(Some(Kept::OperatingSystem(system.0)));
        }
        let is_dynamic = |segment: &Elf::ProgramHeader| {
            matches!(segment.p_type(self.endian), elf::PT_INTERP | elf::PT_DYNAMIC)
        };
        if self.segments()?.iter().any(is_dynamic) {
            return Ok(Some(Kept::Dynamic));
        }
        if self.names_system()? {
            return Ok(Some(Kept::SystemNote));
        }
        let loadable = self.loadable()?;
        let loads_header = loadable.iter().any(|(_, segment)| self.offset(segment) == 0);
        let runs_in_place = loadable
            .iter()
            .all(|(_, segment)| self.load_address(segment) == segment.p_vaddr(self.endian).into());
        // Neither a stack's flags nor thread-local variables tell: lld gives firmware the one, picolibc the other.
        if loads_header && runs_in_place {
            Err(ElfError::FirmwareOrProgram.into())
        } else {
            Ok(None)
        }
    }

    /// Whether a note tells the operating system that the file is for; one that cannot be read tells nothing.
    fn names_system(&self) -> Result<bool, Error> {
        let names_one = |segment: &Elf::ProgramHeader| {
            let Ok(Some(mut notes)) = segment.notes(self.endian, self.file) else { return false };
            while let Ok(Some(note)) = notes.next() {
                let is_tag = note.n_type(self.endian) == elf::NT_GNU_ABI_TAG;
                if is_tag && SYSTEMS.contains(&note.name()) {
                    return true;
                }
            }
            false
        };
        Ok(self.segments()?.iter().any(names_one))
    }

    fn segments(&self) -> Result<&'a [Elf::ProgramHeader], Error> {
        Ok(self.header.program_headers(self.endian, self.file).map_err(damaged)?)
    }

    /// Segments that bring bytes along, with their numbers.
    fn loadable(&self) -> Result<Vec<(u32, &'a Elf::ProgramHeader)>, Error> {
        let brings_bytes = |(_, segment): &(u32, &Elf::ProgramHeader)| {
            segment.p_type(self.endian) == elf::PT_LOAD && self.bytes_in_file(segment) > 0
        };
        Ok((0..).zip(self.segments()?).filter(brings_bytes).collect())
    }

    /// Where the sections lie that are loaded, with their numbers; `None` if the file has no table of sections.
    fn sections(&self) -> Result<Option<Vec<Loaded>>, Error> {
        let sections = self.header.section_headers(self.endian, self.file).map_err(damaged)?;
        let mut loaded = Vec::new();
        for (number, section) in (0..).zip(sections.iter()) {
            let is_loaded = section.sh_flags(self.endian).0 & elf::SHF_ALLOC.0 != 0;
            if !is_loaded || section.sh_type(self.endian) == elf::SHT_NOBITS {
                continue;
            }
            let from: u64 = section.sh_offset(self.endian).into();
            let to = from.saturating_add(section.sh_size(self.endian).into());
            let len = self.file.len() as u64;
            if to > len {
                return Err(ElfError::Section { section: number, from, to, len }.into());
            }
            loaded.push((number, from..to));
        }
        loaded.retain(|(_, section)| !section.is_empty());
        Ok((!sections.is_empty()).then_some(loaded))
    }

    /// Thumb is told by the lowest bit of where it begins; code that begins in A32 may be in either set of 32-bit Arm.
    fn instruction_set(&self) -> Option<InstructionSet> {
        if self.endian == Endianness::Big {
            return None;
        }
        let begins_in_thumb = self.header.e_entry(self.endian).into() & 1 == 1;
        match (self.header.e_machine(self.endian), self.header.is_class_64()) {
            (elf::EM_ARM, false) if begins_in_thumb => Some(InstructionSet::Thumb),
            (elf::EM_XTENSA, false) => Some(InstructionSet::Xtensa),
            (elf::EM_AARCH64, true) => Some(InstructionSet::Aarch64),
            (elf::EM_RISCV, false) => Some(InstructionSet::Riscv32),
            (elf::EM_RISCV, true) => Some(InstructionSet::Riscv64),
            _ => None,
        }
    }

    fn offset(&self, segment: &Elf::ProgramHeader) -> u64 {
        segment.p_offset(self.endian).into()
    }

    fn place_in_file(&self, segment: &Elf::ProgramHeader) -> Range<u64> {
        let from = self.offset(segment);
        from..from.saturating_add(self.bytes_in_file(segment))
    }

    fn bytes_in_file(&self, segment: &Elf::ProgramHeader) -> u64 {
        segment.p_filesz(self.endian).into()
    }

    fn load_address(&self, segment: &Elf::ProgramHeader) -> u64 {
        segment.p_paddr(self.endian).into()
    }
}

/// What of a segment its sections want: all of it if sections are not told, nothing if none lies in it.
fn within(sections: Option<&[Loaded]>, segment: Range<u64>) -> Option<Range<u64>> {
    let Some(sections) = sections else { return Some(segment) };
    let inside = sections
        .iter()
        .map(|(_, section)| section)
        .filter(|section| section.start >= segment.start && section.end <= segment.end);
    inside.cloned().reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))
}

/// What the library says, without its type.
fn damaged(error: object::read::Error) -> ElfError {
    ElfError::Damaged(error.to_string())
}
