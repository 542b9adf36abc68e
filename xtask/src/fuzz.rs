//! Looks for inputs that break what `fuzz/` says, with libFuzzer.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use crate::shell::{self, root};

/// What drives libFuzzer; it needs a nightly compiler.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";

/// What an input may take before it counts as a finding: memory in MiB, and seconds.
const LIMITS: [&str; 2] = ["-rss_limit_mb=2048", "-timeout=30"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    minutes: u64,

    /// Leave out the targets that take minutes to build.
    #[arg(long)]
    without_hosts: bool,

    /// Only targets with this in their name.
    only: Option<String>,
}

/// Runs each target, as many at a time as there are processors.
pub(crate) fn run(args: &Args) -> Result<()> {
    install()?;
    let features = if args.without_hosts { &["--no-default-features"][..] } else { &[] };
    let build = ["+nightly", "fuzz", "build", "--features", "libfuzzer"];
    let target_dir = ["--target-dir", "target/fuzz"];
    shell::run("cargo", &[&build[..], features, &target_dir].concat())?;
    let wanted = |name: &String| args.only.as_ref().is_none_or(|only| name.contains(only));
    let names: Vec<String> = targets(args.without_hosts)?.into_iter().filter(wanted).collect();
    ensure!(!names.is_empty(), "no target has that in its name");
    let outcomes: Vec<Option<String>> =
        names.par_iter().map(|name| find(name, args.minutes)).collect::<Result<_>>()?;
    let findings: Vec<String> = outcomes.into_iter().flatten().collect();
    ensure!(
        findings.is_empty(),
        "findings, to be put into `fuzz/corpus` with the fix: {findings:?}"
    );
    Ok(())
}

fn install() -> Result<()> {
    if shell::output("cargo", &["+nightly", "--version"]).is_err() {
        shell::run("rustup", &["toolchain", "install", "nightly", "--profile", "minimal"])?;
    }
    if shell::output("cargo", &["+nightly", "fuzz", "--version"]).is_err() {
        shell::run("cargo", &["install", "--locked", CARGO_FUZZ])?;
    }
    Ok(())
}

/// The targets that are there; each has a program of its own.
fn targets(without_hosts: bool) -> Result<Vec<String>> {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml"))?;
    let programs = manifest.split("[[bin]]").skip(1);
    let wanted = programs.filter(|program| !(without_hosts && program.contains("\"hosts\"")));
    let name = |program: &str| program.split('"').nth(1).map(str::to_owned);
    wanted.map(|program| name(program).context("a program has a name")).collect()
}

/// Runs a target; what it has found is in the directory that is returned.
fn find(name: &str, minutes: u64) -> Result<Option<String>> {
    let [found, grown] = ["artifacts", "corpus"].map(|kind| place(kind).join(name));
    for directory in [&found, &grown] {
        std::fs::create_dir_all(directory)?;
    }
    let log = std::fs::File::create(place("logs").join(format!("{name}.txt")))?;
    let status = Command::new(program(name)?)
        .arg(format!("-max_total_time={}", minutes.saturating_mul(60)))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(LIMITS)
        // What is new goes into the first one.
        .args([grown, root().join("fuzz/corpus").join(name)])
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("cannot run `{name}`"))?;
    let verdict = if status.success() { "nothing found" } else { "FOUND" };
    println!("{name:<22} {verdict}");
    Ok((!status.success()).then(|| found.display().to_string()))
}

fn place(kind: &str) -> PathBuf {
    let place = root().join("target/fuzz").join(kind);
    // Where it cannot be made, what is written there fails with its name.
    let _ = std::fs::create_dir_all(&place);
    place
}

/// Where cargo-fuzz puts what it builds: below the name of the host's target.
fn program(name: &str) -> Result<PathBuf> {
    let version = shell::output("rustc", &["+nightly", "-vV"])?;
    let version = String::from_utf8(version)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc tells its host")?;
    Ok(root().join("target/fuzz").join(host).join("release").join(name))
}
