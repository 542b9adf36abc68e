//! The shipped policies: built from `policies`, and committed as components, so that nobody needs a toolchain to use them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args as ClapArgs;
use wit_component::ComponentEncoder;

use crate::{setup::POLICY_TARGET, shell};

/// What is shipped: crates of the workspace `policies`, and the components in `policies/dist`.
const SHIPPED: [&str; 7] =
    ["adaptive", "canary", "decision-tree", "declarative", "rings", "significance", "thermostat"];

/// Largest component that is shipped.
const MAX_BYTES: usize = 120 * 1024;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Write nothing: compare every byte with what is committed, after the lints and tests of the workspace.
    #[arg(long)]
    check: bool,
    /// Build the fixture of a released version of the contract, such as `0.1.0`, instead.
    #[arg(long, value_name = "VERSION", conflicts_with = "check")]
    freeze: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.freeze {
        Some(version) => freeze(version),
        None if args.check => check(),
        None => write(),
    }
}

fn write() -> Result<()> {
    for (name, component) in build()? {
        println!("{name:14} {:7} bytes", component.len());
        std::fs::write(committed(name), component)?;
    }
    write_c_bindings(&c_bindings())
}

pub(crate) fn check() -> Result<()> {
    let workspace = shell::root().join("policies");
    shell::run_in(&workspace, "cargo", &["fmt", "--all", "--check"])?;
    let target_dir = target_dir();
    let everything = ["--locked", "--all-targets", "--target-dir", &target_dir];
    let clippy = [&["clippy", "--workspace"][..], &everything, &["--", "-D", "warnings"]].concat();
    shell::run_in(&workspace, "cargo", &clippy)?;
    let test = ["test", "--workspace", "--locked", "--target-dir", &target_dir];
    shell::run_in(&workspace, "cargo", &test)?;
    for (name, component) in build()? {
        let is_current = std::fs::read(committed(name)).is_ok_and(|old| old == component);
        ensure!(
            is_current,
            "`policies/dist/{name}.wasm` is not what its sources say: run `cargo xtask policies`"
        );
    }
    check_c_bindings()
}

/// The bindings in C that the contract gives must be those that are committed.
fn check_c_bindings() -> Result<()> {
    let fresh = PathBuf::from(target_dir()).join("c-bindings");
    write_c_bindings(&fresh)?;
    for file in ["rollout_policy.c", "rollout_policy.h"] {
        let (now, old) =
            (std::fs::read(fresh.join(file))?, std::fs::read(c_bindings().join(file))?);
        ensure!(now == old, "`{file}` is not what the contract says: run `cargo xtask policies`");
    }
    Ok(())
}

fn write_c_bindings(directory: &Path) -> Result<()> {
    let wit = shell::root().join("wit");
    let paths = [wit.to_string_lossy(), directory.to_string_lossy()];
    let target_dir = target_dir();
    let run = ["run", "--quiet", "--locked", "--package", "whittle-policy-c-bindings"];
    let args =
        [&run[..], &["--target-dir", &target_dir, "--"], &paths.each_ref().map(|path| &**path)];
    shell::run_in(&shell::root().join("policies"), "cargo", &args.concat())
}

fn c_bindings() -> PathBuf {
    shell::root().join("examples/policies/c/bindings")
}

/// A fixture is never built again: it stands for components that are out there.
fn freeze(version: &str) -> Result<()> {
    let path = shell::root().join(format!("fixtures/policies/released-{version}.wasm"));
    if path.exists() {
        bail!("`{}` is there already, and must stay as it is", path.display());
    }
    compile(&["--package=whittle-policy-minimal"])?;
    Ok(std::fs::write(path, component(&module_of("minimal"))?)?)
}

/// Builds what is shipped.
fn build() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let packages = SHIPPED.map(|name| format!("--package=whittle-policy-{name}"));
    compile(&packages.each_ref().map(String::as_str))?;
    let mut components = Vec::new();
    for name in SHIPPED {
        let component = component(&module_of(name))?;
        let bytes = component.len();
        ensure!(bytes <= MAX_BYTES, "`{name}` has {bytes} bytes; {MAX_BYTES} are the limit");
        components.push((name, component));
    }
    Ok(components)
}

/// A smaller stack than the usual megabyte, in a memory of half a megabyte: what is left is heap, so that a call with a full snapshot need not ask
/// for more, which takes the host longer than all else that it does for a call; and the host has less to look through for what a call has written.
const MEMORY: [&str; 2] = ["-Clink-arg=-zstack-size=131072", "-Clink-arg=--initial-memory=524288"];

/// Compiles core modules whose bytes do not depend on where this is done.
fn compile(what: &[&str]) -> Result<()> {
    let flags = [&remapped_paths()?[..], &MEMORY.map(str::to_owned)].concat().join("\u{1f}");
    let flags = format!("CARGO_ENCODED_RUSTFLAGS={flags}");
    let target_dir = target_dir();
    let release = ["cargo", "build", "--release", "--locked", "--target", POLICY_TARGET];
    let args = [&[flags.as_str()][..], &release, &["--target-dir", &target_dir], what].concat();
    shell::run_in(&shell::root().join("policies"), "env", &args)
}

/// Paths of this machine that panics would tell, and what they tell instead. The standard library's own are as in its
/// binaries, unless its sources are installed.
pub(crate) fn remapped_paths() -> Result<[String; 3]> {
    let rustc =
        |args: &[&str]| -> Result<String> { Ok(String::from_utf8(shell::output("rustc", args)?)?) };
    let version = rustc(&["--version", "--verbose"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let commit = commit.context("rustc does not tell its commit")?;
    let library = Path::new(rustc(&["--print", "sysroot"])?.trim()).join("lib/rustlib/src/rust");
    let home = std::env::var("CARGO_HOME").map(PathBuf::from).ok();
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("no home")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([
        remap(&shell::root().canonicalize()?, "whittle"),
        remap(&home, "cargo"),
        remap(&library, &format!("/rustc/{commit}")),
    ])
}

/// Makes a component of a core module, which must import nothing.
fn component(module: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(module)?;
    let mut encoder = ComponentEncoder::default().validate(true).module(&bytes)?;
    encoder.encode().with_context(|| format!("`{}` is no policy", module.display()))
}

fn target_dir() -> String {
    shell::root().join("target/policies").to_string_lossy().into_owned()
}

/// The core module that was compiled from a crate.
fn module_of(name: &str) -> PathBuf {
    let module = format!("whittle_policy_{}.wasm", name.replace('-', "_"));
    PathBuf::from(target_dir()).join(POLICY_TARGET).join("release").join(module)
}

fn committed(name: &str) -> PathBuf {
    shell::root().join("policies/dist").join(name).with_extension("wasm")
}
