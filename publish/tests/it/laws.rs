//! What holds in every place.

use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::thread;

use tempfile::TempDir;
use whittle_publish::pull::{Pulled, Request, Which, pull};
use whittle_publish::{Error, ReleaseKeys, gc, layout};
use whittle_release::keys::{Keyring, PrivateKey, Signer as _};
use whittle_release::{Culprit, Sha256Digest, build, development_key, directory};

use crate::place::Place;
use crate::support::{Plan, key, keyring, label, options, publish, release_keys};
use crate::way::Fault;

fn request(base: Option<Sha256Digest>) -> Request {
    let (product, which) = (label("thermostat"), Which::Channel(label("stable")));
    Request { product, which, base, security_counter: 0, piece_log2: 9 }
}

fn fetch(place: &Place, request: &Request, out: &Path) -> Result<Pulled, Error> {
    pull(&place.source(), &keyring(), request, out, &|_, _| {})
}

#[test]
fn what_is_published_can_be_fetched() {
    let room = TempDir::new().expect("there is room");
    let plan = Plan::new("1.2.2+eu", 3);
    let release = plan.write(room.path());
    for place in Place::each() {
        let published = publish(&place.store(), from_ref(&release)).expect("publishes");
        assert_eq!((published.objects, published.uploaded), (plan.objects(), plan.objects()));
        assert_eq!(published.releases[0].replaces, None);
        assert_eq!(place.under("by-sha256/").len(), plan.objects());
        let indexes = [
            layout::channel_key(&label("thermostat"), &label("stable")),
            layout::release_key(&label("thermostat"), &label("1.2.2+eu")),
        ];
        assert_eq!(place.under("products/"), indexes);
        assert!(place.under("busy/").is_empty() && place.keys().len() == plan.objects() + 2);

        let out = room.path().join("update.pkg");
        // A server is asked for each piece.
        let sizes = if place.is_s3() { &[8, 13][..] } else { &[0, 4, 8, 13, 63] };
        for &piece_log2 in sizes {
            for base in [None, Some(plan.base(1).digest())] {
                let request = Request { piece_log2, ..request(base) };
                let pulled = fetch(&place, &request, &out).expect("fetches");
                let bytes = std::fs::read(&out).expect("written");
                assert_eq!(Sha256Digest::of(&bytes), pulled.package_sha256);
                assert_eq!(pulled.kind, if base.is_some() { "delta" } else { "full" });
                assert_eq!(pulled.resumed_bytes, 0);
                let piece = 1 << piece_log2.clamp(4, 24);
                assert_eq!(pulled.pieces, pulled.bytes.div_ceil(piece), "{piece_log2}");
            }
        }
        let version = Request { which: Which::Version(label("1.2.2+eu")), ..request(None) };
        assert_eq!(fetch(&place, &version, &out).expect("fetches").version, "1.2.2+eu");
        assert_eq!(
            std::fs::read_dir(room.path()).expect("lists").count(),
            2,
            "nothing is left over"
        );
    }
}

#[test]
fn what_cannot_be_fetched_is_told() {
    let room = TempDir::new().expect("there is room");
    let out = room.path().join("update.pkg");
    let release = Plan::new("1.0", 3).write(room.path());
    for place in Place::each() {
        assert!(matches!(fetch(&place, &request(None), &out), Err(Error::Absent(_))));
        publish(&place.store(), from_ref(&release)).expect("publishes");
        let newer = Request { security_counter: 4, ..request(None) };
        assert!(matches!(
            fetch(&place, &newer, &out),
            Err(Error::CounterTooLow { got: 3, wanted: 4 })
        ));
        let unknown = request(Some(Sha256Digest::of(b"never released")));
        assert_eq!(fetch(&place, &unknown, &out).expect_err("unknown").culprit(), Culprit::Base);
        let other = Keyring::of(&PrivateKey::from_seed(&[8; 32]));
        let error = pull(&place.source(), &other, &request(None), &out, &|_, _| {});
        assert_eq!(error.expect_err("not trusted").culprit(), Culprit::Key);
        // The index of another product, moved.
        let index = std::fs::read(release.join("index.cose")).expect("there");
        place.put("products/toaster/channels/stable.cose", &index);
        let toaster = Request { product: label("toaster"), ..request(None) };
        assert!(matches!(fetch(&place, &toaster, &out), Err(Error::Damaged { .. })));
        assert!(!out.exists());
    }
}

