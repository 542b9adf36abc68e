//! Inputs that cannot be, and laws for those that can.

use proptest::prelude::*;
use whittle_calculators::{Formula, Plot, Table, answer, presets, row, savings, stages};

fn sensors() -> savings::Inputs {
    presets::savings().remove(0).inputs
}

fn thermostats() -> stages::Inputs {
    presets::stages().remove(0).inputs
}

#[test]
fn wrong_numbers_are_refused_by_name() {
    let savings = |change: &dyn Fn(&mut savings::Inputs)| {
        let mut inputs = sensors();
        change(&mut inputs);
        savings::outcome(&inputs).expect_err("it cannot be").to_string()
    };
    assert_eq!(
        savings(&|inputs| inputs.devices = 0.0),
        "devices: wanted a whole number from 1 to 1000000000, found 0"
    );
    assert_eq!(
        savings(&|inputs| inputs.devices = 1.5),
        "devices: wanted a whole number from 1 to 1000000000, found 1.5"
    );
    assert_eq!(
        savings(&|inputs| inputs.usd_per_mb = f64::NAN),
        "usd_per_mb: wanted a number from 0.000000001 to 1000000, found none"
    );
    assert_eq!(
        savings(&|inputs| inputs.usd_per_mb = 1e-310).split(", found").next(),
        Some("usd_per_mb: wanted a number from 0.000000001 to 1000000")
    );
    assert_eq!(
        savings(&|inputs| inputs.retry_percent = 101.0),
        "retry_percent: wanted a number from 0 to 100, found 101"
    );
    assert_eq!(savings(&|inputs| inputs.schema = 2), "schema: wanted 1, found 2");
    let base =
        |name: &str, weight| savings::Base { name: name.to_owned(), download_bytes: 1.0, weight };
    assert_eq!(
        savings(&|inputs| inputs.bases = vec![base("a", 0.0)]),
        "bases: no device runs any of them, wanted one weight above 0"
    );
    assert!(savings(&|inputs| inputs.bases = vec![base("a'b", 1.0)]).contains("found `a\\'b`"));
    assert!(
        savings(&|inputs| inputs.bases = vec![base("a", -1.0)])
            .starts_with("bases 1, weight: wanted")
    );
    assert_eq!(
        savings(&|inputs| inputs.bases = vec![base("a", 1.0); 65]),
        "bases: 65 rows, 64 at most"
    );

    let stages = |change: &dyn Fn(&mut stages::Inputs)| {
        let mut inputs = thermostats();
        change(&mut inputs);
        stages::outcome(&inputs).expect_err("it cannot be").to_string()
    };
    assert_eq!(stages(&|inputs| inputs.stages.clear()), "stages: wanted one at least");
    assert!(
        stages(&|inputs| inputs.stages[0].hours = f64::INFINITY)
            .starts_with("stages 1, hours: wanted")
    );
    assert!(stages(&|inputs| inputs.stages[0].name.clear()).contains("wanted a name"));
    let crowded = stages(&|inputs| (inputs.devices, inputs.baseline_percent) = (1e9, 100.0));
    assert_eq!(crowded, "stage `early`: more than 10,000,000 events are expected");
}

#[test]
fn what_is_no_question_has_an_answer() {
    let deep = "[".repeat(100_000);
    for question in [
        "",
        "{",
        "null",
        "{\"ask\":\"savings\"}",
        "{\"ask\":\"lottery\"}",
        "{\"ask\":\"savings\",\"inputs\":{\"schema\":1}}",
        &deep,
    ] {
        let answer: serde_json::Value =
            serde_json::from_str(&answer(question)).expect("it is JSON");
        assert!(answer["error"].is_string(), "{question:.40}: {answer}");
    }
    let forms: serde_json::Value =
        serde_json::from_str(&answer("{\"ask\":\"forms\"}")).expect("it is JSON");
    assert_eq!(forms["forms"]["savings"]["form"]["calculator"], "savings");
}

