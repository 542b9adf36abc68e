use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::Usage;
use whittle_policy_host::types::{Snapshot, Verdict};

use super::PolicyArgs;
use crate::error::Result;
use crate::printer::{Printer, grouped};
use crate::schema;
use crate::words;

/// Show what a policy decides about the state of a rollout, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,

    /// State of the rollout, as JSON: the record `snapshot` of `wit/policy.wit`, names with `_` for `-`; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
}

/// What a policy says to a snapshot, and what the call used.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Decided {
    /// Name of the policy.
    policy: String,
    /// SHA-256 of its component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    policy_sha256: String,
    /// What it says, and why.
    verdict: Verdict,
    #[serde(flatten)]
    usage: Usage,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load(printer)?;
    let mut snapshot: Snapshot = super::read_json("snapshot", &args.snapshot)?;
    super::apply(&args.policy.settings(&policy)?, &mut snapshot.settings);
    let answer = policy.evaluate(&snapshot)?;
    let decided = Decided {
        policy: policy.info().name.clone(),
        policy_sha256: policy.digest().to_string(),
        verdict: answer.value,
        usage: answer.usage,
    };
    printer.result(&decided, |decided| {
        let reasons: String = decided.verdict.reasons.iter().map(words::reason).collect();
        let usage = &decided.usage;
        format!(
            "{}\n{reasons}{} fuel, {} KiB of memory",
            words::decision(&decided.verdict.decision),
            grouped(usage.fuel),
            usage.memory_bytes / 1024
        )
    })
}
