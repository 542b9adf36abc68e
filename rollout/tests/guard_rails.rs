//! Policies that try to break a rail, for each rail at least one.

use std::collections::BTreeSet;

use whittle_rollout::calendar::{Calendar, Freeze, LocalTime, Zone};
use whittle_rollout::policy::types::{
    DecidedBy, Decision, Fallback, PauseOrder, RollbackOrder, RootCause, Severity, Snapshot, Stage,
    Verdict,
};
use whittle_rollout::{
    BadTerms, Command, Decided, Ending, KillRule, Limits, Lost, MAX_MEMO_BYTES, Phase, Rail,
    Refusal, Rollout, WayBack, replay,
};

mod world;

use world::{HOUR_S, START_S, World, eager, pause, scripted, stage, terms, verdict, wants};

fn is_held(decided: &Decided, rail: Rail, code: &str) {
    assert_eq!(decided.decision, Decision::Hold, "{decided:?}");
    assert_eq!(decided.by, DecidedBy::GuardRail, "{decided:?}");
    assert!(decided.rails.contains(&rail), "{decided:?}");
    assert_eq!(decided.reasons[0].code, code, "{decided:?}");
}

fn is_paused(decided: &Decided, rail: Rail, code: &str) {
    assert!(matches!(decided.decision, Decision::Pause(_)), "{decided:?}");
    assert_eq!(decided.by, DecidedBy::GuardRail, "{decided:?}");
    assert!(decided.rails.contains(&rail), "{decided:?}");
    assert_eq!(decided.reasons[0].code, code, "{decided:?}");
}

/// A rollout whose canary is full and was watched for long enough.
fn ready() -> World {
    ready_with(terms())
}

fn ready_with(terms: whittle_rollout::Terms) -> World {
    let mut world = World::new(terms);
    world.run(3, &wants(Decision::Hold));
    world
}

fn all(quarantine: bool) -> RollbackOrder {
    RollbackOrder { groups: vec![], quarantine }
}

#[test]
fn a_healthy_rollout_completes_and_replays() {
    let mut world = World::new(terms());
    let decisions = world.run(200, &eager());
    assert_eq!(world.rollout.state().phase(), &Phase::Over(Ending::Completed));
    let shares: Vec<_> = decisions
        .iter()
        .filter_map(|decided| {
            if let Decision::Advance(share) = decided.decision { Some(share) } else { None }
        })
        .collect();
    assert_eq!(shares, [0.05, 0.25, 1.0]);
    // 2 + 12 + 24 + 72 hours, and a tick for each stage to fill.
    assert_eq!((world.at_s - START_S) / HOUR_S, 111);
    assert!(world.rollout.orders(world.at_s).release_held_back);
    let again = replay(&world.log, Some(&eager())).unwrap();
    assert_eq!(again, world.rollout);
}

// 1: stages come in their order.

#[test]
fn no_stage_is_skipped() {
    let mut world = ready();
    let decided = world.tick(&wants(Decision::Advance(1.0)));
    assert_eq!(decided.decision, Decision::Advance(0.05), "{decided:?}");
    assert_eq!(decided.rails, [Rail::StageOrder]);
    assert_eq!(world.rollout.state().stage_index(), 1);
}

#[test]
fn a_rollout_does_not_complete_early() {
    let decided = ready().tick(&wants(Decision::Complete));
    is_paused(&decided, Rail::Fault, "policy-fault");
}

#[test]
fn after_a_slow_resumption_the_stage_comes_first() {
    let mut terms = terms();
    terms.limits.growth = 100.0;
    let mut world = ready_with(terms);
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 1, Fallback::Stop))));
    world.tick(&wants(Decision::Resume(0.002)));
    assert_eq!(world.share(), 0.002);
    world.run(3, &wants(Decision::Hold));
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    assert_eq!(decided.decision, Decision::Advance(0.01), "the canary, not the next stage");
}

// 2: a share grows by a limited factor.

#[test]
fn a_share_does_not_explode() {
    let mut terms = terms();
    terms.plan.stages.remove(1);
    let decided = ready_with(terms).tick(&wants(Decision::Advance(0.25)));
    assert_eq!(decided.decision, Decision::Advance(0.05));
    assert_eq!(decided.rails, [Rail::Growth]);
}

// 3: a stage is watched.

#[test]
fn a_stage_that_fills_is_not_left() {
    let mut world = World::new(terms());
    for _ in 0..20 {
        let from_s = world.at_s;
        world.at_s += world::TICK_S;
        let mut observation = world.observation(from_s);
        // Half of the devices do not come.
        for cell in &mut observation.cells {
            cell.devices.updated /= 2;
            cell.devices.committed = 0;
            cell.metrics[0].treated.exposure /= 2.0;
        }
        world.take_in(observation);
    }
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::Watch, "not-full");
}

