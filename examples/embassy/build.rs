//! Gives the application its memory map: that of `examples/device`, whose boot loader starts it.

#[path = "../device/src/layout.rs"]
#[allow(dead_code, reason = "the linker needs a memory map only")]
mod layout;
#[path = "../device/memory_map.rs"]
mod memory_map;

fn main() {
    memory_map::give("application", &layout::MPS2.application);
    println!("cargo:rerun-if-changed=../device/src/layout.rs");
    println!("cargo:rerun-if-changed=../device/memory_map.rs");
}
