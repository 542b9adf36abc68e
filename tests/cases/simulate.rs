//! `whittle simulate`.

use serde_json::Value;
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

/// Whoever finds a policy that comes with whittle can rehearse it with a scenario that does.
#[test]
fn every_policy_that_comes_along_has_a_scenario() {
    let room = TempDir::new().expect("there is room");
    let json = |args: &[&str]| whittle(room.path(), &[args, &["--format", "json"]].concat());
    let names = |list: Value, field: &str| -> Vec<String> {
        let all = list[field].as_array().expect("a list").iter();
        all.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let scenarios = names(json(&["simulate", "--list"]).ok().json(), "scenarios");
    for policy in names(json(&["policy", "list"]).ok().json(), "policies") {
        let suits = |scenario: &&String| {
            let run = ["simulate", "--example", scenario, "--policy", &policy, "--runs", "1"];
            json(&run).code == 0
        };
        assert!(scenarios.iter().find(suits).is_some(), "no scenario has all metrics of {policy}");
    }
}

#[test]
fn scenarios_that_cannot_be_are_told() {
    let room = TempDir::new().expect("there is room");
    let path = root().join("examples/scenarios/bricks.toml");
    let text = std::fs::read_to_string(path).expect("there");
    for (from, to, why) in [
        (
            "mttf_h = 4.0",
            "mttf_h = -4.0",
            "bug `flash wear`: mttf_h is -4, wanted 0.001 to 1000000000",
        ),
        ("mttf_h = 4.0", "mttf_h = 1e300", "wanted 0.001 to 1000000000"),
        ("offline = 0.02", "ofline = 0.02", "unknown field `ofline`"),
        (
            "name = \"crashes\"",
            "name = \"crash\"",
            "does not fit the scenario `bad.toml`\n  caused by: the policy wants the metric `crashes`",
        ),
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
