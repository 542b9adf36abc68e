//! What holds for each store.

use std::collections::BTreeSet;
use std::time::Duration;

use whittle_rollout::policy::types::{Decision, RollbackOrder};
use whittle_rollout::{Command, Entry, Observation, Refusal, Rollout, replay};
use whittle_rollout_store::{
    Appended, Claim, Created, Log, Session, SessionError, Store, StoreError, Ticked,
};

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

/// Begins the log of a rollout, and appends what follows.
pub(crate) fn fill(store: &mut dyn Store, rollout: &str, log: &[Entry]) -> Log {
    assert_eq!(store.create(&name(rollout), &log[0]).expect("made"), Created::Done);
    let mut kept = store.read(&name(rollout)).expect("readable");
    append(store, rollout, &mut kept, &log[1..]);
    kept
}

/// Appends entries, and reads them.
pub(crate) fn append(store: &mut dyn Store, rollout: &str, kept: &mut Log, entries: &[Entry]) {
    let mut head = kept.head;
    for entry in entries {
        let appended = store.append(&name(rollout), head, entry, None).expect("written");
        let Appended::Done(hash) = appended else { panic!("somebody else was there") };
        head = hash;
    }
    store.follow(&name(rollout), kept).expect("readable");
    assert_eq!(kept.head, head);
}

pub(crate) fn all(open: Open<'_>) {
    what_is_appended_is_read(open);
    an_entry_is_appended_in_its_place_alone(open);
    a_log_is_followed(open);
    names_are_taken_once(open);
    a_quarantine_holds_for_all_rollouts(open);
    who_comes_second_decides_anew(open);
    who_comes_second_acts_later(open);
    what_cannot_be_read_again_is_not_written(open);
    a_decision_is_not_taken_twice(open);
    one_at_a_time_drives_a_fleet(open);
    figures_that_are_said_twice_count_once(open);
}

/// What the first tick of a rollout gathers.
fn first_figures() -> Observation {
    let mut world = World::new(terms());
    world.at_s += TICK_S;
    world.observation(START_S)
}

fn figures_that_are_said_twice_count_once(open: Open<'_>) {
    Session::start(open(), name("said"), terms(), START_S).expect("it starts");
    let session = || Session::open(open(), name("said")).expect("it opens");
    let (mut first, mut second, mut third) = (session(), session(), session());
    let figures = first_figures();
    let at_s = figures.until_s;
    let entry = first.observe(at_s, &figures).expect("taken");
    assert_eq!(second.observe(at_s + 1, &figures).expect("known"), entry);
    let mut longer = figures.clone();
    longer.until_s += 1;
    assert_eq!(
        third.observe_next(at_s + 1, &longer).expect("no failure"),
        None,
        "others were first"
    );
    assert_eq!(session().log().entries.len(), 2);
    third.miss(at_s + 1, "the server answers with HTML").expect("noted");
    assert_eq!(
        session().rollout().state().problem().map(ToString::to_string).as_deref(),
        Some("no figures: the server answers with HTML")
    );
}

