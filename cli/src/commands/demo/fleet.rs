use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_demo::{
    ALPHA, BuiltPackage, Event, Look, Note, Options, POLICY, Share, Summary, Told, Worst,
};
use whittle_policy_host::types::{DecidedBy, Decision, Stage};
use whittle_rollout::Decided;

use crate::commands::policy;
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped};
use crate::{time, words};

/// Watch a fleet: a release that one hardware revision does not stand is rolled out, paused, taken back and mended.
///
/// Each device runs the real updater on simulated flash: some lose their power in the middle of an update, some are out of reach,
/// some are too old for a delta. The release is built, signed and published, offered by signed documents, and judged by a policy that comes
/// with whittle. The firmware, its fault and the people who act are made up, and the clock runs as fast as it can.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What everything is drawn from: the same seed shows the same.
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,

    /// How many devices there are, 50 to 5000.
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u32).range(50..=5000))]
    devices: u32,
}

/// A fleet that was watched, from its first release to the one that mends it.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Fleet<'a> {
    /// Where everything is that was published and logged; none if it was not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    /// What came of it.
    summary: &'a Summary,
    /// What happened, in its order.
    timeline: &'a [Told],
}

pub(super) fn run(args: &Args, out: Option<&Path>, printer: &Printer) -> Result {
    let policy = policy::load(&policy::host(printer), POLICY)?;
    let _lock = out.map(super::clear).transpose()?;
    let temporary = match out {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(super::io("create", &std::env::temp_dir()))?),
    };
    let kept = temporary.as_ref().map(tempfile::TempDir::path).or(out);
    let options = Options {
        seed: args.seed,
        devices: args.devices,
        out: kept.map(Path::to_owned).unwrap_or_default(),
    };
    let is_watched = !printer.is_json() && !printer.is_quiet();
    let (mut page, mut printed) = (Page::default(), Ok(()));
    let outcome = whittle_demo::run(&options, &policy, &mut |told| {
        let text = page.add(told);
        if is_watched && !text.is_empty() && printed.is_ok() {
            printed = printer.stdout(&text);
        }
    });
    printed?;
    let outcome = outcome.map_err(|error| Error::Demo(Box::new(error)))?;
    let out = out.map(|out| out.display().to_string());
    let fleet = Fleet { out, summary: &outcome.summary, timeline: &outcome.timeline };
    printer.result(&fleet, |fleet| ending(fleet.summary, fleet.out.as_deref()))
}

/// Text on the way to a terminal or a file: a line for what happens, and none for what has been said.
#[derive(Default)]
struct Page {
    /// The last look, and whether it was written.
    look: Option<(u32, Look, bool)>,
    shown: Option<Look>,
}

impl Page {
    fn add(&mut self, told: &Told) -> String {
        let hour = told.hour;
        match &told.event {
            Event::Look(look) => {
                let is_news = self.shown.as_ref().is_none_or(|shown| is_news(shown, look));
                self.look = Some((hour, look.clone(), false));
                if is_news { self.flush() } else { String::new() }
            }
            event @ (Event::Device(_) | Event::Ordered { .. }) => one(hour, event),
            // What led to a decision is shown in front of it.
            Event::Decided { decided } => self.flush() + &decision(hour, decided),
            Event::Said { who, what } => self.flush() + &format!("{}{who}: {what}", margin(hour)),
            event => self.flush() + &one(hour, event),
        }
    }

    fn flush(&mut self) -> String {
        match &mut self.look {
            Some((hour, look, is_written @ false)) => {
                *is_written = true;
                self.shown = Some(look.clone());
                format!("{}{}\n", margin(*hour), shown_look(look))
            }
            _ => String::new(),
        }
    }
}

/// Whether somebody would want to see it after what was shown last.
fn is_news(shown: &Look, look: &Look) -> bool {
    let e_value = |look: &Look| look.e_value.unwrap_or(1.0);
    let rises = e_value(look) >= TELLING && e_value(look) > 1.5 * e_value(shown);
    let grows = look.updated >= shown.updated + shown.updated / 3 + 3;
    rises || grows || look.stage != shown.stage
}