#[test]
fn a_stage_is_watched_once_it_is_full() {
    let mut world = World::new(terms());
    let decisions = world.run(2, &eager());
    is_held(decisions.last().unwrap(), Rail::Watch, "not-watched");
    let decisions = world.run(1, &eager());
    assert!(decisions.iter().any(|decided| decided.decision == Decision::Advance(0.05)));
}

#[test]
fn a_stage_that_saw_too_little_is_not_passed() {
    let mut terms = terms();
    // Few crash, so that two hours show nothing; and the author says that this is all right, before the figures say otherwise.
    terms.cells.iter_mut().for_each(|cell| cell.baselines.clear());
    terms.metrics[0].must_see = Some(1.2);
    let mut world = ready_with(terms.clone());
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::Watch, "too-little-seen");
    terms.limits.blind_stages = vec!["canary".to_owned()];
    let decided = ready_with(terms).tick(&wants(Decision::Advance(0.05)));
    assert_eq!(decided.decision, Decision::Advance(0.05));
}

#[test]
fn a_blind_stage_is_named_or_refused() {
    let mut terms = terms();
    terms.metrics[0].must_see = Some(1.2);
    let bad = terms.check(&BTreeSet::new()).unwrap_err();
    assert!(matches!(&bad, BadTerms::BlindStage { stage, .. } if stage == "canary"), "{bad}");
    terms.limits.blind_stages =
        vec!["canary".to_owned(), "early".to_owned(), "regional".to_owned()];
    assert_eq!(terms.check(&BTreeSet::new()), Ok(()));
}

// 4: blast radius and support.

#[test]
fn the_blast_radius_is_limited() {
    let mut terms = terms();
    terms.limits.uncommitted_devices = Some(2_000);
    let mut world = ready_with(terms.clone());
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    // 1,000 devices have committed, and 2,000 more may follow.
    assert_eq!(decided.decision, Decision::Advance(0.03));
    assert_eq!(decided.rails, [Rail::BlastRadius]);

    let mut world = World::new(terms);
    world.commits = false;
    world.run(3, &wants(Decision::Hold));
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    assert_eq!(decided.decision, Decision::Advance(0.02), "none of the 1,000 has committed");
}

#[test]
fn support_is_not_overrun() {
    let mut terms = terms();
    // Three tickets a day at 0.3 % are 1,000 devices that may roll back.
    terms.limits.support_per_day = Some(3);
    let mut world = World::new(terms);
    world.commits = false;
    world.run(3, &wants(Decision::Hold));
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::BlastRadius, "blast-radius");
}

#[test]
fn parts_of_a_stage_are_watched_for_a_day_and_the_whole_in_full() {
    let mut terms = terms();
    terms.limits.uncommitted_devices = Some(20_000);
    // Longer than a part with the whole, and shorter than all parts.
    terms.plan.stages[3].max_time = Some(100 * 3600);
    let fills = scripted(|now| {
        let stage = &now.stages[now.stage_index as usize];
        let next = now.stages.get(now.stage_index as usize + 1);
        let next = if now.share_limit < stage.share { Some(stage) } else { next };
        Ok(verdict(next.map_or(Decision::Complete, |next| Decision::Advance(next.share))))
    });
    let mut world = World::new(terms);
    let (mut steps, mut since_s) = (vec![], world.at_s);
    while matches!(world.rollout.state().phase(), Phase::Running) {
        world.observe();
        let decided = world.tick(&fills);
        assert!(!matches!(decided.decision, Decision::Pause(_)), "{decided:?}");
        if decided.decision != Decision::Hold {
            let hours = (world.at_s - since_s) / 3600;
            steps.push((world.rollout.state().share_limit(), hours));
            since_s = world.at_s;
        }
    }
    let shares_and_hours =
        [(0.05, 2), (0.25, 12), (0.45, 24), (0.65, 24), (0.85, 24), (1.0, 24), (1.0, 72)];
    assert_eq!(steps, shares_and_hours);
    assert_eq!(world.rollout.state().phase(), &Phase::Over(Ending::Completed));
}

#[test]
fn what_was_let_in_before_does_not_put_off_the_longest_time() {
    let mut terms = terms();
    terms.plan.stages[3].max_time = Some(100 * 3600);
    // It takes back what it has let in, so that a guard rail cuts the same share again and again.
    let again = scripted(|now| {
        let is_paused = now.paused.is_some();
        Ok(verdict(match now.stage_index {
            3 if is_paused => Decision::Resume(0.19),
            3 if now.share_limit > 0.2 => Decision::Pause(pause(Severity::Low, 4, Fallback::Stop)),
            _ => Decision::Advance(now.stages[(now.stage_index as usize + 1).min(3)].share),
        }))
    });
    let decisions = World::new(terms).run(2 + 12 + 24 + 110, &again);
    let by_rail = decisions.iter().find(|one| one.rails.contains(&Rail::Deadline));
    is_paused(by_rail.expect("it took too long"), Rail::Deadline, "stage-overdue");
}

