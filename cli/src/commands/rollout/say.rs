//! What people say.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_fleet::Report as FleetReport;
use whittle_policy_host::types::{
    Decision, Fallback, PauseOrder, RollbackOrder, RootCause, Severity,
};
use whittle_rollout::{Command, Outcome};

use super::drive::{self, Fleet};
use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::{Clock, report};
use crate::error::{Error, Result};
use crate::printer::Printer;
use crate::{time, values, words};

/// Which rollout, who speaks, and when.
#[derive(Debug, clap::Args)]
pub(crate) struct SpeakerArgs {
    #[command(flatten)]
    rollout: StoreArgs,

    /// Who says so, for the log [default: `WHITTLE_OPERATOR`, or the user's name].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Let the fleet follow at once: the rollout's file, whose `[fleet]` says how. Else it follows at the next tick.
    #[arg(long, value_name = "FILE")]
    drive: Option<PathBuf>,

    #[command(flatten)]
    clock: Clock,
}

/// Let a stage that waits for somebody's agreement begin.
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,

    /// Name of the stage.
    stage: String,
}

/// Let a rollout reach a share, although a policy would have to wait.
#[derive(Debug, clap::Args)]
pub(crate) struct AdvanceArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,

    /// Share of the fleet, such as 5%.
    #[arg(value_parser = values::fraction)]
    share: f64,
}

/// Pause a rollout. No policy ends this pause.
#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,

    /// How bad it is.
    #[arg(long, value_enum, default_value = "high")]
    severity: SeverityArg,

    /// How long there is to decide, at most 3d.
    #[arg(long, value_name = "LENGTH", value_parser = time::parse_length, default_value = "1d")]
    within: u32,

    /// What happens if nobody has decided by then: `stop`, `roll-back`, or `resume`.
    #[arg(long, value_enum, default_value = "stop")]
    otherwise: Otherwise,

    /// Ask updated devices for more telemetry.
    #[arg(long)]
    more_telemetry: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SeverityArg {
    /// Watch it.
    Low,
    /// Elevated, but the devices work.
    Moderate,
    /// To be looked into at once.
    High,
    /// Devices fail, or people are in danger.
    Critical,
}

impl From<SeverityArg> for Severity {
    fn from(severity: SeverityArg) -> Self {
        match severity {
            SeverityArg::Low => Self::Low,
            SeverityArg::Moderate => Self::Moderate,
            SeverityArg::High => Self::High,
            SeverityArg::Critical => Self::Critical,
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Otherwise {
    /// It is given up; devices keep what they have.
    Stop,
    /// All devices go back, and the build is quarantined.
    RollBack,
    /// It goes on to the share that it had.
    Resume,
}

/// Note what is known about the cause of a pause.
#[derive(Debug, clap::Args)]
pub(crate) struct CauseArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,

    /// What was found.
    #[arg(value_enum)]
    cause: CauseArg,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CauseArg {
    /// Nobody knows yet.
    Unknown,
    /// It is small enough to go on with.
    FoundMinor,
    /// It is not.
    FoundMajor,
}

/// End a pause.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,

    /// Share of the fleet that it may reach then, such as 5% [default: the one that it had].
    #[arg(value_parser = values::fraction)]
    share: Option<f64>,
}

/// Take devices back to the old firmware.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,

    /// Group whose devices go back, such as hw=C; may be given several times [default: all devices].
    #[arg(long = "group", value_name = "LABEL")]
    groups: Vec<String>,

    /// Never offer this build again, in any rollout.
    #[arg(long)]
    quarantine: bool,
}

/// Give a rollout up, and leave devices as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,
}

/// Count devices anew, because numbers that never fall have fallen rightly.
#[derive(Debug, clap::Args)]
pub(crate) struct RecountArgs {
    #[command(flatten)]
    speaker: SpeakerArgs,
}

/// What a person said to a rollout, and what came of it.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Said {
    /// Name of the rollout.
    rollout: String,
    /// Who said it.
    by: String,
    /// Place of the entry in the rollout's log, from 0.
    sequence: u64,
    /// What the rollout is doing now.
    #[schemars(extend("enum" = report::PHASES))]
    phase: &'static str,
    /// Share of the fleet, from 0 to 1, that the rollout may reach now.
    share_limit: f64,
    /// What was decided; none if it was only noted.
    decision: Option<Decision>,
    /// What was done to the fleet, if it was to follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetReport>,
}

