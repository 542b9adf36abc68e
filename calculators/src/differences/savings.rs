//! The chapter's figures of what deltas save.

use super::{Difference, Rows};
use crate::presets;
use crate::savings::{Inputs, Megabyte, Outcome, outcome};
use crate::words::{number, percent, short_percent, usd, usd_exactly};

/// What the chapter calls the break-even.
const CHAPTER_BREAK_EVEN: f64 = 1800.0;

/// What the chapter rounds a download with its retries to.
const CHAPTER_MB: f64 = 0.083;

pub(super) fn rows() -> Rows {
    let presets = presets::savings();
    let Some(sensors) = presets.first().map(|preset| &preset.inputs) else { return Ok(vec![]) };
    let found = outcome(sensors)?;
    let rows = [costs(sensors, &found)?, returns(sensors, &found)?, packages(sensors, &found)?];
    Ok(rows.concat())
}

fn row(chapter: &'static str, recomputed: String, why: String) -> Difference {
    Difference { calculator: "savings", chapter, recomputed, why }
}

fn break_even(found: &Outcome) -> String {
    number(found.break_even_devices.unwrap_or(f64::INFINITY).round())
}

fn costs(sensors: &Inputs, found: &Outcome) -> Rows {
    let decimal = outcome(&Inputs { megabyte: Megabyte::Decimal, ..sensors.clone() })?;
    let with_retries =
        found.delta_bytes / Megabyte::Binary.bytes() * (1.0 + sensors.retry_percent / 100.0);
    let fleet_mb = with_retries * sensors.devices;
    Ok(vec![
        row(
            "full images cost $15,450",
            format!("{}; {} where a megabyte on the bill is a million bytes", usd(found.full_usd), usd(decimal.full_usd)),
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
    ])
}

fn returns(sensors: &Inputs, found: &Outcome) -> Rows {
    let at_chapters_break_even =
        outcome(&Inputs { devices: CHAPTER_BREAK_EVEN, ..sensors.clone() })?;
    let tools = sensors.tooling_usd_per_year;
    let per_device = found.full_usd / sensors.devices;
    let rounded = tools / (per_device - CHAPTER_MB * sensors.updates_per_year * sensors.usd_per_mb);
    Ok(vec![
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
            format!("{}, so that {} is the first fleet that saves; {} with the chapter's roundings", break_even(found), number(found.first_profitable_devices.unwrap_or(f64::INFINITY)), number(rounded.round())),
            format!(
                "{} / ({} - {}). 1,800 devices save {} a year, and deltas of no bytes would break even at {}",
                usd(tools),
                usd_exactly(per_device),
                usd_exactly(found.data_usd / sensors.devices),
                usd(at_chapters_break_even.net_usd),
                number(found.floor_devices.unwrap_or(f64::INFINITY).round()),
            ),
        ),
    ])
}

fn packages(sensors: &Inputs, found: &Outcome) -> Rows {
    let with_fallback = |fallback_percent| {
        outcome(&Inputs { fallback_percent, ..sensors.clone() }).map(|found| break_even(&found))
    };
    let fractions = [5.0, 10.0, 20.0].map(with_fallback);
    let fractions = fractions.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
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
