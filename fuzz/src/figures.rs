//! Figures, as files and servers give them.

use whittle_metrics::{Format, emit_csv, emit_json, parse, prometheus};

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
