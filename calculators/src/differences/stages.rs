//! The chapter's figures of what stages show.

use super::{Difference, Rows};
use crate::stages::{Inputs, Outcome, StageOutcome, hours_until_failed, outcome};
use crate::words::{hours, number, short_percent};
use crate::{poisson, presets};

/// The chapter's two examples, and what comes out of them.
struct Chapter {
    thermostats: Inputs,
    meters: Inputs,
    found: Outcome,
    meter: StageOutcome,
}

impl Chapter {
    fn stages(&self) -> Option<&[StageOutcome; 4]> {
        self.found.stages.as_slice().try_into().ok()
    }
}

pub(super) fn rows() -> Rows {
    let (Some(thermostats), Some(meters)) = (preset("chapter"), preset("meters")) else {
        return Ok(vec![]);
    };
    let found = outcome(&thermostats)?;
    let Some(meter) = outcome(&meters)?.stages.into_iter().next() else { return Ok(vec![]) };
    let chapter = Chapter { thermostats, meters, found, meter };
    let rows = [alarms(&chapter)?, tickets(&chapter)?, lengths(&chapter)?, advice(&chapter)?];
    Ok(rows.concat())
}

fn preset(name: &str) -> Option<Inputs> {
    let presets = presets::stages().into_iter();
    presets
        .map(|preset| (preset.name, preset.inputs))
        .find(|(own, _)| *own == name)
        .map(|(_, inputs)| inputs)
}

fn row(chapter: &'static str, recomputed: String, why: String) -> Difference {
    Difference { calculator: "stages", chapter, recomputed, why }
}

fn chance(share: f64) -> String {
    short_percent(share * 100.0)
}

fn tenth(value: f64) -> String {
    number((value * 10.0).round() / 10.0)
}

/// What is seen, and what pauses.
fn alarms(chapter: &Chapter) -> Rows {
    let Some([one, two, three, _]) = chapter.stages() else { return Ok(vec![]) };
    let Chapter { thermostats, meters, found, meter } = chapter;
    let fitting_days = found.fitting_device_hours.unwrap_or(f64::INFINITY) / 24.0;
    let ratio_at_40 = 40.0 / meter.expected_events;
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
            format!(
                "{} s",
                number(thermostats.download_bytes * 8.0 / thermostats.link_bits_per_second)
            ),
            "right, with megabytes of a million bytes".into(),
        ),
        row(
            "0.25 crashes expected in stage 1, 0.75 at 3x",
            format!(
                "{} and {}",
                number(one.expected_events),
                number(one.expected_events * thermostats.pause_ratio)
            ),
            format!(
                "the rate is per device-day, and the stage lasts {} h. Only stage 2 lasts a day; stage 3 has {} and {}",
                number(one.hours),
                number(three.expected_events),
                number(three.expected_events * thermostats.pause_ratio)
            ),
        ),
        row(
            "stage 1 pauses above 0.75 crashes",
            format!(
                "it pauses at {}: {} false pauses, {} power against 3x",
                number(one.pause_at_events.into()),
                chance(one.false_pause),
                chance(one.power_3x)
            ),
            "there are no fractions of a crash: the first one pauses".into(),
        ),
        row(
            "stage 2 pauses above 7.5 crashes",
            format!(
                "it pauses at {}: {} false pauses, {} power against 3x",
                number(two.pause_at_events.into()),
                chance(two.false_pause),
                chance(two.power_3x)
            ),
            format!(
                "a limit at the very ratio that it shall find is a coin toss. To find 3x in 90 % of cases with 5 % false pauses takes {} device-days: {} with 1,250 devices, {} with 12,500",
                number((fitting_days / 10.0).round() * 10.0),
                days(one.fitting_hours),
                one_hour(two.fitting_hours)
            ),
        ),
        row(
            "observing 1,250 devices for 6 hours catches most issues",
            format!(
                "no event among {} excludes only what hits {} of devices or more",
                number(one.watched_devices),
                chance(one.silence_excludes_share.unwrap_or(1.0))
            ),
            "rule of three, 95 %".into(),
        ),
    ])
}

