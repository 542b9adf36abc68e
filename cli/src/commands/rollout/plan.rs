use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::types::{Reason, Stage};
use whittle_rollout::statistics::{Certainty, StageOutlook};
use whittle_rollout::{MetricTerms, Terms};

use super::Clock;
use super::file::RolloutFile;
use super::what_if::{self, WhatIfArgs};
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped, table};
use crate::schema;
use crate::words;

/// Show the stages of a rollout and what each can see, without starting it.
///
/// For each metric with a baseline: the least regression that a stage would show in four of five cases, and how long it would have to
/// be watched to show the one that must not be missed. `--what-if` works a plan out from numbers alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout, in TOML; see `docs/rollouts.md`.
    // The group is what its struct is called: all inputs of `--what-if`.
    #[arg(required_unless_present = "WhatIfArgs", conflicts_with = "WhatIfArgs")]
    file: Option<PathBuf>,

    #[command(flatten)]
    clock: Clock,

    #[command(flatten)]
    what_if: WhatIfArgs,
}

/// Stages of a rollout, and what each of them can see.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Plan {
    /// Name of the policy.
    policy: String,
    /// SHA-256 of its component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    policy_sha256: String,
    /// Devices of the fleet.
    devices: u32,
    /// Devices that keep the old firmware until the end, to compare with.
    held_back: u32,
    /// The stages in their order.
    stages: Vec<PlannedStage>,
    /// Why the policy planned so.
    reasons: Vec<Reason>,
    /// What the author of the file should know.
    cautions: Vec<String>,
}

/// A stage, and what it can see.
#[derive(JsonSchema, Serialize)]
struct PlannedStage {
    #[serde(flatten)]
    stage: Stage,
    /// Devices that have the new firmware when it is full.
    devices: u32,
    /// What it shows of each metric that is tested.
    sees: Vec<Sees>,
}

/// What a stage can see of a metric.
#[derive(JsonSchema, Serialize)]
struct Sees {
    /// Name of the metric.
    metric: String,
    /// Events that are expected in the stage if all is well.
    expected_events: f64,
    /// The least ratio that is seen; none if even a thousandfold one is not.
    sees_ratio: Option<f64>,
    /// The ratio that must not be missed.
    alarm_ratio: f64,
    /// How long the stage must be watched to see it, in hours; none without control.
    hours_needed: Option<f64>,
    #[serde(skip)]
    words: String,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let Some(path) = &args.file else { return what_if::run(&args.what_if, printer) };
    let at_s = args.clock.now_s();
    let file = RolloutFile::read(path)?;
    let policy = file.policy(printer)?;
    let terms = file.terms(at_s, &policy)?;
    terms
        .check(&BTreeSet::new())
        .map_err(|bad| Error::BadRollout { path: path.clone(), why: bad.to_string() })?;
    let plan = Plan {
        policy: policy.info().name.clone(),
        policy_sha256: policy.digest().to_string(),
        devices: terms.devices(),
        held_back: terms.held_back(),
        stages: stages(&terms),
        reasons: terms.plan.reasons.clone(),
        cautions: terms.cautions().iter().map(ToString::to_string).collect(),
    };
    printer.result(&plan, human)
}

fn stages(terms: &Terms) -> Vec<PlannedStage> {
    let reports: Vec<_> = terms
        .metrics
        .iter()
        .map(|metric| (metric, terms.power_report(metric, metric.alarm, Certainty::FourFifths)))
        .collect();
    let stages = terms.plan.stages.iter().enumerate();
    let planned = stages.map(|(place, stage)| PlannedStage {
        stage: stage.clone(),
        devices: terms.devices_at(stage.share, place),
        sees: reports
            .iter()
            .filter_map(|(metric, report)| report[place].map(|outlook| sees(metric, outlook)))
            .collect(),
    });
    planned.collect()
}

fn sees(metric: &MetricTerms, outlook: StageOutlook) -> Sees {
    Sees {
        metric: metric.name.clone(),
        expected_events: outlook.expected_events,
        sees_ratio: outlook.sees,
        alarm_ratio: outlook.ratio,
        hours_needed: Some(outlook.hours_needed).filter(|hours| hours.is_finite()),
        words: outlook.to_string(),
    }
}

fn human(plan: &Plan) -> String {
    let rows = plan.stages.iter().map(|planned| {
        let stage = &planned.stage;
        vec![
            stage.name.clone(),
            words::percent(stage.share),
            grouped(u64::from(planned.devices)),
            words::watched(stage),
            words::among(stage),
            words::approved(stage),
        ]
    });
    let mut text = format!(
        "{} devices, {} held back; policy {} ({})\n\n",
        grouped(u64::from(plan.devices)),
        grouped(u64::from(plan.held_back)),
        plan.policy,
        &plan.policy_sha256[..8],
    );
    text += &table(&["stage", "share", "devices", "watched", "among", "approved"], rows);
    text += "\n\n";
    for planned in &plan.stages {
        for sees in &planned.sees {
            text += &format!("{}, {}: {}\n", planned.stage.name, sees.metric, sees.words);
        }
    }
    for reason in &plan.reasons {
        text += &words::reason(reason);
    }
    for caution in &plan.cautions {
        text += &format!("caution: {caution}\n");
    }
    text
}
