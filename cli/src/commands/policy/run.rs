use std::path::PathBuf;

use serde::Serialize;
use whittle_policy_host::Usage;
use whittle_policy_host::types::{Decision, Fallback, Reason, RollbackOrder, Snapshot, Verdict};

use super::PolicyArgs;
use crate::error::Result;
use crate::printer::{Printer, grouped, one_line};

/// Show what a policy decides about the state of a rollout, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,

    /// State of the rollout, as JSON: the record `snapshot` of `wit/policy.wit`, names with `_` for `-`.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
}

#[derive(Serialize)]
struct Decided {
    policy: String,
    policy_sha256: String,
    verdict: Verdict,
    #[serde(flatten)]
    usage: Usage,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load()?;
    let mut snapshot: Snapshot = super::read_json("snapshot", &args.snapshot)?;
    super::apply(&args.policy.settings(policy.info())?, &mut snapshot.settings);
    let answer = policy.evaluate(&snapshot)?;
    let decided = Decided {
        policy: policy.info().name.clone(),
        policy_sha256: policy.digest().to_string(),
        verdict: answer.value,
        usage: answer.usage,
    };
    printer.result(&decided, |decided| {
        let reasons: String = decided.verdict.reasons.iter().map(reason).collect();
        let usage = &decided.usage;
        format!(
            "{}\n{reasons}{} fuel, {} KiB of memory",
            decision(&decided.verdict.decision),
            grouped(usage.fuel),
            usage.memory_bytes / 1024
        )
    })
}

fn reason(reason: &Reason) -> String {
    let figures = match (reason.observed, reason.limit) {
        (Some(observed), Some(limit)) => format!(" ({observed} against {limit})"),
        (Some(observed), None) => format!(" ({observed})"),
        _ => String::new(),
    };
    let about = [reason.metric.as_deref(), reason.group.as_deref()];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let about = one_line(&about);
    let about = if about.is_empty() { about } else { format!(" [{about}]") };
    format!("  {}: {}{figures}{about}\n", reason.code, one_line(&reason.text))
}

fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Hold => "hold: nothing changes".to_owned(),
        Decision::Advance(share) => format!("advance to {} of the fleet", percent(*share)),
        Decision::Pause(order) => format!(
            "pause ({:?}), to be decided within {} h, otherwise {}",
            order.severity,
            f64::from(order.decide_within) / 3600.0,
            fallback(&order.otherwise)
        ),
        Decision::Resume(share) => format!("resume up to {} of the fleet", percent(*share)),
        Decision::RollBack(order) => rollback(order),
        Decision::Stop => "stop, and leave the updated devices as they are".to_owned(),
        Decision::Complete => "complete".to_owned(),
    }
}

fn fallback(fallback: &Fallback) -> String {
    match fallback {
        Fallback::Resume(share) => format!("resume up to {} of the fleet", percent(*share)),
        Fallback::RollBack(order) => rollback(order),
        Fallback::Stop => "stop".to_owned(),
    }
}

fn rollback(order: &RollbackOrder) -> String {
    let whom =
        if order.groups.is_empty() { "all devices".to_owned() } else { order.groups.join(", ") };
    let quarantine = if order.quarantine { " and never offer the release again" } else { "" };
    format!("roll back {whom}{quarantine}")
}

/// A share in percent, without the noise of binary fractions.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}
