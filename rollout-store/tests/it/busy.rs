//! Somebody who has begun to write, and does not go on, must not stop others for ever.

use std::time::Instant;

use rusqlite::Connection;
use whittle_rollout_store::{Appended, StoreError, open};

use crate::laws::day;
use crate::{name, postgres, sqlite};

/// Both at once, because both wait for as long as they do for people.
#[test]
fn who_waits_for_long_is_told_so() {
    std::thread::scope(|scope| {
        scope.spawn(a_file_that_is_locked);
        scope.spawn(a_rollout_that_is_locked);
    });
}

fn a_file_that_is_locked() {
    let (_room, path) = sqlite::filled();
    let raw = Connection::open(&path).expect("there");
    raw.execute_batch("BEGIN EXCLUSIVE").expect("it can");
    let began = Instant::now();
    let refused = open(&path.display().to_string()).and_then(|mut store| store.read(&name("day")));
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(began.elapsed().as_secs() >= 5, "it has waited");
}

fn a_rollout_that_is_locked() {
    let server = postgres::filled("slow");
    let mut admin = server.admin("slow");
    let mut others = admin.transaction().expect("it begins");
    others.batch_execute("SELECT pg_advisory_xact_lock(2003334252, 1)").expect("its lock");
    let mut store = open(&server.address("owner", "slow")).expect("it opens");
    let kept = store.read(&name("day")).expect("who reads need not wait");
    let began = Instant::now();
    let busy = store.append(&name("day"), kept.head, &day()[20], None).expect_err("others write");
    assert!(matches!(busy, StoreError::Busy), "{busy}");
    assert!(began.elapsed().as_secs() >= 5, "it has waited");
    others.rollback().expect("it ends");
    let appended = store.append(&name("day"), kept.head, &day()[20], None).expect("it can");
    assert!(matches!(appended, Appended::Done(_)));
}
