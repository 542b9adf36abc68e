use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_calculators::savings::{self, Base, Inputs, Megabyte};
use whittle_calculators::{BuildReport, Difference, Start, differences, presets, row};

use super::calculated::{bad, human, list, preset, take, write_page};
use super::{once, policy};
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, table};

/// Work out what deltas save a fleet that pays for its downloads.
///
/// Costs in a year with and without deltas, the fleet at which they break even, the return in both ways of reckoning it, and what the
/// saving depends on. Sizes are measured ones of a build, or estimated. Percentages are of 100.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Named inputs, which flags change; `--list` shows them.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,

    /// List the presets.
    #[arg(long)]
    list: bool,

    /// List where the textbook chapter that the presets are from differs from its own inputs.
    #[arg(long, conflicts_with = "list")]
    differences: bool,

    /// Report of a build, as `whittle build --format json` writes it: its packages are what devices download.
    #[arg(long, value_name = "FILE", conflicts_with = "bases")]
    from_build: Option<PathBuf>,

    /// How many of the devices run a base of that build, in any measure [default: 1 for each].
    #[arg(long = "base-weight", value_name = "BASE=WEIGHT", requires = "from_build", value_parser = weight, allow_hyphen_values = true)]
    base_weights: Vec<(String, f64)>,

    /// A base, the bytes that its devices download, and how many they are, in any measure; may be given several times.
    #[arg(long = "base", value_name = "NAME:BYTES:WEIGHT", value_parser = base, allow_hyphen_values = true)]
    bases: Vec<Base>,

    /// Devices of the fleet.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    devices: Option<f64>,

    /// Updates that each device takes in a year.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    updates_per_year: Option<f64>,

    /// What a device downloads for the full image.
    #[arg(
        long,
        value_name = "BYTES",
        conflicts_with = "from_build",
        allow_negative_numbers = true
    )]
    full_bytes: Option<f64>,

    /// How much of the image changes, where nothing was measured.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    changed_percent: Option<f64>,

    /// How much a delta adds to what changed, where nothing was measured.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    overhead_percent: Option<f64>,

    /// Deltas that are kept for a release, where nothing was measured.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    kept_bases: Option<f64>,

    /// Price of a megabyte.
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    usd_per_mb: Option<f64>,

    /// What a megabyte is on the bill.
    #[arg(long, value_enum)]
    megabyte: Option<MegabyteArg>,

    /// Downloads that fail and are made once more.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    retry_percent: Option<f64>,

    /// Devices that run none of the bases, and take the full image.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    fallback_percent: Option<f64>,

    /// Retries of a delta until the full image is taken.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    full_after_retries: Option<f64>,

    /// What making deltas costs in a year.
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    tooling_usd_per_year: Option<f64>,

    /// The most bytes that a delta may have; 0 for no limit.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    budget_bytes: Option<f64>,

    /// Speed of the link; 0 if it is not known.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    link_bits_per_second: Option<f64>,

    /// Write a page with sliders, plots and all formulas to this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "differences"])]
    html: Option<OutFile>,
}

/// What a megabyte is on the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MegabyteArg {
    /// 1,048,576 bytes.
    Binary,
    /// 1,000,000 bytes.
    Decimal,
}

impl From<MegabyteArg> for Megabyte {
    fn from(arg: MegabyteArg) -> Self {
        match arg {
            MegabyteArg::Binary => Self::Binary,
            MegabyteArg::Decimal => Self::Decimal,
        }
    }
}

/// Where the textbook chapter that the presets are from differs from its own inputs.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Differences {
    /// The differences, in the order of the chapter.
    differences: Vec<Difference>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    if args.list {
        return list(&presets::savings(), printer);
    }
    if args.differences {
        return printer.result(&Differences { differences: differences() }, |found| {
            found.differences.iter().map(told).collect()
        });
    }
    let inputs = inputs(args, printer)?;
    let outcome = savings::outcome(&inputs).map_err(|error| bad(&error))?;
    write_page(args.html.as_deref(), &Start::Savings(inputs))?;
    printer.result(&outcome, |outcome| human(outcome.tables()))
}

