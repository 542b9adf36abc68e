//! `whittle simulate` and `whittle rollout backtest`.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{root, whittle};

#[test]
fn policies_meet_the_same_worlds() {
    let room = TempDir::new().expect("there is room");
    let simulate = |args: &[&str]| whittle(room.path(), &[&["simulate"], args].concat());
    let json = |args: &[&str]| simulate(&[args, &["--format", "json"]].concat()).ok().json();
    let once = ["--example", "one-revision", "--runs", "20", "--seed", "5"];
    let two = [&once[..], &["--policy", "significance", "--policy", "significance"]].concat();
    let found = json(&two);
    assert_eq!((&found["devices"], &found["runs"]), (&1_000_000.into(), &20.into()));
    let [first, second] = &found["policies"].as_array().expect("policies")[..] else {
        panic!("two")
    };
    assert_eq!(first["harmed"], second["harmed"]);
    assert_eq!(second["compared"]["harmed"], 0.0);
    assert_eq!(first["detected"]["runs"], 20, "{first}");
    assert_eq!(json(&two), found, "the same seed, the same rollouts");

    let text = simulate(&[&once[..], &["--html", "page.html"]].concat()).ok().stdout;
    assert!(text.starts_with("one-revision: 20 rollouts to 1,000,000 devices, seed 5\n"), "{text}");
    let page = std::fs::read_to_string(room.path().join("page.html")).expect("written");
    assert!(page.contains("<svg") && !page.contains("http"), "it needs nothing else");
}

#[test]
fn every_scenario_that_comes_along_runs_and_has_a_file() {
    let room = TempDir::new().expect("there is room");
    let list = whittle(room.path(), &["simulate", "--list", "--format", "json"]).ok().json();
    for scenario in list["scenarios"].as_array().expect("a list") {
        let name = scenario["name"].as_str().expect("a name");
        assert_ne!(scenario["about"], "", "{name}");
        let file = root().join(format!("examples/scenarios/{name}.toml")).display().to_string();
        let run = |which: &[&str]| {
            let few = ["--runs", "2", "--format", "json"];
            whittle(room.path(), &[&["simulate"], which, &few].concat()).ok().json()
        };
        assert_eq!(run(&[&file]), run(&["--example", name]));
    }
}

#[test]
fn scenarios_that_cannot_be_are_told() {
    let room = TempDir::new().expect("there is room");
    let path = root().join("examples/scenarios/bricks.toml");
    let text = std::fs::read_to_string(path).expect("there");
    for (from, to, why) in [
        ("mttf_h = 4.0", "mttf_h = -4.0", "bug `flash wear`: mttf_h is -4, wanted more than 0"),
        ("offline = 0.02", "ofline = 0.02", "unknown field `ofline`"),
        ("name = \"crashes\"", "name = \"crash\"", "the policy wants the metric `crashes`"),
        ("devices = 300000", "devices = -3", "invalid value"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        std::fs::write(room.path().join("bad.toml"), bad).expect("written");
        let run = whittle(room.path(), &["simulate", "bad.toml", "--runs", "1"]);
        assert_eq!(run.code, 4, "{run:?}");
        assert!(run.stderr.contains(why), "{why}: {run:?}");
    }
    assert_eq!(whittle(room.path(), &["simulate", "--example", "nothing"]).code, 2);
    assert_eq!(whittle(room.path(), &["simulate", "nothing.toml"]).code, 3);
}

/// The chapter's pitfall: a rate that has gone up from 0.01 to 0.05 % in the stage of 5 %, which somebody waves through.
#[test]
fn a_backtest_tells_what_a_policy_would_have_spared() {
    let room = TempDir::new().expect("there is room");
    let recording = room.path().join("recording.json");
    std::fs::write(&recording, waved_through().to_string()).expect("written");
    let args = ["rollout", "backtest", "recording.json", "--policy", "significance"];
    let found = whittle(room.path(), &[&args[..], &["--format", "json"]].concat()).ok().json();
    let asked = &found["policies"][0];
    let alarm_h = asked["alarm_h"].as_f64().expect("it steps in");
    assert!((24.0..48.0).contains(&alarm_h), "{asked}");
    assert_eq!(asked["spared"], 950_000, "those that came after the stage of 5 %");
    let text = whittle(room.path(), &args).ok().stdout;
    assert!(text.starts_with("significance would have stepped in after "), "{text}");
}

/// A million devices: 1 % for a day, 5 % for a day, all of them for a day.
fn waved_through() -> Value {
    const DEVICES: u32 = 1_000_000;
    let start_s = 1_767_571_200_u64;
    // Devices that crash in a day: 0.01 %, then 0.05 %.
    let by_hour = |share: f64| share / 24.0;
    let figures = (0..72_u32).map(|hour| {
        let updated = DEVICES / 100 * [1, 5, 100][(hour / 24) as usize];
        let rate = if hour < 24 { 0.0001 } else { 0.0005 };
        let tally = |devices: u32, rate: f64| {
            json!({"count": f64::from(devices) * by_hour(rate), "exposure": devices})
        };
        let from_s = start_s + u64::from(hour) * 3600;
        json!({
            "from_s": from_s,
            "until_s": from_s + 3600,
            "cells": [{
                "devices": {"offered": updated, "updated": updated, "committed": updated},
                "metrics": [{
                    "name": "crashes",
                    "treated": tally(updated, rate),
                    "control": tally(DEVICES - updated, 0.0001),
                }],
            }],
        })
    });
    let release = json!({
        "name": "2.0.0", "change": "fix", "emergency": false, "safety_critical": false,
        "well_tested": true, "reversible": true, "full_bytes": 400_000, "delta_bytes": 9_000,
    });
    json!({
        "about": "a rate that rises in the second stage, and is waved through",
        "start_s": start_s,
        "rollout": {
            "release": release,
            "build": "b1".repeat(32),
            "version": "2.0.0",
            "way_back": "other-slot",
            "limits": {"tick": 3600},
            "cells": [{
                "devices": DEVICES,
                "baselines": {"crashes": {"count": 300, "exposure": 72_000_000}},
            }],
            "metrics": [{
                "name": "crashes", "kind": "rate", "higher_is_worse": true, "required": true,
                "tolerated": 1.0, "tolerated_baseline": 1.25, "alarm": 2.0,
            }],
        },
        "figures": figures.collect::<Value>(),
    })
}
