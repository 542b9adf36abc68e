pub(super) mod backtest;
pub(super) mod drive;
mod figures;
mod file;
pub(super) mod log;
pub(super) mod observe;
mod opened;
pub(super) mod plan;
pub(super) mod replay;
pub(super) mod report;
pub(super) mod say;
pub(super) mod start;
mod status;
pub(super) mod tick;
mod what_if;

use crate::error::Result;
use crate::printer::Printer;
use crate::time;

/// Roll a release out, stage by stage: see, pause, resume, roll back, explain.
///
/// Each rollout is a log in a store, a file of SQLite or a PostgreSQL server, that only ever grows. Figures come in by `observe`,
/// `tick` asks the policy what shall happen next, and people have the last word.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Plan(Box<plan::Args>),
    Start(start::Args),
    Observe(observe::Args),
    Tick(tick::Args),
    Drive(drive::Args),
    Status(status::Args),
    Approve(say::ApproveArgs),
    Advance(say::AdvanceArgs),
    Pause(say::PauseArgs),
    Cause(say::CauseArgs),
    Resume(say::ResumeArgs),
    Rollback(say::RollbackArgs),
    Stop(say::StopArgs),
    Recount(say::RecountArgs),
    Log(log::Args),
    Replay(replay::Args),
    Backtest(backtest::Args),
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::Plan(args) => plan::run(args, printer),
        Command::Start(args) => start::run(args, printer),
        Command::Observe(args) => observe::run(args, printer),
        Command::Tick(args) => tick::run(args, printer),
        Command::Drive(args) => drive::run(args, printer),
        Command::Status(args) => status::run(args, printer),
        Command::Approve(args) => say::approve(args, printer),
        Command::Advance(args) => say::advance(args, printer),
        Command::Pause(args) => say::pause(args, printer),
        Command::Cause(args) => say::cause(args, printer),
        Command::Resume(args) => say::resume(args, printer),
        Command::Rollback(args) => say::rollback(args, printer),
        Command::Stop(args) => say::stop(args, printer),
        Command::Recount(args) => say::recount(args, printer),
        Command::Log(args) => log::run(args, printer),
        Command::Replay(args) => replay::run(args, printer),
        Command::Backtest(args) => backtest::run(args, printer),
    }
}

/// What time it is.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Clock {
    /// Act as at this time instead of now: seconds from 1970, or such as 2026-11-26T12:00:00Z. Neither before the last entry nor in the
    /// future.
    #[arg(long, value_name = "TIME", value_parser = time::parse_past)]
    at: Option<u64>,
}

impl Clock {
    pub(crate) fn now_s(self) -> u64 {
        self.at.unwrap_or_else(time::now_s)
    }
}
