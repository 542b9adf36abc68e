//! Where the chapter's figures differ from what its own inputs give, and why.
//!
//! What is recomputed is computed here, by the calculators and from their presets: nothing of it is typed in.

use serde::Serialize;

use crate::savings::{self, Megabyte};
use crate::words::{hours, number, percent, short_percent, usd, usd_exactly};
use crate::{poisson, presets, stages};

/// A figure of the chapter, and what comes out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// The calculator that it is about: `savings` or `stages`.
    pub calculator: &'static str,
    /// What the chapter says.
    pub chapter: &'static str,
    /// What comes out.
    pub recomputed: String,
    /// Why.
    pub why: String,
}

/// All differences, in the order of the chapter's calculators. Figures that are right are among them where they are easily doubted.
#[must_use]
pub fn differences() -> Vec<Difference> {
    // The presets are checked by tests; where one could not be worked out, its rows would be missing there.
    [savings_rows().unwrap_or_default(), stage_rows().unwrap_or_default()].concat()
}

/// The differences as a table in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text =
        "| calculator | the chapter says | from its own inputs | why |\n|---|---|---|---|\n"
            .to_owned();
    for row in differences() {
        text += &format!(
            "| {} | {} | {} | {} |\n",
            row.calculator, row.chapter, row.recomputed, row.why
        );
    }
    text
}

type Rows = Result<Vec<Difference>, crate::BadInput>;

fn savings_rows() -> Rows {
    let row = |chapter, recomputed: String, why: String| Difference {
        calculator: "savings",
        chapter,
        recomputed,
        why,
    };
    let presets = presets::savings();
    let Some(sensors) = presets.first().map(|preset| &preset.inputs) else { return Ok(vec![]) };
    let with = |change: &dyn Fn(&mut savings::Inputs)| {
        let mut inputs = sensors.clone();
        change(&mut inputs);
        savings::outcome(&inputs)
    };
    let found = with(&|_| ())?;
    let decimal = with(&|inputs| inputs.megabyte = Megabyte::Decimal)?;
    let at_chapters_break_even = with(&|inputs| inputs.devices = CHAPTER_BREAK_EVEN)?;
    let break_even = |found: &savings::Outcome| {
        number(found.break_even_devices.unwrap_or(f64::INFINITY).round())
    };
    let fractions = [5.0, 10.0, 20.0]
        .map(|fallback| {
            with(&|inputs| inputs.fallback_percent = fallback).map(|found| break_even(&found))
        })
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let (full, tools) = (found.full_usd, sensors.tooling_usd_per_year);
    let with_retries =
        found.delta_bytes / Megabyte::Binary.bytes() * (1.0 + sensors.retry_percent / 100.0);
    let fleet_mb = with_retries * sensors.devices;
    let per_device = full / sensors.devices;
    let rounded = tools / (per_device - CHAPTER_MB * sensors.updates_per_year * sensors.usd_per_mb);
    Ok(vec![
        row(
            "full images cost $15,450",
            format!("{}; {} where a megabyte on the bill is a million bytes", usd(full), usd(decimal.full_usd)),
            "right with megabytes of 1,048,576 bytes. The thermostat example of the same chapter has 1.8 MB = 14.4 Mbit, which is decimal".into(),
        ),
        row(
            "83 KB -> 0.083 MB -> 1,245 MB -> $2,490",
            format!("{} KiB -> {} MB -> {} MB -> {}", number(found.delta_bytes / 1024.0), number(with_retries), number(fleet_mb), usd(found.data_usd)),
            "rounded three times on the way".into(),
        ),
        row(
            "deltas cost $4,490, and save $10,960",
            format!("{}, and {}", usd(found.delta_usd), usd(found.net_usd)),
            format!("the same roundings: {}", short_percent((found.net_usd / 10_960.0 - 1.0) * 100.0)),
        ),
        row(
            "71 % cost reduction; 70-85 % bandwidth savings",
            format!("{} of the cost, {} of the bytes", short_percent(found.cost_reduction.unwrap_or_default() * 100.0), short_percent(found.bandwidth_reduction * 100.0)),
            "two figures under one name: the former is after the tools".into(),
        ),
        row(
            "ROI 244 %",
            format!(
                "{} of all that is spent with deltas; {} of the tools ({} with the chapter's roundings)",
                short_percent(found.roi_on_spend.unwrap_or_default() * 100.0),
                short_percent(found.roi_on_tooling.unwrap_or_default() * 100.0),
                short_percent(10_960.0 / tools * 100.0),
            ),
            "the chapter's base has downloads in it that take the place of dearer ones. What is put in is the tools".into(),
        ),
        row(
            "break-even at approximately 1,800 devices",
            format!("{}, so that {} is the first fleet that saves; {} with the chapter's roundings", break_even(&found), number(found.first_profitable_devices.unwrap_or(f64::INFINITY)), number(rounded.round())),
            format!(
                "{} / ({} - {}). 1,800 devices save {} a year, and deltas of no bytes would break even at {}",
                usd(tools),
                usd_exactly(per_device),
                usd_exactly(found.data_usd / sensors.devices),
                usd(at_chapters_break_even.net_usd),
                number(found.floor_devices.unwrap_or(f64::INFINITY).round()),
            ),
        ),
        row(
            "3 deltas x 83 KB = 249 KB storage",
            format!("{} KB with the full image", number((found.storage_bytes / 1024.0).round())),
            "the full image is kept as fallback, and the bases are kept, too, to make the next deltas from. Deltas from older bases are larger: measure them".into(),
        ),
        row(
            "tooling: server + bsdiff licensing",
            "no fee".into(),
            "bsdiff has a BSD licence".into(),
        ),
        row(
            "(every device runs one of the bases)",
            format!("break-even at {} if 5, 10 or 20 % run none", fractions.join(", ")),
            "devices out of the window take the full image; the chapter leaves them out".into(),
        ),
        row(
            "full image if delta fails after 2 retries",
            format!("{} full images a year", number((found.full_after_retries_per_year * 10.0).round() / 10.0)),
            format!("{}^3 x {} downloads: next to nothing beside devices that run no base", percent(sensors.retry_percent), number(sensors.devices * sensors.updates_per_year)),
        ),
    ])
}

