//! Maps of GNU ld (`-Map`), and what maps of all linkers have in common.
//!
//! ```text
//! .text           0x08000084      0x5b0                              output section, perhaps with its load address
//!  .text.reset    0x08000086        0xc startup.o                    input section
//!                 0x08000086                reset                    symbol, whose length nobody tells
//! ```
//!
//! A name that is too long stands on a line of its own. A symbol reaches to the next one, or to the end of its input section;
//! an input section without symbols has the name that the compiler gave it (`-ffunction-sections`).

use super::{Described, MAX_SECTIONS, MAX_SYMBOLS, Named, Program, assemble, doubt, place};
use crate::{Error, Result};

const START: &str = "Linker script and memory map";

pub(super) fn is_map(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == START)
}

pub(super) fn parse(text: &str, image: &[u8], load_address: Option<u32>) -> Result<Program> {
    let mut reader = MapReader::default();
    let mut waiting: Option<&str> = None;
    let lines = text.lines().enumerate().skip_while(|(_, line)| line.trim_end() != START).skip(1);
    for (number, line) in lines {
        let bad = || Error::BadMap { line: number + 1 };
        if reader.len() > MAX_SYMBOLS {
            return Err(bad());
        }
        let depth = line.len() - line.trim_start().len();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else {
            waiting = None;
            continue;
        };
        let is_name = depth <= 1 && !first.starts_with("0x");
        let numbers = if is_name { words.next() } else { Some(first) };
        let name = if is_name { Some(first) } else { waiting.take().filter(|_| depth > 1) };
        let (Some(address), second) = (numbers.and_then(hex), words.next()) else {
            // The name of a section whose numbers are on the next line; or a pattern, or an assignment.
            waiting = is_name.then(|| line.trim_end()).filter(|_| numbers.is_none());
            continue;
        };
        match (name.map(str::trim_end), second.and_then(hex)) {
            (Some(name), Some(len)) if name.starts_with(' ') || (is_name && depth == 1) => {
                let name = name.trim_start();
                // Some sections are named `*fill*`; patterns have no numbers.
                if !name.starts_with('*') {
                    let file = words.next().unwrap_or_default();
                    reader.input(InputSection { name, file, address, len });
                }
            }
            (Some(name), Some(len)) => {
                let load = words.skip_while(|word| *word != "address").nth(1).map(hex);
                reader.section(name, address, load.flatten().unwrap_or(address), len);
            }
            (None, None) => {
                if let Some(name) = symbol_name(line, first) {
                    reader.symbol(name, address, None);
                }
            }
            _ => {}
        }
    }
    reader.finish(image, load_address)
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// What stands behind an address, unless it is an expression of the linker's script or a remark.
fn symbol_name<'a>(line: &'a str, address: &str) -> Option<&'a str> {
    let name = line.trim().strip_prefix(address)?.trim_start();
    let is_other = name.is_empty()
        || name.contains(" = ")
        || name.starts_with(['(', '[', '.', '$'])
        || name.starts_with("PROVIDE");
    (!is_other).then_some(name)
}

/// A part of an output section that came from one file.
pub(super) struct InputSection<'a> {
    pub(super) name: &'a str,
    pub(super) file: &'a str,
    pub(super) address: u64,
    pub(super) len: u64,
}

