//! Installs what the tests need and a fresh machine lacks.

use anyhow::Result;

use crate::shell;

/// What firmware is built for in the tests.
pub(crate) const TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabi",
    "riscv32imc-unknown-none-elf",
];

/// Programs that the tests run, and the Debian packages that hold them.
const TOOLS: [(&str, &str); 8] = [
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-riscv32", "qemu-system-misc"),
    ("bsdiff", "bsdiff"),
    ("bspatch", "bsdiff"),
    ("xz", "xz-utils"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("patch", "patch"),
];

pub(crate) fn run() -> Result<()> {
    shell::run("rustup", &[&["target", "add"][..], &TARGETS].concat())?;
    let mut packages: Vec<&str> =
        TOOLS.iter().filter(|(tool, _)| !shell::has(tool)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    install(&["update"])?;
    install(&[&["install", "--yes", "--no-install-recommends"][..], &packages].concat())
}

/// Runs apt-get, by sudo where there is one and the user is not root.
fn install(args: &[&str]) -> Result<()> {
    let is_root = shell::output("id", &["-u"])? == b"0\n";
    if is_root {
        shell::run("apt-get", args)
    } else {
        shell::run("sudo", &[&["apt-get"][..], args].concat())
    }
}
