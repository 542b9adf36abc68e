use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_fleet::Report as FleetReport;
use whittle_policy_host::Policy;
use whittle_rollout::{Ending, Phase, Rollout};
use whittle_rollout_store::{Session, Ticked};

use super::Clock;
use super::drive::{self, Fleet};
use super::figures::Figures;
use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::report::Report;
use crate::error::{self, Error, Result};
use crate::printer::Printer;
use crate::time;

/// With `--watch`, what people have said reaches the fleet after so long.
const LOOK: Duration = Duration::from_secs(10);

/// Ask the policy what shall happen next, and let it happen within the guard rails.
///
/// Figures are read first, if the file says where. Run it whenever a look is due, by hand, from a timer or with `--watch`; several may run at once, and one of them decides. The fleet
/// follows if the file says how. A rollout that does not go on, because it is paused, rolled back or stopped, ends in exit code 8.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// The rollout's file, which names its policy.
    file: PathBuf,

    /// Go on until the rollout is over. Between two looks the fleet follows what people say within 10 s.
    #[arg(long, conflicts_with = "at")]
    watch: bool,

    #[command(flatten)]
    clock: Clock,
}

/// A look at a rollout, and what it is like after it.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Tick {
    /// Whether this call decided; else another one has done so since, and the next look is not due.
    decided: bool,
    #[serde(flatten)]
    report: Report,
    /// What was done to the fleet, if the file says how.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetReport>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let file = RolloutFile::read(&args.file)?;
    let written =
        Written { policy: file.policy(printer)?, figures: file.figures(), fleet: file.fleet() };
    {
        let session = args.rollout.open()?;
        file.must_be_of(&args.rollout.name, session.rollout().state().terms())?;
    }
    if args.watch {
        return watch(args, &written, printer);
    }
    let ticked = tick(args, &written, printer)?;
    ticked.failure.map_or(Ok(()), Err)?;
    goes_on(args.rollout.name.as_str(), &ticked.rollout)
}

/// What the rollout's file says.
struct Written {
    policy: Policy,
    figures: Option<Figures>,
    fleet: Option<Fleet>,
}

/// What a look has led to.
struct Looked {
    rollout: Rollout,
    /// Why the fleet does not follow, if it should.
    failure: Option<Error>,
    /// Whether its server is still at something.
    is_unfinished: bool,
}

fn tick(args: &Args, written: &Written, printer: &Printer) -> Result<Looked> {
    let now_s = args.clock.now_s();
    let mut session = args.rollout.open()?;
    let is_over = matches!(session.rollout().state().phase(), Phase::Over(_));
    if let Some(figures) = written.figures.as_ref().filter(|_| !is_over) {
        look(figures, &mut session, now_s, printer)?;
    }
    // There is nothing to decide any more, but the fleet may still have to follow.
    let decided = !is_over && matches!(session.tick(now_s, &written.policy)?, Ticked::Decided(_));
    let rollout = session.rollout().clone();
    let follow = |fleet: &Fleet| fleet.follow(&mut session, &args.rollout, args.clock, printer);
    let (fleet, failure) = drive::parted(written.fleet.as_ref().map(follow));
    let is_unfinished = fleet.as_ref().is_some_and(|fleet| !fleet.unfinished.is_empty());
    let report = Report::of(&args.rollout.name, &rollout, now_s);
    printer.result(&Tick { decided, report, fleet }, |tick| {
        tick.report.page() + &drive::lines(tick.fleet.as_ref())
    })?;
    Ok(Looked { rollout, failure, is_unfinished })
}

/// Reads figures. If there are none the rollout is looked at all the same: it holds, and does what is overdue.
fn look(figures: &Figures, session: &mut Session, now_s: u64, printer: &Printer) -> Result {
    match figures.take(session, now_s) {
        Ok(taken) => {
            taken.tell(printer);
            if let Some(problem) = taken.problem {
                printer.note(&format!("caution: the figures are set aside: {problem}"));
            }
            Ok(())
        }
        Err(error @ (Error::Unread(_) | Error::BadSource(_))) => {
            printer.note(&format!("caution: {}", error::chain(&error)));
            Ok(())
        }
        Err(other) => Err(other),
    }
}

fn watch(args: &Args, written: &Written, printer: &Printer) -> Result {
    loop {
        let mut looked = match tick(args, written, printer) {
            Err(error) if error.may_pass() => {
                pause(&error, printer);
                continue;
            }
            looked => looked?,
        };
        loop {
            let is_over = matches!(looked.rollout.state().phase(), Phase::Over(_));
            if let Some(failure) = &looked.failure {
                let why = error::chain(failure);
                printer.note(&format!("{why}; tried again in {} s", LOOK.as_secs()));
            } else if is_over && !looked.is_unfinished {
                return goes_on(args.rollout.name.as_str(), &looked.rollout);
            }
            let wait_s = looked.rollout.due_s().saturating_sub(time::now_s());
            if wait_s == 0 && !is_over {
                break;
            }
            std::thread::sleep(LOOK.min(Duration::from_secs(wait_s.max(1))));
            match between(args, &looked, written.fleet.as_ref(), printer) {
                Err(error) if error.may_pass() => pause(&error, printer),
                next => looked = next?,
            }
        }
    }
}

/// Says why nothing can be done for the moment, and waits.
fn pause(error: &Error, printer: &Printer) {
    printer.note(&format!("{}; tried again in {} s", error::chain(error), LOOK.as_secs()));
    std::thread::sleep(LOOK);
}

/// What people have said since the last look, or what was left of it, reaches the fleet.
fn between(
    args: &Args,
    before: &Looked,
    fleet: Option<&Fleet>,
    printer: &Printer,
) -> Result<Looked> {
    let mut session = args.rollout.open()?;
    let is_new = *session.rollout() != before.rollout;
    let rollout = session.rollout().clone();
    let Some(fleet) = fleet.filter(|_| is_new || before.failure.is_some() || before.is_unfinished)
    else {
        return Ok(Looked { rollout, failure: None, is_unfinished: false });
    };
    let followed = fleet.follow(&mut session, &args.rollout, args.clock, printer);
    let (followed, failure) = drive::parted(Some(followed));
    let is_unfinished = followed.as_ref().is_some_and(|report| !report.unfinished.is_empty());
    if let Some(followed) = followed.filter(|report| !report.changed.is_empty()) {
        printer.note(drive::lines(Some(&followed)).trim());
    }
    Ok(Looked { rollout, failure, is_unfinished })
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