/// What comes to the help desk.
fn tickets(chapter: &Chapter) -> Rows {
    let Some([_, two, _, four]) = chapter.stages() else { return Ok(vec![]) };
    let Chapter { thermostats, found, .. } = chapter;
    let at_ten_percent =
        outcome(&Inputs { rollback_trigger_percent: 10.0, ..thermostats.clone() })?;
    Ok(vec![
        row(
            "37.5 support tickets maximum in stage 2",
            format!(
                "{} only if all {} roll back; {} at the 2 % that pause, {} at 10 %",
                number(two.tickets_if_all_roll_back),
                number(two.watched_devices),
                number(two.tickets_at_trigger),
                number(at_ten_percent.stages[1].tickets_at_trigger)
            ),
            "0.3 % is of the devices that roll back".into(),
        ),
        row(
            "3.7 expected rollback failures per stage; 500 tickets a day can handle them",
            format!(
                "{}; the last stage is above capacity",
                found
                    .stages
                    .iter()
                    .map(|stage| number((stage.tickets_if_all_roll_back * 100.0).round() / 100.0))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            format!(
                "3.7 is stage 1. Stage 4 has {} if it is rolled back",
                number(four.tickets_if_all_roll_back.round())
            ),
        ),
        row(
            "pause at 100 tickets in 4 hours",
            format!(
                "{} a day, {} capacity",
                number(found.trigger_tickets_per_day),
                if found.trigger_above_capacity { "above" } else { "within" }
            ),
            format!(
                "capacity is {} a day, or {} in 4 hours",
                number(thermostats.tickets_per_day),
                number((thermostats.tickets_per_day / 6.0).round())
            ),
        ),
    ])
}

/// How long it takes, how many devices a stage has, and what they show.
fn lengths(chapter: &Chapter) -> Rows {
    let Some([_, _, three, _]) = chapter.stages() else { return Ok(vec![]) };
    let Chapter { thermostats, found, .. } = chapter;
    let Some(cumulative) = preset("chapter-cumulative") else { return Ok(vec![]) };
    let as_cumulative = outcome(&cumulative)?;
    let with_analysis = outcome(&Inputs { analysis_hours: 2.0, ..thermostats.clone() })?;
    let new_devices = |found: &Outcome| {
        found.stages.iter().map(|stage| number(stage.new_devices)).collect::<Vec<_>>()
    };
    let hours_until = |failed| {
        hours_until_failed(5, failed, 0.95, thermostats.bug_hours).unwrap_or(f64::INFINITY)
    };
    let (first, third) = (hours_until(1), hours_until(3));
    Ok(vec![
        row(
            "6.5 days; 8-10 with one pause",
            format!("{}; {} with 2 h of analysis between stages; {} with one pause of 48 h", hours(found.hours), hours(with_analysis.hours), hours(found.hours_with_one_pause)),
            "the analysis is named, but not its length".into(),
        ),
        row(
            "0.5, 5, 25, 100 %: 1,250, 12,500, 62,500, 173,750 devices",
            format!("incremental: {}; cumulative: {}", new_devices(found).join(", "), new_devices(&as_cumulative).join(", ")),
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
    ])
}

/// What the chapter recommends.
fn advice(chapter: &Chapter) -> Rows {
    let Chapter { thermostats, meters, .. } = chapter;
    let hours_of = |name: &str| -> Result<f64, crate::BadInput> {
        preset(name).map_or(Ok(0.0), |inputs| outcome(&inputs).map(|found| found.hours))
    };
    let longer_days = (hours_of("slow")? - hours_of("fast")?) / 24.0;
    let presets = presets::stages();
    Ok(vec![
        row(
            "5 % (2,500 devices), of a fleet of 100,000 on day 6",
            format!("2,500 are {} of 100,000", chance(2500.0 / 100_000.0)),
            format!(
                "the 2,500 on v2.4 are gone later; 0.01 -> 0.05 % is {}x, which the chapter's table decides within 24 h, and the example within 48 h",
                number(0.05 / 0.01)
            ),
        ),
        row(
            "slow against fast: 3 weeks, or 4 weeks",
            format!("{} days, {} weeks", number(longer_days), tenth(longer_days / 7.0)),
            "six weeks less nine days".into(),
        ),
        row(
            "slow pays if a bug hits more than 100-1,000 devices",
            format!(
                "{} to {} for each week of delay; {} to {} for four",
                number(10_000.0 / 500.0),
                number(50_000.0 / 100.0),
                number(4.0 * 10_000.0 / 500.0),
                number(4.0 * 50_000.0 / 100.0)
            ),
            "$10-50k a week by $100-500 a device".into(),
        ),
        row(
            "baselines of 0.2 % and of 0.02 %",
            format!(
                "{} times apart",
                number(
                    meters.baseline_percent
                        / meters.rate_per.hours()
                        / (thermostats.baseline_percent / thermostats.rate_per.hours())
                )
            ),
            "the former is per device-hour, the latter per device-day: `--rate-per` has no default"
                .into(),
        ),
        row(
            "6-10 days, or 2-6 weeks; a canary of 1-2, 6-24 or 24-48 h",
            format!(
                "presets: {}",
                presets.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
            ),
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