fn one(hour: u32, event: &Event) -> String {
    match event {
        Event::Fleet { devices, hardware, versions, troubles } => format!(
            "A fleet of {} thermostats, revisions {}, running {}.\n\
             {} of them are too old for a delta, {} will be out of reach for hours, {} have a narrow link; and now and then \
             the power fails.\n\
             Firmware, faults and people are made up; all else is what devices and servers run.\n",
            grouped(u64::from(*devices)),
            shares(hardware),
            shares(versions),
            troubles.stragglers,
            troubles.offline,
            troubles.narrow,
        ),
        Event::Built { version, image_bytes, packages, .. } => format!(
            "{}built and signed {version}: {} bytes; {}",
            margin(hour),
            grouped(u64::from(*image_bytes)),
            packages.iter().map(package).collect::<Vec<_>>().join(", ")
        ),
        Event::Published { version, channel, objects, bytes } => format!(
            "{}published {version} in `{channel}`: {objects} packages, {} bytes",
            margin(hour),
            grouped(*bytes)
        ),
        Event::Started { version, policy, policy_sha256, stages, held_back, .. } => {
            let sha = policy_sha256.get(..8).unwrap_or_default();
            let stages: Vec<_> = stages.iter().map(stage).collect();
            format!(
                "\nRollout of {version} under the policy {policy} ({sha})\n\
                 {}stages: {}; {held_back} devices are held back until the end\n\
                 {}an e-value of {} pauses it: healthy firmware gets there once in {} rollouts at most",
                margin(hour),
                stages.join(", "),
                margin(hour),
                threshold(),
                threshold(),
            )
        }
        Event::Device(note) => format!("{}  {}", blank(), happening(note)),
        Event::Ordered { files } => {
            format!("{}  signed and published for devices: {}", blank(), files.join(", "))
        }
        Event::Versions { versions } => {
            format!("{}the fleet runs {}", margin(hour), shares(versions))
        }
        Event::Look(_) | Event::Decided { .. } | Event::Said { .. } => String::new(),
    }
}

fn threshold() -> String {
    format!("{:.0}", 1.0 / ALPHA)
}

/// The time in front of a line.
fn margin(hour: u32) -> String {
    format!("day {:<2} {:02}:00  ", hour / 24 + 1, hour % 24)
}

/// As much room without a time.
fn blank() -> String {
    " ".repeat(margin(0).len())
}

fn shares(shares: &[Share]) -> String {
    let all = shares.iter().map(|share| format!("{} on {}", share.name, share.devices));
    all.collect::<Vec<_>>().join(", ")
}

fn package(package: &BuiltPackage) -> String {
    let bytes = grouped(package.bytes);
    match &package.base {
        Some(base) => format!("delta from {base} {bytes}"),
        None => format!("full image {bytes}"),
    }
}

fn stage((stage, devices): &(Stage, u32)) -> String {
    let among = stage.among.as_ref().map(|label| format!(" of {label}"));
    format!("{} ({devices}{})", stage.name, among.unwrap_or_default())
}

fn shown_look(look: &Look) -> String {
    let mut text = format!(
        "{:<11} {:>4} offered, {:>4} updated, {:>4} committed, {:>3} back",
        look.stage, look.offered, look.updated, look.committed, look.rolled_back
    );
    if look.phase == "paused" {
        text += "; paused";
    }
    if let Some(e_value) = look.e_value.filter(|e_value| *e_value >= TELLING) {
        let _ = match e_value {
            ..1e6 => write!(text, "; e-value {e_value:.0}"),
            _ => write!(text, "; e-value {e_value:.1e}"),
        };
        if let Some(Worst { group, ratio }) = &look.worst {
            let _ = write!(text, ", {group} crashes {ratio:.0} times as often");
        }
    }
    text
}

/// What an e-value below says is nothing.
const TELLING: f64 = 2.0;

