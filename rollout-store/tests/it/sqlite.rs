//! A store in a file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rusqlite::Connection;
use tempfile::TempDir;
use whittle_rollout_store::{Appended, Sqlite, Store, StoreError, open};

use crate::laws::{self, day};
use crate::name;

fn room() -> (TempDir, PathBuf) {
    let room = TempDir::new().expect("there is room");
    let path = room.path().join("a store.whittle");
    (room, path)
}

fn store(path: &Path) -> Sqlite {
    Sqlite::open(path).expect("it opens")
}

/// A store with the log of a day.
pub(crate) fn filled() -> (TempDir, PathBuf) {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let (_room, path) = room();
        laws::fill(&mut store(&path), "day", &day());
        std::fs::read(&path).expect("there")
    });
    let (room, path) = room();
    std::fs::write(&path, file).expect("there is room");
    (room, path)
}

#[test]
fn it_keeps_the_laws() {
    let (_room, path) = room();
    laws::all(&|| open(&format!("sqlite:{}", path.display())).expect("it opens"));
}

#[test]
fn a_log_is_not_changed() {
    let (_room, path) = filled();
    let raw = Connection::open(&path).expect("it opens");
    for change in [
        "UPDATE entry SET entry = '{}'",
        "DELETE FROM entry WHERE sequence > 3",
        "INSERT OR REPLACE INTO entry SELECT rollout, sequence, '{}', hash FROM entry",
        "INSERT INTO entry SELECT rollout, 1000, entry, hash FROM entry WHERE sequence = 3",
        "INSERT OR REPLACE INTO rollout (name) VALUES ('day')",
        "INSERT OR REPLACE INTO rollout (id, name) VALUES (1, 'night')",
    ] {
        let refused = raw.execute_batch(change).expect_err("a log only ever grows");
        assert!(refused.to_string().contains("only ever grows"), "{refused}");
    }
    store(&path).read(&name("day")).expect("as it was");
}

#[test]
fn a_log_that_was_changed_is_found() {
    for (change, place) in [
        ("UPDATE entry SET entry = replace(entry, '2.0.0', '6.6.6') WHERE sequence = 0", 0),
        ("UPDATE entry SET entry = CAST (x'ff' || entry AS TEXT) WHERE sequence = 4", 4),
        ("UPDATE entry SET hash = x'00' WHERE sequence = 5", 5),
        ("DELETE FROM entry WHERE sequence = 7", 7),
        ("UPDATE entry SET sequence = -1 WHERE sequence = 8", 8),
        ("UPDATE entry SET sequence = 9223372036854775807 WHERE sequence = 9", 9),
        ("DELETE FROM entry", 0),
    ] {
        let (_room, path) = filled();
        let raw = Connection::open(&path).expect("it opens");
        let free = "DROP TRIGGER entry_stays; DROP TRIGGER entry_is_kept;";
        raw.execute_batch(free).expect("it can");
        raw.execute_batch(change).expect("it can");
        let seen = store(&path).read(&name("day")).expect_err("it was changed");
        assert!(matches!(seen, StoreError::Edited { sequence } if sequence == place), "{seen}");
    }
}

/// What SQLite takes for something else, and what is no file.
#[test]
fn odd_paths_are_files_or_nothing() {
    let room = TempDir::new().expect("there is room");
    for odd in [":memory:", "file:x?mode=memory", "a b#%20?.db", "sqlite:x"] {
        let there = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--ignored", "sqlite::opens_an_odd_path"])
            .current_dir(room.path())
            .env("WHITTLE_ODD_PATH", odd)
            .output()
            .expect("it runs");
        assert!(there.status.success(), "{odd}: {there:?}");
        assert!(room.path().join(odd).is_file(), "{odd}");
    }
    let pipe = room.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("`mkfifo` runs");
    assert!(made.success());
    for nothing in [Path::new(""), Path::new("/dev/null"), room.path(), &pipe] {
        let refused = Sqlite::open(nothing).expect_err("no file");
        assert!(matches!(refused, StoreError::Open { .. }), "{refused}");
    }
}

#[test]
#[ignore = "odd_paths_are_files_or_nothing runs it in a directory"]
fn opens_an_odd_path() {
    let path = std::env::var("WHITTLE_ODD_PATH").expect("a path");
    Sqlite::open(path.as_ref()).expect("it opens");
}

/// A link is followed to one and the same file, with one and the same journal.
#[cfg(unix)]
#[test]
fn a_link_is_the_file() {
    let (room, path) = filled();
    let link = room.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let log = store(&link).read(&name("day")).expect("readable");
    assert_eq!(log.entries, day());
}

#[test]
fn several_may_make_the_file_at_once() {
    for _ in 0..20 {
        let (_room, path) = room();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..6).map(|_| scope.spawn(|| Sqlite::open(&path))).collect();
            for one in all {
                one.join().expect("no panic").expect("it opens");
            }
        });
    }
}

