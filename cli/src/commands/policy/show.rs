use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::types::{PolicyInfo, SettingSpec, Value};

use super::{PolicyArgs, shown};
use crate::error::Result;
use crate::printer::{Printer, one_line, table};
use crate::schema;

/// Show what a policy is, the metrics that it wants, and its settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
}

/// What a policy is, what can be set and what it wants to see.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Shown {
    /// SHA-256 of its component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    sha256: String,
    #[serde(flatten)]
    info: PolicyInfo,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load(printer)?;
    let settings = args.policy.settings(&policy)?;
    let info = policy.describe(&settings)?.value;
    printer.result(&Shown { sha256: policy.digest().to_string(), info }, |shown| human(&shown.info))
}

fn human(info: &PolicyInfo) -> String {
    let metrics = info.metrics.iter().map(|metric| {
        let need = if metric.required { "required" } else { "if there is" };
        vec![metric.name.clone(), need.to_owned(), metric.unit.clone(), metric.help.clone()]
    });
    let settings = info.settings.iter().map(|spec| {
        vec![
            spec.key.clone(),
            if is_long(spec) { "see below".to_owned() } else { shown(&spec.default) },
            range(spec),
            spec.unit.clone(),
            spec.help.clone(),
        ]
    });
    let long = info.settings.iter().filter(|spec| is_long(spec)).map(|spec| match &spec.default {
        Value::Text(text) => format!("\n\ndefault of {}:\n{}", spec.key, text.trim_end()),
        other => format!("\n\ndefault of {}:\n{}", spec.key, shown(other)),
    });
    format!(
        "{} {}: {}\n\n{}\n\n{}{}",
        one_line(&info.name),
        info.version,
        one_line(&info.summary),
        table(&["metric", "need", "unit", "for"], metrics),
        table(&["setting", "default", "range", "unit", "what it does"], settings),
        long.collect::<String>(),
    )
}

/// Whether a default would make the table wider than a terminal.
fn is_long(spec: &SettingSpec) -> bool {
    const MAX_BYTES: usize = 40;
    shown(&spec.default).len() > MAX_BYTES
}

fn range(spec: &SettingSpec) -> String {
    match spec.default {
        Value::Flag(_) => "true, false".to_owned(),
        Value::Number(_) | Value::Numbers(_) => format!("{} to {}", spec.min, spec.max),
        Value::Text(_) => format!("{} to {} bytes", spec.min, spec.max),
    }
}
