//! `whittle rollout`, as an operator and a timer use it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use whittle_patcher_nostd::{DeviceFacts, VerifiedFlags, VerifiedStage};

use crate::support::{Run, command, keys, root, test_key, whittle};

/// 2026-11-26 08:00 UTC: devices may be updated for eleven hours.
const START_S: u64 = 1_795_680_000;
const HOUR_S: u64 = 3600;
/// Crashes per device-hour of old firmware.
const RATE: f64 = 0.0002;
const CELLS: [(&str, &str, u32); 3] =
    [("B", "eu", 150_000), ("C", "eu", 60_000), ("C", "us", 40_000)];

/// A directory with a store, and the example of a rollout.
struct Desk {
    room: TempDir,
    file: String,
}

impl Desk {
    fn new() -> Self {
        let file = root().join("examples/rollouts/thermostat.toml").display().to_string();
        Self { room: TempDir::new().expect("there is room"), file }
    }

    fn path(&self) -> &Path {
        self.room.path()
    }

    fn rollout(&self, args: &[&str]) -> Run {
        whittle(self.path(), &[&["rollout"], args].concat())
    }

    fn started() -> Self {
        let desk = Self::new();
        desk.rollout(&["start", "t1", &desk.file, "--at", &START_S.to_string()]).ok();
        desk
    }

    /// What an hour gave: so many devices of each thousand have the new firmware, which crashes so many times as often.
    fn observe(&self, hour: u64, per_mille: u32, ratio: f64) -> Run {
        self.take(hour, &figures(hour, per_mille, ratio))
    }

    fn take(&self, hour: u64, figures: &Value) -> Run {
        let path = self.path().join("figures.json");
        std::fs::write(&path, figures.to_string()).expect("it can be written");
        let at = (START_S + hour * HOUR_S).to_string();
        self.rollout(&["observe", "t1", "figures.json", "--at", &at])
    }

    fn tick(&self, hour: u64) -> Run {
        let at = (START_S + hour * HOUR_S).to_string();
        self.rollout(&["tick", "t1", &self.file, "--at", &at, "--format", "json"])
    }
}

fn figures(hour: u64, per_mille: u32, ratio: f64) -> Value {
    let cells = CELLS.map(|(hw, region, devices)| {
        let updated = devices * per_mille / 1000;
        let (new, old) = (f64::from(updated), f64::from(devices - updated));
        let metric = |name: &str, count: f64, of: f64, squares: f64| {
            let tally = |devices: f64| {
                json!({"count": count * devices, "exposure": of * devices, "squares": squares * devices})
            };
            let treated = if name == "crashes" { ratio } else { 1.0 };
            let new = json!({"count": count * new * treated, "exposure": of * new, "squares": squares * new});
            json!({"name": name, "treated": new, "control": tally(old)})
        };
        json!({
            "attributes": {"hw": hw, "region": region},
            "devices": {"offered": updated, "updated": updated, "committed": updated},
            "metrics": [
                metric("crashes", RATE, 1.0, 0.0),
                metric("connected", 0.98, 1.0, 0.0),
                metric("battery-drain", 0.5, 1.0, 0.3),
            ],
        })
    });
    let until_s = START_S + hour * HOUR_S;
    let versions = json!({"2.4.1": 250 * per_mille, "2.4.0": 200_000, "2.2.0": 20});
    json!({"from_s": until_s - HOUR_S, "until_s": until_s, "cells": cells, "versions": versions})
}

#[test]
fn a_plan_says_what_each_stage_can_see() {
    let desk = Desk::new();
    let plan = desk.rollout(&["plan", &desk.file]).ok();
    assert!(
        plan.stdout.starts_with("250,000 devices, 5,000 held back; policy canary ("),
        "{plan:?}"
    );
    let sight = "1 %, crashes: can see a regression of 7.9x or more; to see 2x it needs 46 h\n";
    assert!(plan.stdout.contains(sight), "{plan:?}");
    let json = desk.rollout(&["plan", &desk.file, "--format", "json"]).ok().json();
    let [first, ..] = &json["stages"].as_array().expect("stages")[..] else { panic!("a stage") };
    assert_eq!((&first["devices"], &first["share"]), (&2500.into(), &0.01.into()));
    assert_eq!(first["sees"][0]["alarm_ratio"], 2.0);
    assert_eq!(desk.path().read_dir().expect("there").count(), 0, "nothing was started");
}

