//! Measurements: a table for people, and as the last line `name=value` pairs for scripts.

mod class;
mod corpus;
mod decode;
mod embassy_boot;
mod encode;
mod firmware;
pub(crate) mod footprint;
mod in_place;
mod peers;
mod peers_file;
mod policy;
mod power_cuts;
mod ratio;
mod simulate;
mod sizes;

use std::path::PathBuf;

use anyhow::Result;

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Section {
    /// Download sizes of releases against `bsdiff` and `xz -9e`.
    ///
    /// Of each series, the last image is built from the three before it and applied to each of them. If the corpus holds
    /// a file `peers.json`, as `peers` writes it, sizes are compared with its best ones too.
    Sizes {
        /// Directory with one subdirectory per series, holding images that sort by version.
        #[arg(long, value_name = "DIR", default_value = "fixtures")]
        corpus: PathBuf,
        /// Also measure packages of `compact` for this memory class, or for `all`; may be given several times.
        #[arg(long = "class", value_name = "CLASS")]
        classes: Vec<String>,
    },
    /// Sizes of releases beside what other programs make of the same images.
    ///
    /// Installs the programs: bsdiff, xdelta3, zstd and xz from Debian's packages, detools, hdiffpatch and heatshrink2 from
    /// PyPI into an environment under `target`. Pairs are those of `sizes`.
    Peers {
        /// Directory with one subdirectory per series, holding images that sort by version.
        #[arg(long, value_name = "DIR", default_value = "fixtures")]
        corpus: PathBuf,
        /// Also write the sizes to a file, which `sizes` uses if it lies in the corpus as `peers.json`.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Instructions and stack of decoding on a Cortex-M4 and an RV32, counted under QEMU.
    ///
    /// Of each series, the delta between the last two images and the full image, for each memory class of `compact`. Every
    /// run counts a loop of known length first.
    Decode {
        /// Measure a corpus besides the fixtures: one subdirectory per series, holding images that sort by version.
        #[arg(long, value_name = "DIR")]
        corpus: Option<PathBuf>,
        /// Of the corpus, measure this series only; may be given several times.
        #[arg(long = "series", value_name = "NAME", requires = "corpus")]
        series: Vec<String>,
    },
    /// Whole updates of simulated devices under power cuts, all of them: every pair of cuts of a small device, and a million
    /// random schedules.
    ///
    /// Takes the better part of an hour; the ordinary tests run a part of it.
    PowerCuts,
    /// Time and memory of encoding the last two images of each series, at each effort.
    ///
    /// User seconds and the most memory of a process that reads the two images and encodes in one thread, for each MB of
    /// base and target. Linux only.
    Encode {
        /// Directory with one subdirectory per series, holding images that sort by version.
        #[arg(long, value_name = "DIR", default_value = "fixtures")]
        corpus: PathBuf,
    },
    /// What `encode` runs: encodes one pair and prints what that took.
    #[command(hide = true)]
    EncodeOnce {
        /// The old image.
        base: PathBuf,
        /// The new image.
        target: PathBuf,
        /// Name of the effort.
        effort: String,
    },
    /// Deltas for targets that take the room of their base, against ordinary ones, with 1 to 8 sectors of 4096 bytes to spare.
    ///
    /// Of each series, the last image against the three before it. The base is rearranged in a room of as many sectors as
    /// the larger image takes, and those to spare; how, counts as part of the delta. Each delta is decoded from a base whose
    /// sectors go as the target grows.
    InPlace {
        /// Directory with one subdirectory per series, holding images that sort by version.
        #[arg(long, value_name = "DIR", default_value = "fixtures")]
        corpus: PathBuf,
        /// The memory class of `compact`.
        #[arg(long, value_name = "CLASS", default_value = "medium")]
        class: String,
        /// Measure this series only; may be given several times.
        #[arg(long = "series", value_name = "NAME")]
        series: Vec<String>,
    },
    /// Flash and RAM of the example firmware, and flash of the `compact` decoder alone.
    Footprint,
    /// Time of loading the shipped policies, with and without a cache, and of asking them; their fuel and size.
    ///
    /// Builds wasmtime in release, which takes minutes.
    Policy,
    /// Time of a thousand rollouts to a million devices, for each scenario that comes with whittle.
    ///
    /// Builds the program as it is shipped, which takes minutes.
    Simulate,
    /// What boots after power cuts under embassy-boot, by its own updater and by whittle's adapter.
    EmbassyBoot,
}

pub(crate) fn run(section: Section) -> Result<()> {
    match section {
        Section::Sizes { corpus, classes } => sizes::run(&corpus, &classes),
        Section::Peers { corpus, json } => peers::run(&corpus, json.as_deref()),
        Section::Decode { corpus, series } => decode::run(corpus.as_deref(), &series),
        Section::Encode { corpus } => encode::run(&corpus),
        Section::EncodeOnce { base, target, effort } => encode::once(&base, &target, &effort),
        Section::InPlace { corpus, class, series } => in_place::run(&corpus, &class, &series),
        Section::PowerCuts => power_cuts::run(),
        Section::Footprint => footprint::run(),
        Section::Policy => policy::run(),
        Section::Simulate => simulate::run(),
        Section::EmbassyBoot => embassy_boot::run(),
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
