use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::types::{PlanInput, Snapshot};
use whittle_policy_host::{Answer, CallError, Fault, Usage, sample};

use super::PolicyArgs;
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped, one_line};
use crate::schema;

/// Check that a policy keeps its contract.
///
/// It must import nothing, answer made-up rollouts in every state within the contract, some of them at least, and give the
/// same answers in fresh instances.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Fresh instances that must agree on what the policy is, on the plan, and on the first snapshot that it answers.
const INSTANCES: usize = 100;

/// The same on every other snapshot: an interpreter takes milliseconds a call.
const PAIR: usize = 2;

/// A policy that keeps its contract, and what a call used at most.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Checked {
    /// Name of the policy.
    policy: String,
    /// Version of the policy.
    version: String,
    /// SHA-256 of the component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    sha256: String,
    /// How many made-up snapshots it was asked about.
    snapshots: usize,
    /// About how many of them it said itself that it cannot answer.
    refused: usize,
    /// How many fresh instances agreed on what it is, on the plan, and on the first snapshot; two on each other one.
    instances: usize,
    /// The most that a call used.
    #[serde(flatten)]
    usage: Usage,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load(printer)?;
    let settings = args.policy.settings(&policy)?;
    let described = policy.describe(&settings)?;
    agree("what it is", &described, INSTANCES, || policy.describe(&settings))?;
    let info = &described.value;
    let input = PlanInput { settings: settings.clone(), ..sample::plan_input(info) };
    let plan = policy.plan(&input)?;
    agree("the plan", &plan, INSTANCES, || policy.plan(&input))?;

    let (mut snapshots, mut refusals) = (0, vec![]);
    let mut usage = most(described.usage, plan.usage);
    for (name, snapshot) in sample::snapshots(info, &plan.value) {
        let mut now = Snapshot { settings: settings.clone(), ..snapshot };
        // Once more with what it wanted to remember.
        for remembers in [false, true] {
            snapshots += 1;
            let is_first = snapshots == refusals.len() + 1;
            match policy.evaluate(&now) {
                Ok(answer) => {
                    usage = most(usage, answer.usage);
                    let times = if is_first { INSTANCES } else { PAIR };
                    agree(&name, &answer, times, || policy.evaluate(&now))?;
                    now.memo = answer.value.memo;
                }
                Err(CallError { fault: Fault::Refused(why), .. }) => refusals.push(why),
                Err(error) => {
                    let memo = if remembers { ", with its memo" } else { "" };
                    printer.note(&format!("asked about: {name}{memo}"));
                    return Err(error.into());
                }
            }
        }
    }
    if let Some(why) = refusals.first().filter(|_| refusals.len() == snapshots) {
        let text = format!("it refuses all {snapshots} made-up snapshots, the first with: {why}");
        return Err(Error::SelfCheck(text));
    }
    let checked = Checked {
        policy: info.name.clone(),
        version: info.version.clone(),
        sha256: policy.digest().to_string(),
        snapshots,
        refused: refusals.len(),
        instances: INSTANCES,
        usage,
    };
    printer.result(&checked, human)
}

fn human(checked: &Checked) -> String {
    format!(
        "ok: {} {} imports nothing, keeps the contract on {} made-up snapshots ({} refused),\n\
         and answers the same in {} fresh instances; at most {} fuel and {} KiB of memory a call",
        one_line(&checked.policy),
        checked.version,
        checked.snapshots,
        checked.refused,
        checked.instances,
        grouped(checked.usage.fuel),
        checked.usage.memory_bytes / 1024
    )
}

/// Asks again in fresh instances, and compares answers and what they took.
fn agree<T: PartialEq>(
    what: &str,
    first: &Answer<T>,
    instances: usize,
    ask: impl Fn() -> Result<Answer<T>, CallError>,
) -> Result {
    for instance in 2..=instances {
        if ask()? != *first {
            let text = format!("instance {instance} answers otherwise than the first: {what}");
            return Err(Error::SelfCheck(text));
        }
    }
    Ok(())
}

fn most(one: Usage, other: Usage) -> Usage {
    Usage { fuel: one.fuel.max(other.fuel), memory_bytes: one.memory_bytes.max(other.memory_bytes) }
}