/// What the chapter calls the break-even.
const CHAPTER_BREAK_EVEN: f64 = 1800.0;

/// What the chapter rounds a download with its retries to.
const CHAPTER_MB: f64 = 0.083;

fn stage_rows() -> Rows {
    let row = |chapter, recomputed: String, why: String| Difference {
        calculator: "stages",
        chapter,
        recomputed,
        why,
    };
    let presets = presets::stages();
    let named =
        |name: &str| presets.iter().find(|preset| preset.name == name).map(|preset| &preset.inputs);
    let (Some(thermostats), Some(cumulative), Some(meters)) =
        (named("chapter"), named("chapter-cumulative"), named("meters"))
    else {
        return Ok(vec![]);
    };
    let found = stages::outcome(thermostats)?;
    let as_cumulative = stages::outcome(cumulative)?;
    let at_ten_percent =
        stages::outcome(&stages::Inputs { rollback_trigger_percent: 10.0, ..thermostats.clone() })?;
    let with_analysis =
        stages::outcome(&stages::Inputs { analysis_hours: 2.0, ..thermostats.clone() })?;
    let meter = stages::outcome(meters)?;
    let ([one, two, three, four], [meter, ..]) = (&found.stages[..], &meter.stages[..]) else {
        return Ok(vec![]);
    };
    let chance = |share: f64| short_percent(share * 100.0);
    let fitting_days = found.fitting_device_hours.unwrap_or(f64::INFINITY) / 24.0;
    let ratio_at_40 = 40.0 / meter.expected_events;
    let (first, third) = (
        stages::hours_until_failed(5, 1, 0.95, thermostats.bug_hours).unwrap_or(f64::INFINITY),
        stages::hours_until_failed(5, 3, 0.95, thermostats.bug_hours).unwrap_or(f64::INFINITY),
    );
    let tenth = |value: f64| number((value * 10.0).round() / 10.0);
    let new_devices = |found: &stages::Outcome| {
        found.stages.iter().map(|stage| number(stage.new_devices)).collect::<Vec<_>>()
    };
    let (slow, fast) = (
        named("slow").map(stages::outcome).transpose()?,
        named("fast").map(stages::outcome).transpose()?,
    );
    let longer_days = (slow.as_ref().map_or(0.0, |found| found.hours)
        - fast.as_ref().map_or(0.0, |found| found.hours))
        / 24.0;
    Ok(vec![
        row(
            "40 crashes against 10 expected: p < 0.001; 4x; 19x more devices",
            format!(
                "p = {:.1e}; {}x; {}x",
                poisson::at_least(40, meter.expected_events),
                number(ratio_at_40),
                number((meters.devices - meter.new_devices) / meter.new_devices)
            ),
            "right".into(),
        ),
        row(
            "1.8 MB at 500 kbit/s: 28.8 s",
            format!("{} s", number(thermostats.download_bytes * 8.0 / thermostats.link_bits_per_second)),
            "right, with megabytes of a million bytes".into(),
        ),
        row(
            "0.25 crashes expected in stage 1, 0.75 at 3x",
            format!("{} and {}", number(one.expected_events), number(one.expected_events * thermostats.pause_ratio)),
            format!(
                "the rate is per device-day, and the stage lasts {} h. Only stage 2 lasts a day; stage 3 has {} and {}",
                number(one.hours),
                number(three.expected_events),
                number(three.expected_events * thermostats.pause_ratio)
            ),
        ),
        row(
            "stage 1 pauses above 0.75 crashes",
            format!("it pauses at {}: {} false pauses, {} power against 3x", number(one.pause_at_events.into()), chance(one.false_pause), chance(one.power_3x)),
            "there are no fractions of a crash: the first one pauses".into(),
        ),
        row(
            "stage 2 pauses above 7.5 crashes",
            format!("it pauses at {}: {} false pauses, {} power against 3x", number(two.pause_at_events.into()), chance(two.false_pause), chance(two.power_3x)),
            format!(
                "a limit at the very ratio that it shall find is a coin toss. To find 3x in 90 % of cases with 5 % false pauses takes {} device-days: {} with 1,250 devices, {} with 12,500",
                number((fitting_days / 10.0).round() * 10.0),
                days(one.fitting_hours),
                one_hour(two.fitting_hours)
            ),
        ),
        row(
            "observing 1,250 devices for 6 hours catches most issues",
            format!("no event among {} excludes only what hits {} of devices or more", number(one.watched_devices), chance(one.silence_excludes_share.unwrap_or(1.0))),
            "rule of three, 95 %".into(),
        ),
        row(
            "37.5 support tickets maximum in stage 2",
            format!("{} only if all {} roll back; {} at the 2 % that pause, {} at 10 %", number(two.tickets_if_all_roll_back), number(two.watched_devices), number(two.tickets_at_trigger), number(at_ten_percent.stages[1].tickets_at_trigger)),
            "0.3 % is of the devices that roll back".into(),
        ),
        row(
            "3.7 expected rollback failures per stage; 500 tickets a day can handle them",
            format!("{}; the last stage is above capacity", found.stages.iter().map(|stage| number((stage.tickets_if_all_roll_back * 100.0).round() / 100.0)).collect::<Vec<_>>().join(", ")),
            format!("3.7 is stage 1. Stage 4 has {} if it is rolled back", number(four.tickets_if_all_roll_back.round())),
        ),
        row(
            "pause at 100 tickets in 4 hours",
            format!("{} a day, {} capacity", number(found.trigger_tickets_per_day), if found.trigger_above_capacity { "above" } else { "within" }),
            format!("capacity is {} a day, or {} in 4 hours", number(thermostats.tickets_per_day), number((thermostats.tickets_per_day / 6.0).round())),
        ),
        row(
            "6.5 days; 8-10 with one pause",
            format!("{}; {} with 2 h of analysis between stages; {} with one pause of 48 h", hours(found.hours), hours(with_analysis.hours), hours(found.hours_with_one_pause)),
            "the analysis is named, but not its length".into(),
        ),
        row(
            "0.5, 5, 25, 100 %: 1,250, 12,500, 62,500, 173,750 devices",
            format!("incremental: {}; cumulative: {}", new_devices(&found).join(", "), new_devices(&as_cumulative).join(", ")),
            format!("the numbers add up only if 0.5, 5 and 25 % are what a stage adds: {} before the last one. `--percents` says which", chance(three.updated_share)),
        ),
        row(
            "stages 3 and 4 pause at 3x",
            format!(
                "{} power against 3x in stage 3, {} in stage 4 of the cumulative plan",
                chance(as_cumulative.stages[2].power_3x),
                chance(as_cumulative.stages[3].power_3x)
            ),
            "a coin toss at any size".into(),
        ),
        row(
            "duration = MTTF / (size x rate); 4 h, 12 h recommended",
            format!("{} h by that formula; 5 affected devices: one has failed after {} h, three after {} h", number(4.0 / (1000.0 * 0.005)), tenth(first), tenth(third)),
            "its own example does not use the formula. Times to failure are taken to be exponential; 95 %".into(),
        ),
        row(
            "5 % (2,500 devices), of a fleet of 100,000 on day 6",
            format!("2,500 are {} of 100,000", chance(2500.0 / 100_000.0)),
            format!("the 2,500 on v2.4 are gone later; 0.01 -> 0.05 % is {}x, which the chapter's table decides within 24 h, and the example within 48 h", number(0.05 / 0.01)),
        ),
        row(
            "slow against fast: 3 weeks, or 4 weeks",
            format!("{} days, {} weeks", number(longer_days), tenth(longer_days / 7.0)),
            "six weeks less nine days".into(),
        ),
        row(
            "slow pays if a bug hits more than 100-1,000 devices",
            format!("{} to {} for each week of delay; {} to {} for four", number(10_000.0 / 500.0), number(50_000.0 / 100.0), number(4.0 * 10_000.0 / 500.0), number(4.0 * 50_000.0 / 100.0)),
            "$10-50k a week by $100-500 a device".into(),
        ),
        row(
            "baselines of 0.2 % and of 0.02 %",
            format!("{} times apart", number(meters.baseline_percent / meters.rate_per.hours() / (thermostats.baseline_percent / thermostats.rate_per.hours()))),
            "the former is per device-hour, the latter per device-day: `--rate-per` has no default".into(),
        ),
        row(
            "6-10 days, or 2-6 weeks; a canary of 1-2, 6-24 or 24-48 h",
            format!("presets: {}", presets.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")),
            "the chapter has several plans; each has a name here".into(),
        ),
    ])
}

fn days(hours: Option<f64>) -> String {
    hours.map_or("never".to_owned(), |hours| format!("{} days", number((hours / 24.0).round())))
}

fn one_hour(hours: Option<f64>) -> String {
    hours.map_or("never".to_owned(), |hours| format!("{} h", number(hours.round())))
}