#[test]
fn the_end_of_its_own_pause_does_not_put_off_the_longest_time() {
    let mut terms = terms();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let pauses = scripted(|now| {
        let order =
            PauseOrder { decide_within: 1, ..pause(Severity::Low, 1, Fallback::Resume(0.01)) };
        let is_paused = now.paused.is_some();
        Ok(verdict(if is_paused { Decision::Hold } else { Decision::Pause(order) }))
    });
    let decisions = World::new(terms).run(6, &pauses);
    let by_rail = decisions.iter().find(|one| {
        one.rails.contains(&Rail::Deadline) && matches!(one.decision, Decision::Pause(_))
    });
    is_paused(by_rail.expect("it took too long"), Rail::Deadline, "stage-overdue");
}

#[test]
fn small_parts_do_not_put_off_the_longest_time() {
    let mut terms = terms();
    // Of 4,000 that the stage adds.
    terms.limits.uncommitted_devices = Some(10);
    terms.plan.stages[1].max_time = Some(30 * 3600);
    let decisions = World::new(terms).run(2 + 31, &wants(Decision::Advance(0.05)));
    let parts = decisions.iter().filter(|decided| decided.rails.contains(&Rail::BlastRadius));
    assert_eq!(parts.count(), 3);
    let paused = decisions.iter().find(|one| matches!(one.decision, Decision::Pause(_)));
    is_paused(paused.unwrap(), Rail::Deadline, "stage-overdue");
}

#[test]
fn what_a_pause_has_curbed_is_watched_in_full() {
    let mut terms = terms();
    terms.plan.stages[0].min_time = 72 * 3600;
    let mut world = World::new(terms);
    world.run(3, &wants(Decision::Hold));
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 4, Fallback::Stop))));
    world.tick(&wants(Decision::Resume(0.005)));
    world.run(30, &wants(Decision::Hold));
    is_held(&world.tick(&wants(Decision::Advance(0.01))), Rail::Watch, "not-watched");
}

// 5: kill rules.

#[test]
fn bricked_devices_take_the_release_back_whatever_the_policy_says() {
    let mut world = ready();
    world.bricked = vec![8, 2];
    world.observe();
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    assert_eq!(decided.decision, Decision::RollBack(all(true)));
    assert_eq!((decided.by, &decided.rails[..]), (DecidedBy::GuardRail, &[Rail::Kill][..]));
    assert_eq!(world.rollout.state().phase(), &Phase::Over(Ending::RolledBack));
    assert!(world.rollout.state().is_quarantined());
    assert_eq!(world.rollout.orders(world.at_s).take_back, ["fleet"]);
}

#[test]
fn one_revision_that_fails_is_taken_back_alone() {
    let mut terms = terms();
    terms.limits.kill = vec![KillRule { state: Lost::Bricked, share: 0.01, at_least: 3 }];
    let mut world = ready_with(terms);
    world.bricked = vec![0, 5];
    world.observe();
    let decided = world.tick(&wants(Decision::Hold));
    let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    assert_eq!(decided.decision, Decision::RollBack(order));
    let orders = world.rollout.orders(world.at_s);
    assert_eq!((orders.closed, orders.take_back), (None, vec!["hw=C".to_owned()]));
    assert_eq!(orders.closed_cells, [(1, "taken back: hw=C".to_owned())]);
    // The others go on.
    let decisions = world.run(1, &eager());
    assert!(
        decisions.iter().any(|decided| decided.decision == Decision::Advance(0.05)),
        "{decisions:?}"
    );
}

/// What is held back, and what the stage does not take, does not come instead of the group.
#[test]
fn a_stage_is_full_once_all_have_come_that_can() {
    let plans = [
        (0.2, vec![stage("canary", 0.01, 2), stage("full", 1.0, 2)]),
        (0.0, vec![Stage { among: Some("hw=C".to_owned()), ..stage("canary", 0.01, 2) }]),
    ];
    for (hold_back, stages) in plans {
        let mut terms = terms();
        (terms.plan.hold_back, terms.plan.stages) = (hold_back, stages);
        terms.limits.growth = 1000.0;
        let mut world = World::new(terms);
        world.run(1, &wants(Decision::Hold));
        let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
        world.tick(&wants(Decision::RollBack(order)));
        world.run(12, &eager());
        assert_eq!(world.rollout.state().phase(), &Phase::Over(Ending::Completed));
    }
}

/// What the group was offered is all that it ever has: the others take the rest of a stage, or it would wait for what nobody gives.
#[test]
fn a_stage_between_is_filled_by_the_others() {
    for came in [1.0, 0.5] {
        let mut world = ready();
        world.part_that_comes = vec![1.0, came];
        world.tick(&wants(Decision::Advance(0.05)));
        world.run(1, &wants(Decision::Hold));
        assert_eq!(world.share(), 0.05);
        let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
        world.tick(&wants(Decision::RollBack(order)));
        let taken = world.rollout.state().devices_of("hw=C").unwrap();
        let orders = world.rollout.orders(world.at_s);
        assert_eq!(orders.taken_back_cells, [(1, taken.offered)]);
        world.run(20, &eager());
        let all = world.rollout.state().devices_of("fleet").unwrap();
        assert_eq!((world.share(), all.offered), (0.25, 25_000), "{came}");
        assert!(world.rollout.state().full_for(world.at_s).is_some(), "{came}");
    }
}

