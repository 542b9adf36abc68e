//! Writes a table that is read back as the same observations.

use std::collections::BTreeSet;

use whittle_rollout::policy::types::Tally;
use whittle_rollout::{CellObservation, DeviceCounts, MetricObservation, Observation};

use super::columns::{Column, DEVICES, Devices, PARTS, Part, SIDES, Side};

/// What a table has no way to say. The caller must take another form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inexpressible {
    /// An observation without cells has no rows.
    #[error("there is no cell from {from_s} to {until_s}, so there would be no row")]
    NoCells {
        /// When it begins.
        from_s: u64,
        /// When it ends.
        until_s: u64,
    },
    /// Two observations of the same time would be read as one.
    #[error("two observations from {from_s} to {until_s}")]
    StretchTwice {
        /// When they begin.
        from_s: u64,
        /// When they end.
        until_s: u64,
    },
    /// Rows are told apart by their cells, and fields of a row by their metrics.
    #[error("{0} stands there twice")]
    Twice(String),
    /// An empty field means that there is no such attribute, and an empty name is none; control characters are refused.
    #[error("`{0}` is empty or has control characters")]
    Text(String),
    /// A figure that is negative or no finite number.
    #[error("{0} is no figure")]
    Figure(String),
}

/// Writes observations down as a table with all columns that any of them needs.
///
/// Versions, which are those of the whole fleet, stand in the first row of each observation.
///
/// # Errors
///
/// If anything would not be read back as it was.
pub fn emit(observations: &[Observation]) -> Result<String, Inexpressible> {
    let columns = columns(observations)?;
    let mut rows = vec![columns.iter().map(ToString::to_string).collect::<Vec<_>>()];
    let mut stretches = BTreeSet::new();
    for observation in observations {
        let Observation { from_s, until_s, .. } = *observation;
        if observation.cells.is_empty() {
            return Err(Inexpressible::NoCells { from_s, until_s });
        }
        if !stretches.insert((from_s, until_s)) {
            return Err(Inexpressible::StretchTwice { from_s, until_s });
        }
        let mut seen = BTreeSet::new();
        for (place, cell) in observation.cells.iter().enumerate() {
            if !seen.insert(&cell.attributes) {
                return Err(Inexpressible::Twice(format!("cell {:?}", cell.attributes)));
            }
            check(cell)?;
            let row = columns.iter().map(|column| field(column, observation, cell, place == 0));
            rows.push(row.collect());
        }
    }
    let mut table = String::new();
    for row in rows {
        let fields: Vec<_> = row.iter().map(|field| quoted(field)).collect();
        table.push_str(&fields.join(","));
        table.push('\n');
    }
    Ok(table)
}

fn columns(observations: &[Observation]) -> Result<Vec<Column>, Inexpressible> {
    let cells = || observations.iter().flat_map(|observation| &observation.cells);
    let attributes: BTreeSet<_> = cells().flat_map(|cell| cell.attributes.keys()).collect();
    let metrics: BTreeSet<_> =
        cells().flat_map(|cell| &cell.metrics).map(|metric| &metric.name).collect();
    let versions: BTreeSet<_> =
        observations.iter().flat_map(|observation| observation.versions.keys()).collect();
    for name in attributes.iter().chain(&metrics).chain(&versions) {
        is_text(name)?;
    }
    let mut columns = vec![Column::FromS, Column::UntilS, Column::Rows];
    columns.extend(attributes.into_iter().cloned().map(Column::Attribute));
    columns.extend(DEVICES.map(|(which, _)| Column::Devices(which)));
    for metric in metrics {
        for (side, _) in SIDES {
            let of = |(part, _)| Column::Figure { metric: metric.clone(), side, part };
            columns.extend(PARTS.map(of));
        }
    }
    columns.extend(versions.into_iter().cloned().map(Column::Version));
    Ok(columns)
}

fn check(cell: &CellObservation) -> Result<(), Inexpressible> {
    cell.attributes.values().try_for_each(|value| is_text(value))?;
    let mut names = BTreeSet::new();
    for metric in &cell.metrics {
        if !names.insert(&metric.name) {
            return Err(Inexpressible::Twice(format!("metric `{}`", metric.name)));
        }
        for (_, _, figure) in figures(metric) {
            if !figure.is_finite() || figure.is_sign_negative() {
                return Err(Inexpressible::Figure(figure.to_string()));
            }
        }
    }
    Ok(())
}

fn is_text(text: &str) -> Result<(), Inexpressible> {
    let is_text = !text.is_empty() && !text.contains(char::is_control);
    if is_text { Ok(()) } else { Err(Inexpressible::Text(text.escape_debug().to_string())) }
}

fn field(
    column: &Column,
    observation: &Observation,
    cell: &CellObservation,
    is_first: bool,
) -> String {
    match column {
        Column::FromS => observation.from_s.to_string(),
        Column::UntilS => observation.until_s.to_string(),
        Column::Rows => observation.cells.len().to_string(),
        Column::Attribute(name) => cell.attributes.get(name).cloned().unwrap_or_default(),
        Column::Devices(which) => devices(&cell.devices, *which).to_string(),
        Column::Version(version) => {
            let devices = observation.versions.get(version).filter(|_| is_first);
            devices.map(u32::to_string).unwrap_or_default()
        }
        Column::Figure { metric, side, part } => {
            let of = cell.metrics.iter().find(|own| own.name == *metric);
            let figure = of
                .into_iter()
                .flat_map(figures)
                .find(|(own_side, own_part, _)| (own_side, own_part) == (side, part));
            figure.map(|(_, _, figure)| figure.to_string()).unwrap_or_default()
        }
    }
}

fn figures(metric: &MetricObservation) -> impl Iterator<Item = (Side, Part, f64)> {
    let of = |side, tally: &Tally| {
        let Tally { count, exposure, squares } = *tally;
        let parts = [(Part::Count, count), (Part::Exposure, exposure), (Part::Squares, squares)];
        parts.map(|(part, figure)| (side, part, figure))
    };
    of(Side::Treated, &metric.treated).into_iter().chain(of(Side::Control, &metric.control))
}

fn devices(counts: &DeviceCounts, which: Devices) -> u32 {
    match which {
        Devices::Offered => counts.offered,
        Devices::Updated => counts.updated,
        Devices::Committed => counts.committed,
        Devices::RolledBack => counts.rolled_back,
        Devices::Bricked => counts.bricked,
        Devices::Silent => counts.silent,
    }
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    let is_plain = !field.contains([',', '"', '\n', '\r']);
    if is_plain { field.to_owned() } else { format!("\"{}\"", field.replace('"', "\"\"")) }
}
