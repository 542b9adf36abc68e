//! Takes the barriers of the device code away, one at a time, and wants a test to fail each time.
//!
//! Each file in `tests/mutants` says what it takes away, names the tests that must see it in a line `Tests: FILTER`, and
//! ends in a patch.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{root, run, run_in};

struct Mutant {
    name: String,
    patch: PathBuf,
    tests: String,
}

/// Checks that every patch still fits the code.
pub(crate) fn check() -> Result<()> {
    for mutant in list()? {
        run("git", &["apply", "--check", &path(&mutant.patch)])?;
    }
    Ok(())
}

/// Runs the tests against each mutant, in a clone of what is committed.
pub(crate) fn run_all(only: Option<&str>) -> Result<()> {
    let directory = root().join("target/mutants");
    let tree = directory.join("tree");
    if tree.exists() {
        std::fs::remove_dir_all(&tree).context("cannot remove the old clone")?;
    }
    std::fs::create_dir_all(&directory).context("cannot make a directory for the clone")?;
    run("git", &["clone", "--quiet", ".", &path(&tree)])?;
    let mut survivors = Vec::new();
    let mutants = list()?;
    let wanted = |mutant: &&Mutant| only.is_none_or(|only| mutant.name.contains(only));
    println!("mutant                                    tests");
    for mutant in mutants.iter().filter(wanted) {
        run_in(&tree, "git", &["checkout", "--quiet", "."])?;
        run_in(&tree, "git", &["apply", &path(&mutant.patch)])?;
        let verdict = if !test(&tree, &mutant.tests, true)? {
            survivors.push(mutant.name.as_str());
            "it does not build"
        } else if test(&tree, &mutant.tests, false)? {
            survivors.push(mutant.name.as_str());
            "PASS: nobody sees it"
        } else {
            "fail, as they should"
        };
        println!("{:<40}  {}: {verdict}", mutant.name, mutant.tests);
    }
    ensure!(survivors.is_empty(), "no test sees {}", survivors.join(", "));
    Ok(())
}

/// Whether the tests pass, or build if that is all that is asked.
fn test(tree: &Path, filter: &str, build_only: bool) -> Result<bool> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--package", "whittle-tests", "--test", "system"]);
    if build_only {
        cargo.arg("--no-run");
    }
    // Emulated processors take long, and see no more.
    cargo
        .args([filter, "--", "--skip", "qemu"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", root().join("target/mutants/build"));
    // What a mutant breaks is not worth reading.
    let output = cargo.output().context("cannot run `cargo`")?;
    let ran = String::from_utf8_lossy(&output.stdout);
    ensure!(build_only || !ran.contains("running 0 tests"), "no test has `{filter}` in its name");
    Ok(output.status.success())
}

fn list() -> Result<Vec<Mutant>> {
    let directory = root().join("tests/mutants");
    let mut mutants = Vec::new();
    let files = std::fs::read_dir(&directory).context("cannot read `tests/mutants`")?;
    for file in files {
        let patch = file.context("cannot read `tests/mutants`")?.path();
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&patch).context("cannot read a mutant")?;
        let Some(tests) = text.lines().find_map(|line| line.strip_prefix("Tests: ")) else {
            bail!("mutant `{name}` names no tests");
        };
        mutants.push(Mutant { name, patch, tests: tests.to_owned() });
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