#[test]
fn a_regression_pauses_and_a_person_takes_it_back() {
    let desk = Desk::started();
    desk.observe(1, 10, 1.0).ok();
    assert_eq!(desk.tick(1).ok().json()["last_decision"]["decision"], "hold");
    for hour in 2..4 {
        desk.observe(hour, 10, 1.0).ok();
    }
    let advanced = desk.tick(3).ok().json();
    assert_eq!(advanced["last_decision"]["decision"]["advance"], 0.05, "{advanced}");
    assert_eq!(advanced["orders"]["devices"], 12_500);
    desk.observe(4, 50, 10.0).ok();
    let paused = desk.tick(4);
    assert_eq!(paused.code, 8, "{paused:?}");
    assert!(paused.stderr.contains("`t1` does not go on: paused"), "{paused:?}");

    let page =
        desk.rollout(&["status", "t1", "--at", &(START_S + 4 * HOUR_S + 60).to_string()]).ok();
    for part in [
        "2.4.1 paused",
        "WORSE",
        "paused    by the policy for 1 min",
        "2.4.0 80.0 % (base)",
        "2.2.0 0.0 % (straggler)",
    ] {
        assert!(page.stdout.contains(part), "{part}: {page:?}");
    }
    let at = (START_S + 5 * HOUR_S).to_string();
    let say = |args: &[&str]| desk.rollout(&[args, &["--by", "alice", "--at", &at]].concat());
    say(&["cause", "t1", "found-major"]).ok();
    let back = say(&["rollback", "t1", "--group", "hw=C", "--quarantine", "--format", "json"]);
    assert_eq!(back.ok().json()["rollout"], "t1");
    assert_eq!(say(&["rollback", "t1", "--group", "hw=Z"]).code, 2, "there is no such group");

    let log = desk.rollout(&["log", "t1", "--changes"]).ok();
    assert!(log.stdout.contains("alice says roll back: roll back hw=C"), "{log:?}");
    let replayed = desk.rollout(&["replay", "t1", "--file", &desk.file]).ok();
    assert!(replayed.stdout.contains("and the policy answers the same"), "{replayed:?}");
    let again = desk.rollout(&["start", "t2", &desk.file, "--at", &at]);
    assert_eq!(again.code, 4, "the build is quarantined: {again:?}");
}

#[test]
fn people_have_the_last_word() {
    let desk = Desk::started();
    let say = |minute: u64, args: &[&str]| {
        let at = (START_S + minute * 60).to_string();
        desk.rollout(&[args, &["--by", "bob", "--at", &at]].concat())
    };
    say(1, &["pause", "t1", "--within", "2h", "--otherwise", "resume", "--severity", "low"]).ok();
    assert_eq!(say(2, &["advance", "t1", "5%"]).code, 2, "resume first");
    assert_eq!(say(3, &["pause", "t1", "--within", "4d"]).code, 2, "three days at most");
    say(4, &["resume", "t1"]).ok();
    assert_eq!(say(5, &["resume", "t1"]).code, 2, "it is not paused");
    assert_eq!(say(6, &["approve", "t1", "nowhere"]).code, 2);
    say(7, &["recount", "t1"]).ok();
    say(8, &["stop", "t1"]).ok();
    let over = desk.tick(1);
    assert_eq!((over.code, &over.json()["decided"]), (8, &false.into()), "{over:?}");
    assert_eq!(say(60, &["advance", "t1", "5%"]).code, 2, "it is over");
}

#[test]
fn figures_that_cannot_be_hold_the_rollout() {
    let desk = Desk::started();
    let mut bad = figures(1, 10, 1.0);
    bad["cells"][0]["metrics"][0]["treated"]["count"] = json!(-1);
    let set_aside = desk.take(1, &bad);
    assert_eq!(set_aside.code, 4);
    assert!(set_aside.stderr.contains("set aside"), "{set_aside:?}");
    let page = desk.rollout(&["status", "t1", "--at", &(START_S + HOUR_S).to_string()]).ok();
    assert!(page.stdout.contains("figures   set aside: "), "{page:?}");
    std::fs::write(desk.path().join("half.json"), &figures(1, 10, 1.0).to_string()[..300])
        .expect("written");
    let half = desk.rollout(&["observe", "t1", "half.json"]);
    assert_eq!(half.code, 4, "{half:?}");
}

