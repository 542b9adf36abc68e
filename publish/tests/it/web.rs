//! Web servers of several kinds in front of a directory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use whittle_publish::pull::{Pulled, Request, Which, pull};
use whittle_publish::{Error, Patience, Source};
use whittle_release::Sha256Digest;
use whittle_test_servers::{Reply, serve, serve_replies};

use crate::place::Place;
use crate::support::{Plan, keyring, label, publish};

/// Asks a server for the index of a release, once, and waits for nothing longer than half a second.
fn ask_once(url: &str, out: &Path) -> Error {
    let short = Duration::from_millis(500);
    let patience = Patience { head: short, body: short, tries: 1, ..Patience::default() };
    let source = Source::open_with(url, [], patience).expect("opens");
    let request = Request {
        product: label("thermostat"),
        which: Which::Version(label("1.0+a")),
        base: None,
        security_counter: 0,
        piece_log2: 11,
    };
    pull(&source, &keyring(), &request, out, &|_, _| {}).expect_err("it never ends")
}

/// What a server does with the objects of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Ranges, as they are asked for.
    Ranges,
    /// Always everything.
    NoRanges,
    /// Every second answer is an error of the server.
    Failing,
    /// Every second answer ends in the middle.
    Cut,
    /// Says that it sends another range than it was asked for.
    OtherRange,
    /// One bit is wrong in this byte.
    Flipped(usize),
    /// From this piece on it sends nothing more.
    DeadFrom(usize),
    /// Sends more than there is.
    Endless,
}

struct Web {
    url: String,
    habit: Arc<Mutex<(Habit, Vec<String>)>>,
}

impl Web {
    fn of(root: PathBuf) -> Self {
        let habit = Arc::new(Mutex::new((Habit::Ranges, Vec::new())));
        let shared = Arc::clone(&habit);
        let url = serve_replies(move |request| {
            let path = root.join(request.target.trim_start_matches('/').replace("%2B", "+"));
            let Ok(mut bytes) = std::fs::read(path) else {
                return Reply::new(404, "");
            };
            let Some(range) = request.header("range") else {
                return Reply::new(200, bytes);
            };
            let (habit, number) = {
                let mut state = shared.lock().expect("no panic");
                state.1.push(range.to_owned());
                (state.0, state.1.len())
            };
            let (first, last) = range
                .strip_prefix("bytes=")
                .and_then(|range| range.split_once('-'))
                .expect("a range");
            let (first, last): (usize, usize) =
                (first.parse().expect("first"), last.parse().expect("last"));
            let mut cut = None;
            match habit {
                Habit::NoRanges => return Reply::new(200, bytes),
                Habit::Failing if number % 2 == 1 => return Reply::new(502, "oops"),
                Habit::Cut if number % 2 == 1 => cut = Some(10),
                Habit::DeadFrom(piece) if number >= piece => {
                    return Reply::new(404, "");
                }
                Habit::Flipped(place) => bytes[place] ^= 1,
                Habit::Endless => return Reply::new(200, bytes.repeat(100)),
                _ => {}
            }
            let begins = if habit == Habit::OtherRange { first + 1 } else { first };
            let range = format!("bytes {begins}-{last}/{}", bytes.len());
            let body = &bytes[first..=last.min(bytes.len() - 1)];
            Reply { cut, ..Reply::new(206, body).with("content-range", range) }
        });
        Self { url, habit }
    }

    fn set(&self, habit: Habit) {
        *self.habit.lock().expect("no panic") = (habit, Vec::new());
    }

    fn ranges(&self) -> Vec<String> {
        self.habit.lock().expect("no panic").1.clone()
    }

    fn fetch(&self, base: Option<Sha256Digest>, out: &Path) -> Result<Pulled, Error> {
        let request = Request {
            product: label("thermostat"),
            which: Which::Version(label("1.0+a")),
            base,
            security_counter: 0,
            piece_log2: 11,
        };
        let source = Source::open(&format!("{}/", self.url), []).expect("opens");
        pull(&source, &keyring(), &request, out, &|_, _| {})
    }
}

fn set_up(room: &TempDir) -> (Place, Web, Plan) {
    let plan = Plan::new("1.0+a", 1);
    let place = Place::directory();
    publish(&place.store(), &[plan.write(room.path())]).expect("publishes");
    let web = Web::of(place.root());
    (place, web, plan)
}

#[test]
fn servers_with_and_without_ranges_will_do() {
    let room = TempDir::new().expect("there is room");
    let (_place, web, plan) = set_up(&room);
    let out = room.path().join("update.pkg");
    let delta = web.fetch(Some(plan.base(0).digest()), &out).expect("fetches");
    assert_eq!(delta.kind, "delta");
    let full = web.fetch(None, &out).expect("fetches");
    let right = std::fs::read(&out).expect("there");
    for (habit, pieces) in [
        (Habit::Ranges, full.bytes.div_ceil(2048)),
        (Habit::NoRanges, 1),
        (Habit::Failing, full.bytes.div_ceil(2048)),
        (Habit::Cut, full.bytes.div_ceil(2048)),
    ] {
        web.set(habit);
        std::fs::remove_file(&out).expect("removed");
        assert_eq!(web.fetch(None, &out).expect("fetches").pieces, pieces, "{habit:?}");
        assert_eq!(std::fs::read(&out).expect("there"), right, "{habit:?}");
    }
    web.set(Habit::Ranges);
    web.fetch(None, &out).expect("fetches");
    let starts = web.ranges();
    let starts = starts.iter().map(|range| range["bytes=".len()..].split('-').next().expect("one"));
    assert!(
        starts.map(|start| start.parse::<u64>().expect("a number")).all(|start| start % 2048 == 0)
    );
}