#[test]
fn publishing_again_sends_nothing() {
    let room = TempDir::new().expect("there is room");
    let releases = ["1.0", "1.1"].map(|version| Plan::new(version, 1).write(room.path()));
    for place in Place::each() {
        publish(&place.store(), &releases).expect("publishes");
        let before = place.keys();
        let again = publish(&place.store(), &releases).expect("publishes");
        assert_eq!((again.objects, again.uploaded), (8, 0));
        assert!(again.releases.iter().all(|release| release.was_there));
        assert_eq!(again.releases[0].channel, None, "the channel has the newer one");
        assert_eq!(place.keys(), before);
    }
}

#[test]
fn a_channel_does_not_go_back_by_itself() {
    let room = TempDir::new().expect("there is room");
    let write = |version, counter| [Plan::new(version, counter).write(room.path())];
    let now = write("1.10.0", 5);
    let older = [write("1.9.0", 5), write("1.11.0", 4)];
    let newer = write("1.11.1", 5);
    for place in Place::each() {
        publish(&place.store(), &now).expect("publishes");
        let before = place.keys();
        for older in &older {
            let refused = publish(&place.store(), older);
            assert!(matches!(refused, Err(Error::Older { .. })), "{refused:?}");
        }
        assert_eq!(place.keys(), before, "it was refused before anything was sent");
        let asked = whittle_publish::publish::Options { allow_older: true, ..options() };
        let back = whittle_publish::publish::publish;
        let back = back(&place.store(), &older[0], &release_keys(), &asked, &|_| {}).expect("back");
        assert_eq!(back.releases[0].replaces.as_deref(), Some("1.10.0"));
        let on = publish(&place.store(), &newer).expect("publishes");
        assert_eq!(on.releases[0].replaces.as_deref(), Some("1.9.0"));
        // Another channel is nobody's business.
        let beta = whittle_publish::publish::Options { channel: label("beta"), ..options() };
        let publish = whittle_publish::publish::publish;
        publish(&place.store(), &older[1], &release_keys(), &beta, &|_| {}).expect("publishes");
    }
}

#[test]
fn a_version_is_published_once() {
    let room = TempDir::new().expect("there is room");
    let plan = Plan::new("1.0", 1);
    let release = plan.write(room.path());
    let other = Plan { family: 77, ..plan.clone() }.write(room.path());
    for place in Place::each() {
        publish(&place.store(), from_ref(&release)).expect("publishes");
        let before = place.keys();
        let taken = publish(&place.store(), from_ref(&other));
        assert!(matches!(taken, Err(Error::VersionTaken { .. })), "{taken:?}");
        assert_eq!(place.keys(), before);
    }
}

#[test]
fn of_two_publishers_the_newer_one_wins() {
    let room = TempDir::new().expect("there is room");
    let versions = ["1.0", "1.1", "1.2", "1.3"];
    let releases = versions.map(|version| Plan::new(version, 1).write(room.path()));
    for place in Place::each() {
        let publishers: Vec<_> = releases
            .iter()
            .map(|release| {
                let (store, release) = (place.store(), release.clone());
                thread::spawn(move || publish(&store, &[release]))
            })
            .collect();
        for (publisher, version) in publishers.into_iter().zip(versions) {
            match publisher.join().expect("no panic") {
                Ok(_) => {}
                Err(Error::Older { version: refused, .. }) => {
                    assert!(refused == version && version != "1.3");
                }
                Err(error) => panic!("{error}"),
            }
        }
        let out = room.path().join("update.pkg");
        assert_eq!(fetch(&place, &request(None), &out).expect("fetches").version, "1.3");
        assert!(place.under("busy/").is_empty());
    }
}

