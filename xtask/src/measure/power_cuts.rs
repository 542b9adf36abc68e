//! What power cuts leave of simulated devices: the sweeps of the system tests, without their limits.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{print_table, row};
use crate::shell::root;

/// How the tests begin the lines that tell what they did.
const LINE: &str = "power cuts: ";

pub(crate) fn run() -> Result<()> {
    let tests = ["test", "--quiet", "--release", "--package", "whittle-tests", "--test", "system"];
    let output = Command::new("cargo")
        .args(tests)
        .args(["power_cuts", "--", "--nocapture"])
        .current_dir(root())
        .env("WHITTLE_THOROUGH", "1")
        .output()
        .context("cannot run `cargo`")?;
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "power cuts have bricked a device:\n{out}\n{error}");
    let mut rows = vec![row([&"device and cuts", &"cuts", &"boots", &"bricks"])];
    let mut cuts = 0u64;
    for line in out.lines().filter_map(|line| line.split_once(LINE).map(|(_, line)| line)) {
        let (what, counts) = line.rsplit_once(": ").context("a line without counts")?;
        let numbers: Vec<u64> =
            counts.split(", ").filter_map(|count| count.split_once(' ')?.0.parse().ok()).collect();
        let [made, boots, bricks] = numbers[..] else { continue };
        cuts += made;
        rows.push(row([&what, &made, &boots, &bricks]));
    }
    print_table(&rows);
    ensure!(rows.len() > 1, "the tests told nothing");
    println!("power_cuts={cuts} bricks=0");
    Ok(())
}
