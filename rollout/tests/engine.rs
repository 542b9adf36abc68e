//! What a rollout does when all goes as it should, and what it says of itself.

use std::collections::BTreeMap;

use whittle_rollout::calendar::{Calendar, Window, Zone};
use whittle_rollout::policy::types::{
    Decision, Fallback, FlagOrder, Metric, MetricKind, PauseOrder, Reference, RollbackOrder,
    Severity, Signal, Snapshot, Tally, Verdict,
};
use whittle_rollout::statistics::Certainty;
use whittle_rollout::{
    Command, MetricObservation, MetricTerms, Mismatch, Outcome, Phase, Planned, Role, Terms, plan,
    replay,
};

mod world;

use world::{
    HOUR_S, START_S, TICK_S, World, eager, pause, scripted, stage, tally, terms, verdict, wants,
};

fn signal(now: &Snapshot, group: &str) -> Option<Signal> {
    let group = now.groups.iter().find(|other| other.label == group).unwrap();
    group.metrics[0].signal
}

fn now(world: &World) -> Snapshot {
    world.rollout.snapshot(world.at_s)
}

#[test]
fn a_regression_is_seen_and_its_revision_named() {
    let mut world = World::new(terms());
    world.ratios = vec![1.0, 8.0];
    world.run(3, &wants(Decision::Hold));
    let state = world.rollout.state();
    let suspects: Vec<_> = state.suspects(0.05).into_iter().map(|suspect| suspect.group).collect();
    assert_eq!(suspects, ["hw=C"]);
    let found = signal(&now(&world), "hw=C").unwrap();
    assert_eq!(found.against, Reference::Control);
    assert!((found.ratio - 8.0).abs() < 0.01, "{found:?}");
    assert!(found.low > 1.5 && found.low < 8.0 && found.high > 8.0, "{found:?}");
    assert!(signal(&now(&world), "hw=B").unwrap().log_e_worse < 0.0);
}

#[test]
fn a_healthy_release_is_shown_to_be_fine() {
    let mut world = World::new(terms());
    world.run(30, &eager());
    let found = signal(&now(&world), "fleet").unwrap();
    assert!(found.log_e_fine > 3.0 && found.log_e_worse < 0.0, "{found:?}");
    assert!(world.rollout.state().suspects(0.05).is_empty());
}

#[test]
fn after_a_resumption_old_evidence_does_not_pause_again() {
    let mut world = World::new(terms());
    world.ratios = vec![8.0, 8.0];
    world.run(3, &wants(Decision::Hold));
    assert!(signal(&now(&world), "fleet").unwrap().log_e_worse > 3.0);
    world.tick(&wants(Decision::Pause(pause(Severity::Moderate, 24, Fallback::Stop))));
    world.say(Command::Resume(0.002));
    assert_eq!(signal(&now(&world), "fleet"), None);
    assert_eq!(world.share(), 0.002);
    world.observe();
    let again = signal(&now(&world), "fleet").unwrap();
    assert!(again.log_e_worse < 4.0, "{again:?}");
}

#[test]
fn extended_monitoring_asks_for_telemetry_and_keeps_watching() {
    let mut world = World::new(terms());
    world.run(1, &wants(Decision::Hold));
    let order =
        PauseOrder { more_telemetry: true, ..pause(Severity::Moderate, 48, Fallback::Stop) };
    world.tick(&wants(Decision::Pause(order)));
    let orders = world.rollout.orders(world.at_s);
    assert_eq!(
        (orders.closed.as_deref(), orders.start_now, orders.more_telemetry),
        (Some("paused"), 0, true)
    );
    let before = now(&world).groups[0].metrics[0].current;
    assert_eq!(before.exposure, 0.0, "counted since the pause began");
    world.run(2, &wants(Decision::Hold));
    let now = now(&world);
    assert!(now.groups[0].metrics[0].current.exposure > 0.0);
    let paused = now.paused.unwrap();
    assert_eq!((paused.age, paused.time_left), (2 * 3600, 46 * 3600));
    assert_eq!(world.rollout.due_s(), world.at_s + TICK_S);
}

/// Else whoever waits for it would ask again and again.
#[test]
fn a_rollout_whose_pause_cannot_end_is_due_a_tick_later() {
    let mut world = World::new(terms());
    world.observe();
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 1, Fallback::Resume(0.01)))));
    world.at_s += HOUR_S;
    world.rollout.miss(world.at_s, "no answer").unwrap();
    assert_eq!(world.rollout.due_s(), world.at_s, "nothing was decided since");
    let held = world.tick(&wants(Decision::Hold));
    assert_eq!((held.decision, &held.reasons[0].code[..]), (Decision::Hold, "bad-figures"));
    assert_eq!(world.rollout.due_s(), world.at_s + TICK_S);
}

