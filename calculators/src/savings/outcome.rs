//! What comes out of the savings.

use serde::Serialize;

use super::Inputs;
use super::case::{Case, delta};
use super::sensitivity::{Sensitivity, sensitivity};
use crate::form::BadInput;
use crate::formula::{Formula, Unit};
use crate::words::{number, percent};

/// What comes out. Each figure is one of `formulas`, under the same name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// What was asked.
    pub inputs: Inputs,
    /// Whether the deltas are measured ones of a build.
    pub measured: bool,
    /// Download of a delta, averaged over the devices with a base.
    pub delta_bytes: f64,
    /// The same, as a fraction of the full image.
    pub delta_ratio: f64,
    /// Download of a device, averaged over those with a base and those without.
    pub mixed_bytes: f64,
    /// What the full image for everybody costs in a year.
    pub full_usd: f64,
    /// What the downloads cost in a year with deltas.
    pub data_usd: f64,
    /// The same with the tools.
    pub delta_usd: f64,
    /// What is saved in a year, after the tools; negative if nothing is.
    pub net_usd: f64,
    /// Downloaded bytes that are saved, as a fraction.
    pub bandwidth_reduction: f64,
    /// Money that is saved, as a fraction; none if the full image costs nothing.
    pub cost_reduction: Option<f64>,
    /// Net saving by all that is spent with deltas, of which the downloads would be spent anyway; none if nothing is spent.
    pub roi_on_spend: Option<f64>,
    /// Net saving by what the tools cost; none if they cost nothing.
    pub roi_on_tooling: Option<f64>,
    /// Number of devices at which deltas pay for the tools; none if they never do.
    pub break_even_devices: Option<f64>,
    /// The least whole number of devices at which something is saved.
    pub first_profitable_devices: Option<f64>,
    /// The break-even if deltas had no bytes at all: no delta can do better.
    pub floor_devices: Option<f64>,
    /// Full images a year because deltas failed too often. They are not in the costs: those who run no base are many more.
    pub full_after_retries_per_year: f64,
    /// What the packages of a release take on the server, in bytes; bases that are kept to make them come on top.
    pub storage_bytes: f64,
    /// How long a device receives the full image, in seconds, if the link is known.
    pub full_airtime_seconds: Option<f64>,
    /// How long it receives a delta.
    pub delta_airtime_seconds: Option<f64>,
    /// The delta from each base; the estimate, if none was measured.
    pub bases: Vec<BaseOutcome>,
    /// How the net saving moves with the inputs, the most important first.
    pub sensitivity: Vec<Sensitivity>,
    /// How each figure came about.
    pub formulas: Vec<Formula>,
}

/// The delta from a base.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BaseOutcome {
    /// Version of the base.
    pub name: String,
    /// What a device downloads.
    pub download_bytes: f64,
    /// The same, as a fraction of the full image.
    pub ratio: f64,
    /// Devices that run it, as a fraction of those with a base.
    pub share: f64,
    /// Whether it keeps within the budget, if there is one.
    pub within_budget: Option<bool>,
    /// How long a device receives it, if the link is known.
    pub airtime_seconds: Option<f64>,
}

/// Works out what deltas save.
///
/// # Errors
/// If an input cannot be.
pub fn outcome(inputs: &Inputs) -> Result<Outcome, BadInput> {
    inputs.check()?;
    let delta = delta(inputs);
    let case = Case::of(inputs, delta.value);
    let mut formulas = vec![
        delta,
        case.delta_ratio(),
        case.mixed_bytes(),
        case.full_usd(),
        case.data_usd(),
        case.delta_usd(),
        case.net_usd(),
        case.bandwidth_reduction(),
    ];
    let mut keep = |formula: Option<Formula>| {
        let value = formula.as_ref().map(|formula| formula.value);
        formulas.extend(formula);
        value
    };
    let cost_reduction = keep(case.cost_reduction());
    let roi_on_spend = keep(case.roi_on_spend());
    let roi_on_tooling = keep(case.roi_on_tooling());
    let break_even_devices = keep(case.break_even_devices());
    let floor_devices = keep(case.floor_devices());
    let full_airtime_seconds = keep(airtime(
        "full_airtime_seconds",
        "time on air of the full image",
        inputs.full_bytes,
        inputs,
    ));
    let delta_airtime_seconds =
        keep(airtime("delta_airtime_seconds", "time on air of a delta", case.delta_bytes, inputs));
    let full_after_retries = full_after_retries(inputs);
    let storage = storage(inputs, case.delta_bytes);
    let (full_after_retries_per_year, storage_bytes) = (full_after_retries.value, storage.value);
    formulas.extend([full_after_retries, storage]);
    Ok(Outcome {
        inputs: inputs.clone(),
        measured: !inputs.bases.is_empty(),
        delta_bytes: case.delta_bytes,
        delta_ratio: case.delta_ratio().value,
        mixed_bytes: case.mixed_bytes().value,
        full_usd: case.full_usd().value,
        data_usd: case.data_usd().value,
        delta_usd: case.delta_usd().value,
        net_usd: case.net_usd().value,
        bandwidth_reduction: case.bandwidth_reduction().value,
        cost_reduction,
        roi_on_spend,
        roi_on_tooling,
        break_even_devices,
        first_profitable_devices: break_even_devices.map(|devices| devices.floor() + 1.0),
        floor_devices,
        full_after_retries_per_year,
        storage_bytes,
        full_airtime_seconds,
        delta_airtime_seconds,
        bases: bases(inputs, case.delta_bytes),
        sensitivity: sensitivity(&case),
        formulas,
    })
}

