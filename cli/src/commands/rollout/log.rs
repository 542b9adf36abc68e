use schemars::JsonSchema;
use serde::Serialize;
use whittle_rollout::{Command, Entry, Input, Outcome};

use super::opened::StoreArgs;
use crate::error::Result;
use crate::printer::{Printer, one_line};
use crate::{time, words};

/// Show what happened in a rollout, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// Leave out entries before this one.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    from: u64,

    /// Leave out figures that were counted, and decisions that changed nothing.
    #[arg(long)]
    changes: bool,
}

/// What happened in a rollout.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Shown<'a> {
    /// Name of the rollout.
    rollout: &'a str,
    /// Entries of its log, the oldest first.
    entries: Vec<&'a Entry>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let session = args.rollout.open()?;
    let wanted = |entry: &&Entry| entry.sequence >= args.from && !(args.changes && is_quiet(entry));
    let entries = session.log().entries.iter().filter(wanted).collect();
    let shown = Shown { rollout: args.rollout.name.as_str(), entries };
    printer.result(&shown, |shown| shown.entries.iter().map(|entry| human(entry)).collect())
}

fn is_quiet(entry: &Entry) -> bool {
    match &entry.outcome {
        Outcome::Counted => true,
        Outcome::Decided(decided) => {
            decided.rails.is_empty()
                && matches!(decided.decision, whittle_policy_host::types::Decision::Hold)
        }
        Outcome::Started | Outcome::SetAside(_) | Outcome::Noted => false,
    }
}

fn human(entry: &Entry) -> String {
    let mut text = format!("{:>5}  {}  {}\n", entry.sequence, time::shown(entry.at_s), what(entry));
    if let Outcome::Decided(decided) = &entry.outcome {
        text.extend(
            decided.reasons.iter().map(|reason| format!("       {}", words::reason(reason))),
        );
    }
    text
}

fn what(entry: &Entry) -> String {
    match (&entry.input, &entry.outcome) {
        (Input::Start(terms), _) => format!("started: {}", one_line(&terms.release.name)),
        (_, Outcome::SetAside(problem)) => {
            format!("figures set aside: {}", one_line(&problem.to_string()))
        }
        (Input::Observe(observation), _) => {
            let from_s = observation.from_s;
            format!("figures of {}", time::length(observation.until_s.saturating_sub(from_s)))
        }
        (Input::Command { by, command }, Outcome::Decided(decided)) => {
            let said = words::decision(&decided.decision);
            format!("{} says {}: {}", one_line(by), name(command), one_line(&said))
        }
        (Input::Command { by, command }, _) => {
            format!("{} says {}", one_line(by), name(command))
        }
        (_, Outcome::Decided(decided)) => {
            let by = words::decided_by(decided.by);
            format!("{} (by {by})", one_line(&words::decision(&decided.decision)))
        }
        _ => "noted".to_owned(),
    }
}

fn name(command: &Command) -> String {
    match command {
        Command::Approve(stage) => format!("approve `{}`", one_line(stage)),
        Command::Advance(share) => format!("advance {}", words::percent(*share)),
        Command::Pause(_) => "pause".to_owned(),
        Command::Resume(share) => format!("resume {}", words::percent(*share)),
        Command::RollBack(_) => "roll back".to_owned(),
        Command::Stop => "stop".to_owned(),
        Command::RootCause(cause) => format!("cause {}", words::root_cause(*cause)),
        Command::Recount => "recount".to_owned(),
    }
}
