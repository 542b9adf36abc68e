//! Figures and clocks that cannot be: an error, or a hold with its reason; never an advance.

use std::collections::BTreeMap;

use whittle_rollout::calendar::{Freeze, LocalTime, Window, Zone};
use whittle_rollout::policy::types::{
    Decision, Fallback, MetricKind, RollbackOrder, RootCause, Severity, Tally,
};
use whittle_rollout::{
    BadTerms, CellObservation, Command, DeviceCounts, Input, Observation, Outcome, Problem, Rail,
    Refusal, Terms,
};

mod world;

use world::{START_S, TICK_S, World, pause, tally, terms, wants};

/// Gives the next observation to a rollout that could advance, after changing it; the rollout must hold, and go on when good
/// figures come.
fn set_aside(change: impl Fn(&mut Observation)) -> Problem {
    let mut world = World::new(terms());
    world.run(3, &wants(Decision::Hold));
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let good = world.observation(from_s);
    let mut bad = good.clone();
    change(&mut bad);
    let Outcome::SetAside(problem) = world.take_in(bad) else { panic!("counted") };
    let before = world.share();
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    assert_eq!((&decided.decision, &decided.rails[..]), (&Decision::Hold, &[Rail::Freshness][..]));
    assert_eq!(decided.reasons[0].code, "bad-figures");
    assert!(decided.reasons[0].text.ends_with(&problem.to_string()), "{decided:?}");
    assert_eq!(world.share(), before);
    assert_eq!(world.take_in(good), Outcome::Counted, "nothing of the bad figures was counted");
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    assert_eq!(decided.decision, Decision::Advance(0.05));
    problem
}

fn crashes(observation: &mut Observation) -> &mut Tally {
    &mut observation.cells[0].metrics[0].treated
}

#[test]
fn figures_that_cannot_be() {
    let figures = [
        tally(-1.0, 200.0),
        tally(1.0, -200.0),
        tally(f64::NAN, 200.0),
        tally(1.0, f64::NAN),
        tally(f64::INFINITY, 200.0),
        tally(1.0, f64::INFINITY),
        tally(3.0, 0.0),
    ];
    for figure in figures {
        let problem = set_aside(|observation| *crashes(observation) = figure);
        assert!(matches!(problem, Problem::Figure { .. }), "{problem}");
    }
}

#[test]
fn hours_of_devices_counted_twice() {
    let problem = set_aside(|observation| *crashes(observation) = tally(1.0, 80_000.0));
    assert!(matches!(problem, Problem::TooMuchExposure { .. }), "{problem}");
}

/// So many events of old firmware would hide any regression: a counter that holds all that was ever counted, say.
#[test]
fn more_events_than_devices_can_have() {
    let control =
        |observation: &mut Observation| observation.cells[0].metrics[0].control.count = 1e9;
    let problem = set_aside(control);
    assert!(matches!(problem, Problem::TooManyEvents { .. }), "{problem}");
    let problem = set_aside(|observation| crashes(observation).count = 1e9);
    assert!(matches!(problem, Problem::TooManyEvents { .. }), "{problem}");
}

/// In a boot loop a device crashes each second, and comes to no hour of which it could report.
#[test]
fn a_boot_loop_is_believed_and_stops_the_rollout() {
    let mut world = World::new(terms());
    world.run(3, &wants(Decision::Hold));
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let mut looping = world.observation(from_s);
    let updated = f64::from(looping.cells[0].devices.updated);
    *crashes(&mut looping) = tally(updated * f64::from(u32::try_from(TICK_S).unwrap()), 0.1);
    assert_eq!(world.take_in(looping), Outcome::Counted);
    let signal = world.rollout.snapshot(world.at_s).groups[0].metrics[0].signal.unwrap();
    assert!(signal.log_e_worse > 100.0, "{signal:?}");
}

/// Whoever counts each device once a day says so, and one more crash of each in a stretch of time is too much.
#[test]
fn the_most_events_are_named_in_the_terms() {
    let mut terms = terms();
    terms.metrics[0].most = Some(1.0 / 24.0);
    let mut world = World::new(terms);
    world.observe();
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let good = world.observation(from_s);
    let updated = f64::from(good.cells[0].devices.updated);
    let mut bad = good.clone();
    crashes(&mut bad).count = 2.0 * updated;
    let outcome = world.take_in(bad);
    assert!(matches!(outcome, Outcome::SetAside(Problem::TooManyEvents { .. })), "{outcome:?}");
    let mut all_at_once = good;
    crashes(&mut all_at_once).count = updated;
    assert_eq!(world.take_in(all_at_once), Outcome::Counted);
}

