use std::path::PathBuf;

use serde::Serialize;
use whittle_simulation::{Backtest, Recording, Said, backtest};

use crate::commands::policy;
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped};
use crate::{time, words};

/// Ask policies what they would have said to a rollout that was recorded.
///
/// The figures stay as they were: up to its first pause, a policy is asked what it would have decided.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording, as JSON; see `docs/simulation.md`.
    recording: PathBuf,

    /// A policy to ask: the file of a component, or the name of one that comes with whittle; may be given several times.
    #[arg(long = "policy", value_name = "POLICY", required = true)]
    policies: Vec<String>,
}

#[derive(Serialize)]
struct Backtested {
    policies: Vec<Asked>,
}

#[derive(Serialize)]
struct Asked {
    policy: String,
    sha256: String,
    #[serde(flatten)]
    backtest: Backtest,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let mut recording: Recording = policy::read_json("recording", &args.recording)?;
    let bad = |why: String| Error::BadRollout { path: args.recording.clone(), why };
    let start_s = recording.start_s;
    for zone in recording.rollout.zones() {
        time::look_up(zone, start_s).map_err(bad)?;
    }
    let host = policy::host(printer);
    let asked = args.policies.iter().map(|name| {
        let policy = policy::load(&host, name)?;
        let backtest = backtest(&recording, &policy).map_err(|error| bad(error.to_string()))?;
        let (name, sha256) = (policy.info().name.clone(), policy.digest().to_string());
        Ok(Asked { policy: name, sha256, backtest })
    });
    let backtested = Backtested { policies: asked.collect::<Result<_>>()? };
    printer.result(&backtested, |backtested| backtested.policies.iter().map(human).collect())
}

fn human(asked: &Asked) -> String {
    let Backtest { said, alarm_h, spared, updated, hours } = &asked.backtest;
    let verdict = match alarm_h {
        Some(at_h) => format!(
            "would have stepped in after {at_h:.1} of {hours:.1} hours, and spared {} of {} devices",
            grouped(u64::from(*spared)),
            grouped(u64::from(*updated)),
        ),
        None => format!("would not have stepped in within {hours:.1} hours"),
    };
    let said: String = said.iter().map(line).collect();
    format!("{} {verdict}\n{said}", asked.policy)
}

fn line(said: &Said) -> String {
    let Said { at_h, updated, decision, by, reasons, .. } = said;
    let (devices, by) = (grouped(u64::from(*updated)), words::decided_by(*by));
    let decision = words::decision(decision);
    let reasons: String = reasons.iter().map(words::reason).collect();
    format!("{at_h:>8.2} h  {devices} devices: {decision} (by {by})\n{reasons}")
}