/// Figures come later than what they tell of: the others do not get at once what the group may well have.
#[test]
fn what_a_group_may_have_before_figures_come_is_not_for_the_others() {
    let mut world = World::new(terms());
    let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    world.tick(&wants(Decision::RollBack(order)));
    let orders = world.rollout.orders(world.at_s);
    assert_eq!((orders.devices, orders.taken_back_cells), (1_000, vec![(1, 200)]));
}

#[test]
fn without_a_way_back_people_must_decide() {
    let mut terms = terms();
    terms.way_back = WayBack::None;
    let mut world = ready_with(terms);
    world.bricked = vec![8, 2];
    world.observe();
    let decided = world.tick(&wants(Decision::Advance(0.05)));
    is_paused(&decided, Rail::Kill, "devices-lost");
    assert_eq!(decided.reasons[1].code, "no-way-back");
    // Once is enough, and the policy does not get out of it.
    world.observe();
    let decided = world.tick(&wants(Decision::RollBack(all(false))));
    is_held(&decided, Rail::Bounds, "roll-back-wanted");
}

/// A stop was promised once people have had their time: no policy ends that pause, nor has ended it by its own before.
#[test]
fn without_a_way_back_no_policy_goes_on_while_too_many_devices_are_lost() {
    let mut terms = terms();
    terms.way_back = WayBack::None;
    for its_own in [None, Some(pause(Severity::Critical, 2, Fallback::Resume(0.01)))] {
        let mut world = ready_with(terms.clone());
        its_own.map(|order| world.tick(&wants(Decision::Pause(order))));
        world.bricked = vec![8, 2];
        world.observe();
        is_paused(&world.tick(&wants(Decision::Hold)), Rail::Kill, "devices-lost");
        is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Kill, "devices-lost");
        let decisions = world.run(24, &wants(Decision::Resume(0.01)));
        let (last, others) = decisions.split_last().unwrap();
        others.iter().for_each(|decided| is_held(decided, Rail::Kill, "devices-lost"));
        assert_eq!((&last.decision, last.by), (&Decision::Stop, DecidedBy::GuardRail));
    }
}

#[test]
fn devices_that_are_lost_during_a_pause_leave_people_their_time() {
    let mut terms = terms();
    terms.way_back = WayBack::None;
    let mut world = ready_with(terms);
    world.say(Command::Pause(pause(Severity::Low, 72, Fallback::Stop)));
    world.run(30, &wants(Decision::Hold));
    is_held(&world.tick(&wants(Decision::RollBack(all(true)))), Rail::Order, "paused-by-a-person");
    world.bricked = vec![8, 2];
    world.observe();
    is_paused(&world.tick(&wants(Decision::Hold)), Rail::Kill, "devices-lost");
    let paused = world.rollout.snapshot(world.at_s).paused.unwrap();
    assert_eq!((paused.age, paused.time_left), (0, 86_400));
    assert_eq!(paused.reasons[0].code, "devices-lost");
    // Theirs it stays, and that it has become graver gives them time once.
    is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Order, "paused-by-a-person");
    let decisions = world.run(24, &wants(Decision::Hold));
    let (last, others) = decisions.split_last().unwrap();
    assert!(others.iter().all(|decided| decided.decision == Decision::Hold), "{others:?}");
    assert_eq!(last.decision, Decision::Stop);
    assert_eq!(last.reasons[0].code, "nobody-decided");
}

// 6: a pause has a deadline.

#[test]
fn a_pause_ends_after_72_hours() {
    let mut world = ready();
    let forever = wants(Decision::Pause(pause(Severity::Low, 10_000, Fallback::Stop)));
    let decided = world.tick(&forever);
    assert_eq!(decided.rails, [Rail::Deadline]);
    // It pauses again and again, but the time counts from the beginning.
    let decisions = world.run(73, &forever);
    assert_eq!(decisions.last().unwrap().decision, Decision::Stop);
    assert_eq!(decisions.len() as u64, 72 * 4);
    assert_eq!(world.rollout.state().phase(), &Phase::Over(Ending::Stopped));
}

#[test]
fn what_was_declared_is_done() {
    let otherwise = [
        (Fallback::RollBack(all(true)), Decision::RollBack(all(true))),
        (Fallback::Resume(0.002), Decision::Resume(0.002)),
        (Fallback::Resume(0.9), Decision::Resume(0.01)),
    ];
    for (otherwise, wanted) in otherwise {
        let mut world = ready();
        world.tick(&wants(Decision::Pause(pause(Severity::Moderate, 1, otherwise))));
        let decisions = world.run(1, &wants(Decision::Hold));
        let last = decisions.last().unwrap();
        assert_eq!((&last.decision, last.by), (&wanted, DecidedBy::GuardRail));
    }
}