fn one_at_a_time_drives_a_fleet(open: Open<'_>) {
    let first_entry = &day()[0];
    let (mut first, mut second) = (open(), open());
    for rollout in ["driven", "another"] {
        assert_eq!(first.create(&name(rollout), first_entry).expect("made"), Created::Done);
    }
    let claim =
        |store: &mut dyn Store, rollout| store.try_claim(&name(rollout)).expect("no failure");
    assert_eq!(claim(&mut *first, "driven"), Claim::Taken);
    assert_eq!(claim(&mut *first, "driven"), Claim::Held);
    assert_eq!(claim(&mut *second, "driven"), Claim::Others);
    assert_eq!(claim(&mut *second, "another"), Claim::Taken);
    drop(first);
    // A server sees a little later that a connection has ended.
    let mut tries = 0..500;
    while claim(&mut *second, "driven") == Claim::Others {
        tries.next().expect("it is let go of");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn what_is_appended_is_read(open: Open<'_>) {
    let log = day();
    let followed = fill(&mut *open(), "day", &log);
    let read = open().read(&name("day")).expect("readable");
    assert_eq!(read, followed);
    assert_eq!(read.entries, log);
    replay(&read.entries, None).expect("it replays");
}

fn an_entry_is_appended_in_its_place_alone(open: Open<'_>) {
    let log = day();
    let mut store = open();
    let first = fill(&mut *store, "place", &log[..1]);
    let mut append = |entry| store.append(&name("place"), first.head, entry, None);
    for elsewhere in [&log[2], &log[0]] {
        assert_eq!(append(elsewhere).expect("no failure"), Appended::Conflict);
    }
    let Ok(Appended::Done(head)) = append(&log[1]) else { panic!("it was its turn") };
    assert_eq!(append(&log[1]).expect("no failure"), Appended::Conflict);
    // Behind another entry than the one that is there.
    let edited = append(&log[2]).expect_err("its log was another one");
    assert!(matches!(edited, StoreError::Edited { sequence: 1 }), "{edited}");
    let read = open().read(&name("place")).expect("readable");
    assert_eq!((&read.entries[..], read.head), (&log[..2], head));
}

/// Whoever knows a log reads what is new in it, and sees if it is not the same log any more.
fn a_log_is_followed(open: Open<'_>) {
    let log = day();
    let mut store = open();
    let mut known = fill(&mut *store, "followed", &log[..3]);
    let mut longer = known.clone();
    append(&mut *store, "followed", &mut longer, &log[3..7]);
    open().follow(&name("followed"), &mut known).expect("readable");
    assert_eq!(known, longer);
    known.head[0] ^= 1;
    let edited = open().follow(&name("followed"), &mut known).expect_err("another log");
    assert!(matches!(edited, StoreError::Edited { sequence: 6 }), "{edited}");
    let mut longest = Log { entries: log[..9].to_vec(), head: longer.head };
    let edited = open().follow(&name("followed"), &mut longest).expect_err("two are gone");
    assert!(matches!(edited, StoreError::Edited { sequence: 8 }), "{edited}");
}

fn names_are_taken_once(open: Open<'_>) {
    let log = day();
    let mut store = open();
    let taken = fill(&mut *store, "taken", &log[..1]);
    let again = store.create(&name("taken"), &log[0]).expect_err("taken");
    assert!(matches!(again, StoreError::Exists(_)), "{again}");
    let nobody = store.read(&name("nobody")).expect_err("not there");
    assert!(matches!(nobody, StoreError::Unknown(_)), "{nobody}");
    let nobody = store.append(&name("nobody"), taken.head, &log[1], None).expect_err("not there");
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
    let again =
        Session::start(open(), name("again"), bad.clone(), START_S).err().expect("quarantined");
    assert!(matches!(again, SessionError::Terms(_)), "{again}");
    // The same if it was put there while the rollout was prepared.
    let (_, first) = Rollout::start(bad, START_S, &BTreeSet::new()).expect("good terms");
    let late = open().create(&name("again"), &first).expect("no failure");
    assert_eq!(late, Created::Quarantined);
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

/// JSON has no number for what is none: such an entry would never be read again.
fn what_cannot_be_read_again_is_not_written(open: Open<'_>) {
    let mut session = Session::start(open(), name("nan"), terms(), START_S).expect("it starts");
    let good = first_figures();
    for odd in [f64::NAN, f64::INFINITY] {
        let mut bad = good.clone();
        bad.cells[0].metrics[0].treated.count = odd;
        let refused = session.observe(START_S + TICK_S, &bad).expect_err("it cannot");
        let SessionError::Store(refused) = refused else { panic!("{refused}") };
        assert!(matches!(refused, StoreError::Unwritable(_)), "{refused}");
    }
    session.observe(START_S + TICK_S, &good).expect("taken");
    let again = Session::open(open(), name("nan")).expect("readable");
    assert_eq!(again.log(), session.log());
}

/// The clock of who comes second may be behind a bit, but not by far.
fn who_comes_second_acts_later(open: Open<'_>) {
    Session::start(open(), name("later"), terms(), START_S).expect("it starts");
    let session = || Session::open(open(), name("later")).expect("it opens");
    let (mut second, mut third) = (session(), session());
    let at_s = START_S + TICK_S;
    let approve = |stage: &str| Command::Approve(stage.to_owned());
    session().command(at_s, "alice", &approve("early")).expect("taken");
    let entry = second.command(at_s - 2, "bob", &approve("regional")).expect("taken");
    assert_eq!((entry.sequence, entry.at_s), (2, at_s));
    let ticked = third.tick(at_s - 1, &wants(Decision::Hold)).expect("decided");
    assert!(matches!(ticked, Ticked::Decided(entry) if entry.at_s == at_s));
    let refused = session().tick(at_s - 100, &wants(Decision::Hold)).expect_err("too early");
    assert!(matches!(refused, SessionError::Refused(Refusal::ClockWentBack { .. })), "{refused}");
    assert_eq!(session().log().entries.len(), 4);
    // A person is heard, however late the clock of somebody else has made it.
    let entry = session().command(at_s - 9999, "carol", &Command::Stop).expect("it stops");
    assert_eq!((entry.sequence, entry.at_s), (4, at_s));
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
