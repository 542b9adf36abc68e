use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::types::{PlanInput, RolloutPlan};
use whittle_policy_host::{Usage, sample};

use super::PolicyArgs;
use crate::error::Result;
use crate::printer::{Printer, grouped, table};
use crate::schema;
use crate::words;

/// Show the stages that a policy plans, and why.
///
/// `whittle rollout plan` does so for a rollout that is written down, and tells what each stage can see.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,

    /// What shall be rolled out, as JSON: the record `plan-input` of `wit/policy.wit`, names with `_` for `-`; `-` for standard input
    /// [default: a made-up fix for 100,000 devices].
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Stages that a policy plans, and what the call used.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Planned {
    /// Name of the policy.
    policy: String,
    /// SHA-256 of its component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    policy_sha256: String,
    /// The stages, and why they are so.
    plan: RolloutPlan,
    #[serde(flatten)]
    usage: Usage,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load(printer)?;
    let settings = args.policy.settings(&policy)?;
    let mut input: PlanInput = match &args.input {
        Some(path) => super::read_json("record of what is to be planned", path)?,
        None => sample::plan_input(&policy.describe(&settings)?.value),
    };
    super::apply(&settings, &mut input.settings);
    let answer = policy.plan(&input)?;
    let planned = Planned {
        policy: policy.info().name.clone(),
        policy_sha256: policy.digest().to_string(),
        plan: answer.value,
        usage: answer.usage,
    };
    printer.result(&planned, human)
}

fn human(planned: &Planned) -> String {
    let rows = planned.plan.stages.iter().map(|stage| {
        vec![
            stage.name.clone(),
            words::percent(stage.share),
            stage.max_devices.map(|most| grouped(most.into())).unwrap_or_default(),
            words::watched(stage),
            words::among(stage),
            stage.pace.map(|pace| grouped(pace.into())).unwrap_or_default(),
            words::approved(stage),
        ]
    });
    let header = ["stage", "share", "at most", "watched", "among", "an hour", "approved"];
    let reasons: String = planned.plan.reasons.iter().map(words::reason).collect();
    format!(
        "{}\n\n{} of the fleet is held back\n{reasons}{} fuel, {} KiB of memory",
        table(&header, rows),
        words::percent(planned.plan.hold_back),
        grouped(planned.usage.fuel),
        planned.usage.memory_bytes / 1024
    )
}
