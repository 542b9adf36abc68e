//! Gives each binary a memory map of its own, and makes the application a plain image, as it stands in a slot.

#[path = "src/layout.rs"]
#[allow(dead_code, reason = "the linker needs the memory maps only")]
mod layout;
mod memory_map;

use layout::{MPS2, VIRT};

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    let board = if target.starts_with("riscv") { VIRT } else { MPS2 };
    memory_map::give("boot-loader", &board.boot_loader);
    memory_map::give("application", &board.application);
    println!("cargo:rerun-if-changed=src/layout.rs");
    println!("cargo:rerun-if-changed=memory_map.rs");
}