/// A delta is given up when it and all of its retries have failed, each as likely as the other.
fn full_after_retries(inputs: &Inputs) -> Formula {
    let fallback = inputs.fallback_percent;
    let terms = [
        ("devices", number(inputs.devices)),
        ("no base", percent(fallback)),
        ("updates", number(inputs.updates_per_year)),
        ("retries", percent(inputs.retry_percent)),
        ("full after", number(inputs.full_after_retries)),
    ];
    let failed = libm::pow(inputs.retry_percent / 100.0, inputs.full_after_retries + 1.0);
    let value = inputs.devices * (1.0 - fallback / 100.0) * inputs.updates_per_year * failed;
    let head = (
        "full_after_retries_per_year",
        "full images after failed deltas, a year, not in the costs",
    );
    Formula::new(head, Unit::Downloads, "{} × (1 - {}) × {} × {}^({} + 1)", &terms, value)
}

fn storage(inputs: &Inputs, delta_bytes: f64) -> Formula {
    let head = ("storage_bytes", "packages of a release on the server");
    let full = ("full", number(inputs.full_bytes));
    if inputs.bases.is_empty() {
        let terms = [("bases", number(inputs.kept_bases)), ("delta", number(delta_bytes)), full];
        let value = inputs.kept_bases * delta_bytes + inputs.full_bytes;
        return Formula::new(head, Unit::Bytes, "{} × {} + {}", &terms, value);
    }
    // A base without a smaller delta is served by the full image, which is there once.
    let deltas = || {
        inputs
            .bases
            .iter()
            .map(|base| base.download_bytes)
            .filter(|bytes| *bytes < inputs.full_bytes)
    };
    let sum = deltas().map(number).collect::<Vec<_>>().join(" + ");
    let terms = [("deltas", if sum.is_empty() { "0".to_owned() } else { sum }), full];
    Formula::new(head, Unit::Bytes, "{} + {}", &terms, deltas().sum::<f64>() + inputs.full_bytes)
}

fn airtime(key: &'static str, what: &'static str, bytes: f64, inputs: &Inputs) -> Option<Formula> {
    let link = inputs.link_bits_per_second;
    let terms = [("bytes", number(bytes)), ("link", number(link))];
    (link > 0.0).then(|| {
        Formula::new((key, what), Unit::Seconds, "{} × 8 / {}", &terms, bytes * 8.0 / link)
    })
}

fn bases(inputs: &Inputs, delta_bytes: f64) -> Vec<BaseOutcome> {
    let one = |name: &str, download_bytes: f64, share: f64| BaseOutcome {
        name: name.to_owned(),
        download_bytes,
        ratio: download_bytes / inputs.full_bytes,
        share,
        within_budget: (inputs.budget_bytes > 0.0).then_some(download_bytes <= inputs.budget_bytes),
        airtime_seconds: airtime("", "", download_bytes, inputs).map(|formula| formula.value),
    };
    if inputs.bases.is_empty() {
        return vec![one("estimate", delta_bytes, 1.0)];
    }
    let weights = inputs.weights();
    inputs
        .bases
        .iter()
        .map(|base| one(&base.name, base.download_bytes, base.weight / weights))
        .collect()
}
