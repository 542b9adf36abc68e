//! The chapter's worked examples and its other plans, as inputs by name.

use crate::SCHEMA;
use crate::savings::{self, Megabyte};
use crate::stages::{self, Percents, RatePer, Stage, Watched};

/// Inputs that have a name.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preset<Inputs> {
    /// The name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The inputs.
    pub inputs: Inputs,
}

/// Presets of the savings, the first of which is where the page begins.
#[must_use]
pub fn savings() -> Vec<Preset<savings::Inputs>> {
    let decimal = savings::Inputs { megabyte: Megabyte::Decimal, ..sensors() };
    let stragglers = savings::Inputs { fallback_percent: 10.0, ..sensors() };
    vec![
        Preset {
            name: "chapter",
            about: "15,000 soil sensors on LTE-M, updated each quarter",
            inputs: sensors(),
        },
        Preset {
            name: "decimal",
            about: "the same with megabytes of a million bytes on the bill",
            inputs: decimal,
        },
        Preset {
            name: "stragglers",
            about: "the same where one device in ten runs none of the bases",
            inputs: stragglers,
        },
    ]
}

fn sensors() -> savings::Inputs {
    savings::Inputs {
        schema: SCHEMA,
        devices: 15_000.0,
        updates_per_year: 4.0,
        full_bytes: 524_288.0,
        bases: vec![],
        changed_percent: 15.0,
        overhead_percent: 8.0,
        kept_bases: 3.0,
        usd_per_mb: 0.5,
        megabyte: Megabyte::Binary,
        retry_percent: 3.0,
        fallback_percent: 0.0,
        full_after_retries: 2.0,
        tooling_usd_per_year: 2000.0,
        budget_bytes: 0.0,
        link_bits_per_second: 0.0,
    }
}

/// Presets of the stages, the first of which is where the page begins.
#[must_use]
pub fn stages() -> Vec<Preset<stages::Inputs>> {
    let preset = |name, about, inputs| Preset { name, about, inputs };
    vec![
        preset(
            "chapter",
            "250,000 thermostats; percentages are what a stage adds, as its 173,750 want",
            thermostats(),
        ),
        preset(
            "chapter-cumulative",
            "the same plan with cumulative percentages, and all updated devices watched",
            cumulative_thermostats(),
        ),
        preset(
            "meters",
            "25,000 smart meters, 0.2 % crashes per device-hour; a canary of 5 % for 4 h",
            meters(),
        ),
        preset("canary", "typical canary stages, each at the shortest of its range", plan(&CANARY)),
        preset("pitfall", "1 % for 24 h, then 10, 25, 50 and 100 %", plan(&PITFALL)),
        preset(
            "durations",
            "the table of durations, from beta on, each at the shortest of its range",
            plan(&DURATIONS),
        ),
        preset("fast", "a day, a day and a week", plan(&FAST)),
        preset("slow", "one, one, two and two weeks", plan(&SLOW)),
    ]
}

type Row = (&'static str, f64, f64);

/// Cumulative percentages, and hours.
const CANARY: [Row; 4] =
    [("canary", 1.0, 1.0), ("early", 5.0, 6.0), ("regional", 25.0, 24.0), ("full", 100.0, 72.0)];
const PITFALL: [Row; 5] = [
    ("canary", 1.0, 24.0),
    ("early", 10.0, 24.0),
    ("quarter", 25.0, 24.0),
    ("half", 50.0, 24.0),
    ("full", 100.0, 24.0),
];
const DURATIONS: [Row; 5] = [
    ("beta", 1.0, 72.0),
    ("canary", 5.0, 6.0),
    ("early", 25.0, 24.0),
    ("regional", 50.0, 72.0),
    ("full", 100.0, 168.0),
];
const FAST: [Row; 3] = [("canary", 1.0, 24.0), ("early", 10.0, 24.0), ("full", 100.0, 168.0)];
const SLOW: [Row; 4] = [
    ("canary", 1.0, 168.0),
    ("early", 10.0, 168.0),
    ("regional", 50.0, 336.0),
    ("full", 100.0, 336.0),
];

fn rows(rows: &[Row]) -> Vec<Stage> {
    let stage = |&(name, percent, hours): &Row| Stage { name: name.to_owned(), percent, hours };
    rows.iter().map(stage).collect()
}

fn thermostats() -> stages::Inputs {
    stages::Inputs {
        schema: SCHEMA,
        devices: 250_000.0,
        stages: rows(&[
            ("canary", 0.5, 6.0),
            ("early", 5.0, 24.0),
            ("regional", 25.0, 48.0),
            ("full", 69.5, 72.0),
        ]),
        percents: Percents::Incremental,
        watched: Watched::NewDevices,
        baseline_percent: 0.02,
        rate_per: RatePer::DeviceDay,
        pause_ratio: 3.0,
        false_pause_percent: 5.0,
        power_percent: 90.0,
        rollback_failure_percent: 0.3,
        rollback_trigger_percent: 2.0,
        tickets_per_day: 500.0,
        ticket_trigger: 100.0,
        ticket_trigger_hours: 4.0,
        analysis_hours: 0.0,
        pause_hours: 48.0,
        download_bytes: 1_800_000.0,
        link_bits_per_second: 500_000.0,
        download_overhead_seconds: 16.2,
        bug_percent: 0.5,
        bug_hours: 4.0,
        bug_devices_seen: 3.0,
        delay_usd_per_week: 50_000.0,
        bug_usd_per_device: 200.0,
    }
}

fn cumulative_thermostats() -> stages::Inputs {
    stages::Inputs {
        stages: rows(&[
            ("canary", 0.5, 6.0),
            ("early", 5.0, 24.0),
            ("regional", 25.0, 48.0),
            ("full", 100.0, 72.0),
        ]),
        percents: Percents::Cumulative,
        watched: Watched::AllUpdated,
        ..thermostats()
    }
}

fn meters() -> stages::Inputs {
    stages::Inputs {
        devices: 25_000.0,
        stages: rows(&[("canary", 5.0, 4.0), ("full", 100.0, 12.0)]),
        baseline_percent: 0.2,
        rate_per: RatePer::DeviceHour,
        pause_ratio: 2.0,
        ..cumulative_thermostats()
    }
}

/// Another plan for the thermostats.
fn plan(stages: &[Row]) -> stages::Inputs {
    stages::Inputs { stages: rows(stages), ..cumulative_thermostats() }
}
