//! A store in a file.

use std::path::{Path, PathBuf};
use std::process::Command;

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
fn filled() -> (TempDir, PathBuf) {
    let (room, path) = room();
    let log = day();
    let mut store = store(&path);
    store.create(&name("day"), &log[0]).expect("made");
    for entry in &log[1..] {
        assert_eq!(store.append(&name("day"), entry, None).expect("written"), Appended::Done);
    }
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
    for change in ["UPDATE entry SET entry = '{}'", "DELETE FROM entry WHERE sequence > 3"] {
        let refused = raw.execute_batch(change).expect_err("a log only ever grows");
        assert!(refused.to_string().contains("only ever grows"), "{refused}");
    }
    raw.execute_batch("DROP TRIGGER entry_stays; DROP TRIGGER entry_is_kept;").expect("it can");
    for (change, place) in [
        ("UPDATE entry SET entry = replace(entry, '2.0.0', '6.6.6') WHERE sequence = 0", 0),
        ("DELETE FROM entry WHERE sequence = 7", 7),
    ] {
        raw.execute_batch("BEGIN").expect("it can");
        raw.execute_batch(change).expect("it can");
        raw.execute_batch("COMMIT").expect("it can");
        let seen = store(&path).read(&name("day")).expect_err("it was changed");
        assert!(matches!(seen, StoreError::Edited { sequence } if sequence == place), "{seen}");
        let back = "UPDATE entry SET entry = replace(entry, '6.6.6', '2.0.0') WHERE sequence = 0";
        raw.execute_batch(back).expect("it can");
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

#[test]
fn half_a_file_is_damaged() {
    let (_room, path) = filled();
    let bytes = std::fs::read(&path).expect("there");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let outcome = Sqlite::open(&path).and_then(|mut store| store.read(&name("day")));
    let seen = outcome.expect_err("half of it is gone");
    assert!(matches!(seen, StoreError::Damaged(_) | StoreError::Edited { .. }), "{seen}");
}

#[test]
fn a_locked_store_says_so() {
    let (_room, path) = filled();
    let raw = Connection::open(&path).expect("there");
    raw.execute_batch("BEGIN EXCLUSIVE").expect("it can");
    let began = std::time::Instant::now();
    let refused = Sqlite::open(&path).and_then(|mut store| store.read(&name("day")));
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(began.elapsed().as_secs() >= 5, "it has waited");
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
    store.create(&name("day"), &log[0]).expect("made");
    let filler = room.join("filler");
    let mut written = 1;
    for entry in &log[1..] {
        match store.append(&name("day"), entry, None) {
            Ok(appended) => assert_eq!(appended, Appended::Done),
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
    assert_eq!(store.read(&name("day")).expect("readable").entries, log[..written]);
    // With room again it goes on as if nothing had been.
    std::fs::remove_file(filler).expect("removed");
    for entry in log[written..].iter().take(5) {
        assert_eq!(store.append(&name("day"), entry, None).expect("written"), Appended::Done);
    }
    let read = Sqlite::open(&path).expect("it opens").read(&name("day")).expect("readable");
    assert_eq!(read.entries, log[..written + 5]);
}
