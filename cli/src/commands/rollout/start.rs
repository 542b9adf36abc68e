use std::path::PathBuf;

use super::Clock;
use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::report::Report;
use crate::error::Result;
use crate::printer::Printer;

/// Start a rollout.
///
/// The terms are fixed from now on: the plan, the policy by the digest of its code, the limits within which it may decide.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// The rollout, in TOML; see `docs/rollouts.md`.
    file: PathBuf,

    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let at_s = args.clock.now_s();
    let file = RolloutFile::read(&args.file)?;
    let policy = file.policy()?;
    let terms = file.terms(at_s, &policy)?;
    for caution in terms.cautions() {
        printer.note(&format!("caution: {caution}"));
    }
    let session = args.rollout.start(&args.file, terms, at_s)?;
    printer.result(&Report::of(&args.rollout.name, session.rollout(), at_s), Report::page)
}
