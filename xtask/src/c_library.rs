//! The device side as C firmware takes it: a static library, its header and how to link them, for each kind of processor.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// Build the static library for C firmware, and pack it with its header.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Target of rustup; may be given several times [default: all that are packed for a release].
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// Where archives and their checksums go.
    #[arg(long, value_name = "DIR", default_value = "target/c-library")]
    out: PathBuf,
}

/// Targets that are packed for a release.
const TARGETS: [&str; 8] = [
    "riscv32imac-unknown-none-elf",
    "riscv32imc-unknown-none-elf",
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv7m-none-eabi",
    "thumbv8m.main-none-eabi",
    "thumbv8m.main-none-eabihf",
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let all = TARGETS.map(str::to_owned).to_vec();
    let targets = if args.targets.is_empty() { all } else { args.targets.clone() };
    let out = shell::root().join(&args.out);
    fs::create_dir_all(&out)?;
    let mut archives = Vec::new();
    for target in &targets {
        shell::run("rustup", &["target", "add", target])?;
        let library = build(target)?;
        archives.push(pack(target, &library, &out)?);
    }
    let mut args = vec!["--"];
    args.extend(archives.iter().map(String::as_str));
    let sums = shell::output_in(&out, "sha256sum", &args)?;
    fs::write(out.join("SHA256SUMS"), sums)?;
    println!("{} archives in `{}`", archives.len(), out.display());
    Ok(())
}

/// The instruction set that images of such devices are of.
fn instruction_set(target: &str) -> Result<&'static str> {
    match target {
        _ if target.starts_with("thumb") => Ok("thumb"),
        _ if target.starts_with("riscv") => Ok("riscv"),
        _ => anyhow::bail!("`{target}` is no target that the library is packed for"),
    }
}

/// Builds the library, as `examples/c/Makefile` does, and says where it lies.
fn build(target: &str) -> Result<PathBuf> {
    let features = format!("{},ed25519,panic-handler", instruction_set(target)?);
    let directory = shell::root().join("target/c-library-build");
    // One rolled-up loop of SHA-2 instead of three unrolled ones.
    let flags = "RUSTFLAGS=--cfg sha2_backend_soft=\"compact\"";
    let cargo = ["cargo", "rustc", "--quiet", "--locked", "--package", "whittle-capi", "--lib"];
    let how = ["--profile", "firmware", "--crate-type", "staticlib", "--no-default-features"];
    let directory_name = directory.to_string_lossy();
    let what = ["--features", &features, "--target", target, "--target-dir", &directory_name];
    shell::run("env", &[&[flags][..], &cargo, &how, &what].concat())?;
    Ok(directory.join(target).join("firmware/libwhittle.a"))
}

/// Packs a library with what belongs to it; the same input gives the same bytes.
fn pack(target: &str, library: &Path, out: &Path) -> Result<String> {
    let name = format!("whittle-c-{}-{target}", env!("CARGO_PKG_VERSION"));
    let directory = out.join(&name);
    fs::create_dir_all(&directory)?;
    let root = shell::root();
    let files = [
        (library.to_owned(), "libwhittle.a"),
        (root.join("patcher-nostd/capi/whittle.h"), "whittle.h"),
        (root.join("patcher-nostd/capi/README.md"), "README.md"),
        (root.join("LICENSE-APACHE"), "LICENSE-APACHE"),
        (root.join("LICENSE-MIT"), "LICENSE-MIT"),
    ];
    for (from, to) in files {
        fs::copy(&from, directory.join(to))
            .with_context(|| format!("cannot copy `{}`", from.display()))?;
    }
    let archive = format!("{name}.tar.gz");
    let same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    // gzip would note the time otherwise.
    let pack = ["--use-compress-program", "gzip -9n", "-cf", &archive, &name];
    shell::run_in(out, "tar", &[&same[..], &pack].concat())?;
    Ok(archive)
}