fn decision(hour: u32, decided: &Decided) -> String {
    let name = match &decided.decision {
        Decision::Advance(_) | Decision::Complete | Decision::Hold => "",
        Decision::Pause(_) => "PAUSE  ",
        Decision::Resume(_) => "RESUME  ",
        Decision::RollBack(_) => "ROLLBACK  ",
        Decision::Stop => "STOP  ",
    };
    let mut text = format!(
        "{}{name}{} decided: {}\n",
        margin(hour),
        words::decided_by(decided.by),
        words::decision(&decided.decision)
    );
    let is_said = decided.by == DecidedBy::Person;
    for reason in decided.reasons.iter().filter(|_| !is_said) {
        let _ = write!(text, "{}{}", blank(), words::reason(reason));
    }
    text
}

fn happening(note: &Note) -> String {
    match note {
        Note::WentBack { device, hardware, from, to, why, boots } => format!(
            "{device} ({hardware}) is back on {to} by itself: on {from} {why}, after {boots} {}",
            if *boots == 1 { "start" } else { "starts" }
        ),
        Note::TakenBack { device, hardware, to } => {
            format!("{device} ({hardware}) has taken {to}, as it was told to")
        }
        Note::Mended { device, hardware, version } => {
            format!("{device} ({hardware}) was back on old firmware, and runs {version} now")
        }
        Note::PowerCameBack { device, hardware, during } => {
            format!("{device} ({hardware}) has its power back, and goes on: it failed {during}")
        }
        Note::Resumed { device, at } => format!("{device} goes on with its download at byte {at}"),
    }
}

fn ending(summary: &Summary, out: Option<&str>) -> String {
    let rollouts = summary.rollouts.iter().map(|rollout| {
        format!(
            "{} {} in {} after {} {}",
            rollout.name,
            rollout.ending,
            time::length(u64::from(rollout.hours) * 3600),
            rollout.pauses,
            if rollout.pauses == 1 { "pause" } else { "pauses" }
        )
    });
    let rollouts: Vec<_> = rollouts.collect();
    let whittle_demo::Packages { deltas, full } = summary.fetched;
    let count = |number: u32| grouped(u64::from(number));
    let mut text = format!(
        "\nIn the end\n  \
         bricks      {}\n  \
         versions    {}\n  \
         rollouts    {}\n  \
         rollbacks   {} by devices themselves, {} ordered; {} of these devices run the mended release\n  \
         power cuts  {} in the middle of an update\n  \
         downloads   {} went on where they had stopped, none fetched more than {} bytes again\n  \
         over air    {} bytes: {} deltas with {}, {} full images with {}\n  \
         without     deltas it would have been {} bytes, {:.1} times as many\n  \
         starts      {} of new images on trial\n  \
         time        {} on the demo's clock, seed {}\n",
        count(summary.bricks),
        shares(&summary.versions),
        rollouts.join("; "),
        count(summary.went_back),
        count(summary.taken_back),
        count(summary.mended),
        count(summary.power_cuts),
        count(summary.resumed_downloads),
        summary.most_fetched_again_bytes,
        grouped(summary.air_bytes),
        count(deltas.packages),
        grouped(deltas.bytes),
        count(full.packages),
        grouped(full.bytes),
        grouped(summary.air_bytes_if_full),
        times(summary.air_bytes_if_full, summary.air_bytes),
        count(summary.trial_boots),
        time::length(u64::from(summary.hours) * 3600),
        summary.seed,
    );
    let name = summary.rollouts.first().map_or("", |rollout| &rollout.name);
    text += &match out {
        Some(out) => format!(
            "\nWhat was published and logged is in {out}:\n  \
             whittle rollout replay {name} --store {out}/rollouts.whittle\n  \
             whittle verify {out}/releases/2.4.1 --pubkey {out}/keys/release.pub.pem"
        ),
        None => "\n`--out DIR` keeps what was published and logged.".to_owned(),
    };
    text
}

fn times(one: u64, other: u64) -> f64 {
    // Far fewer bytes than a double counts.
    #[allow(clippy::cast_precision_loss)]
    let times = one as f64 / other.max(1) as f64;
    times
}
