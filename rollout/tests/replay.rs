//! A log replays byte for byte, and the first change in it is found.

use proptest::prelude::*;
use whittle_rollout::policy::types::{Decision, Fallback, RollbackOrder, Severity, Snapshot};
use whittle_rollout::{Command, Entry, Input, Mismatch, Outcome, Rollout, WayBack, replay};

mod world;

use world::{World, eager, pause, scripted, terms, verdict, wants};

/// Two days with a pause by the policy, one by a person, and figures that were set aside.
fn eventful() -> World {
    let mut world = World::new(terms());
    world.run(3, &eager());
    world.ratios = vec![1.0, 6.0];
    world.run(2, &nervous());
    world.say(Command::Resume(0.01));
    world.ratios = vec![1.0, 1.0];
    let observation = world.observation(world.at_s);
    world.take_in(observation);
    world.say(Command::Pause(pause(Severity::Low, 2, Fallback::Resume(0.05))));
    world.run(20, &eager());
    world
}

/// Pauses on evidence.
fn nervous() -> impl whittle_rollout::policy::Policy {
    scripted(|now: &Snapshot| {
        let is_worse = now
            .groups
            .iter()
            .flat_map(|group| &group.metrics)
            .any(|metric| metric.signal.is_some_and(|signal| signal.log_e_worse > 3.0));
        let order = pause(
            Severity::Moderate,
            24,
            Fallback::RollBack(RollbackOrder { groups: vec![], quarantine: true }),
        );
        Ok(verdict(if is_worse && now.paused.is_none() {
            Decision::Pause(order)
        } else {
            Decision::Hold
        }))
    })
}

#[test]
fn a_log_replays_from_json() {
    let world = eventful();
    let json: Vec<String> =
        world.log.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let log: Vec<Entry> = json.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(log, world.log);
    assert_eq!(replay(&log, None).unwrap(), world.rollout);
    let is_set_aside = |entry: &Entry| matches!(entry.outcome, Outcome::SetAside(_));
    assert!(log.iter().any(is_set_aside), "the test shows what it should");
    let pauses = log.iter().filter(|entry| matches!(&entry.outcome, Outcome::Decided(decided) if matches!(decided.decision, Decision::Pause(_))));
    assert_eq!(pauses.count(), 2);
}

/// Killed after any entry, a rollout goes on from the log as if nothing had happened.
#[test]
fn a_log_goes_on_from_any_place() {
    let world = eventful();
    for (length, next) in world.log.iter().enumerate().skip(1) {
        // Replaying all of it for each place would take a minute.
        if length % 17 != 0 {
            continue;
        }
        let mut rollout = replay(&world.log[..length], None).unwrap();
        let entry = match next.input.clone() {
            Input::Observe(observation) => rollout.observe(next.at_s, observation),
            Input::Command { by, command } => rollout.command(next.at_s, &by, command),
            Input::Unread { why } => rollout.miss(next.at_s, &why),
            Input::Tick(_) | Input::Start(_) => continue,
        };
        assert_eq!(entry.as_ref(), Ok(next));
    }
}

fn difference(log: &[Entry]) -> (u64, Mismatch) {
    let difference = replay(log, None).unwrap_err();
    (difference.sequence, difference.why)
}

#[test]
fn the_first_change_is_found() {
    let log = eventful().log;
    let tick = log.iter().position(|entry| matches!(entry.input, Input::Tick(_))).unwrap();
    let place = tick as u64;

    let mut changed = log.clone();
    changed.remove(tick);
    assert!(matches!(difference(&changed), (found, Mismatch::Sequence(_)) if found == place));

    let mut changed = log.clone();
    let Outcome::Decided(decided) = &mut changed[tick].outcome else { panic!() };
    decided.decision = Decision::Advance(1.0);
    assert!(matches!(difference(&changed), (found, Mismatch::Outcome { .. }) if found == place));

    // Figures of before, changed in the last bit: the policy would have been asked with something else.
    let mut changed = log.clone();
    let Input::Observe(observation) = &mut changed[tick - 1].input else { panic!() };
    let control = &mut observation.cells[0].metrics[0].control;
    control.exposure = control.exposure.next_up();
    assert!(matches!(difference(&changed), (found, Mismatch::Snapshot { .. }) if found == place));

    assert!(matches!(replay(&log[1..], None).unwrap_err().why, Mismatch::NoStart));
    assert!(matches!(replay(&[], None).unwrap_err().why, Mismatch::Empty));
}

