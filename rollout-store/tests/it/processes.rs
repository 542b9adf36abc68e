//! Several processes at the same rollout, and some that are killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use whittle_rollout::policy::types::Decision;
use whittle_rollout::{Input, replay};
use whittle_rollout_store::{Session, SessionError, Sqlite, StoreError, Ticked, open};

use crate::name;
use crate::world::{START_S, terms, wants};

const TICKS: u64 = 60;

/// Runs an ignored test of this program in a process of its own, told where the store is.
pub(crate) fn process(test: &str, store: &str) -> Child {
    let program = std::env::current_exe().expect("this test");
    let mut command = Command::new(program);
    command.args(["--exact", "--ignored", "--nocapture", test]).env("WHITTLE_STORE", store);
    command.stdout(Stdio::piped()).spawn().expect("it starts")
}

fn session() -> Session {
    let store = open(&std::env::var("WHITTLE_STORE").expect("a store")).expect("it opens");
    Session::open(store, name("shared")).expect("it opens")
}

/// Ticks at each of the same times as all the others.
#[test]
#[ignore = "two of them are run at once"]
fn ticks() {
    let policy = wants(Decision::Hold);
    let mut decided = 0;
    for tick in 0..TICKS {
        let mut session = session();
        // Later than the start, so that a tick of this time is told from none.
        let at_s = START_S + 1 + tick;
        if session.rollout().state().now_s() >= at_s {
            continue;
        }
        match session.tick(at_s, &policy) {
            Ok(Ticked::Decided(_)) => decided += 1,
            Ok(Ticked::ByAnother) | Err(SessionError::Refused(_)) => {}
            Err(SessionError::Store(StoreError::Busy)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    println!("decided {decided}");
}

/// Two processes that tick decide once each time between them.
pub(crate) fn decide_once(store: &str) {
    Session::start(open(store).expect("it opens"), name("shared"), terms(), START_S)
        .expect("it starts");
    let both = [process("processes::ticks", store), process("processes::ticks", store)];
    let decided: u64 = both
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{output:?}");
            let talk = String::from_utf8_lossy(&output.stdout);
            let line = talk.lines().find_map(|line| line.split_once("decided ")).expect("it says");
            line.1.trim().parse::<u64>().expect("a number")
        })
        .sum();
    let log = open(store).expect("it opens").read(&name("shared")).expect("readable");
    replay(&log.entries, None).expect("it replays");
    let ticks: Vec<_> =
        log.entries.iter().filter(|entry| matches!(entry.input, Input::Tick(_))).collect();
    assert_eq!(ticks.len() as u64, decided, "each decision is in the log once");
    let times: std::collections::BTreeSet<_> = ticks.iter().map(|entry| entry.at_s).collect();
    assert_eq!(times.len(), ticks.len(), "nothing was decided twice");
    assert!(decided >= TICKS / 2, "most ticks were decided: {decided}");
}

#[test]
fn two_that_tick_decide_once() {
    let room = TempDir::new().expect("there is room");
    decide_once(&room.path().join("store").display().to_string());
}

/// Appends for ever, and says what is written.
#[test]
#[ignore = "it is killed"]
fn appends() {
    let mut session = session();
    let policy = wants(Decision::Hold);
    loop {
        let at_s = session.rollout().state().now_s() + 1;
        if let Ok(Ticked::Decided(entry)) = session.tick(at_s, &policy) {
            println!("\nwritten {}", entry.sequence);
        }
    }
}

/// Kills a process at some moment; what it said was written is there.
fn killed(path: &Path, after: Duration) -> u64 {
    let mut child = process("processes::appends", &path.display().to_string());
    std::thread::sleep(after);
    last_written(&mut child)
}

/// Kills a process that appends; the last entry that it said was written.
pub(crate) fn last_written(child: &mut Child) -> u64 {
    child.kill().expect("killed");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let said =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("written ")?.parse().ok());
    let last = said.max().unwrap_or(0);
    child.wait().expect("it ends");
    last
}

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let room = TempDir::new().expect("there is room");
    let path = room.path().join("store");
    let store = Box::new(Sqlite::open(&path).expect("it opens"));
    Session::start(store, name("shared"), terms(), START_S).expect("it starts");
    let mut most = 0;
    for round in 0..20 {
        let written = killed(&path, Duration::from_millis(40 + 13 * round));
        let log = open(&path.display().to_string())
            .expect("it opens")
            .read(&name("shared"))
            .expect("readable");
        replay(&log.entries, None).expect("it replays");
        let last = log.entries.len() as u64 - 1;
        assert!(last >= written, "entry {written} was written, the last one is {last}");
        most = last;
    }
    assert!(most > 20, "something was written: {most}");
}
