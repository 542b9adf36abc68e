use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_simulation::{Backtest, Recording, Said, backtest};

use crate::commands::policy;
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped, table};
use crate::schema;
use crate::{time, words};

/// Ask policies what they would have said to a rollout that was recorded.
///
/// The figures stay as they were. A policy is asked what it would have decided, up to its first pause, and then for as long as the
/// recorded rollout stood still as well.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording, as JSON; see `docs/simulation.md`.
    #[arg(required_unless_present_any = ["example", "list"], conflicts_with = "example")]
    recording: Option<PathBuf>,

    /// A recording that comes with whittle; `--list` shows them.
    #[arg(long, value_name = "NAME")]
    example: Option<String>,

    /// List the recordings that come with whittle.
    #[arg(long, conflicts_with_all = ["recording", "example"])]
    list: bool,

    /// A policy to ask: the file of a component, or the name of one that comes with whittle; may be given several times.
    #[arg(long = "policy", value_name = "POLICY", required_unless_present = "list")]
    policies: Vec<String>,
}

/// The recordings that come with whittle: a name, and the text of the file.
const EXAMPLES: [(&str, &str); 2] = [
    (
        "paused-without-cause",
        include_str!("../../../../examples/recordings/paused-without-cause.json"),
    ),
    ("waved-through", include_str!("../../../../examples/recordings/waved-through.json")),
];

/// A recording that comes with whittle.
#[derive(JsonSchema, Serialize)]
struct Listed {
    /// Its name, by which `--example` takes it.
    name: &'static str,
    /// What it is about.
    about: String,
}

/// Recordings that come with whittle.
#[derive(JsonSchema, Serialize)]
pub(crate) struct List {
    /// The recordings.
    recordings: Vec<Listed>,
}

/// What policies would have said to a recorded rollout.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Backtested {
    /// The policies, in the order in which they were named.
    policies: Vec<Asked>,
}

/// A policy, and what it would have said.
#[derive(JsonSchema, Serialize)]
struct Asked {
    /// Name of the policy.
    policy: String,
    /// SHA-256 of its component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    sha256: String,
    #[serde(flatten)]
    backtest: Backtest,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    if args.list {
        return list(printer);
    }
    let (path, mut recording) = read(args)?;
    let bad = |why: String| Error::BadRollout { path: path.clone(), why };
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

fn list(printer: &Printer) -> Result {
    let recordings = EXAMPLES.iter().map(|(name, text)| {
        let recording: Recording = serde_json::from_str(text)?;
        Ok(Listed { name, about: recording.about })
    });
    let recordings = recordings.collect::<Result<_>>()?;
    printer.result(&List { recordings }, |list| {
        let rows = list.recordings.iter().map(|one| vec![one.name.to_owned(), one.about.clone()]);
        table(&["recording", "what it is about"], rows)
    })
}

/// Where the recording is from, and the recording.
fn read(args: &Args) -> Result<(PathBuf, Recording)> {
    let Some(name) = &args.example else {
        let path = args.recording.clone().unwrap_or_default();
        let recording = policy::read_json("recording", &path)?;
        return Ok((path, recording));
    };
    let (_, text) = EXAMPLES.iter().find(|(example, _)| example == name).ok_or_else(|| {
        Error::Usage(format!("no recording `{name}` comes with whittle; `--list` shows them"))
    })?;
    Ok((PathBuf::from(name), serde_json::from_str(text)?))
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
