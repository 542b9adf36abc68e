//! Puts `device.x`, by which interrupts without a handler get the default one, where the linker looks for it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let directory = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::copy("device.x", directory.join("device.x")) {
        panic!("cannot copy device.x: {error}");
    }
    println!("cargo:rustc-link-search={}", directory.display());
    println!("cargo:rerun-if-changed=device.x");
}
