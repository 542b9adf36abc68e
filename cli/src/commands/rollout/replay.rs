use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_rollout::policy::Policy;

use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::report;
use crate::error::{Error, Result};
use crate::printer::Printer;

/// Compute every decision of a rollout from its log once more, and compare.
///
/// With the rollout's file, its policy is asked again, too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// The rollout's file, whose policy is asked again.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A log that was replayed without a difference.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Replayed {
    /// Name of the rollout.
    rollout: String,
    /// How many entries it has.
    entries: usize,
    /// Whether the policy was asked again, too.
    policy_asked: bool,
    /// What the rollout is doing in the end.
    #[schemars(extend("enum" = report::PHASES))]
    phase: &'static str,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let session = args.rollout.open()?;
    let entries = &session.log().entries;
    let policy =
        args.file.as_ref().map(|file| RolloutFile::read(file)?.policy(printer)).transpose()?;
    let asked = policy.as_ref().map(|policy| policy as &dyn Policy);
    let rollout = whittle_rollout::replay(entries, asked)
        .map_err(|difference| Error::Replay(Box::new(difference)))?;
    let replayed = Replayed {
        rollout: args.rollout.name.to_string(),
        entries: entries.len(),
        policy_asked: policy.is_some(),
        phase: report::phase(rollout.state().phase()),
    };
    printer.result(&replayed, |replayed| {
        let asked = if replayed.policy_asked { ", and the policy answers the same" } else { "" };
        format!(
            "{} entries replay without a difference{asked}: {}",
            replayed.entries, replayed.phase
        )
    })
}
