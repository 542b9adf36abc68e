//! Everything that must hold before a change lands.

use anyhow::Result;

use crate::{setup, shell, tidy};

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    shell::run("cargo", &["fmt", "--all", "--check"])?;
    for alone in ["benches", "examples/decode-bench", "examples/receiver"] {
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
    shell::run(
        "cargo",
        &["test", "--workspace", "--locked", "--features", "whittle-delta/encode"],
    )?;
    shell::run("fixtures/thermostat/build.sh", &["--check"])
}
