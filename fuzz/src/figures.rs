//! Figures, as files and servers give them.

use whittle_calculators::{BuildReport, presets, savings};
use whittle_metrics::{Format, emit_csv, emit_json, parse, prometheus};

/// Any text as the report of a build: refused, or sizes that savings are computed of or refused for.
///
/// # Panics
/// Only if what is read does.
pub fn build_report(json: &[u8]) {
    let Ok(json) = std::str::from_utf8(json) else { return };
    let Ok(report) = BuildReport::parse(json) else { return };
    let [preset, ..] = &presets::savings()[..] else { return };
    let mut inputs = preset.inputs.clone();
    report.fill(&mut inputs);
    let _ = savings::outcome(&inputs);
}

/// What the file is called in errors.
const NAME: &str = "figures";

/// Any file of figures as JSON.
///
/// # Panics
/// If what is read comes back as something else.
pub fn figures_json(file: &[u8]) {
    let Ok(read) = parse(NAME, Format::Json, file) else { return };
    let Ok(text) = emit_json(&read) else { return };
    let again = parse(NAME, Format::Json, text.as_bytes()).expect("was written");
    assert_eq!(again, read);
}

/// Any file of figures as a table.
///
/// # Panics
/// If what is read comes back as something else.
pub fn figures_csv(file: &[u8]) {
    let Ok(read) = parse(NAME, Format::Csv, file) else { return };
    let Ok(text) = emit_csv(&read) else { return };
    let again = parse(NAME, Format::Csv, text.as_bytes()).expect("was written");
    // What is no number is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
}

/// Any answer of a Prometheus.
///
/// # Panics
/// If a series counts twice.
pub fn prometheus_answer(bytes: &[u8]) {
    let Ok(samples) = prometheus::parse_answer(bytes, 900) else { return };
    let mut labels: Vec<_> = samples.iter().map(|sample| &sample.labels).collect();
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), samples.len(), "a series stands there twice");
}
