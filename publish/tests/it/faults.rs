//! Servers that fail, and ways that break.

use tempfile::TempDir;
use whittle_publish::{Error, Store};
use whittle_release::Culprit;

use crate::place::Place;
use crate::support::{Plan, publish};
use crate::way::{Fault, is_write};

#[test]
fn what_fails_for_a_while_is_tried_again() {
    let room = TempDir::new().expect("there is room");
    let release = [Plan::new("1.0", 1).write(room.path())];
    for status in [500, 503, 429] {
        let place = Place::s3();
        place.proxy().set(Fault::EverySecond(status));
        let published = publish(&place.store(), &release).expect("publishes in the end");
        assert_eq!(published.uploaded, 4);
        assert_eq!(place.keys().len(), 6);
    }
}

#[test]
fn an_answer_that_is_lost_is_no_conflict() {
    let room = TempDir::new().expect("there is room");
    let [first, second] = ["1.0", "1.1"].map(|version| [Plan::new(version, 1).write(room.path())]);
    for (lost, part) in [(1, "/releases/"), (1, "/channels/"), (2, "/channels/"), (3, "")] {
        let place = Place::s3();
        // A new index, on the condition that there is none; and one in place of another.
        for (release, before) in [(&first, None), (&second, Some("1.0"))] {
            place.proxy().set(Fault::LostWrites(lost, part));
            let published = publish(&place.store(), release).expect("publishes");
            assert_eq!(published.releases[0].replaces.as_deref(), before, "{part}");
        }
        place.proxy().set(Fault::None);
        assert_eq!(publish(&place.store(), &second).expect("publishes").uploaded, 0);
    }
}

#[test]
fn the_index_comes_last_or_not_at_all() {
    let room = TempDir::new().expect("there is room");
    let release = [Plan::new("1.0", 1).write(room.path())];
    let place = Place::s3();
    place.proxy().set(Fault::NoWrites("/products/"));
    let failed = publish(&place.store(), &release).expect_err("no index");
    assert!(matches!(failed, Error::Store { action: "write", .. }), "{failed:?}");
    assert_eq!((place.under("by-sha256/").len(), place.under("products/").len()), (4, 0));
    assert!(place.under("busy/").is_empty());
    let seen = place.proxy().seen();
    let first = seen.iter().position(|request| is_write(request, "/products/")).expect("tried");
    let last = seen.iter().rposition(|request| is_write(request, "/by-sha256/")).expect("sent");
    assert!(last < first, "all objects came first");
    place.proxy().set(Fault::None);
    assert_eq!(publish(&place.store(), &release).expect("publishes").uploaded, 0);
}

#[test]
fn who_may_not_is_told_so_without_secrets() {
    let room = TempDir::new().expect("there is room");
    let release = [Plan::new("1.0", 1).write(room.path())];
    let place = Place::s3();
    let mut variables = place.variables.clone();
    for (name, value) in &mut variables {
        if name == "AWS_SECRET_ACCESS_KEY" {
            "hunter2".clone_into(value);
        }
    }
    let store = Store::open(&place.location, variables).expect("opens");
    let denied = publish(&store, &release).expect_err("denied");
    let told = format!("{denied:?} {denied} {store:?}");
    assert!(matches!(denied, Error::Denied { .. }) && denied.culprit() == Culprit::Key, "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(place.keys().is_empty());
}

#[test]
fn a_server_that_is_not_there_is_told() {
    // Nobody listens on a port that was just free.
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().expect("bound"))
    };
    let source = whittle_publish::Source::open(&url, []).expect("opens");
    let request = whittle_publish::pull::Request {
        product: crate::support::label("p"),
        which: whittle_publish::pull::Which::Channel(crate::support::label("stable")),
        base: None,
        security_counter: 0,
        piece_log2: 10,
    };
    let out = std::env::temp_dir().join("never-written.pkg");
    let keys = crate::support::keyring();
    let failed = whittle_publish::pull::pull(&source, &keys, &request, &out, &|_, _| {});
    let failed = failed.expect_err("nobody is there");
    assert!(matches!(failed, Error::Store { action: "fetch", .. }), "{failed:?}");
}
