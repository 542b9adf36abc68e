//! `whittle savings` and `whittle rollout plan --what-if`.

use serde_json::{Value, json};
use tempfile::TempDir;
use whittle_calculators::presets::{self, Preset};
use whittle_calculators::{markdown, savings, stages};

use crate::support::{Run, root, whittle};

fn run(args: &[&str]) -> Run {
    let room = TempDir::new().expect("there is room");
    whittle(room.path(), args)
}

fn saved(args: &[&str]) -> Value {
    run(&[&["savings", "--format", "json"], args].concat()).ok().json()
}

#[test]
fn presets_are_worked_out_as_they_stand() {
    for preset in presets::savings() {
        let wanted = savings::outcome(&preset.inputs).expect("it can be");
        let mut wanted = serde_json::to_value(wanted).expect("figures");
        wanted["schema"] = json!(1);
        assert_eq!(saved(&["--preset", preset.name]), wanted);
    }
    for preset in presets::stages() {
        let wanted = stages::outcome(&preset.inputs).expect("it can be");
        let mut wanted = serde_json::to_value(wanted).expect("figures");
        wanted["schema"] = json!(1);
        let plan = ["rollout", "plan", "--what-if", "--preset", preset.name, "--format", "json"];
        assert_eq!(run(&plan).ok().json(), wanted);
    }
}

