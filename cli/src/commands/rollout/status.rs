use std::io::IsTerminal;
use std::time::Duration;

use whittle_rollout::Phase;

use super::Clock;
use super::opened::StoreArgs;
use super::report::Report;
use crate::error::{self, Result};
use crate::printer::Printer;

/// Show what a rollout is like now.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// Show it again every few seconds until the rollout is over.
    #[arg(long)]
    watch: bool,

    /// Seconds between two looks with `--watch`.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,

    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    loop {
        let session = match args.rollout.open() {
            Err(error) if args.watch && error.may_pass() => {
                printer.note(&error::chain(&error));
                std::thread::sleep(Duration::from_secs(args.every));
                continue;
            }
            session => session?,
        };
        let rollout = session.rollout();
        // A page in the place of the one before; a file gets one page after the other.
        if args.watch && !printer.is_json() && std::io::stdout().is_terminal() {
            printer.clear()?;
        }
        let report = Report::of(&args.rollout.name, rollout, args.clock.now_s());
        printer.result(&report, Report::page)?;
        if !args.watch || matches!(rollout.state().phase(), Phase::Over(_)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(args.every));
    }
}