#[test]
fn a_policy_that_answers_otherwise_is_found() {
    let mut world = World::new(terms());
    world.run(1, &wants(Decision::Hold));
    assert!(replay(&world.log, Some(&wants(Decision::Hold))).is_ok());
    let difference = replay(&world.log, Some(&wants(Decision::Stop))).unwrap_err();
    assert!(matches!((difference.sequence, difference.why), (2, Mismatch::Answer { .. })));
}

/// What a policy without any sense may answer.
fn any_decision() -> impl Strategy<Value = Decision> {
    let share = prop_oneof![0.0..1.5, Just(f64::NAN), Just(1.0), Just(0.05), Just(0.25)];
    let groups =
        prop_oneof![Just(vec![]), Just(vec!["hw=C".to_owned()]), Just(vec!["hw=Q".to_owned()])];
    let order = (groups, any::<bool>())
        .prop_map(|(groups, quarantine)| RollbackOrder { groups, quarantine });
    let fallback = prop_oneof![
        share.clone().prop_map(Fallback::Resume),
        order.clone().prop_map(Fallback::RollBack),
        Just(Fallback::Stop),
    ];
    prop_oneof![
        2 => Just(Decision::Hold),
        6 => share.clone().prop_map(Decision::Advance),
        4 => share.prop_map(Decision::Resume),
        2 => (0u32..200, fallback).prop_map(|(hours, otherwise)| Decision::Pause(pause(Severity::Low, hours, otherwise))),
        1 => order.prop_map(Decision::RollBack),
        1 => Just(Decision::Complete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever a policy answers, the rails hold, and the log replays.
    #[test]
    fn no_policy_breaks_the_rails(
        decisions in proptest::collection::vec(any_decision(), 1..120),
        has_way_back in any::<bool>(),
    ) {
        let mut terms = terms();
        if !has_way_back {
            terms.way_back = WayBack::None;
        }
        terms.limits.uncommitted_devices = Some(30_000);
        let mut world = World::new(terms.clone());
        let mut grown_s = world.at_s;
        for decision in decisions {
            for _ in 0..3 {
                world.observe();
            }
            let before = world.rollout.clone();
            let Ok(entry) = world.rollout.tick(world.at_s, &wants(decision)) else { break };
            world.log.push(entry);
            check(&before, &world, &mut grown_s)?;
        }
        prop_assert_eq!(replay(&world.log, None).unwrap(), world.rollout);
    }
}

fn check(before: &Rollout, world: &World, grown_s: &mut u64) -> Result<(), TestCaseError> {
    let (old, new) = (before.state(), world.rollout.state());
    let stages = &new.terms().plan.stages;
    prop_assert!(new.stage_index() <= old.stage_index() + 1, "a stage was skipped");
    prop_assert!(new.share_limit() <= stages[new.stage_index()].share, "above the stage");
    prop_assert!(new.share_limit() > 0.0);
    if new.share_limit() > old.share_limit() && old.phase() == &whittle_rollout::Phase::Running {
        prop_assert!(new.share_limit() <= old.share_limit() * 5.0 + 1e-12, "grew too fast");
        let watched_s = world.at_s - *grown_s;
        prop_assert!(watched_s >= u64::from(stages[old.stage_index()].min_time), "was not watched");
    }
    if new.share_limit() != old.share_limit() {
        *grown_s = world.at_s;
    }
    if old.is_quarantined() {
        prop_assert!(new.is_quarantined());
    }
    if let whittle_rollout::Phase::Paused(pause) = new.phase() {
        prop_assert!(world.at_s < pause.since_s + 72 * 3600 + 3600, "paused for ever");
    }
    let fleet = new.devices_of("fleet").unwrap();
    prop_assert!(fleet.offered - fleet.committed <= 30_000, "too many at once");
    Ok(())
}
