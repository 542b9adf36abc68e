//! Does to the fleet what a rollout orders.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_fleet::{Campaign, Change, ChangeKind, DriverConfig, Report, Surroundings};
use whittle_rollout::Rollout;
use whittle_rollout_store::{RolloutName, Session};

use super::Clock;
use super::file::RolloutFile;
use super::opened::StoreArgs;
use crate::error::{Error, Result};
use crate::printer::{Printer, one_line};
use crate::time;

/// How long to wait for somebody else who drives the same fleet.
const PATIENCE: Duration = Duration::from_secs(300);

/// Do to the fleet what a rollout orders now, as far as it has not been done.
///
/// `start` and `tick` do so by themselves, and with `--drive` whatever people say. May be repeated at any time: what is there already is
/// left alone, and what was interrupted goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// The rollout's file, whose `[fleet]` says how its devices are reached.
    file: PathBuf,

    #[command(flatten)]
    clock: Clock,
}

/// What was done to the fleet of a rollout.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Driven<'a> {
    /// Name of the rollout.
    rollout: &'a str,
    /// What was done.
    fleet: Report,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let file = RolloutFile::read(&args.file)?;
    let fleet = file.must_drive()?;
    let mut session = args.rollout.open()?;
    file.must_be_of(&args.rollout.name, session.rollout().state().terms())?;
    let report = fleet.follow(&mut session, &args.rollout, args.clock, printer)?;
    let driven = Driven { rollout: args.rollout.name.as_str(), fleet: report };
    printer.result(&driven, |driven| page(&driven.fleet))
}

/// How the devices of a rollout are reached.
#[derive(Debug)]
pub(super) struct Fleet(pub(super) DriverConfig);

impl Fleet {
    /// Whether a driver can be made of it, and can do anything for the rollout; asks no server.
    pub(super) fn check(&self, name: &RolloutName, rollout: &Rollout) -> Result {
        let campaign = Campaign::of(name.as_str(), rollout);
        self.0.open(&Here).and_then(|driver| driver.check(&campaign)).map_err(Error::Fleet)
    }

    /// Makes the fleet follow a rollout's orders of now, after whoever does so already.
    pub(super) fn follow(
        &self,
        session: &mut Session,
        rollout: &StoreArgs,
        clock: Clock,
        printer: &Printer,
    ) -> Result<Report> {
        let mut driver = self.0.open(&Here).map_err(Error::Fleet)?;
        let mut is_told = false;
        let wait = |waited| {
            if waited > PATIENCE {
                return Err(Error::FleetBusy(PATIENCE.as_secs()));
            }
            if !is_told {
                printer.note("waits for another process that drives this fleet");
                is_told = true;
            }
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        };
        let mut changed = vec![];
        let report = session.drive(wait, |orders_of| {
            let orders = orders_of.orders(clock.now_s());
            let campaign = Campaign::of(rollout.name.as_str(), orders_of);
            let mut report = driver.apply(&orders, &campaign).map_err(Error::Fleet)?;
            changed.append(&mut report.changed);
            Ok(report)
        })?;
        for shortfall in &report.shortfalls {
            printer.note(&format!("caution: {shortfall}"));
        }
        Ok(Report { changed, ..report })
    }
}

/// This process.
struct Here;

impl Surroundings for Here {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn now_s(&self) -> u64 {
        time::now_s()
    }

    fn seed(&self) -> u64 {
        // Its keys are random, which is all that is wanted here.
        RandomState::new().hash_one(0)
    }
}

/// What was done, and what has kept the fleet from following: what the rollout decided is to be told in both cases.
pub(super) fn parted(followed: Option<Result<Report>>) -> (Option<Report>, Option<Error>) {
    match followed {
        None => (None, None),
        Some(Ok(report)) => (Some(report), None),
        Some(Err(error)) => (None, Some(error)),
    }
}

/// What was done, after the page of a rollout.
pub(super) fn lines(report: Option<&Report>) -> String {
    report.map_or_else(String::new, |report| format!("\n{}", page(report)))
}

/// What was done, line by line.
fn page(report: &Report) -> String {
    let mut page = String::new();
    for change in &report.changed {
        let _ = writeln!(page, "fleet     {}", one_line(&shown(change)));
    }
    if !report.already.is_empty() {
        let _ = writeln!(page, "fleet     as ordered: {}", one_line(&report.already.join(", ")));
    }
    if !report.unfinished.is_empty() {
        let names = one_line(&report.unfinished.join(", "));
        let _ = writeln!(page, "fleet     the server is still at it: {names}");
    }
    if page.is_empty() {
        page.push_str("fleet     nothing is to be done\n");
    }
    page
}

fn shown(change: &Change) -> String {
    let kind = match change.kind {
        ChangeKind::Published => "published",
        ChangeKind::Offered => "offered",
        ChangeKind::Started => "started",
        ChangeKind::Paused => "paused",
        ChangeKind::Resumed => "resumed",
        ChangeKind::Stopped => "stopped",
        ChangeKind::Withdrawn => "withdrew",
    };
    match change.devices {
        Some(1) => format!("{kind} {} (1 device)", change.object),
        Some(devices) => format!("{kind} {} ({devices} devices)", change.object),
        None => format!("{kind} {}", change.object),
    }
}