/// Whether the pause cannot end, or the rollout would go on: a policy that has seen enough is heard in the same tick.
#[test]
fn the_end_of_a_pause_does_not_hide_that_a_policy_ends_the_rollout() {
    let group = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    for decision in [Decision::Stop, Decision::RollBack(all(true)), Decision::RollBack(group)] {
        for is_read in [false, true] {
            let mut world = ready();
            world.tick(&wants(Decision::Pause(pause(Severity::Low, 1, Fallback::Resume(0.01)))));
            world.at_s += HOUR_S - world::TICK_S;
            world.observe();
            if !is_read {
                world.rollout.miss(world.at_s, "no answer").unwrap();
            }
            let decided = world.tick(&wants(decision.clone()));
            assert_eq!((&decided.decision, decided.by), (&decision, DecidedBy::Policy));
            if matches!(&decision, Decision::RollBack(order) if !order.quarantine) {
                // Once: the same groups again keep nothing from going on.
                let again = world.tick(&wants(decision.clone()));
                assert_eq!(again.by, DecidedBy::GuardRail, "{again:?}");
            }
        }
    }
}

#[test]
fn without_a_way_back_the_end_of_a_pause_does_not_hide_that_a_policy_wants_one() {
    let mut terms = terms();
    terms.way_back = WayBack::None;
    let mut world = ready_with(terms);
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 1, Fallback::Resume(0.01)))));
    world.at_s += HOUR_S;
    let decided = world.tick(&wants(Decision::RollBack(all(true))));
    is_paused(&decided, Rail::Bounds, "roll-back-wanted");
    is_held(&world.tick(&wants(Decision::RollBack(all(true)))), Rail::Bounds, "roll-back-wanted");
}

#[test]
fn a_stage_that_takes_too_long_does_not_hide_that_a_policy_ends_the_rollout() {
    let mut terms = terms();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let mut world = ready_with(terms);
    world.at_s += HOUR_S;
    let decided = world.tick(&wants(Decision::Stop));
    assert_eq!((decided.decision, decided.by), (Decision::Stop, DecidedBy::Policy));
}

#[test]
fn the_rest_goes_on_once_a_group_has_been_taken_back_for_want_of_a_decision() {
    let mut world = ready();
    let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    let otherwise = Fallback::RollBack(order.clone());
    world.tick(&wants(Decision::Pause(pause(Severity::Moderate, 1, otherwise))));
    let decisions = world.run(1, &wants(Decision::Hold));
    assert_eq!(decisions.last().unwrap().decision, Decision::RollBack(order));
    assert_eq!(world.rollout.state().phase(), &Phase::Running);
    // Once: the policy is heard again.
    assert_eq!(world.tick(&wants(Decision::Hold)).by, DecidedBy::Policy);
}

#[test]
fn without_a_way_back_a_pause_that_nobody_decides_ends_in_a_stop() {
    let mut terms = terms();
    terms.way_back = WayBack::None;
    let mut world = ready_with(terms);
    let otherwise = Fallback::RollBack(all(true));
    world.tick(&wants(Decision::Pause(pause(Severity::Critical, 1, otherwise))));
    let decisions = world.run(1, &wants(Decision::Hold));
    let last = decisions.last().unwrap();
    assert_eq!((&last.decision, last.by), (&Decision::Stop, DecidedBy::GuardRail));
    assert_eq!(last.reasons[1].code, "no-way-back");
}

#[test]
fn a_stage_that_takes_too_long_pauses() {
    let mut terms = terms();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let mut world = World::new(terms);
    let decisions = world.run(4, &wants(Decision::Hold));
    is_paused(decisions.last().unwrap(), Rail::Deadline, "stage-overdue");
    // The policy does not put the clock back, neither now nor by a pause of its own before.
    is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Deadline, "stage-overdue");
    world.say(Command::Resume(0.01));
    assert_eq!(world.tick(&wants(Decision::Hold)).decision, Decision::Hold);
}

#[test]
fn what_a_guard_rail_has_paused_no_policy_makes_easier() {
    let mut terms = terms();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let mut world = ready_with(terms);
    let rewrites =
        |severity, hours, otherwise| wants(Decision::Pause(pause(severity, hours, otherwise)));
    world.run(1, &wants(Decision::Hold));
    let order = |world: &World| {
        let Phase::Paused(pause) = world.rollout.state().phase() else { panic!("not paused") };
        pause.order.clone()
    };
    assert_eq!(order(&world), Limits::default().pause);
    let group = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    for otherwise in [Fallback::Resume(0.01), Fallback::RollBack(group)] {
        let decided = world.tick(&rewrites(Severity::Low, 72, otherwise));
        assert_eq!(decided.decision, Decision::Pause(Limits::default().pause));
        assert_eq!((decided.by, &decided.rails[..]), (DecidedBy::Policy, &[Rail::Bounds][..]));
        assert_eq!(decided.reasons[0].code, "paused-by-a-guard-rail");
    }
    // Graver, shorter, and with more of it ended it may be.
    let graver = pause(Severity::Critical, 1, Fallback::RollBack(all(true)));
    let decided = world.tick(&wants(Decision::Pause(graver.clone())));
    assert_eq!((decided.decision, &decided.rails[..]), (Decision::Pause(graver.clone()), &[][..]));
    world.tick(&rewrites(Severity::Critical, 1, Fallback::Stop));
    assert_eq!(order(&world), graver);
    let decisions = world.run(1, &rewrites(Severity::Critical, 1, Fallback::Resume(0.01)));
    assert_eq!(decisions.last().unwrap().decision, Decision::RollBack(all(true)));
}

