//! Policies in time: in a program of its own, so that `xtask` need not be built with wasmtime.

use anyhow::Result;

use crate::shell;

pub(crate) fn run() -> Result<()> {
    let package = ["--package", "whittle-policy-host", "--example", "measure"];
    shell::run("cargo", &[&["run", "--release", "--locked"][..], &package].concat())
}