fn inputs(args: &Args, printer: &Printer) -> Result<Inputs> {
    let mut inputs = preset(presets::savings(), args.preset.as_deref(), printer)?;
    if let Some(path) = &args.from_build {
        let json = String::from_utf8_lossy(&policy::read(path)?).into_owned();
        let bad = |source| Error::BadBuildReport { path: path.clone(), source };
        once("--base-weight", &args.base_weights)?;
        let mut report = BuildReport::parse(&json).map_err(bad)?;
        report.weigh(&args.base_weights).map_err(bad)?;
        report.fill(&mut inputs);
    }
    if !args.bases.is_empty() {
        inputs.bases.clone_from(&args.bases);
    }
    take(args.devices.as_ref(), &mut inputs.devices);
    take(args.updates_per_year.as_ref(), &mut inputs.updates_per_year);
    take(args.full_bytes.as_ref(), &mut inputs.full_bytes);
    take(args.changed_percent.as_ref(), &mut inputs.changed_percent);
    take(args.overhead_percent.as_ref(), &mut inputs.overhead_percent);
    take(args.kept_bases.as_ref(), &mut inputs.kept_bases);
    take(args.usd_per_mb.as_ref(), &mut inputs.usd_per_mb);
    take(args.megabyte.map(Megabyte::from).as_ref(), &mut inputs.megabyte);
    take(args.retry_percent.as_ref(), &mut inputs.retry_percent);
    take(args.fallback_percent.as_ref(), &mut inputs.fallback_percent);
    take(args.full_after_retries.as_ref(), &mut inputs.full_after_retries);
    take(args.tooling_usd_per_year.as_ref(), &mut inputs.tooling_usd_per_year);
    take(args.budget_bytes.as_ref(), &mut inputs.budget_bytes);
    take(args.link_bits_per_second.as_ref(), &mut inputs.link_bits_per_second);
    Ok(inputs)
}

fn base(text: &str) -> Result<Base, String> {
    let (name, [download_bytes, weight]) = row(text).map_err(|error| error.to_string())?;
    Ok(Base { name, download_bytes, weight })
}

fn weight(text: &str) -> Result<(String, f64), String> {
    let wanted = || "wanted BASE=WEIGHT, such as 2.4.0=0.6".to_owned();
    let (name, weight) = text.rsplit_once('=').ok_or_else(wanted)?;
    Ok((name.to_owned(), weight.parse().map_err(|_| wanted())?))
}

/// Sentences do not fit a table in a terminal.
fn told(row: &Difference) -> String {
    let lines = [("chapter", row.chapter), ("is", &*row.recomputed), ("why", &*row.why)];
    let rows = lines.map(|(what, text)| vec![what.to_owned(), text.to_owned()]);
    format!("{}\n\n", table(&[row.calculator, ""], rows))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Told {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(args: &[&str]) -> std::result::Result<Args, clap::Error> {
        Told::try_parse_from([&["savings"], args].concat()).map(|told| told.args)
    }

    #[test]
    fn negative_numbers_get_as_far_as_their_ranges() {
        for flag in ["--devices", "--updates-per-year", "--usd-per-mb", "--fallback-percent"] {
            assert!(parsed(&[flag, "-5"]).is_ok() && parsed(&[flag, "-0.5"]).is_ok(), "{flag}");
        }
        let args = parsed(&["--devices", "-5"]).expect("it is a number");
        assert_eq!(args.devices, Some(-5.0));
    }

    #[test]
    fn bases_may_be_named_like_flags() {
        for args in [&["--base", "-x:5:1"][..], &["--base=-x:5:1"], &["--base=--x:5:1"]] {
            let bases = parsed(args).expect("it is a base").bases;
            assert!(bases.len() == 1 && bases[0].name.ends_with("-x"), "{bases:?}");
        }
        let weights = parsed(&["--from-build", "build.json", "--base-weight", "-x=2"]);
        let weights = weights.expect("it is a weight").base_weights;
        assert_eq!(weights, [("-x".to_owned(), 2.0)]);
    }

    #[test]
    fn lists_are_no_pages() {
        for list in ["--list", "--differences"] {
            let refused = parsed(&[list, "--html", "page.html"]).expect_err("nothing is written");
            assert_eq!(refused.kind(), clap::error::ErrorKind::ArgumentConflict);
        }
    }
}