#[test]
fn what_was_changed_in_the_store_is_found() {
    let room = TempDir::new().expect("there is room");
    let plan = Plan::new("1.0", 1);
    let release = plan.write(room.path());
    let out = room.path().join("update.pkg");
    for place in Place::each() {
        publish(&place.store(), from_ref(&release)).expect("publishes");
        let full = fetch(&place, &request(None), &out).expect("fetches");
        let mut bytes = std::fs::read(&out).expect("there");
        std::fs::remove_file(&out).expect("removed");
        bytes[7000] ^= 1;
        place.put(&layout::object_key(&full.package_sha256), &bytes);
        let error = fetch(&place, &request(None), &out).expect_err("changed").to_string();
        assert!(error.contains("is not the signed one"), "{error}");
        assert!(!out.exists());
        let again = publish(&place.store(), from_ref(&release)).expect("publishes");
        assert_eq!(again.uploaded, 0, "sizes tell nothing");
        let read_back = whittle_publish::publish::Options { read_back: true, ..options() };
        let publish = whittle_publish::publish::publish;
        let again =
            publish(&place.store(), from_ref(&release), &release_keys(), &read_back, &|_| {});
        assert_eq!(again.expect("publishes").uploaded, 1);
        let mended = fetch(&place, &request(None), &out).expect("fetches");
        assert!(mended.resumed_bytes > 6500, "what was right was kept: {}", mended.resumed_bytes);
        std::fs::remove_file(&out).expect("removed");
    }
}

#[test]
fn only_signed_releases_are_published_and_no_development_keys() {
    let room = TempDir::new().expect("there is room");
    let place = Place::directory();
    let release = Plan::new("1.0", 1).write(room.path());
    let (_, public) = key().write_pair(&room.path().join("keys")).expect("writes");
    let raw = room.path().join("raw");
    std::fs::write(&raw, key().public_key()).expect("written");
    for file in [&public, &raw] {
        let read = ReleaseKeys::read(&[file]).expect("a key");
        assert_eq!(read.keyring().0, [key().public_key()]);
    }
    let pem = std::fs::read_to_string(&public).expect("text");
    std::fs::write(&public, development_key::mark(&pem)).expect("written");
    let refused = ReleaseKeys::read(&[&public]).expect_err("marked");
    assert!(matches!(refused, Error::DevelopmentKey(_)) && refused.culprit() == Culprit::Key);

    let (_, other) =
        PrivateKey::from_seed(&[9; 32]).write_pair(&room.path().join("other")).expect("writes");
    let other = ReleaseKeys::read(&[other]).expect("a key");
    let publish = whittle_publish::publish::publish;
    let refused = publish(&place.store(), from_ref(&release), &other, &options(), &|_| {});
    assert_eq!(refused.expect_err("another key").culprit(), Culprit::Key);

    let package = std::fs::read_dir(&release).expect("lists").flatten().map(|entry| entry.path());
    let package = package.filter(|path| path.extension().is_some_and(|end| end == "pkg")).last();
    let package = package.expect("one");
    let mut bytes = std::fs::read(&package).expect("there");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&package, bytes).expect("written");
    assert!(publish(&place.store(), &[release], &release_keys(), &options(), &|_| {}).is_err());
    assert!(!place.root().exists(), "nothing was written");
}