#[test]
fn no_policy_shortens_the_time_after_which_a_rollout_goes_on() {
    let mut terms = terms();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    terms.limits.pause.otherwise = Fallback::Resume(0.01);
    let agreed = terms.limits.pause.clone();
    let mut world = ready_with(terms);
    world.run(1, &wants(Decision::Hold));
    let group = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    let at_once = |otherwise| {
        wants(Decision::Pause(PauseOrder { otherwise, decide_within: 1, ..agreed.clone() }))
    };
    let decided = world.tick(&at_once(Fallback::Resume(0.01)));
    assert_eq!(decided.decision, Decision::Pause(agreed.clone()));
    // Nor does it go on by another way than was agreed, on which less is asked of it.
    let decided = world.tick(&at_once(Fallback::RollBack(group)));
    assert_eq!(decided.decision, Decision::Pause(agreed));
}

#[test]
fn what_a_policy_has_declared_does_not_end_the_pause_of_a_stage_that_takes_too_long() {
    let mut terms = terms();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let mut world = ready_with(terms);
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 2, Fallback::Resume(0.01)))));
    let decisions = world.run(2, &wants(Decision::Hold));
    is_paused(decisions.last().unwrap(), Rail::Deadline, "stage-overdue");
    // From now on it is the guard rail's, with the time and the end that the terms give it.
    is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Deadline, "stage-overdue");
    let decisions = world.run(24, &wants(Decision::Hold));
    let (last, others) = decisions.split_last().unwrap();
    assert!(others.iter().all(|decided| decided.decision == Decision::Hold), "{others:?}");
    assert_eq!(last.decision, Decision::Stop);
}

// 7: no answer that counts is a pause.

#[test]
fn nonsense_pauses() {
    let huge = Verdict { memo: "m".repeat(MAX_MEMO_BYTES + 1), ..verdict(Decision::Hold) };
    let nowhere = RollbackOrder { groups: vec!["hw=Z".to_owned()], quarantine: false };
    let answers: Vec<Result<Verdict, String>> = vec![
        Err("all fuel consumed".to_owned()),
        Ok(verdict(Decision::Advance(f64::NAN))),
        Ok(verdict(Decision::Advance(0.001))),
        Ok(verdict(Decision::Advance(1.5))),
        Ok(verdict(Decision::Advance(-1.0))),
        Ok(verdict(Decision::Resume(0.01))),
        Ok(verdict(Decision::RollBack(nowhere))),
        Ok(huge),
    ];
    for answer in answers {
        let mut world = ready();
        let decided = world.tick(&scripted(move |_| answer.clone()));
        is_paused(&decided, Rail::Fault, "policy-fault");
    }
}

#[test]
fn a_policy_is_asked_twice() {
    let calls = std::cell::Cell::new(0);
    let fails_once = scripted(|_| {
        calls.set(calls.get() + 1);
        if calls.get() == 1 {
            Err("too slow".to_owned())
        } else {
            Ok(verdict(Decision::Advance(0.05)))
        }
    });
    assert_eq!(ready().tick(&fails_once).decision, Decision::Advance(0.05));
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_policy_that_fails_during_a_pause_does_not_end_it() {
    let mut world = ready();
    world.tick(&wants(Decision::Pause(pause(Severity::High, 2, Fallback::RollBack(all(true))))));
    let decisions = world.run(2, &scripted(|_| Err("trap".to_owned())));
    is_held(&decisions[0], Rail::Fault, "policy-fault");
    assert_eq!(decisions.last().unwrap().decision, Decision::RollBack(all(true)));
}

// 8: freezes, approvals and people come first.

#[test]
fn nothing_grows_in_a_freeze() {
    let day = |day| LocalTime { year: 2026, month: 11, day, hour: 0, minute: 0 };
    let freeze = Freeze {
        name: "holidays".to_owned(),
        from: day(26),
        until: day(28),
        zone: Zone::default(),
        groups: vec![],
    };
    let mut terms = terms();
    let mut world = ready_with(terms.clone());
    terms.calendar = Calendar { freezes: vec![freeze], ..Calendar::default() };
    let mut frozen = World::new(terms);
    frozen.observe();
    is_held(&frozen.tick(&wants(Decision::Advance(0.05))), Rail::Order, "calendar");
    assert_eq!(frozen.rollout.orders(frozen.at_s).closed, Some("frozen: holidays".to_owned()));
    assert_eq!(frozen.rollout.orders(frozen.at_s).start_now, 0);
    // Going back is always possible.
    assert_eq!(
        frozen.tick(&wants(Decision::RollBack(all(false)))).decision,
        Decision::RollBack(all(false))
    );
    assert_eq!(world.tick(&wants(Decision::Advance(0.05))).decision, Decision::Advance(0.05));
}

#[test]
fn no_policy_ends_what_a_person_has_paused() {
    let mut world = ready();
    world.say(Command::Pause(pause(Severity::High, 24, Fallback::Stop)));
    is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Order, "paused-by-a-person");
    // Nor by a pause of its own that is over at once.
    let trick = pause(Severity::Low, 0, Fallback::Resume(0.01));
    is_held(&world.tick(&wants(Decision::Pause(trick))), Rail::Order, "paused-by-a-person");
    world.say(Command::Resume(0.01));
    assert_eq!(world.rollout.state().phase(), &Phase::Running);
}