#[test]
fn a_file_of_something_else_stays_as_it_is() {
    let (room, path) = room();
    std::fs::write(
        &path,
        "just notes, and longer than the header of a database, so that it is read",
    )
    .expect("written");
    let refused = Sqlite::open(&path).expect_err("no database");
    assert!(matches!(refused, StoreError::Foreign(_)), "{refused}");
    let other = room.path().join("other.db");
    Connection::open(&other).expect("made").execute_batch("CREATE TABLE mine (a)").expect("made");
    let refused = Sqlite::open(&other).expect_err("somebody else's");
    assert!(matches!(refused, StoreError::Foreign(_)), "{refused}");
    let tables = Connection::open(&other).expect("there").query_row(
        "SELECT count(*) FROM sqlite_schema",
        (),
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(tables, Ok(1));
    let refused = Sqlite::open(&room.path().join("no/such/directory")).expect_err("nowhere");
    assert!(matches!(refused, StoreError::Open { .. }), "{refused}");
}

#[test]
fn a_store_of_a_later_release_is_left_alone() {
    let (_room, path) = filled();
    Connection::open(&path)
        .expect("there")
        .execute_batch("PRAGMA user_version = 9")
        .expect("it can");
    let refused = Sqlite::open(&path).expect_err("from the future");
    assert!(matches!(refused, StoreError::Newer { found: 9, .. }), "{refused}");
}

/// Who only looks makes nothing, whatever stands there.
#[test]
fn opening_what_is_there_makes_nothing() {
    let (room, path) = room();
    let missing = Sqlite::open_existing(&path).expect_err("not there");
    assert!(matches!(missing, StoreError::Open { .. }), "{missing}");
    assert!(!path.exists());
    std::fs::write(&path, "").expect("there is room");
    let empty = Sqlite::open_existing(&path).expect_err("nothing in it");
    assert!(matches!(empty, StoreError::Empty(_)), "{empty}");
    assert!(empty.to_string().contains(&path.display().to_string()), "{empty}");
    assert_eq!(std::fs::read(&path).expect("there"), b"");
    let other = room.path().join("other.db");
    Connection::open(&other).expect("made").execute_batch("CREATE TABLE mine (a)").expect("made");
    let foreign = Sqlite::open_existing(&other).expect_err("somebody else's");
    assert!(matches!(foreign, StoreError::Foreign(_)), "{foreign}");
    store(&path);
    let mut there = Sqlite::open_existing(&path).expect("it was made meanwhile");
    assert_eq!(there.rollouts().expect("readable"), []);
}

#[test]
fn half_a_file_is_damaged() {
    let (_room, path) = filled();
    let bytes = std::fs::read(&path).expect("there");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let outcome = Sqlite::open(&path).and_then(|mut store| store.read(&name("day")));
    let seen = outcome.expect_err("half of it is gone");
    assert!(matches!(seen, StoreError::Damaged(_) | StoreError::Edited { .. }), "{seen}");
}

/// On a file system of 256 KiB, which only lives in a namespace of its own.
#[test]
fn a_full_disk_loses_nothing() {
    let room = TempDir::new().expect("there is room");
    let script = "mount -t tmpfs -o size=256k tmpfs \"$0\" && \"$1\" --exact --ignored sqlite::fills_the_disk --nocapture";
    let test = std::env::current_exe().expect("this test");
    let unshare = |with: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(with).args(["sh", "-c", script]).arg(room.path()).arg(&test);
        command.env("WHITTLE_FULL_DISK", room.path()).output().expect("`unshare` runs")
    };
    let done = unshare(&["--mount"]);
    let done = if done.status.success() { done } else { unshare(&["--mount", "--map-root-user"]) };
    let talk = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && talk.contains("1 passed"), "{done:?}");
}

#[test]
#[ignore = "a_full_disk_loses_nothing runs it where the disk is small"]
fn fills_the_disk() {
    let room = PathBuf::from(std::env::var_os("WHITTLE_FULL_DISK").expect("a small disk"));
    let path = room.join("store");
    let log = day();
    let mut store = store(&path);
    let mut kept = laws::fill(&mut store, "day", &log[..1]);
    let filler = room.join("filler");
    let mut written = 1;
    for entry in &log[1..] {
        match store.append(&name("day"), kept.head, entry, None) {
            Ok(Appended::Done(head)) => kept.head = head,
            Ok(Appended::Conflict) => panic!("nobody else is there"),
            Err(error) => {
                assert!(matches!(error, StoreError::Full), "{error}");
                break;
            }
        }
        written += 1;
        if written == 10 {
            std::fs::write(&filler, vec![1; 1 << 20]).expect_err("no room is left");
        }
    }
    assert!(written < log.len(), "the disk is full");
    kept = store.read(&name("day")).expect("readable");
    assert_eq!(kept.entries, log[..written]);
    // With room again it goes on as if nothing had been.
    std::fs::remove_file(filler).expect("removed");
    laws::append(&mut store, "day", &mut kept, &log[written..written + 5]);
    let read = Sqlite::open(&path).expect("it opens").read(&name("day")).expect("readable");
    assert_eq!(read.entries, log[..written + 5]);
}
