use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::Policy;
use whittle_release::files::write_atomically;
use whittle_simulation::{
    Comparison, Run, RunError, Scenario, Summary, compare, page, simulate, summary,
};

use crate::commands::policy;
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, table};
use crate::schema;
use crate::time;

/// Rehearse a rollout on a made-up fleet, with real policies and guard rails.
///
/// A scenario says how the fleet behaves, what is wrong with the new firmware, and what people do. Each policy meets the same
/// worlds, so that what they differ in is no chance.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scenario, in TOML; see `docs/simulation.md`.
    #[arg(required_unless_present_any = ["example", "list"], conflicts_with = "example")]
    scenario: Option<PathBuf>,

    /// A scenario that comes with whittle; `--list` shows them.
    #[arg(long, value_name = "NAME")]
    example: Option<String>,

    /// List the scenarios that come with whittle.
    #[arg(long, conflicts_with_all = ["scenario", "example"])]
    list: bool,

    /// A policy to try: the file of a component, or the name of one that comes with whittle; may be given several times [default: the
    /// scenario's].
    #[arg(long = "policy", value_name = "POLICY")]
    policies: Vec<String>,

    /// How many rollouts.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,

    /// What chance is drawn from: the same seed gives the same rollouts.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write a page with plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<OutFile>,
}

/// The scenarios that come with whittle: a name, and the text of the file.
const EXAMPLES: [(&str, &str); 7] = [
    ("boot-loop", include_str!("../../../examples/scenarios/boot-loop.toml")),
    ("bricks", include_str!("../../../examples/scenarios/bricks.toml")),
    ("double-crashes", include_str!("../../../examples/scenarios/double-crashes.toml")),
    ("empty-batteries", include_str!("../../../examples/scenarios/empty-batteries.toml")),
    ("healthy", include_str!("../../../examples/scenarios/healthy.toml")),
    ("one-revision", include_str!("../../../examples/scenarios/one-revision.toml")),
    ("sensors", include_str!("../../../examples/scenarios/sensors.toml")),
];

/// A scenario that comes with whittle.
#[derive(JsonSchema, Serialize)]
struct Listed {
    /// Its name, by which `simulate` takes it.
    name: &'static str,
    /// What it is about.
    about: String,
}

/// Scenarios that come with whittle.
#[derive(JsonSchema, Serialize)]
pub(crate) struct List {
    /// The scenarios.
    scenarios: Vec<Listed>,
}

/// What became of made-up fleets under policies.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Simulated {
    /// Name of the scenario.
    scenario: String,
    /// Devices of the fleet.
    devices: u32,
    /// How many times each policy went through it.
    runs: u64,
    /// What the draws begin with: the same gives the same.
    seed: u64,
    /// The policies, in the order in which they were named.
    policies: Vec<Tried>,
}

/// A policy, and what became of the fleet under it.
#[derive(JsonSchema, Serialize)]
struct Tried {
    /// Name of the policy.
    policy: String,
    /// SHA-256 of its component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    sha256: String,
    #[serde(flatten)]
    summary: Summary,
    /// Against the first policy; none for itself.
    compared: Option<Comparison>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    if args.list {
        return list(printer);
    }
    let (name, path, text) = read(args)?;
    let bad = |why: String| Error::BadScenario { path: path.clone(), why };
    let mut scenario: Scenario = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
    for zone in scenario.rollout.zones() {
        time::look_up(zone, scenario.start_s).map_err(bad)?;
    }
    let mut names = args.policies.clone();
    names.extend(scenario.policy.clone().filter(|_| args.policies.is_empty()));
    if names.is_empty() {
        return Err(Error::Usage(
            "name a policy with `--policy`: the scenario does not".to_owned(),
        ));
    }
    let host = policy::host(printer);
    let policies =
        names.iter().map(|name| policy::load(&host, name)).collect::<Result<Vec<_>>>()?;

