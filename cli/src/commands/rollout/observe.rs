use std::path::PathBuf;

use whittle_rollout::{Observation, Outcome};

use super::Clock;
use super::opened::StoreArgs;
use super::report::Report;
use crate::commands::policy;
use crate::error::{Error, Result};
use crate::printer::Printer;

/// Take figures from the fleet into a rollout.
///
/// Figures are taken as a whole, or set aside as a whole if anything about them cannot be; then nothing goes on until better ones
/// come, and the exit code is 4.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// What was gathered, as JSON; see `docs/rollouts.md`.
    figures: PathBuf,

    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let at_s = args.clock.now_s();
    let figures: Observation = policy::read_json("record of figures", &args.figures)?;
    let mut session = args.rollout.open()?;
    let entry = session.observe(at_s, &figures)?;
    printer.result(&Report::of(&args.rollout.name, session.rollout(), at_s), Report::page)?;
    match entry.outcome {
        Outcome::SetAside(problem) => Err(Error::SetAside(problem)),
        _ => Ok(()),
    }
}
