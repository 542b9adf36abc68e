//! The formulas of all stages together.

use super::{Inputs, StageOutcome};
use crate::formula::{Formula, Unit};
use crate::words::{number, short_percent, usd};

pub(super) fn false_pause(stages: &[StageOutcome]) -> Formula {
    let chances =
        stages.iter().map(|stage| format!("(1 - {})", short_percent(stage.false_pause * 100.0)));
    let terms = [("product of (1 - each)", chances.collect::<Vec<_>>().join(" × "))];
    let healthy: f64 = stages.iter().map(|stage| 1.0 - stage.false_pause).product();
    let head = ("false_pause", "any stage pauses although the firmware is good");
    Formula::new(head, Unit::Percent, "1 - {}", &terms, 1.0 - healthy)
}

pub(super) fn hours_in_all(inputs: &Inputs) -> Formula {
    let each =
        inputs.stages.iter().map(|stage| number(stage.hours)).collect::<Vec<_>>().join(" + ");
    #[allow(clippy::cast_precision_loss)]
    let pauses = (inputs.stages.len() - 1) as f64;
    let terms = [
        ("stages", each),
        ("times between", number(pauses)),
        ("each", number(inputs.analysis_hours)),
    ];
    let value =
        inputs.stages.iter().map(|stage| stage.hours).sum::<f64>() + pauses * inputs.analysis_hours;
    Formula::new(("hours", "until all stages are done"), Unit::Hours, "{} + {} × {}", &terms, value)
}

pub(super) fn hours_with_one_pause(inputs: &Inputs, hours: f64) -> Formula {
    let terms = [("hours", number(hours)), ("pause", number(inputs.pause_hours))];
    Formula::new(
        ("hours_with_one_pause", "the same with one pause"),
        Unit::Hours,
        "{} + {}",
        &terms,
        hours + inputs.pause_hours,
    )
}

pub(super) fn trigger_tickets_per_day(inputs: &Inputs) -> Formula {
    let terms = [
        ("tickets", number(inputs.ticket_trigger)),
        ("within", number(inputs.ticket_trigger_hours)),
    ];
    let value = inputs.ticket_trigger / inputs.ticket_trigger_hours * 24.0;
    Formula::new(
        ("trigger_tickets_per_day", "tickets that pause, in a day"),
        Unit::Tickets,
        "{} / {} × 24",
        &terms,
        value,
    )
}

pub(super) fn delay_worth_devices(inputs: &Inputs, hours: f64) -> Formula {
    let terms = [
        ("hours", number(hours)),
        ("a week costs", usd(inputs.delay_usd_per_week)),
        ("a device costs", usd(inputs.bug_usd_per_device)),
    ];
    let value = hours / 168.0 * inputs.delay_usd_per_week / inputs.bug_usd_per_device;
    let head = ("delay_worth_devices", "devices with a bug that cost as much as this time");
    Formula::new(head, Unit::Devices, "{} / 168 × {} / {}", &terms, value)
}

pub(super) fn download_seconds(inputs: &Inputs) -> Option<Formula> {
    let (bytes, link, besides) =
        (inputs.download_bytes, inputs.link_bits_per_second, inputs.download_overhead_seconds);
    let terms = [("download", number(bytes)), ("link", number(link)), ("besides", number(besides))];
    let head = ("download_seconds", "a device downloads for");
    (link > 0.0).then(|| {
        Formula::new(head, Unit::Seconds, "{} × 8 / {} + {}", &terms, bytes * 8.0 / link + besides)
    })
}