#[test]
fn figures_that_cannot_be_read_hold_the_rollout() {
    let desk = Desk::started();
    for hour in 1..4 {
        desk.observe(hour, 10, 1.0).ok();
    }
    let write = |text: &str| std::fs::write(desk.path().join("f.json"), text).expect("written");
    let at = (START_S + 3 * HOUR_S + 1).to_string();
    let observe = || desk.rollout(&["observe", "t1", "f.json", "--at", &at]);
    let good = figures(3, 10, 1.0);
    let later = figures(4, 10, -1.0);
    write(&format!("{good}\n{later}"));
    assert_eq!(observe().code, 4, "the second of them cannot be");
    write(&good.to_string().replace("0.0002", "NaN")[..500]);
    assert_eq!(observe().code, 4);
    let log = desk.rollout(&["log", "t1"]).ok();
    assert!(log.stdout.contains("figures set aside: no figures: "), "{log:?}");
    let held = desk.tick(4).ok().json();
    assert_eq!(held["last_decision"]["decision"], "hold", "{held}");
    write(&good.to_string());
    observe().ok();
    let held = desk.tick(4).ok().json();
    assert_eq!(held["last_decision"]["decision"], "hold", "they have been counted before: {held}");
    assert_eq!(desk.rollout(&["observe", "t1", "nothing.json"]).code, 3);
    desk.observe(4, 10, 1.0).ok();
    let advanced = desk.tick(4).ok().json();
    assert_eq!(advanced["last_decision"]["decision"]["advance"], 0.05, "{advanced}");
}

#[test]
fn mistakes_are_told() {
    let desk = Desk::started();
    let code = |args: &[&str]| desk.rollout(args).code;
    assert_eq!(code(&["start", "t1", &desk.file]), 2, "the name is taken");
    assert_eq!(code(&["status", "nobody"]), 2);
    assert_eq!(code(&["status", "t1", "--store", "elsewhere"]), 3);
    assert_eq!(code(&["status", "t1", "--store", "sqlite:elsewhere"]), 3);
    assert!(!desk.path().join("elsewhere").exists(), "nothing is made by a look");
    let other = desk.rollout(&["status", "t1", "--store", "mysql://user:hunter2@host/db"]);
    assert!(other.code == 3 && !other.stderr.contains("hunter2"), "{other:?}");
    assert_eq!(code(&["status", "no name"]), 2);
    assert_eq!(code(&["plan", "nothing.toml"]), 3);
    std::fs::write(desk.path().join("typo.toml"), "policy = \"canary\"\n[rollou]\n")
        .expect("written");
    let typo = desk.rollout(&["plan", "typo.toml"]);
    assert_eq!(typo.code, 4);
    assert!(typo.stderr.contains("rollou"), "{typo:?}");
    let text = std::fs::read_to_string(&desk.file).expect("there");
    let other = text.replace("policy = \"canary\"", "policy = \"significance\"");
    std::fs::write(desk.path().join("other.toml"), other).expect("written");
    let other = desk.rollout(&["tick", "t1", "other.toml", "--at", &(START_S + 60).to_string()]);
    assert_eq!(other.code, 2, "it is pinned: {other:?}");
    let zone = text.replace("Europe/Berlin", "Europe/Nowhere");
    std::fs::write(desk.path().join("zone.toml"), zone).expect("written");
    let zone = desk.rollout(&["plan", "zone.toml"]);
    assert!(zone.code == 4 && zone.stderr.contains("Europe/Nowhere"), "{zone:?}");
}

impl Desk {
    /// The example with a fleet that is reached by signed documents.
    fn published() -> Self {
        let mut desk = Self::new();
        let text = std::fs::read_to_string(&desk.file).expect("there");
        let fleet = "\n[fleet]\nkind = \"published\"\ndirectory = \"public\"\nproduct = \"thermostat\"\n\
                     key = \"keys/release.key.pem\"\nregion = \"region\"\n";
        desk.file = desk.path().join("rollout.toml").display().to_string();
        std::fs::write(&desk.file, text + fleet).expect("written");
        test_key().write_pair(&desk.path().join("keys")).expect("written");
        desk
    }

    /// How many of a thousand devices of a group may take the target.
    fn eligible(&self, hw: &str, region: &str) -> usize {
        let keys = keys();
        let read = |name: &str| std::fs::read(self.path().join("public").join(name));
        let (stage, flags) = (read("stage.bin").expect("there"), read("flags.bin").expect("there"));
        let stage = VerifiedStage::check(&stage, "thermostat", None, &keys).expect("signed");
        let flags = VerifiedFlags::check(&flags, "thermostat", 0, &keys).expect("signed");
        let groups = [&*format!("hw.{hw}")];
        let admits = |n: &u32| {
            let id = format!("TH-{n}");
            let facts = DeviceFacts { id: id.as_bytes(), groups: &groups, region: Some(region) };
            stage.admits(&flags, &facts)
        };
        (0..1000).filter(admits).count()
    }
}

