//! `whittle rollout plan --what-if`: a plan in numbers, without a rollout's file and its policy.

use whittle_calculators::stages::{self, Inputs, Percents, RatePer, Stage, Watched};
use whittle_calculators::{Start, presets, row};

use crate::commands::calculated::{bad, human, list, preset, take, write_page};
use crate::error::Result;
use crate::out_file::OutFile;
use crate::printer::Printer;

/// Inputs of the calculator. Percentages are of 100.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --what-if")]
pub(super) struct WhatIfArgs {
    /// Work out what stages would show and risk, from the numbers that follow instead of a rollout's file.
    ///
    /// For each stage: expected events, how likely the rule "pause above so many times the baseline" pauses good and bad firmware, how
    /// long would be enough, the worst case, tickets against support's capacity; and how long it all takes.
    #[arg(long)]
    pub(super) what_if: bool,

    /// Named inputs, which flags change; `--list` shows them.
    #[arg(long, value_name = "NAME", requires = "what_if")]
    preset: Option<String>,

    /// List the presets.
    #[arg(long, requires = "what_if")]
    list: bool,

    /// A stage: its name, its share in percent, and how many hours it is watched; given once for each stage.
    #[arg(long = "stage", value_name = "NAME:PERCENT:HOURS", value_parser = stage, requires_all = ["what_if", "percents"], allow_hyphen_values = true)]
    stages: Vec<Stage>,

    /// What the percentages of stages mean.
    #[arg(long, value_enum, requires = "what_if")]
    percents: Option<PercentsArg>,

    /// Whose events and tickets count in a stage.
    #[arg(long, value_enum, requires = "what_if")]
    watched: Option<WatchedArg>,

    /// Devices of the fleet.
    #[arg(long, value_name = "N", requires = "what_if", allow_negative_numbers = true)]
    devices: Option<f64>,

    /// Devices with an event on good firmware, in the time that `--rate-per` says.
    #[arg(long, value_name = "PERCENT", requires_all = ["what_if", "rate_per"], allow_negative_numbers = true)]
    baseline_percent: Option<f64>,

    /// The time that the baseline is about.
    #[arg(long, value_enum, requires = "what_if")]
    rate_per: Option<RatePerArg>,

    /// Pause above so many times the expected events.
    #[arg(long, value_name = "RATIO", requires = "what_if", allow_negative_numbers = true)]
    pause_ratio: Option<f64>,

    /// How likely a healthy stage may pause, where the time is sought that would be enough.
    #[arg(long, value_name = "PERCENT", requires = "what_if", allow_negative_numbers = true)]
    false_pause_percent: Option<f64>,

    /// How likely a bad one shall pause, there.
    #[arg(long, value_name = "PERCENT", requires = "what_if", allow_negative_numbers = true)]
    power_percent: Option<f64>,

    /// Devices that need help when they are rolled back.
    #[arg(long, value_name = "PERCENT", requires = "what_if", allow_negative_numbers = true)]
    rollback_failure_percent: Option<f64>,

    /// Rolled back devices at which the rollout pauses.
    #[arg(long, value_name = "PERCENT", requires = "what_if", allow_negative_numbers = true)]
    rollback_trigger_percent: Option<f64>,

    /// Tickets that support can take in a day.
    #[arg(long, value_name = "N", requires = "what_if", allow_negative_numbers = true)]
    tickets_per_day: Option<f64>,

    /// Tickets at which the rollout pauses.
    #[arg(long, value_name = "N", requires = "what_if", allow_negative_numbers = true)]
    ticket_trigger: Option<f64>,

    /// Within how many hours.
    #[arg(long, value_name = "HOURS", requires = "what_if", allow_negative_numbers = true)]
    ticket_trigger_hours: Option<f64>,

    /// Time between two stages.
    #[arg(long, value_name = "HOURS", requires = "what_if", allow_negative_numbers = true)]
    analysis_hours: Option<f64>,

    /// How long a pause lasts, for the case of one pause.
    #[arg(long, value_name = "HOURS", requires = "what_if", allow_negative_numbers = true)]
    pause_hours: Option<f64>,

    /// What a device downloads.
    #[arg(long, value_name = "BYTES", requires = "what_if", allow_negative_numbers = true)]
    download_bytes: Option<f64>,

    /// Speed of the link; 0 if it is not known.
    #[arg(long, value_name = "N", requires = "what_if", allow_negative_numbers = true)]
    link_bits_per_second: Option<f64>,

    /// What a download takes besides.
    #[arg(long, value_name = "SECONDS", requires = "what_if", allow_negative_numbers = true)]
    download_overhead_seconds: Option<f64>,

    /// Devices with a bug that shows late.
    #[arg(long, value_name = "PERCENT", requires = "what_if", allow_negative_numbers = true)]
    bug_percent: Option<f64>,

    /// After how long it shows, on average.
    #[arg(long, value_name = "HOURS", requires = "what_if", allow_negative_numbers = true)]
    bug_hours: Option<f64>,

    /// How many devices must show it to be believed.
    #[arg(long, value_name = "N", requires = "what_if", allow_negative_numbers = true)]
    bug_devices_seen: Option<f64>,

    /// What a week of waiting costs.
    #[arg(long, value_name = "USD", requires = "what_if", allow_negative_numbers = true)]
    delay_usd_per_week: Option<f64>,

    /// What a device with a bug costs.
    #[arg(long, value_name = "USD", requires = "what_if", allow_negative_numbers = true)]
    bug_usd_per_device: Option<f64>,

    /// Write a page with sliders, plots and all formulas to this file.
    #[arg(long, value_name = "FILE", requires = "what_if", conflicts_with = "list")]
    html: Option<OutFile>,
}