    let tried = policies.iter().map(|policy| {
        attempt(&scenario, policy, args, printer).map_err(|error| match error {
            RunError::Draft(source) => Error::PolicyMisfit {
                policy: policy.info().name.clone(),
                path: path.clone(),
                source: Box::new(source),
            },
            RunError::Scenario(_) | RunError::Terms(_) => bad(error.to_string()),
            other => Error::Simulation(other),
        })
    });
    let tried = tried.collect::<Result<Vec<_>>>()?;
    let capacity = scenario.rollout.limits.support_per_day;
    let summaries: Vec<_> = tried.iter().map(|runs| summary(runs, capacity)).collect();
    let devices = scenario.rollout.cells.iter().map(|cell| cell.devices).sum();
    let simulated = Simulated {
        scenario: name.clone(),
        devices,
        runs: args.runs,
        seed: args.seed,
        policies: (policies.iter().zip(&summaries).enumerate())
            .map(|(place, (policy, summary))| Tried {
                policy: policy.info().name.clone(),
                sha256: policy.digest().to_string(),
                summary: summary.clone(),
                compared: (place > 0).then(|| compare(&tried[0], &tried[place])),
            })
            .collect(),
    };
    if let Some(file) = &args.html {
        let named = policies.iter().map(|policy| policy.info().name.clone());
        let all: Vec<_> = named.zip(summaries).zip(tried).map(|((n, s), r)| (n, s, r)).collect();
        let page = page(&scenario, &format!("Rehearsal: {name}"), &all);
        write_atomically(file, page.as_bytes())?;
    }
    printer.result(&simulated, human)
}

fn attempt(
    scenario: &Scenario,
    policy: &Policy,
    args: &Args,
    printer: &Printer,
) -> Result<Vec<Run>, RunError> {
    let bar =
        if printer.shows_progress() { ProgressBar::new(args.runs) } else { ProgressBar::hidden() };
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} rollouts, {eta} left")
    {
        bar.set_style(style);
    }
    bar.set_message(policy.info().name.clone());
    let done = simulate(scenario, policy, args.runs, args.seed, &|| bar.inc(1));
    bar.finish_and_clear();
    done.map(|(_, runs)| runs)
}

fn list(printer: &Printer) -> Result {
    let scenarios = EXAMPLES.map(|(name, text)| {
        let about = toml::from_str::<Scenario>(text).map(|scenario| scenario.about);
        Listed { name, about: about.unwrap_or_default() }
    });
    printer.result(&List { scenarios: scenarios.into() }, |list| {
        let rows = list.scenarios.iter().map(|one| vec![one.name.to_owned(), one.about.clone()]);
        table(&["scenario", "what it is about"], rows)
    })
}

/// The scenario's name, where it is from, and its text.
fn read(args: &Args) -> Result<(String, PathBuf, String)> {
    if let Some(name) = &args.example {
        let found = EXAMPLES.iter().find(|(example, _)| example == name);
        let (_, text) = found.ok_or_else(|| {
            Error::Usage(format!("no scenario `{name}` comes with whittle; `--list` shows them"))
        })?;
        return Ok((name.clone(), PathBuf::from(name), (*text).to_owned()));
    }
    let path = args.scenario.clone().unwrap_or_default();
    let text = String::from_utf8(policy::read(&path)?).map_err(|_| Error::BadScenario {
        path: path.clone(),
        why: "it is not UTF-8".to_owned(),
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, path, text))
}

fn human(simulated: &Simulated) -> String {
    let devices = crate::printer::grouped(u64::from(simulated.devices));
    let mut text = format!(
        "{}: {} rollouts to {devices} devices, seed {}\n",
        simulated.scenario, simulated.runs, simulated.seed
    );
    for tried in &simulated.policies {
        let rows = tried.summary.rows().into_iter().map(|(what, figure)| vec![what, figure]);
        text += &format!("\n{}\n", table(&[&tried.policy, Summary::HEADING], rows));
        if let Some(compared) = &tried.compared {
            text += &format!(
                " than {}: {:+.1} devices failed (±{:.1}), {:+.1} hours (±{:.1})\n",
                simulated.policies[0].policy,
                compared.harmed,
                compared.harmed_error,
                compared.hours,
                compared.hours_error,
            );
        }
    }
    text
}