pub(crate) fn approve(args: &ApproveArgs, printer: &Printer) -> Result {
    say(&args.speaker, printer, |_| Command::Approve(args.stage.clone()))
}

pub(crate) fn advance(args: &AdvanceArgs, printer: &Printer) -> Result {
    say(&args.speaker, printer, |_| Command::Advance(args.share))
}

pub(crate) fn pause(args: &PauseArgs, printer: &Printer) -> Result {
    let order = |share| PauseOrder {
        severity: args.severity.into(),
        decide_within: args.within,
        otherwise: match args.otherwise {
            Otherwise::Stop => Fallback::Stop,
            Otherwise::RollBack => {
                Fallback::RollBack(RollbackOrder { groups: vec![], quarantine: true })
            }
            Otherwise::Resume => Fallback::Resume(share),
        },
        more_telemetry: args.more_telemetry,
    };
    if args.within == 0 || args.within > whittle_rollout::LONGEST_PAUSE_S {
        return Err(Error::Usage("`--within`: wanted 1s to 3d".to_owned()));
    }
    say(&args.speaker, printer, |share| Command::Pause(order(share)))
}

pub(crate) fn cause(args: &CauseArgs, printer: &Printer) -> Result {
    let cause = match args.cause {
        CauseArg::Unknown => RootCause::Unknown,
        CauseArg::FoundMinor => RootCause::FoundMinor,
        CauseArg::FoundMajor => RootCause::FoundMajor,
    };
    say(&args.speaker, printer, |_| Command::RootCause(cause))
}

pub(crate) fn resume(args: &ResumeArgs, printer: &Printer) -> Result {
    say(&args.speaker, printer, |share| Command::Resume(args.share.unwrap_or(share)))
}

pub(crate) fn rollback(args: &RollbackArgs, printer: &Printer) -> Result {
    let order = RollbackOrder { groups: args.groups.clone(), quarantine: args.quarantine };
    say(&args.speaker, printer, |_| Command::RollBack(order.clone()))
}

pub(crate) fn stop(args: &StopArgs, printer: &Printer) -> Result {
    say(&args.speaker, printer, |_| Command::Stop)
}

pub(crate) fn recount(args: &RecountArgs, printer: &Printer) -> Result {
    say(&args.speaker, printer, |_| Command::Recount)
}

/// Says a command, made from the share that the rollout may reach by now.
fn say(args: &SpeakerArgs, printer: &Printer, command: impl Fn(f64) -> Command) -> Result {
    let by = args.by.clone().map_or_else(operator, Ok)?;
    if by.trim().is_empty() {
        return Err(Error::Usage("`--by` is empty: who are you?".to_owned()));
    }
    let file = args.drive.as_ref().map(|file| RolloutFile::read(file)).transpose()?;
    let fleet = file.as_ref().map(RolloutFile::must_drive).transpose()?;
    let mut session = args.rollout.open()?;
    if let Some(file) = &file {
        file.must_be_of(&args.rollout.name, session.rollout().state().terms())?;
    }
    let command = command(session.rollout().state().share_limit());
    let entry = session.command(args.clock.now_s(), &by, &command)?;
    let state = session.rollout().state();
    let (phase, share_limit) = (report::phase(state.phase()), state.share_limit());
    let follow = |fleet: &Fleet| fleet.follow(&mut session, &args.rollout, args.clock, printer);
    let (fleet, failure) = drive::parted(fleet.as_ref().map(follow));
    let said = Said {
        rollout: args.rollout.name.to_string(),
        by,
        sequence: entry.sequence,
        phase,
        share_limit,
        decision: match &entry.outcome {
            Outcome::Decided(decided) => Some(decided.decision.clone()),
            _ => None,
        },
        fleet,
    };
    printer.result(&said, |said| {
        let what = said.decision.as_ref().map_or_else(|| "noted".to_owned(), words::decision);
        let share = words::percent(said.share_limit);
        let fleet = drive::lines(said.fleet.as_ref());
        format!("{what}\n{} {}, up to {share} of the fleet{fleet}", said.rollout, said.phase)
    })?;
    failure.map_or(Ok(()), Err)
}

/// Who sits at this terminal.
fn operator() -> Result<String> {
    let names = ["WHITTLE_OPERATOR", "USER", "LOGNAME", "USERNAME"];
    let name =
        names.iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    name.ok_or_else(|| {
        Error::Usage(
            "nobody is named who says so: say who you are with `--by`, or in `WHITTLE_OPERATOR`"
                .to_owned(),
        )
    })
}
