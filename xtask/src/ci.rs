//! Everything that must hold before a change lands.

use anyhow::Result;

use crate::{bare_device, calculators, measured, mutants, package, policies, setup, shell, tidy};

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    shell::run("cargo", &["fmt", "--all", "--check"])?;
    let workspaces = [
        "benches",
        "examples/decode-bench",
        "examples/device",
        "examples/embassy",
        "examples/mps2",
        "examples/receiver",
        "examples/rtic",
        "tests/bare-device",
        "tests/embassy-comparison",
    ];
    for alone in workspaces {
        shell::run_in(&shell::root().join(alone), "cargo", &["fmt", "--check"])?;
    }
    let locked = ["--workspace", "--locked", "--all-targets"];
    shell::run(
        "cargo",
        &[
            &["clippy"][..],
            &locked,
            &["--features", "whittle-delta/encode", "--", "-D", "warnings"],
        ]
        .concat(),
    )?;
    // The variable is set for the call alone: set for good, it would rebuild everything.
    shell::run(
        "env",
        &["RUSTDOCFLAGS=-D warnings", "cargo", "doc", "--workspace", "--locked", "--no-deps"],
    )?;
    tidy::run()?;
    mutants::check()?;
    policies::check()?;
    calculators::check()?;
    check_frameworks()?;
    bare_device::check()?;
    measured::check()?;
    package::check()?;
    shell::run(
        "cargo",
        &["test", "--workspace", "--locked", "--features", "whittle-delta/encode"],
    )?;
    check_embassy_comparison()?;
    shell::run("fixtures/thermostat/build.sh", &["--check"])
}

/// The thermostat under embassy and RTIC; their tests run it.
fn check_frameworks() -> Result<()> {
    for example in ["embassy", "rtic"] {
        let directory = shell::root().join("examples").join(example);
        let clippy = ["clippy", "--quiet", "--release", "--locked", "--bins", "--features", "two"];
        let in_target =
            ["--target-dir", &format!("../../target/{example}"), "--", "-D", "warnings"];
        shell::run_in(&directory, "cargo", &[&clippy[..], &in_target].concat())?;
    }
    Ok(())
}

/// The adapter for embassy-boot, against embassy-boot.
fn check_embassy_comparison() -> Result<()> {
    let directory = shell::root().join("tests/embassy-comparison");
    let in_target = ["--target-dir", "../../target/embassy-comparison"];
    let clippy = ["clippy", "--locked", "--all-targets"];
    let deny = ["--", "-D", "warnings"];
    shell::run_in(&directory, "cargo", &[&clippy[..], &in_target, &deny].concat())?;
    shell::run_in(&directory, "cargo", &[&["test", "--locked"][..], &in_target].concat())
}
