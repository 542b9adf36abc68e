//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Says what it runs, runs it in the root and wants it to succeed.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<()> {
    run_in(&root(), program, args)
}

/// The same in another directory.
pub(crate) fn run_in(directory: &Path, program: &str, args: &[&str]) -> Result<()> {
    eprintln!("$ {program} {}", args.join(" "));
    let status = Command::new(program).args(args).current_dir(directory).status();
    let status = status.with_context(|| format!("cannot run `{program}`"))?;
    ensure!(status.success(), "`{program} {}` failed: {status}", args.join(" "));
    Ok(())
}

/// Runs a program and returns what it prints.
pub(crate) fn output(program: &str, args: &[&str]) -> Result<Vec<u8>> {
    output_in(&root(), program, args)
}

/// The same in another directory.
pub(crate) fn output_in(directory: &Path, program: &str, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program).args(args).current_dir(directory).output();
    let output = output.with_context(|| format!("cannot run `{program}`"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{program} {}` failed: {stderr}", args.join(" "));
    Ok(output.stdout)
}

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