/// Puts a program together line by line.
#[derive(Default)]
pub(super) struct MapReader<'a> {
    sections: Vec<Described<'a>>,
    inputs: Vec<(InputSection<'a>, usize)>,
    /// Name, address, length if it is told, section.
    symbols: Vec<(&'a str, u64, Option<u64>, usize)>,
}

impl<'a> MapReader<'a> {
    pub(super) fn len(&self) -> usize {
        self.inputs.len() + self.symbols.len()
    }

    pub(super) fn section(&mut self, name: &'a str, address: u64, load_address: u64, len: u64) {
        /// Parts of names of sections that take no room in an image.
        const NOT_STORED: [&str; 7] =
            ["bss", "noinit", "uninit", "heap", "stack", "persist", "COMMON"];
        /// Beginnings of names of sections that are for tools.
        const FOR_TOOLS: [&str; 14] = [
            ".debug",
            ".comment",
            ".GCC.command.line",
            ".gnu.build.attributes",
            ".gnu.attributes",
            ".mdebug",
            ".ARM.attributes",
            ".riscv.attributes",
            ".symtab",
            ".strtab",
            ".shstrtab",
            ".stab",
            ".note.GNU-stack",
            ".xt",
        ];
        const CODE: [&str; 6] = ["text", "init", "fini", "code", "ramfunc", "boot"];
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let is_for_tools = FOR_TOOLS.iter().any(|start| name.starts_with(start));
        let is_code = has(&CODE) && !name.contains("array");
        let [address, load_address, len] =
            [address, load_address, len].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        self.sections.push(Described {
            name,
            address,
            load_address,
            len,
            is_code,
            is_writable: !is_for_tools && (has(&NOT_STORED) || has(&["data"]) && !has(&["rodata"])),
            file_offset: 0,
            bytes: None,
            is_stored: !is_for_tools && !has(&NOT_STORED) && len > 0,
        });
    }

    pub(super) fn input(&mut self, input: InputSection<'a>) {
        if let Some(section) = self.sections.len().checked_sub(1).filter(|_| input.len > 0) {
            self.inputs.push((input, section));
        }
    }

    pub(super) fn symbol(&mut self, name: &'a str, address: u64, len: Option<u64>) {
        if let Some(section) = self.sections.len().checked_sub(1) {
            self.symbols.push((name, address, len, section));
        }
    }

    pub(super) fn finish(mut self, image: &[u8], load_address: Option<u32>) -> Result<Program> {
        if self.sections.len() > MAX_SECTIONS || self.sections.is_empty() {
            return Err(Error::BadMap { line: 1 });
        }
        leave_out_sections_at_0(&mut self.sections);
        self.symbols.sort_by_key(|(_, address, ..)| *address);
        let whole: Vec<(String, &InputSection<'a>, usize)> =
            self.inputs.iter().map(|(input, section)| (own_name(input), input, *section)).collect();
        let mut named = Vec::new();
        let mut looked_at = 0;
        for (name, input, section) in &whole {
            looked_at += self.name(name, input, *section, &mut named);
            // Each symbol is in one input section, unless they lie over each other.
            if looked_at > 4 * MAX_SYMBOLS {
                return Err(Error::BadMap { line: 1 });
            }
        }
        let places = place::by_address(&self.sections, image, load_address)?;
        let program = assemble(&self.sections, &places, &named, None);
        Ok(Program { doubts: doubt::of_map(&program, image), ..program })
    }

    /// Cuts an input section at its symbols; returns how many it has.
    fn name<'b>(
        &'b self,
        own_name: &'b str,
        input: &InputSection<'_>,
        section: usize,
        named: &mut Vec<Named<'b>>,
    ) -> usize {
        let end = input.address.saturating_add(input.len);
        let first = self.symbols.partition_point(|(_, address, ..)| *address < input.address);
        let inside = self.symbols.get(first..).unwrap_or_default();
        let count = inside.partition_point(|(_, address, ..)| *address < end);
        let inside = inside.get(..count).unwrap_or_default();
        let is_function = self.sections.get(section).is_some_and(|section| section.is_code);
        let mut push = |name, from: u64, to: u64| {
            let (address, len) = (u32::try_from(from), u32::try_from(to.saturating_sub(from)));
            if let (Ok(address), Ok(len)) = (address, len) {
                named.push(Named { name, address, len, is_function, section });
            }
        };
        // Thumb functions have odd addresses in some maps.
        let even = |address: u64| if is_function { address & !1 } else { address };
        let mut known = input.address;
        for (at, (name, address, len, _)) in inside.iter().enumerate() {
            let next = inside.get(at + 1).map_or(end, |(_, next, ..)| even(*next));
            let from = even(*address);
            if from < known {
                continue;
            }
            if from > known {
                push(own_name, known, from);
            }
            known = len.map_or(next, |len| from.saturating_add(len).min(end));
            push(name, from, known);
        }
        if known < end {
            push(own_name, known, end);
        }
        inside.len()
    }
}

/// Leaves out sections at address 0 that no code adjoins: linkers put there what has no address, such as what only tools read.
///
/// Code adjoins where it follows, perhaps behind other sections, as it follows vectors at the beginning of flash.
fn leave_out_sections_at_0(sections: &mut [Described<'_>]) {
    /// Erase units of flash that begins at 0 are not longer, and vectors may have one of their own.
    const MAX_GAP_BYTES: u32 = 64 << 10;
    let is_at_0 = |section: &Described<'_>| section.is_stored && section.load_address == 0;
    if sections.iter().any(|section| is_at_0(section) && section.is_code) {
        return;
    }
    let mut others: Vec<(u32, u32, bool)> = sections
        .iter()
        .filter(|section| section.is_stored && section.load_address > 0)
        .map(|section| (section.load_address, section.len, section.is_code))
        .collect();
    others.sort_unstable();
    for section in sections.iter_mut().filter(|section| is_at_0(section)) {
        section.is_stored = is_followed_by_code(section.len, &others, MAX_GAP_BYTES);
    }
}

/// Whether sections in the order of their addresses lead from an address to code, without a longer gap than this one.
fn is_followed_by_code(from: u32, sections: &[(u32, u32, bool)], max_gap: u32) -> bool {
    let mut end = from;
    for (address, len, is_code) in sections {
        if address.saturating_sub(end) > max_gap {
            return false;
        }
        if *is_code {
            return true;
        }
        end = end.max(address.saturating_add(*len));
    }
    false
}

/// What an input section is called where no symbol names it: the compiler's name for it, or that of its file.
fn own_name(input: &InputSection<'_>) -> String {
    // LLD writes both as one.
    let (file, name) = match input.name.split_once(":(") {
        Some((file, name)) => (file, name.trim_end_matches(')')),
        None => (input.file, input.name),
    };
    // Strings that were merged, and numbers, are those of many.
    let is_own = |own: &&str| {
        let is_merged = own.starts_with("str") || own.contains(".str") || own.starts_with("cst");
        !own.is_empty() && !is_merged
    };
    match BEGINNINGS.iter().find_map(|start| name.strip_prefix(start)).filter(is_own) {
        Some(own) => own.to_owned(),
        None => format!("{file}:({name})"),
    }
}

/// What compilers put in front of the name of a function or a constant, the longest first.
const BEGINNINGS: [&str; 15] = [
    ".text.startup.",
    ".text.unlikely.",
    ".data.rel.ro.",
    ".text.hot.",
    ".literal.",
    ".srodata.",
    ".rodata.",
    ".sdata.",
    ".iram1.",
    ".dram1.",
    ".tdata.",
    ".text.",
    ".data.",
    ".sbss.",
    ".bss.",
];
