//! From a rollout of the engine, through its orders, to devices.

use std::collections::BTreeSet;

use serde_json::json;
use whittle_fleet::{Campaign, ChangeKind};
use whittle_rollout::policy::types::{Fallback, PauseOrder, RollbackOrder, Severity};
use whittle_rollout::{Command, Rollout, Terms};

use crate::mender::Fake;
use crate::scenario::{self, Site};
use crate::support::BUILD;

const START_S: u64 = 1_795_694_400;

fn terms() -> Terms {
    let stage = |name: &str, share: f64, among: Option<&str>| {
        json!({
            "name": name, "share": share, "max_devices": null, "among": among, "min_time": 0, "max_time": null, "pace": null,
            "needs_approval": false,
        })
    };
    let cell = |hw: &str, region: &str| json!({ "attributes": { "hw": hw, "region": region }, "devices": 10 });
    let terms = json!({
        "release": {
            "name": "2.4.1", "change": "fix", "emergency": false, "safety_critical": false, "well_tested": true, "reversible": true,
            "full_bytes": 500_000.0, "delta_bytes": 20_000.0,
        },
        "build": BUILD, "version": "2.4.1", "policy": "aa".repeat(32),
        "plan": { "hold_back": 0.0, "stages": [stage("ring", 0.2, Some("hw=B")), stage("half", 0.5, None), stage("full", 1.0, None)] },
        "split_by": ["hw", "region"],
        "cells": [cell("B", "eu"), cell("B", "us"), cell("C", "eu"), cell("C", "us")],
        "limits": {},
        "way_back": { "release": { "name": "2.4.0-back", "security_counter": 8, "target_security_counter": 8 } },
    });
    serde_json::from_value(terms).expect("terms")
}

fn apply(site: &Fake, rollout: &Rollout, at_s: u64) -> whittle_fleet::Report {
    scenario::apply(site, &rollout.orders(at_s), &Campaign::of("spring", rollout))
}

#[test]
fn a_rollout_reaches_devices_by_its_orders() {
    let site = Fake::new();
    let (mut rollout, _) = Rollout::start(terms(), START_S, &BTreeSet::new()).expect("starts");
    apply(&site, &rollout, START_S);
    let is_b: BTreeSet<_> = scenario::fleet()
        .into_iter()
        .filter(|(_, attributes)| attributes["hw"] == "B")
        .map(|(id, _)| id)
        .collect();
    let offered: BTreeSet<_> = site.offers().into_keys().collect();
    assert!(offered.len() == 8 && offered.is_subset(&is_b), "{offered:?}");

    let mut at_s = START_S;
    let mut say = |rollout: &mut Rollout, command| {
        at_s += 900;
        rollout.command(at_s, "an operator", command).expect("it makes sense");
        let report = apply(&site, rollout, at_s);
        assert_eq!(apply(&site, rollout, at_s).changed, [], "the same orders again");
        report
    };
    say(&mut rollout, Command::Advance(0.5));
    assert_eq!(site.offers().len(), 20);
    site.take(6);
    let order = PauseOrder {
        severity: Severity::High,
        decide_within: 3600,
        otherwise: Fallback::Stop,
        more_telemetry: true,
    };
    let report = say(&mut rollout, Command::Pause(order));
    assert!(report.changed.iter().all(|change| change.kind == ChangeKind::Stopped), "{report:?}");
    assert_eq!(report.shortfalls, ["this server cannot ask devices for more telemetry"]);
    assert_eq!(site.offers().len(), 6);
    say(&mut rollout, Command::Resume(0.5));
    assert_eq!(site.offers().len(), 20);
    say(
        &mut rollout,
        Command::RollBack(RollbackOrder { groups: vec!["hw=B".to_owned()], quarantine: false }),
    );
    assert!(site.offers().iter().all(|(id, offer)| offer.is_back == is_b.contains(id)));
    say(&mut rollout, Command::Stop);
    site.take(40);
    assert!(site.offers().values().all(|offer| offer.has_taken), "what had not begun was ended");
}