/// What the percentages of stages mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PercentsArg {
    /// What has been updated when the stage is full.
    Cumulative,
    /// What the stage adds.
    Incremental,
}

/// Whose events count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum WatchedArg {
    /// Those of all devices that have been updated.
    AllUpdated,
    /// Those of devices that the stage has added.
    NewDevices,
}

/// The time that a rate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RatePerArg {
    /// Events per day that a device runs.
    DeviceDay,
    /// Events per hour that a device runs.
    DeviceHour,
}

impl From<PercentsArg> for Percents {
    fn from(arg: PercentsArg) -> Self {
        match arg {
            PercentsArg::Cumulative => Self::Cumulative,
            PercentsArg::Incremental => Self::Incremental,
        }
    }
}

impl From<WatchedArg> for Watched {
    fn from(arg: WatchedArg) -> Self {
        match arg {
            WatchedArg::AllUpdated => Self::AllUpdated,
            WatchedArg::NewDevices => Self::NewDevices,
        }
    }
}

impl From<RatePerArg> for RatePer {
    fn from(arg: RatePerArg) -> Self {
        match arg {
            RatePerArg::DeviceDay => Self::DeviceDay,
            RatePerArg::DeviceHour => Self::DeviceHour,
        }
    }
}

pub(super) fn run(args: &WhatIfArgs, printer: &Printer) -> Result {
    if args.list {
        return list(&presets::stages(), printer);
    }
    let inputs = inputs(args, printer)?;
    let outcome = stages::outcome(&inputs).map_err(|error| bad(&error))?;
    write_page(args.html.as_deref(), &Start::Stages(inputs))?;
    printer.result(&outcome, |outcome| human(outcome.tables()))
}

fn inputs(args: &WhatIfArgs, printer: &Printer) -> Result<Inputs> {
    let mut inputs = preset(presets::stages(), args.preset.as_deref(), printer)?;
    if !args.stages.is_empty() {
        inputs.stages.clone_from(&args.stages);
    }
    take(args.percents.map(Percents::from).as_ref(), &mut inputs.percents);
    take(args.watched.map(Watched::from).as_ref(), &mut inputs.watched);
    take(args.devices.as_ref(), &mut inputs.devices);
    take(args.baseline_percent.as_ref(), &mut inputs.baseline_percent);
    take(args.rate_per.map(RatePer::from).as_ref(), &mut inputs.rate_per);
    take(args.pause_ratio.as_ref(), &mut inputs.pause_ratio);
    take(args.false_pause_percent.as_ref(), &mut inputs.false_pause_percent);
    take(args.power_percent.as_ref(), &mut inputs.power_percent);
    take(args.rollback_failure_percent.as_ref(), &mut inputs.rollback_failure_percent);
    take(args.rollback_trigger_percent.as_ref(), &mut inputs.rollback_trigger_percent);
    take(args.tickets_per_day.as_ref(), &mut inputs.tickets_per_day);
    take(args.ticket_trigger.as_ref(), &mut inputs.ticket_trigger);
    take(args.ticket_trigger_hours.as_ref(), &mut inputs.ticket_trigger_hours);
    take(args.analysis_hours.as_ref(), &mut inputs.analysis_hours);
    take(args.pause_hours.as_ref(), &mut inputs.pause_hours);
    take(args.download_bytes.as_ref(), &mut inputs.download_bytes);
    take(args.link_bits_per_second.as_ref(), &mut inputs.link_bits_per_second);
    take(args.download_overhead_seconds.as_ref(), &mut inputs.download_overhead_seconds);
    take(args.bug_percent.as_ref(), &mut inputs.bug_percent);
    take(args.bug_hours.as_ref(), &mut inputs.bug_hours);
    take(args.bug_devices_seen.as_ref(), &mut inputs.bug_devices_seen);
    take(args.delay_usd_per_week.as_ref(), &mut inputs.delay_usd_per_week);
    take(args.bug_usd_per_device.as_ref(), &mut inputs.bug_usd_per_device);
    Ok(inputs)
}

fn stage(text: &str) -> Result<Stage, String> {
    let (name, [percent, hours]) = row(text).map_err(|error| error.to_string())?;
    Ok(Stage { name, percent, hours })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Told {
        #[command(flatten)]
        args: WhatIfArgs,
    }

    fn parsed(args: &[&str]) -> std::result::Result<WhatIfArgs, clap::Error> {
        Told::try_parse_from([&["plan", "--what-if"], args].concat()).map(|told| told.args)
    }

    #[test]
    fn negative_numbers_get_as_far_as_their_ranges() {
        for flag in ["--devices", "--pause-ratio", "--bug-percent", "--ticket-trigger-hours"] {
            assert!(parsed(&[flag, "-5"]).is_ok() && parsed(&[flag, "-0.5"]).is_ok(), "{flag}");
        }
        let args = parsed(&["--rate-per", "device-day", "--baseline-percent", "-1"]);
        assert_eq!(args.expect("it is a number").baseline_percent, Some(-1.0));
    }

    #[test]
    fn stages_may_be_named_like_flags() {
        for stage in
            [&["--stage", "-x:100:24"][..], &["--stage=-x:100:24"], &["--stage=--x:100:24"]]
        {
            let args = parsed(&[&["--percents", "cumulative"], stage].concat());
            let stages = args.expect("it is a stage").stages;
            assert!(stages.len() == 1 && stages[0].name.ends_with("-x"), "{stages:?}");
        }
    }

    #[test]
    fn lists_are_no_pages() {
        let refused = parsed(&["--list", "--html", "page.html"]).expect_err("nothing is written");
        assert_eq!(refused.kind(), clap::error::ErrorKind::ArgumentConflict);
    }
}
