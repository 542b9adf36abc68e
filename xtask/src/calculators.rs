//! The calculators' formulas for their page: built from `calculators/page`, and committed, so that nobody needs the target to use them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;

use crate::policies::remapped_paths;
use crate::{setup::POLICY_TARGET, shell};

/// Most bytes of the module, of which a page carries four thirds as text.
const MAX_BYTES: usize = 320 * 1024;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Write nothing: compare every byte with what is committed.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    let module = build()?;
    println!("{} bytes", module.len());
    Ok(std::fs::write(committed(), module)?)
}

pub(crate) fn check() -> Result<()> {
    let module = build()?;
    let is_current = std::fs::read(committed()).is_ok_and(|old| old == module);
    ensure!(
        is_current,
        "`calculators/page/dist/calculators.wasm` is not what its sources say: run `cargo xtask calculators`"
    );
    Ok(())
}

/// Compiles the module, whose bytes do not depend on where this is done.
fn build() -> Result<Vec<u8>> {
    let flags = [&remapped_paths()?[..], &["-Cstrip=symbols".to_owned()]].concat().join("\u{1f}");
    let flags = format!("CARGO_ENCODED_RUSTFLAGS={flags}");
    let target_dir = shell::root().join("target/calculators");
    let build = ["cargo", "build", "--locked", "--profile", "firmware", "--target", POLICY_TARGET];
    let directory = target_dir.to_string_lossy();
    let what = ["--package", "whittle-calculators-page", "--target-dir", &directory];
    let args = [&[&*flags][..], &build, &what].concat();
    shell::run("env", &args)?;
    let module = target_dir.join(POLICY_TARGET).join("firmware/whittle_calculators_page.wasm");
    let module = std::fs::read(module)?;
    let bytes = module.len();
    ensure!(bytes <= MAX_BYTES, "the calculators have {bytes} bytes; {MAX_BYTES} are the limit");
    Ok(module)
}

fn committed() -> PathBuf {
    shell::root().join("calculators/page/dist/calculators.wasm")
}