/// What lies beside the file that was to be written.
fn part(room: &TempDir) -> PathBuf {
    let paths = std::fs::read_dir(room.path()).expect("lists").flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "part")).last().expect("one")
}

#[test]
fn two_do_not_fetch_into_one_file() {
    let room = TempDir::new().expect("there is room");
    let (_place, web, _) = set_up(&room);
    let out = room.path().join("update.pkg");
    web.set(Habit::DeadFrom(4));
    web.fetch(None, &out).expect_err("dead");
    web.set(Habit::Ranges);
    let part = part(&room);
    let before = std::fs::read(&part).expect("there");
    let other = std::fs::File::open(&part).expect("there");
    other.lock().expect("locked");
    let refused = web.fetch(None, &out).expect_err("somebody else does");
    assert!(matches!(&refused, Error::Fetching(path) if *path == part), "{refused:?}");
    assert_eq!(refused.culprit(), whittle_release::Culprit::Io);
    assert!(std::fs::read(&part).expect("there") == before && !out.exists());
    drop(other);
    assert!(web.fetch(None, &out).expect("fetches").resumed_bytes > 0);
}

#[test]
fn a_fetch_goes_on_where_it_ended() {
    let room = TempDir::new().expect("there is room");
    let (_place, web, _) = set_up(&room);
    let out = room.path().join("update.pkg");
    web.set(Habit::DeadFrom(4));
    assert!(matches!(web.fetch(None, &out), Err(Error::Absent(_))));
    assert!(!out.exists());
    web.set(Habit::Ranges);
    let pulled = web.fetch(None, &out).expect("fetches");
    // Three pieces of 2048 bytes, of which all whole blocks of 256 behind the envelope count.
    assert!((3 * 2048 - 256..=3 * 2048).contains(&pulled.resumed_bytes), "{pulled:?}");
    assert!(pulled.pieces <= pulled.bytes.div_ceil(2048) - 2, "{pulled:?}");
    assert_eq!(web.fetch(None, &out).expect("fetches").resumed_bytes, 0, "that was another one");

    // What lies there need not be right.
    web.set(Habit::DeadFrom(4));
    std::fs::remove_file(&out).expect("removed");
    web.fetch(None, &out).expect_err("dead");
    let part = part(&room);
    let mut bytes = std::fs::read(&part).expect("there");
    bytes[2500] ^= 1;
    std::fs::write(&part, bytes).expect("written");
    web.set(Habit::Ranges);
    let pulled = web.fetch(None, &out).expect("fetches");
    assert!((2500 - 256..=2500).contains(&pulled.resumed_bytes), "{pulled:?}");
    assert!(!part.exists());
}

#[test]
fn servers_that_send_something_else_are_found_out() {
    let room = TempDir::new().expect("there is room");
    let (_place, web, _) = set_up(&room);
    let out = room.path().join("update.pkg");
    for habit in [Habit::OtherRange, Habit::Flipped(5), Habit::Flipped(3000), Habit::Endless] {
        web.set(habit);
        let error = web.fetch(None, &out).expect_err("found out");
        assert!(matches!(error, Error::Damaged { .. } | Error::Release(_)), "{habit:?}: {error:?}");
        assert!(!out.exists());
    }
    web.set(Habit::Ranges);
    let pulled = web.fetch(None, &out).expect("fetches");
    assert!(pulled.resumed_bytes > 2500, "what was right was kept: {pulled:?}");
}

#[test]
fn who_never_ends_is_left() {
    let room = TempDir::new().expect("there is room");
    let out = room.path().join("update.pkg");
    // Sends as fast as it can.
    let endless = serve(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[0x5a; 4096]).is_ok() {}
    });
    assert!(matches!(ask_once(&endless, &out), Error::Damaged { .. }));
    // Sends a byte now and then.
    let slow = serve(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[0x5a]).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(matches!(ask_once(&slow, &out), Error::Store { .. }));
    // Takes the request, and says nothing.
    let silent = serve(|_, _| thread::sleep(Duration::from_secs(600)));
    assert!(matches!(ask_once(&silent, &out), Error::Store { .. }));
    assert!(!out.exists());
}

#[test]
fn links_and_directories_are_not_written_over() {
    let room = TempDir::new().expect("there is room");
    let (_place, web, _) = set_up(&room);
    let victim = room.path().join("victim");
    std::fs::write(&victim, "mine").expect("written");
    let out = room.path().join("update.pkg");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&victim, &out).expect("linked");
        assert!(web.fetch(None, &out).is_err());
    }
    assert!(web.fetch(None, room.path()).is_err());
    assert_eq!(std::fs::read_to_string(&victim).expect("there"), "mine");
}
