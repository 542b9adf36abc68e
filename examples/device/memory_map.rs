//! Puts a binary's memory map where the linker looks for it.

use std::ops::Range;
use std::path::PathBuf;
use std::{env, fs};

use crate::layout::Memory;

/// Gives a binary of this package its memory map.
pub fn give(binary: &str, memory: &Memory) {
    let directory = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(binary);
    let written = fs::create_dir_all(&directory)
        .and_then(|()| fs::write(directory.join("memory.x"), script(memory)));
    if let Err(error) = written {
        panic!("cannot write to {}: {error}", directory.display());
    }
    println!("cargo:rustc-link-arg-bin={binary}=-L{}", directory.display());
}

/// Both names of the regions: cortex-m-rt's, and the aliases that riscv-rt wants.
fn script(memory: &Memory) -> String {
    let line = |name, range: &Range<usize>| {
        format!("  {name} : ORIGIN = {:#x}, LENGTH = {:#x}\n", range.start, range.len())
    };
    let regions = line("FLASH", &memory.code) + &line("RAM", &memory.ram);
    let aliases = [
        ("TEXT", "FLASH"),
        ("RODATA", "FLASH"),
        ("DATA", "RAM"),
        ("BSS", "RAM"),
        ("HEAP", "RAM"),
        ("STACK", "RAM"),
    ];
    let aliases =
        aliases.map(|(alias, region)| format!("REGION_ALIAS(\"REGION_{alias}\", {region});\n"));
    // Nobody unwinds; the standard library's tables would take 13 KB of a RISC-V image.
    let unwinding = "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr) } }\n";
    format!("MEMORY\n{{\n{regions}}}\n{}{unwinding}", aliases.concat())
}