#[test]
fn counters_that_fall() {
    let problem = set_aside(|observation| observation.cells[0].devices.updated -= 1);
    assert!(matches!(&problem, Problem::Fell { what, .. } if what == "updated"), "{problem}");
    assert_eq!(problem.to_string(), "updated devices fell from 800 to 799");
}

/// Devices that were sold are gone: a person says so, and the rollout goes on.
#[test]
fn a_recount_accepts_what_has_fallen() {
    let mut world = World::new(terms());
    world.run(3, &wants(Decision::Hold));
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let mut fewer = world.observation(from_s);
    fewer.cells[0].devices =
        DeviceCounts { offered: 790, updated: 790, committed: 700, ..DeviceCounts::default() };
    assert!(matches!(world.take_in(fewer.clone()), Outcome::SetAside(Problem::Fell { .. })));
    world.say(Command::Recount);
    assert_eq!(world.take_in(fewer), Outcome::Counted);
    assert_eq!(world.tick(&wants(Decision::Advance(0.05))).decision, Decision::Advance(0.05));
}

#[test]
fn a_person_may_err() {
    let mut world = World::new(terms());
    let nowhere = RollbackOrder { groups: vec!["hw=Z".to_owned()], quarantine: false };
    let cases = [
        (Command::RollBack(nowhere.clone()), Refusal::UnknownGroup("hw=Z".to_owned())),
        (
            Command::Pause(pause(Severity::Low, 1, Fallback::RollBack(nowhere))),
            Refusal::UnknownGroup("hw=Z".to_owned()),
        ),
        (
            Command::Pause(pause(Severity::Low, 1, Fallback::Resume(2.0))),
            Refusal::Share { got: 2.0, above: 0.0, most: 1.0 },
        ),
        (Command::Advance(0.001), Refusal::Share { got: 0.001, above: 0.01, most: 1.0 }),
        (Command::Resume(0.01), Refusal::NotPaused),
        (Command::RootCause(RootCause::FoundMinor), Refusal::NotPaused),
        (Command::Approve("cannary".to_owned()), Refusal::UnknownStage("cannary".to_owned())),
    ];
    let before = world.rollout.clone();
    for (command, wanted) in cases {
        assert_eq!(world.rollout.command(world.at_s, "alice", command), Err(wanted));
    }
    assert_eq!(world.rollout, before);
}

#[test]
fn devices_counted_twice() {
    let problem = set_aside(|observation| observation.cells[0].devices.offered = 80_001);
    assert!(matches!(problem, Problem::TooManyDevices { .. }), "{problem}");
    let problem = set_aside(|observation| observation.cells[0].devices.updated += 1);
    assert!(
        matches!(problem, Problem::TooManyDevices { .. }),
        "more updated than offered: {problem}"
    );
    let problem = set_aside(|observation| observation.cells[0].devices.rolled_back = 1);
    assert!(
        matches!(problem, Problem::TooManyDevices { .. }),
        "committed and rolled back: {problem}"
    );
    let twice = |observation: &mut Observation| {
        let cell = observation.cells[0].clone();
        observation.cells.push(cell);
    };
    assert!(matches!(set_aside(twice), Problem::CellTwice(_)));
    let twice = |observation: &mut Observation| {
        let metric = observation.cells[0].metrics[0].clone();
        observation.cells[0].metrics.push(metric);
    };
    assert!(matches!(set_aside(twice), Problem::MetricTwice(_)));
    let versions = |observation: &mut Observation| {
        observation.versions = BTreeMap::from([("1".to_owned(), 60_000), ("2".to_owned(), 60_000)]);
    };
    assert!(matches!(set_aside(versions), Problem::TooManyVersions { .. }));
}

#[test]
fn stretches_of_time_that_overlap() {
    let problem = set_aside(|observation| observation.from_s -= 1);
    assert!(matches!(problem, Problem::Overlap { .. }), "{problem}");
    let problem = set_aside(|observation| observation.until_s = observation.from_s);
    assert!(matches!(problem, Problem::Backwards { .. }), "{problem}");
    let problem = set_aside(|observation| observation.until_s += 1);
    assert!(matches!(problem, Problem::FromTheFuture { .. }), "{problem}");
}

#[test]
fn what_nobody_knows() {
    let problem =
        set_aside(|observation| observation.cells[0].metrics[0].name = "tickets".to_owned());
    assert!(matches!(problem, Problem::UnknownMetric(_)), "{problem}");
    let stranger = |observation: &mut Observation| {
        let attributes = BTreeMap::from([("hw".to_owned(), "Z".to_owned())]);
        let cell = CellObservation { attributes, ..observation.cells[0].clone() };
        observation.cells.push(cell);
    };
    assert!(matches!(set_aside(stranger), Problem::UnknownCell(_)));
}

