//! Builds the firmware under `examples/`.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell;

/// Builds an example for a target and returns the directory of its ELF files.
///
/// # Errors
/// If cargo fails.
pub(super) fn build(example: &str, target: &str, features: &str) -> Result<PathBuf> {
    let target_dir = shell::root().join("target").join(example);
    let args = ["build", "--quiet", "--release", "--locked", "--target", target];
    let more = ["--features", features, "--target-dir", &target_dir.to_string_lossy()];
    let directory = shell::root().join("examples").join(example);
    shell::run_in(&directory, "cargo", &[&args[..], &more].concat())?;
    Ok(target_dir.join(target).join("release"))
}
