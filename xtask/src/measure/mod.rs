//! Measurements: a table for people, and as the last line `name=value` pairs for scripts.

mod corpus;
mod footprint;
mod ratio;
mod sizes;

use std::path::PathBuf;

use anyhow::Result;

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Section {
    /// Download sizes of releases against `bsdiff` and `xz -9e`.
    ///
    /// Of each series, the last image is built from the three before it and applied to each of them.
    Sizes {
        /// Directory with one subdirectory per series, holding images that sort by version.
        #[arg(long, value_name = "DIR", default_value = "fixtures")]
        corpus: PathBuf,
    },
    /// Flash and RAM of the example firmware.
    Footprint,
}

pub(crate) fn run(section: Section) -> Result<()> {
    match section {
        Section::Sizes { corpus } => sizes::run(&corpus),
        Section::Footprint => footprint::run(),
    }
}

/// Prints rows with columns as wide as their widest cell.
fn print_table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

/// A row of text cells.
fn row<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}
