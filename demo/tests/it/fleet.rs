use std::sync::OnceLock;

use tempfile::TempDir;
use whittle_demo::{
    ALPHA, DemoError, Event, LEAST_DEVICES, MOST_AGAIN_BYTES, Note, Options, Outcome, POLICY, Told,
    run,
};
use whittle_policy_host::{Host, Limits, Policy, shipped};
use whittle_rollout::policy::types::{DecidedBy, Decision};
use whittle_rollout::{Decided, replay};
use whittle_rollout_store::{RolloutName, Session, open};

fn policy() -> &'static Policy {
    static LOADED: OnceLock<Policy> = OnceLock::new();
    LOADED.get_or_init(|| {
        let shipped = shipped::find(POLICY).expect("it comes with whittle");
        Host::new(Limits::default(), None).load(shipped.component).expect("it loads")
    })
}

/// A demo, and the directory that it has left.
struct Shown {
    room: TempDir,
    outcome: Outcome,
}

fn show(seed: u64, devices: u32) -> Shown {
    let room = TempDir::new().expect("there is room");
    let options = Options { seed, devices, out: room.path().to_owned() };
    let mut told = vec![];
    let outcome = run(&options, policy(), &mut |event| told.push(json(event)));
    let outcome = outcome.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    let timeline: Vec<_> = outcome.timeline.iter().map(json).collect();
    assert_eq!(told, timeline, "what is told is what is kept");
    Shown { room, outcome }
}

fn json(told: &Told) -> String {
    serde_json::to_string(told).expect("it can be written")
}

/// One demo that most tests look at.
fn shown() -> &'static Shown {
    static SHOWN: OnceLock<Shown> = OnceLock::new();
    SHOWN.get_or_init(|| show(1, 240))
}

fn decisions(outcome: &Outcome) -> impl Iterator<Item = (usize, &Decided)> {
    let events = outcome.timeline.iter().enumerate();
    events.filter_map(|(place, told)| match &told.event {
        Event::Decided { decided } => Some((place, decided)),
        _ => None,
    })
}

/// What holds whatever the seed is.
fn check(seed: u64, outcome: &Outcome) {
    let summary = &outcome.summary;
    assert_eq!(summary.bricks, 0, "seed {seed}");
    assert!(summary.power_cuts > 0 && summary.resumed_downloads > 0, "seed {seed}: {summary:?}");
    for device in &outcome.devices {
        assert_eq!(device.runs, "2.4.1", "seed {seed}: {device:?}");
        assert_ne!(device.began_with, device.runs);
        let was_taken_back = device.committed.iter().any(|version| version == "2.3.0-back");
        if device.hardware != "C" {
            assert!(!was_taken_back, "seed {seed}: {device:?}");
            assert_eq!(device.went_back_from, [""; 0], "seed {seed}: {device:?}");
        }
        assert!(
            device.most_fetched_again_bytes <= MOST_AGAIN_BYTES,
            "seed {seed}: {device:?}, {MOST_AGAIN_BYTES} bytes at most"
        );
    }
}

#[test]
fn the_faulty_release_is_paused_taken_back_and_mended() {
    let outcome = &shown().outcome;
    check(1, outcome);
    let summary = &outcome.summary;
    let back = |device: &&whittle_demo::DeviceReport| {
        !device.went_back_from.is_empty() || device.committed.iter().any(|it| it == "2.3.0-back")
    };
    let back = outcome.devices.iter().filter(back).count();
    assert!(summary.went_back > 0 && summary.taken_back > 0, "{summary:?}");
    assert_eq!(summary.mended as usize, back);
    assert!(summary.air_bytes * 4 < summary.air_bytes_if_full, "{summary:?}");
    let endings: Vec<_> = summary.rollouts.iter().map(|rollout| rollout.ending).collect();
    assert_eq!(endings, ["completed", "completed"]);
}

