use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use whittle_rollout::{Ending, Phase, Rollout};
use whittle_rollout_store::Ticked;

use super::Clock;
use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::report::Report;
use crate::error::{Error, Result};
use crate::printer::Printer;
use crate::time;

/// Ask the policy what shall happen next, and let it happen within the guard rails.
///
/// Run it whenever a look is due, by hand, from a timer or with `--watch`; several may run at once, and one of them decides. A
/// rollout that does not go on, because it is paused, rolled back or stopped, ends in exit code 8.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// The rollout's file, which names its policy.
    file: PathBuf,

    /// Go on until the rollout is over.
    #[arg(long, conflicts_with = "at")]
    watch: bool,

    #[command(flatten)]
    clock: Clock,
}

#[derive(Serialize)]
struct Tick {
    /// Whether this call decided; else another one has done so since, and the next look is not due.
    decided: bool,
    #[serde(flatten)]
    report: Report,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = RolloutFile::read(&args.file)?.policy()?;
    loop {
        let now_s = args.clock.now_s();
        let mut session = args.rollout.open()?;
        let ticked = session.tick(now_s, &policy)?;
        let rollout = session.rollout();
        let report = Report::of(&args.rollout.name, rollout, now_s);
        let tick = Tick { decided: matches!(ticked, Ticked::Decided(_)), report };
        printer.result(&tick, |tick| tick.report.page())?;
        if !args.watch || matches!(rollout.state().phase(), Phase::Over(_)) {
            return goes_on(args.rollout.name.as_str(), rollout);
        }
        let wait_s = rollout.due_s().saturating_sub(time::now_s()).max(1);
        std::thread::sleep(Duration::from_secs(wait_s));
    }
}

fn goes_on(name: &str, rollout: &Rollout) -> Result {
    match rollout.state().phase() {
        Phase::Waiting | Phase::Running | Phase::Over(Ending::Completed) => Ok(()),
        phase @ (Phase::Paused(_) | Phase::Over(Ending::RolledBack | Ending::Stopped)) => {
            let (rollout, phase) = (name.to_owned(), super::report::phase(phase));
            Err(Error::DoesNotGoOn { rollout, phase })
        }
    }
}
