use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_fleet::Report as FleetReport;
use whittle_rollout::{BadTerms, Rollout};

use super::Clock;
use super::drive::{self, Fleet};
use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::report::Report;
use crate::error::{Error, Result};
use crate::printer::Printer;

/// Start a rollout, and let the fleet follow if the file says how.
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

/// A rollout that has started.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Started {
    #[serde(flatten)]
    report: Report,
    /// What was done to the fleet, if the file says how.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetReport>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let at_s = args.clock.now_s();
    let file = RolloutFile::read(&args.file)?;
    let policy = file.policy(printer)?;
    let (fleet, figures) = (file.fleet(), file.figures());
    let terms = file.terms(at_s, &policy)?;
    // What would only be found when it is too late. A build that is quarantined is the store's to know.
    let bad = |bad: BadTerms| Error::BadRollout { path: args.file.clone(), why: bad.to_string() };
    let (rehearsed, _) = Rollout::start(terms.clone(), at_s, &BTreeSet::new()).map_err(bad)?;
    if let Some(fleet) = &fleet {
        fleet.check(&args.rollout.name, &rehearsed)?;
    }
    if let Some(figures) = &figures {
        figures.check(&terms)?;
    }
    for caution in terms.cautions() {
        printer.note(&format!("caution: {caution}"));
    }
    let mut session = args.rollout.start(&args.file, terms, at_s)?;
    let report = Report::of(&args.rollout.name, session.rollout(), at_s);
    let follow = |fleet: &Fleet| fleet.follow(&mut session, &args.rollout, args.clock, printer);
    let (fleet, failure) = drive::parted(fleet.as_ref().map(follow));
    printer.result(&Started { report, fleet }, |started| {
        started.report.page() + &drive::lines(started.fleet.as_ref())
    })?;
    failure.map_or(Ok(()), Err)
}