#[test]
fn a_person_who_stops_has_the_last_word() {
    let mut world = ready();
    world.say(Command::Stop);
    assert_eq!(world.rollout.tick(world.at_s, &wants(Decision::Advance(0.05))), Err(Refusal::Over));
}

#[test]
fn a_stage_waits_for_its_approval() {
    let mut terms = terms();
    terms.plan.stages[0].needs_approval = true;
    terms.plan.stages[1].needs_approval = true;
    let mut world = World::new(terms);
    world.observe();
    assert_eq!(world.rollout.orders(world.at_s).closed, Some("waits for approval".to_owned()));
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::Order, "needs-approval");
    world.say(Command::Approve("canary".to_owned()));
    world.run(3, &wants(Decision::Hold));
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::Order, "needs-approval");
    world.say(Command::Approve("early".to_owned()));
    assert_eq!(world.tick(&wants(Decision::Advance(0.05))).decision, Decision::Advance(0.05));
}

#[test]
fn no_pause_begins_a_stage_that_nobody_has_approved() {
    let mut terms = terms();
    terms.plan.stages[0].needs_approval = true;
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let waits = |world: &World| world.rollout.orders(world.at_s).start_now == 0;

    // Neither by its end, whoever wants it,
    let mut world = World::new(terms.clone());
    world.observe();
    let resumes = pause(Severity::Low, 1, Fallback::Resume(0.01));
    world.tick(&wants(Decision::Pause(resumes.clone())));
    is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Order, "needs-approval");
    is_held(&world::decided(world.say(Command::Resume(0.01))), Rail::Order, "needs-approval");
    world.say(Command::Pause(resumes));
    let decisions = world.run(6, &wants(Decision::Hold));
    is_held(decisions.last().unwrap(), Rail::Order, "needs-approval");
    assert!(waits(&world));
    // until somebody agrees: only then the stage begins.
    world.say(Command::Approve("canary".to_owned()));
    assert_eq!(world.rollout.snapshot(world.at_s).stage_age, 0);
    assert_eq!(world.tick(&wants(Decision::Hold)).decision, Decision::Resume(0.01));
    let decisions = world.run(3, &wants(Decision::Hold));
    assert!(decisions.iter().all(|one| one.decision == Decision::Hold), "{decisions:?}");

    // nor by what is left once a group has been taken back.
    let mut world = World::new(terms);
    let order = RollbackOrder { groups: vec!["hw=C".to_owned()], quarantine: false };
    world.say(Command::Pause(pause(Severity::Low, 1, Fallback::RollBack(order.clone()))));
    let decisions = world.run(1, &wants(Decision::Hold));
    assert_eq!(decisions.last().unwrap().decision, Decision::RollBack(order));
    assert_eq!(world.rollout.state().phase(), &Phase::Waiting);
    assert!(waits(&world));
    world.say(Command::Approve("canary".to_owned()));
    assert_eq!(world.rollout.state().phase(), &Phase::Running);
}

// 9: a resumption stays in its stage, a roll-back in its groups, and a quarantine stays.

#[test]
fn a_resumption_stays_in_its_stage() {
    let mut world = ready();
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 1, Fallback::Stop))));
    let decided = world.tick(&wants(Decision::Resume(1.0)));
    assert_eq!(decided.decision, Decision::Resume(0.01));
    assert_eq!(decided.rails, [Rail::Bounds]);
}