#[test]
fn caches_are_told_what_changes() {
    let room = TempDir::new().expect("there is room");
    let place = Place::s3();
    publish(&place.store(), &[Plan::new("1.0", 1).write(room.path())]).expect("publishes");
    place.proxy().set(Fault::None);
    for key in place.keys().into_keys() {
        let head = place.head(&key);
        let caching = head["CacheControl"].as_str().expect("told");
        assert_eq!(caching == "no-cache", key.contains("/channels/"), "{key}: {caching}");
        assert_eq!(caching.contains("immutable"), !key.contains("/channels/"), "{key}: {caching}");
        let media = head["ContentType"].as_str().expect("told");
        assert_eq!(media.starts_with("application/cose"), key.ends_with(".cose"), "{key}: {media}");
        assert!(head["ChecksumSHA256"].is_string(), "{key}: the server has compared a digest");
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_lock_harms_nothing() {
    let room = TempDir::new().expect("there is room");
    let victim = room.path().join("victim");
    std::fs::write(&victim, "mine").expect("written");
    let [first, second] = ["1.0", "1.1"].map(|version| [Plan::new(version, 1).write(room.path())]);
    let place = Place::directory();
    publish(&place.store(), &first).expect("publishes");
    let lock = place.root().join(".whittle.lock");
    std::os::unix::fs::symlink(&victim, &lock).expect("linked");
    let refused = publish(&place.store(), &second);
    assert!(matches!(refused, Err(Error::Io { action: "lock", .. })), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&victim).expect("there"), "mine");
    std::fs::remove_file(&lock).expect("removed");
    std::fs::write(&lock, "left by somebody").expect("written");
    publish(&place.store(), &second).expect("publishes");
    assert_eq!(std::fs::read_to_string(&lock).expect("there"), "left by somebody");
}

#[test]
fn a_former_key_counts_for_what_is_published_and_for_nothing_else() {
    let room = TempDir::new().expect("there is room");
    let new = PrivateKey::from_seed(&[9; 32]);
    let [(_, old_file), (_, new_file)] = [(&key(), "old"), (&new, "new")]
        .map(|(key, name)| key.write_pair(&room.path().join(name)).expect("writes"));
    let signed = |version, key: &PrivateKey| {
        let release = build::build(&Plan::new(version, 1).request(key), &|_| {}).expect("builds");
        let directory = room.path().join(version);
        directory::write(&directory, &release.files).expect("writes");
        [directory]
    };
    let [first, second] =
        [("1.0", &key()), ("1.1", &key())].map(|(version, key)| signed(version, key));
    let third = signed("1.2", &new);
    let current = ReleaseKeys::read(&[&new_file]).expect("keys");
    let both = current.clone().with_former(&[&old_file]).expect("keys");
    let gc_options = gc::Options { keep: 1, active: vec![], grace_s: 0, dry_run: false, now_s: 0 };
    let publish = |place: &Place, release: &[PathBuf], keys: &ReleaseKeys| {
        whittle_publish::publish::publish(&place.store(), release, keys, &options(), &|_| {})
    };
    for place in Place::each() {
        publish(&place, &first, &release_keys()).expect("publishes");
        let refused = publish(&place, &third, &current).expect_err("the key of 1.0 is unknown");
        assert!(refused.to_string().contains("published already"), "{refused}");
        assert!(refused.hint().is_some_and(|hint| hint.contains("--former-pubkey")));
        assert_eq!(refused.culprit(), Culprit::Key);
        let refused = publish(&place, &second, &both).expect_err("signed by a former key");
        assert!(matches!(refused, Error::Release(_)) && refused.culprit() == Culprit::Key);
        let published = publish(&place, &third, &both).expect("publishes");
        assert_eq!(published.releases[0].replaces.as_deref(), Some("1.0"));

        let before = place.keys();
        let refused = gc::gc(&place.store(), current.keyring(), &gc_options);
        assert!(matches!(refused, Err(Error::UnknownSigner { .. })), "{refused:?}");
        assert_eq!(place.keys(), before);
        let done = gc::gc(&place.store(), both.stored(), &gc_options).expect("collects");
        assert_eq!(done.removed.len(), 1);
    }
}
