//! What holds for each store.

use std::collections::BTreeSet;

use whittle_rollout::policy::types::{Decision, RollbackOrder};
use whittle_rollout::{Command, Entry, replay};
use whittle_rollout_store::{Appended, Session, SessionError, Store, StoreError, Ticked};

use crate::name;
use crate::world::{START_S, TICK_S, World, terms, wants};

/// Makes a handle to the same store each time.
type Open<'a> = &'a dyn Fn() -> Box<dyn Store>;

/// A log of a day, with figures and decisions.
pub(crate) fn day() -> Vec<Entry> {
    let mut world = World::new(terms());
    world.run(24, &wants(Decision::Hold));
    world.log
}

pub(crate) fn all(open: Open<'_>) {
    what_is_appended_is_read(open);
    an_entry_is_appended_in_its_place_alone(open);
    names_are_taken_once(open);
    a_quarantine_holds_for_all_rollouts(open);
    who_comes_second_decides_anew(open);
    a_decision_is_not_taken_twice(open);
    one_at_a_time_drives_a_fleet(open);
}

fn one_at_a_time_drives_a_fleet(open: Open<'_>) {
    let (mut first, mut second) = (open(), open());
    assert!(first.try_claim(&name("driven")).expect("no failure"));
    assert!(first.try_claim(&name("driven")).expect("no failure"), "it is its own already");
    assert!(!second.try_claim(&name("driven")).expect("no failure"));
    assert!(second.try_claim(&name("another")).expect("no failure"));
    drop(first);
    assert!(second.try_claim(&name("driven")).expect("no failure"), "let go of");
}

fn what_is_appended_is_read(open: Open<'_>) {
    let log = day();
    let mut store = open();
    store.create(&name("day"), &log[0]).expect("made");
    for entry in &log[1..] {
        assert_eq!(store.append(&name("day"), entry, None).expect("written"), Appended::Done);
    }
    let read = open().read(&name("day")).expect("readable");
    assert_eq!(read.entries, log);
    replay(&read.entries, None).expect("it replays");
}

fn an_entry_is_appended_in_its_place_alone(open: Open<'_>) {
    let log = day();
    let mut store = open();
    store.create(&name("place"), &log[0]).expect("made");
    let mut append = |entry| store.append(&name("place"), entry, None).expect("no failure");
    assert_eq!(append(&log[2]), Appended::Conflict);
    assert_eq!(append(&log[0]), Appended::Conflict);
    assert_eq!(append(&log[1]), Appended::Done);
    assert_eq!(append(&log[1]), Appended::Conflict);
    assert_eq!(open().read(&name("place")).expect("readable").entries, log[..2]);
}

fn names_are_taken_once(open: Open<'_>) {
    let log = day();
    let mut store = open();
    store.create(&name("taken"), &log[0]).expect("made");
    let again = store.create(&name("taken"), &log[0]).expect_err("taken");
    assert!(matches!(again, StoreError::Exists(_)), "{again}");
    let nobody = store.read(&name("nobody")).expect_err("not there");
    assert!(matches!(nobody, StoreError::Unknown(_)), "{nobody}");
    let nobody = store.append(&name("nobody"), &log[1], None).expect_err("not there");
    assert!(matches!(nobody, StoreError::Unknown(_)), "{nobody}");
    assert!(store.rollouts().expect("readable").contains(&name("taken")));
}

fn a_quarantine_holds_for_all_rollouts(open: Open<'_>) {
    let mut bad = terms();
    bad.build = "b0".repeat(32);
    let mut session = Session::start(open(), name("bad"), bad.clone(), START_S).expect("it starts");
    assert_eq!(open().quarantined().expect("readable"), BTreeSet::new());
    let order = RollbackOrder { groups: vec![], quarantine: true };
    session.command(START_S, "alice", &Command::RollBack(order)).expect("taken");
    assert_eq!(open().quarantined().expect("readable"), BTreeSet::from([bad.build.clone()]));
    let again = Session::start(open(), name("again"), bad, START_S).err().expect("quarantined");
    assert!(matches!(again, SessionError::Terms(_)), "{again}");
    assert!(!open().rollouts().expect("readable").contains(&name("again")));
}

fn who_comes_second_decides_anew(open: Open<'_>) {
    Session::start(open(), name("second"), terms(), START_S).expect("it starts");
    let session = || Session::open(open(), name("second")).expect("it opens");
    let (mut first, mut second) = (session(), session());
    let figures = World::new(terms()).observation(START_S - TICK_S);
    let at_s = START_S + TICK_S;
    first.observe(at_s, &figures).expect("taken");
    let entry = second.command(at_s, "bob", &Command::Stop).expect("taken");
    assert_eq!(entry.sequence, 2);
    assert_eq!(second.log().entries.len(), 3);
    // What makes no sense any more, now that it was stopped.
    let refused = first.command(at_s, "alice", &Command::Advance(0.5)).expect_err("it is over");
    assert!(matches!(refused, SessionError::Refused(_)), "{refused}");
    assert_eq!(session().log().entries.len(), 3);
}

fn a_decision_is_not_taken_twice(open: Open<'_>) {
    Session::start(open(), name("twice"), terms(), START_S).expect("it starts");
    let session = || Session::open(open(), name("twice")).expect("it opens");
    let (mut first, mut second) = (session(), session());
    let policy = wants(Decision::Hold);
    assert!(matches!(first.tick(START_S, &policy), Ok(Ticked::Decided(_))));
    assert_eq!(second.tick(START_S, &policy).expect("no failure"), Ticked::ByAnother);
    assert_eq!(session().log().entries.len(), 2);
}
