//! Power cuts under embassy-boot: `tests/embassy-comparison`, which prints its own table and figures.

use anyhow::Result;

use crate::shell;

pub(crate) fn run() -> Result<()> {
    let directory = shell::root().join("tests/embassy-comparison");
    let args = ["run", "--quiet", "--locked", "--target-dir", "../../target/embassy-comparison"];
    shell::run_in(&directory, "cargo", &args)
}