#[test]
fn the_fleet_follows_what_is_decided_and_said() {
    let desk = Desk::published();
    let at = |minute: u64| (START_S + minute * 60).to_string();
    let start = ["start", "t1", &desk.file, "--at", &at(0)];
    let no_directory = desk.rollout(&start);
    assert_eq!(no_directory.code, 3, "{no_directory:?}");
    assert!(no_directory.stderr.contains("the fleet does not follow\n"), "{no_directory:?}");
    let public = desk.path().join("public");
    std::fs::create_dir(&public).expect("made");
    let started = desk.rollout(&start).ok();
    assert!(started.stdout.contains("fleet     published "), "{started:?}");
    std::fs::remove_dir_all(&public).expect("removed");
    std::fs::create_dir(&public).expect("made");
    let driven = desk.rollout(&["drive", "t1", &desk.file, "--at", &at(1)]).ok();
    assert!(driven.stdout.contains("fleet     published "), "{driven:?}");
    let again = desk.rollout(&["drive", "t1", &desk.file, "--at", &at(1), "--format", "json"]);
    assert_eq!(again.ok().json()["fleet"]["changed"], json!([]));
    assert!((1..30).contains(&desk.eligible("B", "eu")), "a hundredth");

    let said = |minute: u64, args: &[&str]| {
        let more = ["--by", "carol", "--at", &at(minute), "--drive", &desk.file];
        desk.rollout(&[args, &more].concat()).ok()
    };
    let advanced = said(2, &["advance", "t1", "5%"]);
    assert!(advanced.stdout.contains("fleet     published "), "{advanced:?}");
    assert!((30..75).contains(&desk.eligible("C", "us")), "a twentieth");
    let check = |flags: &[&str]| {
        let args = ["stage", "check", "public/stage.bin", "--device", "TH-1", "--format", "json"];
        let keys = ["--pubkey", "keys/release.pub.pem"];
        whittle(desk.path(), &[&args[..], &keys, flags].concat()).ok().json()
    };
    said(3, &["pause", "t1"]);
    assert_eq!(desk.eligible("C", "us"), 0, "nobody begins");
    assert_eq!(check(&[])["gate"], Value::Null);
    assert_eq!(check(&["--flags", "public/flags.bin"])["gate"], false);
    said(4, &["resume", "t1"]);
    assert!((30..75).contains(&desk.eligible("C", "us")), "as before");
    said(5, &["rollback", "t1", "--group", "hw=C"]);
    assert_eq!(desk.eligible("C", "us"), 0);
    assert!((30..75).contains(&desk.eligible("B", "eu")), "others go on");

    desk.observe(1, 10, 1.0).ok();
    let ticked = desk.tick(1).ok().json();
    assert_eq!(ticked["fleet"]["shortfalls"], json!([]), "{ticked}");

    desk.rollout(&["rollback", "t1", "--by", "carol", "--at", &at(61)]).ok();
    assert!(desk.eligible("B", "eu") > 0, "the fleet has not heard of it");
    let hidden = desk.path().join("hidden");
    std::fs::rename(&public, &hidden).expect("moved");
    assert_eq!(desk.tick(2).code, 3, "the fleet cannot be reached");
    std::fs::rename(&hidden, &public).expect("moved");
    assert_eq!(desk.tick(2).code, 8, "rolled back");
    assert_eq!(desk.eligible("B", "eu"), 0, "it has heard now");
}

#[test]
fn a_file_of_another_rollout_drives_nothing() {
    let desk = Desk::published();
    std::fs::create_dir(desk.path().join("public")).expect("made");
    desk.rollout(&["start", "t1", &desk.file, "--at", &START_S.to_string()]).ok();
    let other = std::fs::read_to_string(&desk.file).expect("there").replace("2.4.1", "2.5.0");
    std::fs::write(desk.path().join("other.toml"), other).expect("written");
    for args in [
        &["drive", "t1", "other.toml"][..],
        &["tick", "t1", "other.toml"],
        &["pause", "t1", "--by", "frank", "--drive", "other.toml"],
    ] {
        let refused = desk.rollout(args);
        assert!(refused.code == 4 && refused.stderr.contains("2.5.0"), "{args:?}: {refused:?}");
    }
    assert!(!desk.rollout(&["log", "t1"]).ok().stdout.contains("frank"), "nothing was said");
}