#[test]
fn a_rollout_is_due_when_a_pause_ends() {
    let mut world = World::new(terms());
    world.observe();
    let order = PauseOrder { decide_within: 60, ..pause(Severity::Low, 1, Fallback::Stop) };
    world.tick(&wants(Decision::Pause(order)));
    assert_eq!(world.rollout.due_s(), world.at_s + 60);
    let soon = scripted(|_| Ok(Verdict { again_in: Some(30), ..verdict(Decision::Hold) }));
    world.tick(&soon);
    assert_eq!(world.rollout.due_s(), world.at_s + 30);
}

#[test]
fn rings_are_taken_one_after_the_other() {
    let mut terms = terms();
    let ring = |value: &str, devices| whittle_rollout::Cell {
        attributes: BTreeMap::from([("ring".to_owned(), value.to_owned())]),
        devices,
        baselines: BTreeMap::new(),
    };
    terms.cells = vec![ring("insider", 10), ring("alpha", 100), ring("rest", 9_890)];
    terms.split_by = vec!["ring".to_owned()];
    terms.metrics[0].must_see = None;
    terms.plan.hold_back = 0.0;
    let mut insiders = stage("insiders", 0.01, 24);
    (insiders.among, insiders.max_devices) = (Some("ring=insider".to_owned()), Some(8));
    let mut alpha = stage("alpha", 0.02, 24);
    alpha.among = Some("ring=alpha".to_owned());
    terms.plan.stages = vec![insiders, alpha, stage("all", 1.0, 24)];
    let devices: Vec<_> = terms
        .plan
        .stages
        .iter()
        .enumerate()
        .map(|(place, stage)| terms.devices_at(stage.share, place))
        .collect();
    assert_eq!(devices, [8, 110, 10_000]);
    let world = World::new(terms);
    assert_eq!(world.rollout.orders(world.at_s).among.as_deref(), Some("ring=insider"));
}

#[test]
fn a_pace_starts_no_more_than_an_hour_allows() {
    let mut terms = terms();
    terms.plan.stages[0].pace = Some(100);
    let world = World::new(terms);
    let start_now = |at_s| world.rollout.orders(at_s).start_now;
    assert_eq!(start_now(START_S), 0);
    assert_eq!(start_now(START_S + 1800), 50);
    assert_eq!(start_now(START_S + 10 * HOUR_S), 100, "what was missed is not made up for at once");
}

#[test]
fn regions_have_windows_of_their_own() {
    let mut terms = terms();
    let nights = Window {
        weekdays: vec![],
        from_minute: 0,
        until_minute: 240,
        zone: Zone::default(),
        groups: vec!["hw=C".to_owned()],
    };
    terms.calendar = Calendar { windows: vec![nights], ..Calendar::default() };
    let world = World::new(terms);
    let orders = world.rollout.orders(START_S);
    assert_eq!(orders.closed, None);
    assert_eq!(orders.closed_cells, [(1, "outside the windows for updates".to_owned())]);
    assert!(world.rollout.orders(START_S + 13 * HOUR_S).closed_cells.is_empty());
}

#[test]
fn some_are_held_back_until_the_end() {
    let mut world = World::new(terms());
    let fleet = now(&world).groups[0].clone();
    assert_eq!((fleet.devices, fleet.held_back), (100_000, 5_000));
    world.run(50, &eager());
    let orders = world.rollout.orders(world.at_s);
    assert_eq!((orders.share, orders.devices, orders.release_held_back), (1.0, 95_000, false));
    world.run(70, &eager());
    let orders = world.rollout.orders(world.at_s);
    assert_eq!((orders.devices, orders.release_held_back, orders.closed), (100_000, true, None));
}

#[test]
fn stragglers_show_in_the_distribution() {
    let mut world = World::new(terms());
    world.at_s += TICK_S;
    let mut observation = world.observation(START_S);
    let versions = [("1.9.0", 95_000), ("2.0.0", 2_500), ("1.8.0", 2_500)];
    observation.versions = versions.map(|(version, devices)| (version.to_owned(), devices)).into();
    world.take_in(observation);
    let found: Vec<_> = world
        .rollout
        .state()
        .distribution()
        .into_iter()
        .map(|share| (share.version, share.share, share.role))
        .collect();
    let wanted = [
        ("1.8.0", 0.025, Role::Straggler),
        ("1.9.0", 0.95, Role::Base),
        ("2.0.0", 0.025, Role::Target),
    ];
    assert_eq!(found, wanted.map(|(version, share, role)| (version.to_owned(), share, role)));
}