/// A policy that is told of a pause with another end would be told what cannot be.
#[test]
fn what_follows_a_pause_stays_in_its_stage_whoever_pauses() {
    let otherwise = Fallback::Resume(0.9);
    let mut terms = terms();
    terms.limits.pause.otherwise = otherwise.clone();
    terms.plan.stages[0].max_time = Some(4 * 3600);
    let order = pause(Severity::Low, 1, otherwise);
    let ways: [fn(&mut World, PauseOrder); 4] = [
        |world, order| _ = world.tick(&wants(Decision::Pause(order))),
        |world, order| _ = world.say(Command::Pause(order)),
        |world, _| _ = world.tick(&scripted(|_| Err("trap".to_owned()))),
        |world, _| _ = world.run(1, &wants(Decision::Hold)),
    ];
    for pauses in ways {
        let mut world = ready_with(terms.clone());
        assert_eq!(world.rollout.state().phase(), &Phase::Running);
        pauses(&mut world, order.clone());
        let paused = world.rollout.snapshot(world.at_s).paused.expect("it pauses");
        assert_eq!(paused.otherwise, Fallback::Resume(0.01));
    }
}

/// As many reasons, and as long ones, as a policy may give are all that it can be told.
#[test]
fn why_a_rollout_is_paused_can_be_told() {
    let mut talkative = verdict(Decision::Pause(pause(Severity::Low, 80, Fallback::Stop)));
    talkative.reasons = vec![talkative.reasons[0].clone(); 64];
    let mut world = ready();
    assert_eq!(world.tick(&scripted(|_| Ok(talkative.clone()))).reasons.len(), 65);
    let reasons = world.rollout.snapshot(world.at_s).paused.unwrap().reasons;
    assert_eq!((reasons.len(), &reasons[0].code[..]), (64, "pause-too-long"));

    let mut world = ready();
    let order = Command::Pause(pause(Severity::Low, 1, Fallback::Stop));
    world.rollout.command(world.at_s, &"ä".repeat(2_000), order).unwrap();
    let reasons = world.rollout.snapshot(world.at_s).paused.unwrap().reasons;
    assert!(reasons[0].text.len() <= 1024 && reasons[0].text.starts_with("said by ää"));
}

#[test]
fn a_quarantine_stays() {
    let mut world = ready();
    world.tick(&wants(Decision::RollBack(RollbackOrder {
        groups: vec!["hw=C".to_owned()],
        quarantine: true,
    })));
    assert!(world.rollout.state().is_quarantined());
    assert_eq!(world.rollout.tick(world.at_s, &wants(Decision::Advance(0.05))), Err(Refusal::Over));
    let quarantined = BTreeSet::from([terms().build]);
    let again = Rollout::start(terms(), world.at_s, &quarantined).unwrap_err();
    assert_eq!(again, BadTerms::Quarantined(terms().build));
}

// 10: one policy decides, and each call is logged.

#[test]
fn another_policy_does_not_decide() {
    let mut world = ready();
    let mut other = scripted(|_: &Snapshot| Ok(verdict(Decision::Advance(0.05))));
    other.digest = "bb".repeat(32);
    let before = world.rollout.clone();
    assert!(matches!(world.rollout.tick(world.at_s, &other), Err(Refusal::WrongPolicy { .. })));
    assert_eq!(world.rollout, before);
}

// 11: without fresh figures nothing goes on.

#[test]
fn stale_figures_hold() {
    let mut world = ready();
    world.at_s += 1801;
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::Freshness, "stale-figures");
    world.tick(&wants(Decision::Pause(pause(Severity::Low, 1, Fallback::Resume(0.01)))));
    is_held(&world.tick(&wants(Decision::Resume(0.01))), Rail::Freshness, "stale-figures");
    world.at_s += 2 * HOUR_S;
    is_held(&world.tick(&wants(Decision::Hold)), Rail::Freshness, "stale-figures");
}

#[test]
fn a_part_of_the_fleet_that_falls_silent_holds() {
    let mut world = ready();
    for _ in 0..3 {
        let from_s = world.at_s;
        world.at_s += world::TICK_S;
        let mut observation = world.observation(from_s);
        observation.cells[1].metrics.clear();
        world.take_in(observation);
    }
    is_held(&world.tick(&wants(Decision::Advance(0.05))), Rail::Freshness, "stale-figures");
}

// What people do about a pause.

#[test]
fn a_root_cause_reaches_the_policy() {
    let mut world = World::new(terms());
    world.observe();
    world.observe();
    let tree = |now: &Snapshot| {
        let decision = match now.paused.as_ref().map(|pause| pause.root_cause) {
            Some(RootCause::FoundMajor) => Decision::RollBack(all(true)),
            Some(RootCause::FoundMinor) => Decision::Resume(0.002),
            Some(RootCause::Unknown) => Decision::Hold,
            None => Decision::Pause(pause(Severity::Moderate, 48, Fallback::RollBack(all(true)))),
        };
        Ok(verdict(decision))
    };
    world.tick(&scripted(tree));
    assert_eq!(world.tick(&scripted(tree)).decision, Decision::Hold);
    world.say(Command::RootCause(RootCause::FoundMinor));
    assert_eq!(world.tick(&scripted(tree)).decision, Decision::Resume(0.002));
    assert_eq!(replay(&world.log, Some(&scripted(tree))).unwrap(), world.rollout);
}
