//! Crates can be packaged: what others build firmware and services with.

use anyhow::Result;

use crate::shell;

/// Crates for firmware: packed, and built from what was packed.
const DEVICE: [&str; 4] =
    ["whittle-both", "whittle-delta", "whittle-format", "whittle-patcher-nostd"];

/// The other libraries: packed. What embeds files of the whole tree (`cli`, `policy-host`, `calculators`, `demo`) is built from it.
const LIBRARIES: [&str; 11] = [
    "whittle-explain",
    "whittle-export",
    "whittle-flash-sim",
    "whittle-fleet",
    "whittle-inputs",
    "whittle-metrics",
    "whittle-own-files",
    "whittle-publish",
    "whittle-release",
    "whittle-rollout",
    "whittle-rollout-store",
];

/// Packs them all; `--allow-dirty` because what is not committed yet may be tried, too.
pub(crate) fn check() -> Result<()> {
    pack(&DEVICE, &[])?;
    pack(&[&DEVICE[..], &LIBRARIES].concat(), &["--no-verify"])
}

fn pack(crates: &[&str], how: &[&str]) -> Result<()> {
    let mut args = vec!["package", "--quiet", "--locked", "--allow-dirty"];
    args.extend(how);
    args.extend(crates.iter().flat_map(|name| ["--package", name]));
    shell::run("cargo", &args)
}