#[test]
fn a_kill_switch_is_turned_even_when_a_rail_decides() {
    let off = FlagOrder { name: "mesh".to_owned(), on: false, groups: vec![] };
    let order = off.clone();
    let policy = scripted(move |_| {
        Ok(Verdict { feature_flags: vec![order.clone()], ..verdict(Decision::Hold) })
    });
    let mut world = World::new(terms());
    world.run(3, &wants(Decision::Hold));
    world.bricked = vec![10, 10];
    world.observe();
    assert!(matches!(world.tick(&policy).decision, Decision::RollBack(_)));
    assert_eq!(world.rollout.orders(world.at_s).feature_flags, [off]);
}

#[test]
fn buckets_have_no_gaps() {
    let mut world = World::new(terms());
    world.run(2, &wants(Decision::Hold));
    // Nothing comes for two hours and a half.
    world.at_s += 5 * HOUR_S / 2;
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let observation = world.observation(from_s);
    assert_eq!(world.take_in(observation), Outcome::Counted);
    let recent = now(&world).groups[0].metrics[0].recent.clone();
    let shape: Vec<_> = recent
        .iter()
        .map(|bucket| (bucket.age, bucket.length, bucket.treated.exposure > 0.0))
        .collect();
    assert_eq!(
        shape,
        [(0, 2700, true), (2700, 3600, false), (6300, 3600, false), (9900, 3600, true)]
    );
}

#[test]
fn a_policy_is_told_what_it_wants() {
    for (told, seen) in [("crashes", Some(4)), ("battery", None)] {
        let mut world = World::new(Terms { told: vec![told.to_owned()], ..terms() });
        world.run(6, &wants(Decision::Hold));
        let buckets = |metrics: &[Metric]| metrics.first().map(|metric| metric.recent.len());
        assert_eq!(buckets(&now(&world).groups[0].metrics), seen);
        let measured = world.rollout.groups(world.at_s);
        let crashes = measured[0].metrics.iter().find(|metric| metric.name == "crashes");
        let exposure = crashes.map(|metric| metric.treated.exposure);
        assert!(exposure > Some(0.0), "it is counted all the same");
    }
}

/// Batteries, asked once a day each; new firmware drains a third more.
fn with_batteries() -> Terms {
    let mut terms = terms();
    terms.metrics = vec![MetricTerms {
        name: "battery".to_owned(),
        kind: MetricKind::Mean,
        higher_is_worse: true,
        required: true,
        every: None,
        tolerated: 1.0,
        tolerated_baseline: 1.0,
        alarm: 1.2,
        must_see: None,
        most: Some(20.0),
    }];
    terms
}

fn readings(number: f64, mean: f64) -> Tally {
    Tally { count: number * mean, exposure: number, squares: number * (mean * mean + 4.0) }
}

#[test]
fn a_drained_battery_is_seen() {
    let mut world = World::new(with_batteries());
    for _ in 0..20 {
        let from_s = world.at_s;
        world.at_s += TICK_S;
        let mut observation = world.observation(from_s);
        for cell in &mut observation.cells {
            let (treated, control) = (readings(20.0, 6.5), readings(500.0, 5.0));
            cell.metrics = vec![MetricObservation { name: "battery".to_owned(), treated, control }];
        }
        assert_eq!(world.take_in(observation), Outcome::Counted);
    }
    let found = signal(&now(&world), "fleet").unwrap();
    assert!(
        found.log_e_worse > 3.0 && found.low > 1.0 && (found.ratio - 1.3).abs() < 0.01,
        "{found:?}"
    );
}

/// Of old firmware 3 % are not connected, of new firmware 9 %.
#[test]
fn lost_connections_are_seen() {
    let mut terms = with_batteries();
    let metric = &mut terms.metrics[0];
    (metric.name, metric.kind, metric.higher_is_worse, metric.alarm) =
        ("connected".to_owned(), MetricKind::Proportion, false, 2.0);
    let mut world = World::new(terms);
    world.at_s += TICK_S;
    let mut observation = world.observation(START_S);
    for cell in &mut observation.cells {
        let (treated, control) = (tally(455.0, 500.0), tally(48_500.0, 50_000.0));
        cell.metrics = vec![MetricObservation { name: "connected".to_owned(), treated, control }];
    }
    assert_eq!(world.take_in(observation), Outcome::Counted);
    let found = signal(&now(&world), "fleet").unwrap();
    assert!(found.log_e_worse > 3.0 && (found.ratio - 3.0).abs() < 0.01, "{found:?}");
}

/// A fleet of which all devices are updated, after so many events of each cell in 5,000 hours.
fn without_control(terms: Terms, count: f64) -> World {
    let mut world = World::new(terms);
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let mut observation = world.observation(from_s);
    for cell in &mut observation.cells {
        cell.devices.offered = 20_000;
        cell.devices.updated = 20_000;
        cell.metrics[0].control = tally(0.0, 0.0);
        cell.metrics[0].treated = tally(count, 5_000.0);
    }
    assert_eq!(world.take_in(observation), Outcome::Counted);
    world
}

