//! `whittle rollout backtest`, and the recordings that come with whittle: the two pitfalls of staged rollouts.

use serde_json::{Value, json};

use crate::golden::assert_file;
use crate::support::{root, whittle};

const DEVICES: u32 = 1_000_000;
const START_S: u64 = 1_767_571_200;

/// What the fleet was like in an hour: devices on the new firmware, and which part of them crashes in a day.
type Hour = (u32, f64);

/// The part of the devices on the old firmware that crashes in a day.
const BEFORE: f64 = 0.0001;

/// The part of the devices for which somebody writes a ticket in a day, on any firmware.
const TICKETS: f64 = 0.00002;

fn backtest(example: &str, policy: &str) -> Value {
    let args = ["rollout", "backtest", "--example", example, "--policy", policy];
    let text = whittle(&root(), &args).ok().stdout;
    assert!(text.starts_with(&format!("{policy} would ")), "{text}");
    let found = whittle(&root(), &[&args[..], &["--format", "json"]].concat()).ok().json();
    found["policies"][0].clone()
}

/// A rate that has gone up from 0.01 to 0.05 % of the devices in a day in the stage of 5 %, which somebody waves through.
#[test]
fn a_regression_that_is_waved_through_would_have_been_stopped() {
    let hours = (0..72_u32).map(|hour| {
        let updated = DEVICES / 100 * [1, 5, 100][(hour / 24) as usize];
        (updated, if hour < 24 { BEFORE } else { 0.0005 })
    });
    let about =
        "crashes go from 0.01 to 0.05 % a day in the stage of 5 %, and somebody waves it through";
    let recording = recording(about, hours);
    assert_file(&root().join("examples/recordings/waved-through.json"), recording.as_bytes());
    let asked = backtest("waved-through", "significance");
    let alarm_h = asked["alarm_h"].as_f64().expect("it steps in");
    assert!((24.0..48.0).contains(&alarm_h), "{asked}");
    assert_eq!(asked["spared"], 950_000, "those that came after the stage of 5 %");
}

/// The same, paused at once; then people look for a cause for five days and find none.
#[test]
fn a_pause_without_a_cause_would_have_had_an_end() {
    let hours = (0..168_u32).map(|hour| {
        let updated = DEVICES / 100 * if hour < 24 { 1 } else { 5 };
        (updated, if hour < 24 { BEFORE } else { 0.0005 })
    });
    let about = "the same regression is paused, and nobody finds a cause for five days: devices stay where they are";
    let recording = recording(about, hours);
    let path = root().join("examples/recordings/paused-without-cause.json");
    assert_file(&path, recording.as_bytes());
    let asked = backtest("paused-without-cause", "decision-tree");
    assert_eq!(asked["spared"], 0, "nobody updated any further devices: {asked}");
    let said = asked["said"].as_array().expect("a list");
    let last = said.last().expect("it has said something");
    assert_eq!(last["decision"]["roll-back"]["quarantine"], true, "{asked}");
    let (paused_h, decided_h) = (asked["alarm_h"].as_f64(), last["at_h"].as_f64());
    let took_h = decided_h.expect("a number") - paused_h.expect("it pauses");
    assert!((1.0..=48.0).contains(&took_h), "within the deadline of its pause: {asked}");
}

#[test]
fn recordings_are_listed_and_others_are_read() {
    let list = whittle(&root(), &["rollout", "backtest", "--list", "--format", "json"]).ok();
    assert_eq!(list.json()["recordings"].as_array().map(Vec::len), Some(2));
    let backtest = |args: &[&str]| whittle(&root(), &[&["rollout", "backtest"], args].concat());
    let path = "examples/recordings/waved-through.json";
    backtest(&[path, "--policy", "significance"]).ok();
    assert_eq!(backtest(&["--example", "nothing", "--policy", "canary"]).code, 2);
    assert_eq!(backtest(&[path]).code, 2, "no policy");
    assert_eq!(backtest(&["Cargo.toml", "--policy", "canary"]).code, 4);
}

fn recording(about: &str, hours: impl Iterator<Item = Hour>) -> String {
    let figures = (0_u64..).zip(hours).map(|(hour, figures)| gathered(hour, figures).to_string());
    let figures = figures.collect::<Vec<_>>().join(",\n");
    let (about, rollout) = (Value::from(about), rollout());
    format!(
        "{{\"about\": {about},\n\"start_s\": {START_S},\n\"rollout\": {rollout},\n\"figures\": [\n{figures}]}}\n"
    )
}

/// What was gathered in an hour of a rollout.
fn gathered(hour: u64, (updated, crashing): Hour) -> Value {
    let tally = |devices: u32, crashing: f64| {
        let count = f64::from(devices) * crashing / 24.0;
        json!({"count": count, "exposure": devices})
    };
    let connected = |devices| json!({"count": f64::from(devices) * 0.98, "exposure": devices});
    let drain = |devices| {
        let (sum, squares) = (f64::from(devices) * 0.5, f64::from(devices) * 0.3);
        json!({"count": sum, "exposure": devices, "squares": squares})
    };
    let from_s = START_S + hour * 3600;
    json!({
        "from_s": from_s,
        "until_s": from_s + 3600,
        "cells": [{
            "devices": {"offered": updated, "updated": updated, "committed": updated},
            "metrics": [
                {
                    "name": "crashes",
                    "treated": tally(updated, crashing),
                    "control": tally(DEVICES - updated, BEFORE),
                },
                {
                    "name": "tickets",
                    "treated": tally(updated, TICKETS),
                    "control": tally(DEVICES - updated, TICKETS),
                },
                {
                    "name": "connected",
                    "treated": connected(updated),
                    "control": connected(DEVICES - updated),
                },
                {
                    "name": "battery-drain",
                    "treated": drain(updated),
                    "control": drain(DEVICES - updated),
                },
            ],
        }],
    })
}

fn rollout() -> Value {
    let release = json!({
        "name": "2.0.0", "change": "fix", "emergency": false, "safety_critical": false,
        "well_tested": true, "reversible": true, "full_bytes": 400_000, "delta_bytes": 9_000,
    });
    json!({
        "release": release,
        "build": "b1".repeat(32),
        "version": "2.0.0",
        "way_back": "other-slot",
        "limits": {"tick": 3600},
        "cells": [{
            "devices": DEVICES,
            "baselines": {
                "crashes": {"count": 300, "exposure": 72_000_000},
                "tickets": {"count": 60, "exposure": 72_000_000},
                "connected": {"count": 29_400_000, "exposure": 30_000_000},
                "battery-drain": {"count": 500_000, "exposure": 1_000_000, "squares": 300_000},
            },
        }],
        "metrics": [
            {
                "name": "crashes", "kind": "rate", "higher_is_worse": true, "required": true,
                "tolerated": 1.0, "tolerated_baseline": 1.25, "alarm": 2.0,
            },
            {
                "name": "tickets", "kind": "rate", "higher_is_worse": true, "required": true,
                "tolerated": 1.0, "tolerated_baseline": 1.25, "alarm": 2.0,
            },
            {
                "name": "connected", "kind": "proportion", "higher_is_worse": false, "required": true,
                "tolerated": 1.1, "tolerated_baseline": 1.5, "alarm": 3.0,
            },
            {
                "name": "battery-drain", "kind": "mean", "higher_is_worse": true, "required": true,
                "tolerated": 1.05, "tolerated_baseline": 1.1, "alarm": 1.5, "most": 5.0,
            },
        ],
    })
}