#[test]
fn tables_have_the_figures() {
    let text = run(&["savings", "--preset", "chapter"]).ok().stdout;
    for wanted in ["$10,947.10", "2,317.12 devices", "2,318 devices", "243.1 %", "547.4 %"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let plan = run(&["rollout", "plan", "--what-if"]).ok();
    assert_eq!(plan.stderr, "what no flag says is that of `--preset chapter`\n");
    for wanted in ["47.5 %", "521.25", "150 h (6.25 d)", "above capacity"] {
        assert!(plan.stdout.contains(wanted), "{wanted}: {}", plan.stdout);
    }
    let list = run(&["savings", "--list"]).ok().stdout;
    assert!(list.contains("15,000 soil sensors"), "{list}");
    let list = run(&["rollout", "plan", "--what-if", "--list", "--format", "json"]).ok().json();
    let names = |presets: Vec<Preset<stages::Inputs>>| json!(presets.len());
    assert_eq!(json!(list["presets"].as_array().map(Vec::len)), names(presets::stages()));
}

#[test]
fn differences_to_the_chapter_are_told() {
    let told = saved(&["--differences"]);
    let rows = told["differences"].as_array().expect("a list");
    assert_eq!(rows.len(), markdown().lines().count() - 2);
    let text = run(&["savings", "--differences"]).ok().stdout;
    assert!(text.contains("2,317, so that 2,318 is the first fleet that saves"), "{text}");
}

/// What the page gives to copy comes back to the same inputs, so that every input has its flag.
#[test]
fn commands_to_copy_give_the_same_inputs() {
    let words = |line: &str| -> Vec<String> {
        let words = line.split(' ').skip(1).map(|word| word.replace('\'', ""));
        words.chain(["--format".to_owned(), "json".to_owned()]).collect()
    };
    let inputs_of = |line: &str| {
        let words = words(line);
        let args: Vec<_> = words.iter().map(String::as_str).collect();
        run(&args).ok().json()["inputs"].clone()
    };
    let base =
        |name: &str| savings::Base { name: name.to_owned(), download_bytes: 900.0, weight: 0.25 };
    let odd = savings::Inputs {
        schema: 1,
        devices: 77.0,
        updates_per_year: 2.5,
        full_bytes: 1234.0,
        bases: vec![base("1.2.0"), base("1.1.0+3")],
        changed_percent: 1.0,
        overhead_percent: 2.0,
        kept_bases: 4.0,
        usd_per_mb: 0.125,
        megabyte: savings::Megabyte::Decimal,
        retry_percent: 5.0,
        fallback_percent: 6.0,
        full_after_retries: 7.0,
        tooling_usd_per_year: 8.0,
        budget_bytes: 9.0,
        link_bits_per_second: 10.0,
    };
    assert_eq!(inputs_of(&odd.command_line()), serde_json::to_value(&odd).expect("numbers"));
    for preset in presets::stages() {
        let found = inputs_of(&preset.inputs.command_line());
        assert_eq!(
            found,
            serde_json::to_value(&preset.inputs).expect("numbers"),
            "{}",
            preset.name
        );
    }
}

#[test]
fn measured_sizes_come_from_a_build() {
    let room = TempDir::new().expect("there is room");
    let fixture = |version: &str| {
        root().join(format!("fixtures/thermostat/images/{version}.bin")).display().to_string()
    };
    whittle(room.path(), &["keygen", "--out", "keys"]).ok();
    let (target, new, old) = (fixture("1.2.2"), fixture("1.2.1"), fixture("1.1.1"));
    let image =
        ["build", "--product", "thermostat", "--target", &target, "--target-version", "1.2.2"];
    let device = [
        "--key",
        "keys/release.key.pem",
        "--out",
        "release",
        "--device-ram",
        "512K",
        "--format",
        "json",
    ];
    let built =
        whittle(room.path(), &[&image[..], &["--base", &new, "--base", &old], &device].concat())
            .ok();
    std::fs::write(room.path().join("build.json"), &built.stdout).expect("there is room");
    let artifacts = built.json()["artifacts"].clone();
    let first = artifacts[0]["base_sha256"].as_str().expect("a digest")[..8].to_owned();

    let weight = format!("{first}=3");
    let args = [
        "savings",
        "--from-build",
        "build.json",
        "--base-weight",
        &weight,
        "--fallback-percent",
        "10",
        "--html",
        "page.html",
        "--format",
        "json",
    ];
    let found = whittle(room.path(), &args).ok().json();
    assert_eq!(found["measured"], true);
    assert_eq!(found["inputs"]["full_bytes"].as_f64(), artifacts[2]["download_bytes"].as_f64());
    assert_eq!(found["bases"][0]["name"], *first);
    assert_eq!(
        (&found["bases"][0]["share"], &found["bases"][1]["share"]),
        (&json!(0.75), &json!(0.25))
    );
    assert_eq!(
        found["bases"][0]["download_bytes"].as_f64(),
        artifacts[0]["download_bytes"].as_f64()
    );
    let page = std::fs::read_to_string(room.path().join("page.html")).expect("written");
    assert!(
        page.contains(&first) && page.contains("default-src 'none'"),
        "it begins with these deltas"
    );
}

/// A report is that of a build, and of its bases each has one weight.
#[test]
fn reports_that_do_not_fit_are_refused() {
    let room = TempDir::new().expect("there is room");
    let write = |name: &str, text: &str| {
        std::fs::write(room.path().join(name), text).expect("there is room");
    };
    let full = r#"{"kind":"full","download_bytes":9000}"#;
    let delta = r#"{"kind":"delta","base_version":"2.4.0","download_bytes":900}"#;
    write("build.json", &format!(r#"{{"schema":1,"artifacts":[{delta},{full}]}}"#));
    write("other.json", "{}");
    for (line, code, why) in [
        ("--from-build build.json --base-weight 9.9=1", 4, "it has no base `9.9`"),
        (
            "--from-build build.json --base-weight 2.4.0=1 --base-weight 2.4.0=2",
            2,
            "`--base-weight` speaks of `2.4.0` twice",
        ),
        ("--from-build other.json", 4, "`other.json` has no measured deltas"),
        ("--from-build none.json", 3, "cannot read `none.json`"),
        ("--html none/page.html", 3, "cannot write `none/page.html`"),
    ] {
        let line = ["savings"].into_iter().chain(line.split_whitespace()).collect::<Vec<_>>();
        let run = whittle(room.path(), &line);
        assert!(run.code == code && run.stderr.contains(why), "{line:?}: {run:?}");
        assert_eq!(run.stdout, "", "{line:?}");
    }
}

#[test]
fn what_cannot_be_is_told() {
    for (args, why) in [
        (
            &["savings", "--devices", "0"][..],
            "devices: wanted a whole number from 1 to 1000000000, found 0",
        ),
        (&["savings", "--usd-per-mb", "nan"], "usd_per_mb: wanted a number"),
        (&["savings", "--preset", "none"], "no preset `none`; `--list` shows them"),
        (&["savings", "--base", "a:1"], "wanted NAME:NUMBER:NUMBER"),
        (&["savings", "--base-weight", "a=1"], "--from-build"),
        (&["rollout", "plan"], "FILE"),
        (&["rollout", "plan", "--devices", "5"], "--what-if"),
        (&["rollout", "plan", "a.toml", "--what-if"], "cannot be used with"),
        (&["rollout", "plan", "a.toml", "--devices", "5"], "cannot be used with"),
        (&["rollout", "plan", "a.toml", "--html", "a.html"], "cannot be used with"),
        (&["rollout", "plan", "a.toml", "--list"], "cannot be used with"),
        (&["rollout", "plan", "--what-if", "--baseline-percent", "0.1"], "--rate-per"),
        (&["rollout", "plan", "--what-if", "--stage", "a:100:5"], "--percents"),
        (
            &[
                "rollout",
                "plan",
                "--what-if",
                "--percents",
                "incremental",
                "--stage",
                "a:60:5",
                "--stage",
                "b:60:5",
            ],
            "stages: they add up to 120 %, wanted 100 at most; are they cumulative?",
        ),
    ] {
        let refused = run(args);
        assert_eq!((refused.code, &*refused.stdout), (2, ""), "{args:?}");
        assert!(refused.stderr.contains(why), "{args:?}: {}", refused.stderr);
    }
}