#[test]
fn more_devices_hit_than_asked() {
    let mut terms = terms();
    let metric = &mut terms.metrics[0];
    (metric.kind, metric.must_see) = (MetricKind::Proportion, None);
    let mut world = World::new(terms);
    world.at_s += TICK_S;
    let mut observation = world.observation(START_S);
    *crashes(&mut observation) = tally(5.0, 4.0);
    assert!(matches!(world.take_in(observation), Outcome::SetAside(Problem::Figure { .. })));
}

#[test]
fn a_clock_that_goes_backwards() {
    let mut world = World::new(terms());
    world.run(3, &wants(Decision::Hold));
    let before = world.rollout.clone();
    let (now_s, logged_s) = (world.at_s - 1, world.at_s);
    let refused = world.rollout.tick(now_s, &wants(Decision::Advance(0.05)));
    assert_eq!(refused, Err(Refusal::ClockWentBack { now_s, logged_s }));
    let observation = world.observation(now_s);
    assert!(matches!(
        world.rollout.observe(now_s, observation),
        Err(Refusal::ClockWentBack { .. })
    ));
    assert_eq!(world.rollout, before);
}

fn window(from_minute: u16, until_minute: u16, weekday: u8) -> Window {
    let (weekdays, zone) = (vec![weekday], Zone::default());
    Window { weekdays, from_minute, until_minute, zone, groups: vec![] }
}

#[test]
fn terms_that_contradict_themselves() {
    type Change = fn(&mut Terms);
    let freeze = |terms: &mut Terms, from, until| {
        let time = |(month, day)| LocalTime { year: 2026, month, day, hour: 0, minute: 0 };
        let (name, zone) = ("holidays".to_owned(), Zone::default());
        let freeze = Freeze { name, from: time(from), until: time(until), zone, groups: vec![] };
        terms.calendar.freezes.push(freeze);
    };
    for (from, until) in [((13, 1), (12, 1)), ((2, 29), (3, 1)), ((12, 24), (12, 20))] {
        let mut terms = terms();
        freeze(&mut terms, from, until);
        let bad = terms.check(&std::collections::BTreeSet::new()).unwrap_err().to_string();
        assert!(bad.contains("of the freeze `holidays` is 2026-"), "{bad}");
    }
    let changes: [(Change, &str); 31] = [
        (|terms| terms.plan.stages[1].name = terms.plan.stages[0].name.clone(), "there twice"),
        (|terms| terms.calendar.windows.push(window(0, 1441, 1)), "minute 1441"),
        (|terms| terms.calendar.windows.push(window(0, 60, 8)), "weekday 8"),
        (
            |terms| {
                let nothing = Tally { exposure: 0.0, ..terms.cells[0].baselines["crashes"] };
                terms.cells[0].baselines.insert("crashes".to_owned(), nothing);
            },
            "the count in the baseline",
        ),
        (|terms| terms.metrics[0].most = Some(0.0), "most events an hour of `crashes` is 0"),
        (
            |terms| terms.metrics[0].most = Some(0.0001),
            "the count in the baseline of `crashes` is 115200",
        ),
        (|terms| terms.cells[0].devices = u32::MAX, "number of devices"),
        (|terms| terms.cells.clear(), "no devices"),
        (|terms| terms.cells.push(terms.cells[0].clone()), "stands there twice"),
        (|terms| terms.metrics.push(terms.metrics[0].clone()), "stands there twice"),
        (|terms| terms.plan.stages.clear(), "number of stages"),
        (|terms| terms.plan.stages[1].share = 0.01, "more than 0.01"),
        (|terms| terms.plan.stages[3].share = f64::NAN, "at most 1"),
        (|terms| terms.plan.stages[0].among = Some("hw=Z".to_owned()), "no group"),
        (|terms| terms.plan.stages[0].max_time = Some(60), "longest time"),
        (|terms| terms.plan.hold_back = 0.9, "held back"),
        (|terms| terms.metrics[0].alarm = 1.0, "alarm"),
        (|terms| terms.metrics[0].tolerated = f64::NAN, "tolerated"),
        (
            // Its readings would count as events.
            |terms| (terms.metrics[0].kind, terms.metrics[0].most) = (MetricKind::Mean, Some(9.0)),
            "`crashes` is a mean",
        ),
        // What a policy cannot be told.
        (|terms| terms.release.name = "r".repeat(65), "65 bytes long, wanted 1 to 64"),
        (|terms| terms.release.name.clear(), "name of the release"),
        (|terms| terms.release.full_bytes = f64::INFINITY, "size of an image"),
        (|terms| terms.metrics[0].name = "m".repeat(65), "name of a metric"),
        (|terms| terms.plan.stages[0].name = "s".repeat(65), "name of a stage"),
        (|terms| terms.plan.stages[0].pace = Some(0), "pace"),
        (|terms| terms.plan.stages[0].max_devices = Some(0), "most devices"),
        (|terms| terms.split_by.push("hw".to_owned()), "group `hw=B` is there twice"),
        (
            |terms| {
                let long = ("hw".to_owned(), "B".repeat(126));
                terms.cells[0].attributes.extend([long]);
            },
            "129 bytes long, wanted 1 to 128",
        ),
        (|terms| terms.limits.growth = 1.0, "growth"),
        (|terms| terms.limits.tick = 0, "tick"),
        (|terms| terms.limits.pause.decide_within = 300_000, "deadline"),
    ];
    for (change, wanted) in changes {
        let mut terms = terms();
        change(&mut terms);
        let bad = terms.check(&std::collections::BTreeSet::new()).unwrap_err();
        assert!(bad.to_string().contains(wanted), "{bad}");
    }
}