/// Where all devices are updated there is only the time before.
#[test]
fn without_control_the_baseline_is_asked() {
    let world = without_control(terms(), 50.0);
    let found = signal(&now(&world), "fleet").unwrap();
    assert_eq!((found.against, found.tolerated), (Reference::Baseline, 1.25));
    assert!(found.log_e_worse > 3.0 && (found.ratio - 5.0).abs() < 0.01, "{found:?}");
}

/// Of readings that come, say, more are better: 14 times as many are fine, and none are not.
#[test]
fn without_control_fewer_are_worse_where_more_are_better() {
    for (count, ratio) in [(140.0, 1.0 / 14.0), (0.0, 40.0)] {
        let mut terms = terms();
        terms.metrics[0].higher_is_worse = false;
        let world = without_control(terms, count);
        let found = signal(&now(&world), "fleet").unwrap();
        assert_eq!(found.against, Reference::Baseline);
        assert!((found.ratio - ratio).abs() < 0.01, "{found:?}");
        assert_eq!((found.log_e_worse > 3.0, found.log_e_fine > 3.0), (count == 0.0, count > 0.0));
        assert!(found.low <= found.ratio && found.ratio <= found.high, "{found:?}");
    }
}

/// A cell so small that nothing of it is held back does not take the control of all others away.
#[test]
fn a_small_cell_without_control_does_not_count() {
    let mut terms = terms();
    let attributes = BTreeMap::from([("hw".to_owned(), "D".to_owned())]);
    terms.cells.push(whittle_rollout::Cell { attributes, devices: 10, baselines: BTreeMap::new() });
    let mut world = World::new(terms);
    world.ratios = vec![8.0; 3];
    world.at_s += TICK_S;
    let mut observation = world.observation(START_S);
    for cell in observation.cells.iter_mut().take(2) {
        cell.devices.offered = 800;
        cell.devices.updated = 800;
        cell.metrics[0].treated = tally(4.0, 200.0);
    }
    observation.cells[2].devices.offered = 10;
    observation.cells[2].devices.updated = 10;
    observation.cells[2].metrics[0] = MetricObservation {
        name: "crashes".to_owned(),
        treated: tally(0.0, 2.5),
        control: tally(0.0, 0.0),
    };
    assert_eq!(world.take_in(observation), Outcome::Counted);
    assert_eq!(signal(&now(&world), "fleet").unwrap().against, Reference::Control);
}

#[test]
fn a_plan_tells_what_it_can_see() {
    let terms = terms();
    let report = terms.power_report(&terms.metrics[0], 2.0, Certainty::Half);
    let lines: Vec<_> = report.into_iter().map(|outlook| outlook.unwrap().to_string()).collect();
    let wanted = [
        "can see a regression of 2.9x or more; to see 2x it needs 7 h",
        "can see a regression of 1.3x or more",
        "can see a regression of 1.2x or more",
        "can see a regression of 1.2x or more",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_policy_plans_and_its_plan_replays() {
    let terms = plan(terms(), START_S, &eager()).unwrap();
    assert_eq!(terms.plan.stages.len(), 4, "the fleet and two revisions");
    assert_eq!(terms.planned, Some(Planned { at_s: START_S, fuel: 1000 }));
    let world = World::new(terms.clone());
    assert!(replay(&world.log, Some(&eager())).is_ok());
    // Somebody has changed the plan, and says that the policy made it.
    let mut changed = terms;
    changed.plan.stages[0].min_time = 60;
    changed.metrics[0].must_see = None;
    let world = World::new(changed);
    let difference = replay(&world.log, Some(&eager())).unwrap_err();
    assert!(matches!((difference.sequence, difference.why), (0, Mismatch::Answer { .. })));
}

#[test]
fn an_author_is_cautioned() {
    assert!(terms().cautions().is_empty());
    let mut terms = terms();
    terms.plan.hold_back = 0.0;
    terms.plan.stages.remove(1);
    terms.limits.uncommitted_devices = Some(30_000);
    let lines: Vec<_> = terms.cautions().iter().map(ToString::to_string).collect();
    let wanted = [
        "stage `regional` is 25.0 times the one before, and will be reached in steps of at most 5 times",
        "stage `full` lets in 75000 devices and at most 30000 may be uncommitted, so it will be reached in 3 parts or more",
        "0.0 events of `crashes` are expected on old firmware in the last stage: hold back more devices",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_person_goes_on_where_a_policy_would_wait() {
    let mut world = World::new(terms());
    let Outcome::Decided(decided) = world.say(Command::Advance(0.05)) else { panic!() };
    assert_eq!(decided.decision, Decision::Advance(0.05));
    let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    world.say(Command::RollBack(order));
    assert_eq!(world.rollout.state().phase(), &Phase::Running);
    assert!(replay(&world.log, None).is_ok());
}
