//! A publisher that is killed, and the one that goes on.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use whittle_publish::publish::{Event, Options};
use whittle_publish::{Store, publish};

use crate::place::Place;
use crate::support::{Plan, options, release_keys};
use crate::way::{Fault, writes};

/// 20 releases of 48 deltas, a full image and notes: 1,000 objects.
const RELEASES: u32 = 20;
const OBJECTS: usize = 1000;

/// How many objects are there when the publisher is killed.
const KILLED_AFTER: usize = 500;

const THREADS: usize = 4;

fn plans() -> impl Iterator<Item = Plan> {
    let plan = |n| Plan { bases: 48, bytes: 1500, ..Plan::new(&format!("1.{n}"), 1) };
    (0..RELEASES).map(plan)
}

fn releases(room: &TempDir) -> Vec<PathBuf> {
    plans().map(|plan| plan.write(room.path())).collect()
}

/// Runs an ignored test of this program in a process of its own, told where to publish what.
fn process(test: &str, place: &Place, room: &TempDir) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "--ignored", "--nocapture", test]);
    command.env("WHITTLE_PLACE", &place.location).env("WHITTLE_RELEASES", room.path());
    command.envs(place.variables.clone()).stdout(Stdio::piped()).spawn().expect("it starts")
}

/// Says of each object when it is there.
#[test]
#[ignore = "it is killed"]
fn publishes() {
    let variable = |name| std::env::var(name).expect("told");
    let directory = PathBuf::from(variable("WHITTLE_RELEASES"));
    let mut releases: Vec<_> = std::fs::read_dir(directory)
        .expect("lists")
        .map(|entry| entry.expect("there").path())
        .collect();
    releases.sort();
    let store = Store::open(&variable("WHITTLE_PLACE"), std::env::vars()).expect("opens");
    let say = |event| {
        if let Event::Object { .. } = event {
            println!("object");
        }
    };
    let options = Options { threads: THREADS, ..options() };
    publish::publish(&store, &releases, &release_keys(), &options, &say).expect("publishes");
}

fn kill_in_the_middle(place: &Place, room: &TempDir) {
    let mut child = process("resuming::publishes", place, room);
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let objects = lines.map_while(Result::ok).filter(|line| line.ends_with("object"));
    assert_eq!(objects.take(KILLED_AFTER).count(), KILLED_AFTER);
    child.kill().expect("it runs");
    child.wait().expect("it is dead");
    if place.is_s3() {
        // What it has sent may still be on its way.
        place.proxy().close(Fault::Closed);
    }
}

#[test]
fn a_thousand_objects_are_sent_once_though_the_publisher_is_killed() {
    let room = TempDir::new().expect("there is room");
    let releases = releases(&room);
    for place in Place::each() {
        kill_in_the_middle(&place, &room);
        let sent = place.under("by-sha256/").len();
        assert!((KILLED_AFTER..OBJECTS).contains(&sent), "{sent}");
        assert!(place.under("products/").is_empty(), "no index names what is not there");
        assert_eq!(place.under("busy/").len(), 1);
        let is_s3 = place.is_s3();
        if is_s3 {
            place.proxy().set(Fault::None);
        }
        let options = Options { threads: THREADS, ..options() };
        let store = place.store();
        let again = publish::publish(&store, &releases, &release_keys(), &options, &|_| {});
        let again = again.expect("publishes");
        assert_eq!((again.objects, again.uploaded), (OBJECTS, OBJECTS - sent));
        if is_s3 {
            assert_eq!(
                writes(&place.proxy().seen(), "/by-sha256/"),
                OBJECTS - sent,
                "counted on the way"
            );
            println!(
                "killed after {sent} of {OBJECTS} objects; then {} were written",
                OBJECTS - sent
            );
        }
        assert_eq!(place.under("by-sha256/").len(), OBJECTS);
        assert_eq!(place.under("products/").len(), RELEASES as usize + 1);
    }
}
