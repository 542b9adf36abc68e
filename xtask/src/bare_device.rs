//! The device side with nothing around it: it links without a panic, and keeps within its budget of flash.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::measure::footprint;
use crate::shell;

/// Targets that it is linked for; it is weighed for the first one.
pub(crate) const TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "riscv32imc-unknown-none-elf"];

/// What a program calls where it panics, and nobody defines.
const PANIC: &str = "device_code_can_panic";

/// What is weighed: the name of its budget, and features.
pub(crate) const WEIGHED: [(&str, &str); 3] = [
    ("two-slots", ""),
    ("two-slots-ed25519", "ed25519"),
    ("two-slots-ed25519-keys", "ed25519 key-documents"),
];

/// Links whatever device code there is, and weighs what a device with two slots needs.
pub(crate) fn check() -> Result<()> {
    for target in TARGETS {
        build("everything", target, "in-place key-documents large stored").context(
            "device code can panic: `tests/bare-device/README.md` tells how to find where",
        )?;
        // A check that cannot fail is none.
        match build("everything", target, "in-place key-documents large stored deliberate-panic") {
            Ok(_) => bail!("a panic goes unnoticed on {target}"),
            Err(error) => ensure!(format!("{error:#}").contains(PANIC), error),
        }
    }
    check_budgets()
}

fn check_budgets() -> Result<()> {
    let budgets = std::fs::read(directory().join("budgets.json"))?;
    let budgets: BTreeMap<String, u64> = serde_json::from_slice(&budgets)?;
    for (name, features) in WEIGHED {
        let budget = *budgets.get(name).with_context(|| format!("`{name}` has no budget"))?;
        let (flash, _) = weigh(features)?;
        eprintln!("{name}: {flash} bytes of flash, budget {budget}");
        ensure!(flash <= budget, "`{name}` takes {flash} bytes of flash, its budget is {budget}");
    }
    Ok(())
}

/// Bytes of flash and of static RAM that a device with two slots needs.
pub(crate) fn weigh(features: &str) -> Result<(u64, u64)> {
    let [target, ..] = TARGETS;
    footprint::of(&build("two-slots", target, features)?)
}

/// Builds a program and returns its ELF file.
fn build(program: &str, target: &str, features: &str) -> Result<PathBuf> {
    let target_dir = shell::root().join("target/bare-device");
    let args = ["build", "--quiet", "--release", "--locked", "--bin", program, "--target", target];
    let more = ["--features", features, "--target-dir", &target_dir.to_string_lossy()];
    shell::output_in(&directory(), "cargo", &[&args[..], &more].concat())?;
    Ok(target_dir.join(target).join("release").join(program))
}

fn directory() -> PathBuf {
    shell::root().join("tests/bare-device")
}