#[test]
fn rows_have_a_name_and_two_numbers() {
    assert_eq!(row("2.4.0:41230:0.6"), Ok(("2.4.0".to_owned(), [41_230.0, 0.6])));
    for wrong in ["", "a", "a:1", "a:1:2:3", "a:x:2", "a:1:"] {
        assert!(row(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn commands_name_every_input() {
    let mut inputs = sensors();
    inputs.bases =
        vec![savings::Base { name: "1.2.0".to_owned(), download_bytes: 5000.0, weight: 2.0 }];
    let line = inputs.command_line();
    assert!(
        line.starts_with(
            "whittle savings --devices 15000 --updates-per-year 4 --full-bytes 524288 "
        ),
        "{line}"
    );
    assert!(line.ends_with(" --megabyte binary --base='1.2.0:5000:2'"), "{line}");
    let line = thermostats().command_line();
    assert!(
        line.contains("rollout plan --what-if --devices 250000 --baseline-percent 0.02 "),
        "{line}"
    );
    assert!(line.ends_with("--stage='regional:25:48' --stage='full:69.5:72'"), "{line}");
}

/// Next to nothing is no reason for figures that are none, in the outcome, its tables and its drawings.
#[test]
fn figures_are_finite_or_left_out() {
    let cheap = savings::Inputs { updates_per_year: 1e-310, ..sensors() };
    let found = savings::outcome(&cheap).expect("it can be");
    assert_eq!((found.break_even_devices, found.floor_devices), (None, None));
    assert_eq!((found.first_profitable_devices, found.cost_reduction), (None, None));
    savings_are_finite(&found);

    let tools = savings::Inputs { tooling_usd_per_year: 1e-310, ..sensors() };
    let found = savings::outcome(&tools).expect("it can be");
    assert_eq!(found.roi_on_tooling, None);
    savings_are_finite(&found);

    // A break-even that is a number, and that no fleet will ever have.
    let far = savings::Inputs { updates_per_year: 1e-300, ..sensors() };
    let found = savings::outcome(&far).expect("it can be");
    assert!(found.break_even_devices.is_some_and(|devices| devices > 1e300));
    savings_are_finite(&found);

    let rare = stages::Inputs { baseline_percent: 1e-310, ..thermostats() };
    let found = stages::outcome(&rare).expect("it can be");
    assert_eq!((found.fitting_device_hours, found.stages[0].fitting_hours), (None, None));
    are_finite(&found.formulas, &found.plots(), &found.tables());
}

fn savings_are_finite(found: &savings::Outcome) {
    are_finite(&found.formulas, &found.plots(), &found.tables());
}

fn are_finite(formulas: &[Formula], plots: &[Plot], tables: &[Table]) {
    let wrong: Vec<_> = formulas.iter().filter(|formula| !formula.value.is_finite()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    for plot in plots {
        let numbers: Vec<f64> = match plot {
            Plot::Lines(lines) => {
                let points = lines.lines.iter().flat_map(|line| &line.points).flatten();
                points.copied().chain(lines.marks.iter().map(|mark| mark.at)).collect()
            }
            Plot::Bars(spans) | Plot::Spans(spans) => {
                spans.spans.iter().flat_map(|span| [span.from, span.to]).collect()
            }
        };
        assert!(numbers.iter().all(|number| number.is_finite()), "{plot:?}");
    }
    for text in tables.iter().flat_map(|table| &table.rows).flatten() {
        assert!(!text.contains(['∞']) && !text.contains("inf") && !text.contains("NaN"), "{text}");
    }
}

/// A word of its own would be taken for a flag.
#[test]
fn names_may_begin_like_flags() {
    let mut inputs = thermostats();
    inputs.stages = vec![stages::Stage { name: "-x".to_owned(), percent: 100.0, hours: 24.0 }];
    let line = inputs.command_line();
    assert!(line.ends_with(" --stage='-x:100:24'"), "{line}");
}

proptest! {
    /// Whatever can be asked has figures, and those that are compared agree with one another.
    #[test]
    fn savings_hold_together(
        devices in 1_u32..2_000_000, updates in 0.0..60.0, full in 1_u32..20_000_000, delta in 0_u32..20_000_000,
        price in 1e-9..10.0, retry in 0.0..100.0, fallback in 0.0..100.0, tooling in 0.0..1e6,
    ) {
        let bases = vec![savings::Base { name: "base".to_owned(), download_bytes: delta.into(), weight: 1.0 }];
        let inputs = savings::Inputs {
            devices: devices.into(), updates_per_year: updates, full_bytes: full.into(), bases, usd_per_mb: price,
            retry_percent: retry, fallback_percent: fallback, tooling_usd_per_year: tooling, ..sensors()
        };
        let found = savings::outcome(&inputs).expect("it can be");
        prop_assert!((found.full_usd - found.delta_usd - found.net_usd).abs() <= 1e-6 * (1.0 + found.full_usd.abs()));
        if let Some(even) = found.break_even_devices {
            prop_assert!((f64::from(devices) > even) == (found.net_usd > 0.0) || (f64::from(devices) / even - 1.0).abs() < 1e-6);
            prop_assert!(found.floor_devices.is_some_and(|floor| floor <= even * (1.0 + 1e-9)));
        } else {
            prop_assert!(found.net_usd <= 0.0);
        }
        prop_assert!(serde_json::to_string(&found.plots()).is_ok_and(|plots| !plots.contains("null,null")));
        prop_assert!(!found.tables().is_empty());
    }

    #[test]
    fn stages_hold_together(
        devices in 1_u32..2_000_000, share in 0.0..100.0, hours in 0.1..500.0, rate in 0.0..1.0, ratio in 1.0..20.0,
    ) {
        let stage = |name: &str, percent| stages::Stage { name: name.to_owned(), percent, hours };
        let inputs = stages::Inputs {
            devices: devices.into(), baseline_percent: rate, pause_ratio: ratio,
            stages: vec![stage("first", share), stage("last", 100.0 - share)], ..thermostats()
        };
        let found = stages::outcome(&inputs).expect("it can be");
        for stage in &found.stages {
            let chances = [stage.false_pause, stage.power_2x, stage.power_3x, stage.power_5x];
            prop_assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)) && chances.is_sorted(), "{stage:?}");
        }
        prop_assert_eq!(found.stages[1].updated_devices, f64::from(devices));
        prop_assert!(!found.plots().is_empty() && !found.tables().is_empty());
    }
}
