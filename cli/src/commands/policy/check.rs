use serde::Serialize;
use whittle_policy_host::{Answer, CallError, Fault, Usage, sample};

use crate::error::{Error, Result};
use crate::printer::{Printer, grouped};

/// Check that a policy keeps its contract.
///
/// It must import nothing, answer made-up rollouts in every state within the contract, and give the same answers
/// in fresh instances.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File of the component, or the name of a policy that comes with whittle.
    policy: String,
}

/// Fresh instances that must agree.
const INSTANCES: usize = 100;

#[derive(Serialize)]
struct Checked {
    policy: String,
    version: String,
    sha256: String,
    /// Snapshots that it was asked about.
    snapshots: usize,
    /// Snapshots about which it said itself that it cannot answer.
    refused: usize,
    /// Instances that gave the same answer to the same snapshot.
    instances: usize,
    /// The most that a call used.
    #[serde(flatten)]
    usage: Usage,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = super::load(&super::host(printer), &args.policy)?;
    let info = policy.info();
    let input = sample::plan_input(info);
    let plan = policy.plan(&input)?;
    agree("the plan", &plan, INSTANCES, || policy.plan(&input))?;
    let mut checked = Checked {
        policy: info.name.clone(),
        version: info.version.clone(),
        sha256: policy.digest().to_string(),
        snapshots: 0,
        refused: 0,
        instances: INSTANCES,
        usage: plan.usage,
    };
    for (name, snapshot) in sample::snapshots(info, &plan.value) {
        checked.snapshots += 1;
        match policy.evaluate(&snapshot) {
            Ok(answer) => {
                checked.usage = most(checked.usage, answer.usage);
                // The first state a hundred times, the others once more: an interpreter takes milliseconds a call.
                let times = if checked.snapshots == 1 { INSTANCES } else { 2 };
                agree(&name, &answer, times, || policy.evaluate(&snapshot))?;
            }
            Err(error) if matches!(error.fault, Fault::Refused(_)) => checked.refused += 1,
            Err(error) => {
                printer.note(&format!("asked about: {name}"));
                return Err(error.into());
            }
        }
    }
    printer.result(&checked, |checked| {
        format!(
            "ok: {} {} imports nothing, keeps the contract on {} made-up snapshots ({} refused),\n\
             and answers the same in {} fresh instances; at most {} fuel and {} KiB of memory a call",
            checked.policy,
            checked.version,
            checked.snapshots,
            checked.refused,
            checked.instances,
            grouped(checked.usage.fuel),
            checked.usage.memory_bytes / 1024
        )
    })
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