#[test]
fn the_pause_comes_from_evidence_and_the_rollback_of_one_revision_from_a_person() {
    let outcome = &shown().outcome;
    let (place, pause) = decisions(outcome)
        .find(|(_, decided)| matches!(decided.decision, Decision::Pause(_)))
        .expect("it pauses");
    assert_eq!(pause.by, DecidedBy::Policy, "{pause:?}");
    let reason = pause.reasons.first().expect("it says why");
    assert_eq!(reason.code, "significantly-worse");
    let (observed, limit) = reason.observed.zip(reason.limit).expect("figures");
    assert!(observed >= limit && (limit + ALPHA.ln()).abs() < 1e-9, "{reason:?}");
    // What was shown is what it decided by.
    let looks = outcome.timeline[..place].iter().rev();
    let e_value = looks.into_iter().find_map(|told| match &told.event {
        Event::Look(look) => look.e_value,
        _ => None,
    });
    let e_value = e_value.expect("it was shown");
    assert!((e_value.ln() - observed).abs() < 1e-9, "{e_value}, {observed}");

    let back: Vec<_> = decisions(outcome)
        .filter_map(|(_, decided)| match &decided.decision {
            Decision::RollBack(order) => Some((decided.by, order.groups.clone(), order.quarantine)),
            _ => None,
        })
        .collect();
    assert_eq!(back, [(DecidedBy::Person, vec!["hw=C".to_owned()], false)]);
}

#[test]
fn devices_tell_of_crash_loops_power_cuts_and_resumed_downloads() {
    let notes = shown().outcome.timeline.iter().filter_map(|told| match &told.event {
        Event::Device(note) => Some(note),
        _ => None,
    });
    let notes: Vec<_> = notes.collect();
    let crash_loop = |note: &&&Note| {
        matches!(
            note,
            Note::WentBack { why: "it crashed at each start", boots: 3, hardware: "C", .. }
        )
    };
    assert!(notes.iter().any(|note| crash_loop(&note)), "{notes:?}");
    assert!(notes.iter().any(|note| matches!(note, Note::PowerCameBack { .. })), "{notes:?}");
    assert!(notes.iter().any(|note| matches!(note, Note::Resumed { .. })), "{notes:?}");
}

#[test]
fn the_log_that_is_left_replays_under_the_policy() {
    let store = shown().room.path().join("rollouts.whittle").display().to_string();
    for rollout in &shown().outcome.summary.rollouts {
        let name: RolloutName = rollout.name.parse().expect("a name");
        let session = Session::open(open(&store).expect("opens"), name).expect("its hashes hold");
        let replayed = replay(&session.log().entries, Some(policy())).expect("the same decisions");
        assert_eq!(&replayed, session.rollout());
    }
}

#[test]
fn the_same_seed_shows_the_same_and_another_one_does_not() {
    let (one, same, other) = (show(3, 60), show(3, 60), show(4, 60));
    let text = |shown: &Shown| serde_json::to_string(&shown.outcome).expect("it can be written");
    assert!(text(&one) == text(&same));
    assert!(text(&one) != text(&other));
    let index = |shown: &Shown| {
        let path = shown.room.path().join("public/products/thermostat/releases/2.4.1.cose");
        std::fs::read(path).expect("it was published")
    };
    assert_eq!(index(&one), index(&same));
    assert_ne!(index(&one), index(&other));
}

#[test]
fn small_fleets_come_through_as_well() {
    for seed in 10..14 {
        check(seed, &show(seed, LEAST_DEVICES).outcome);
    }
}

#[test]
fn a_fleet_that_is_too_small_or_too_large_is_refused() {
    for devices in [0, LEAST_DEVICES - 1, 1_000_000] {
        let room = TempDir::new().expect("there is room");
        let options = Options { seed: 1, devices, out: room.path().to_owned() };
        let refused = run(&options, policy(), &mut |_| {});
        assert!(matches!(refused, Err(DemoError::Devices { got, .. }) if got == devices));
        assert_eq!(room.path().read_dir().expect("there").count(), 0, "nothing was made");
    }
}