#[test]
fn secrets_that_are_in_the_wrong_place_are_not_repeated() {
    let desk = Desk::published();
    let text = std::fs::read_to_string(&desk.file).expect("there");
    let text = &text[..text.find("[fleet]").expect("it has one")];
    let fleet =
        "[fleet]\nkind = \"mender\"\nurl = \"https://a\"\ntoken = \"hunter2\"\nartifact = \"a\"\n";
    std::fs::write(&desk.file, format!("{text}{fleet}")).expect("written");
    let bad = desk.rollout(&["plan", &desk.file]);
    assert!(bad.code == 4 && !bad.stderr.contains("hunter2"), "{bad:?}");
    let store = "host=db user=alice password=hunter2";
    let bad = desk.rollout(&["status", "t1", "--store", store]);
    assert!(bad.code == 2 && !bad.stderr.contains("hunter2"), "{bad:?}");
}

#[test]
fn clocks_that_differ_keep_nobody_from_stopping() {
    let desk = Desk::started();
    let at = |after_s: u64| (START_S + after_s).to_string();
    desk.rollout(&["pause", "t1", "--by", "a", "--at", &at(3600)]).ok();
    desk.rollout(&["status", "t1", "--at", &at(0)]).ok();
    desk.rollout(&["stop", "t1", "--by", "b", "--at", &at(10)]).ok();
    let future = desk.rollout(&["stop", "t1", "--by", "c", "--at", "2126-01-01T00:00:00Z"]);
    assert!(future.code == 2 && future.stderr.contains("in the future"), "{future:?}");
}

#[test]
fn a_watch_lets_the_fleet_follow_what_people_say() {
    let desk = Desk::published();
    std::fs::create_dir(desk.path().join("public")).expect("made");
    desk.rollout(&["start", "t1", &desk.file]).ok();
    let mut watch = command(desk.path(), &["rollout", "tick", "t1", &desk.file, "--watch"]);
    let watch = watch.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    std::thread::sleep(Duration::from_millis(300));
    desk.rollout(&["stop", "t1", "--by", "dave"]).ok();
    let ended = watch.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(8), "{ended:?}");
    assert_eq!(desk.eligible("B", "eu"), 0, "it was stopped");
}

#[test]
fn a_fleet_that_cannot_be_reached_is_told_before_anything_starts() {
    let desk = Desk::published();
    std::fs::remove_file(desk.path().join("keys/release.key.pem")).expect("gone");
    assert_eq!(desk.rollout(&["start", "t1", &desk.file]).code, 3);
    assert_eq!(desk.rollout(&["status", "t1"]).code, 3, "there is no store");
    let example = root().join("examples/rollouts/thermostat.toml").display().to_string();
    desk.rollout(&["start", "t1", &example]).ok();
    let bare = desk.rollout(&["stop", "t1", "--by", "erin", "--drive", &example]);
    assert!(bare.code == 4 && bare.stderr.contains("it has no `[fleet]`"), "{bare:?}");
    assert!(!desk.rollout(&["log", "t1"]).ok().stdout.contains("erin"), "nothing was said");
}

/// Whoever looks at a store, or says something to a rollout in it, makes none.
#[test]
fn what_is_no_store_stays_as_it_is_and_is_named() {
    let desk = Desk::new();
    let store = desk.path().join("rollouts.whittle");
    std::fs::write(&store, "").expect("there is room");
    for args in [&["status", "t1"][..], &["log", "t1"], &["stop", "t1", "--by", "a"]] {
        let refused = desk.rollout(args);
        let is_named = refused.stderr.contains("`rollouts.whittle` is empty");
        assert!(refused.code == 4 && is_named, "{args:?}: {refused:?}");
        assert_eq!(std::fs::read(&store).expect("there"), b"", "{args:?}");
    }
    desk.rollout(&["start", "t1", &desk.file]).ok();
    let whole = std::fs::read(&store).expect("there");
    for len in [100, 5000, whole.len() / 2] {
        std::fs::write(&store, &whole[..len]).expect("there is room");
        let refused = desk.rollout(&["log", "t1"]);
        let is_named = refused.stderr.contains("`rollouts.whittle`");
        assert!([4, 9].contains(&refused.code) && is_named, "{len}: {refused:?}");
        assert_eq!(std::fs::read(&store).expect("there"), whole[..len], "{len}");
    }
}