#[test]
fn a_downgrade_that_devices_would_refuse() {
    use whittle_rollout::WayBack;
    let mut terms = terms();
    let release = |security_counter| WayBack::Release {
        name: "1.9.1".to_owned(),
        security_counter,
        target_security_counter: 8,
    };
    terms.way_back = release(7);
    let bad = terms.check(&std::collections::BTreeSet::new()).unwrap_err();
    assert!(matches!(bad, BadTerms::DowngradeRefused { got: 7, wanted: 8, .. }), "{bad}");
    terms.way_back = release(8);
    assert_eq!(terms.check(&std::collections::BTreeSet::new()), Ok(()));
}

#[test]
fn figures_that_did_not_come_hold_until_all_devices_have_some() {
    let mut world = World::new(terms());
    world.run(3, &wants(Decision::Hold));
    let entry = world.rollout.miss(world.at_s, &"ä".repeat(2000)).unwrap();
    assert!(matches!(&entry.input, Input::Unread { why } if why.len() == 1024));
    world.log.push(entry);
    let is_held = |world: &mut World| {
        let decided = world.tick(&wants(Decision::Advance(0.05)));
        decided.reasons[0].code == "bad-figures"
    };
    assert!(is_held(&mut world));
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let mut some = world.observation(from_s);
    some.cells.truncate(1);
    assert_eq!(world.take_in(some), Outcome::Counted);
    assert!(is_held(&mut world), "one cell is still missing");
    world.observe();
    assert!(!is_held(&mut world));
    whittle_rollout::replay(&world.log, None).unwrap();
}

#[test]
fn figures_from_before_the_start() {
    let mut world = World::new(terms());
    world.at_s += TICK_S;
    let early = world.observation(START_S - 60);
    assert!(matches!(world.take_in(early), Outcome::SetAside(Problem::Overlap { .. })));
}

#[test]
fn more_exposure_than_devices_can_have() {
    for (kind, most) in
        [(MetricKind::Rate, 1.5), (MetricKind::Proportion, 61.0), (MetricKind::Mean, 3601.0)]
    {
        let mut terms = terms();
        let metric = &mut terms.metrics[0];
        (metric.kind, metric.must_see, metric.most) = (kind, None, Some(1.0));
        let mut world = World::new(terms);
        world.at_s += 3600;
        let mut observation = world.observation(START_S);
        for cell in &mut observation.cells {
            cell.metrics[0].control = tally(0.0, 1.0);
        }
        let updated = f64::from(observation.cells[0].devices.updated);
        assert!(updated > 0.0, "somebody was updated");
        *crashes(&mut observation) = tally(0.0, updated * most + 2.0);
        let outcome = world.take_in(observation.clone());
        assert!(
            matches!(outcome, Outcome::SetAside(Problem::TooMuchExposure { .. })),
            "{outcome:?}"
        );
        *crashes(&mut observation) = tally(0.0, updated * most);
        assert_eq!(world.take_in(observation), Outcome::Counted);
    }
}

#[test]
fn bricked_devices_do_not_come_back() {
    let mut world = World::new(terms());
    world.at_s += TICK_S;
    let mut observation = world.observation(START_S);
    observation.cells[0].devices.committed = 0;
    observation.cells[0].devices.bricked = 3;
    assert_eq!(world.take_in(observation), Outcome::Counted);
    let from_s = world.at_s;
    world.at_s += TICK_S;
    let healed = world.observation(from_s);
    assert!(matches!(world.take_in(healed), Outcome::SetAside(Problem::Fell { .. })));
}
