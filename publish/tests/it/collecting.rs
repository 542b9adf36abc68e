//! Cleaning up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use whittle_format::{Seed, Share, Stage, shorten};
use whittle_publish::gc::{Active, Collected, Options, Why, gc};
use whittle_publish::publish::{Event, Published};
use whittle_publish::pull::{Request, Which, pull};
use whittle_publish::{Error, Store};
use whittle_release::approval::{APPROVAL_FILE, SignedApproval};
use whittle_release::directory::VerifiedRelease;
use whittle_release::keys::PrivateKey;
use whittle_release::stage;

use crate::place::Place;
use crate::support::{Plan, key, keyring, label, publish};

fn options(keep: usize) -> Options {
    Options { keep, active: vec![], grace_s: 0, dry_run: false, now_s: 0 }
}

fn collect(place: &Place, options: &Options) -> Collected {
    gc(&place.store(), &keyring(), options).expect("collects")
}

const VERSIONS: [&str; 6] = ["1.0", "1.1", "1.2", "1.3", "1.4", "2.0-rc1"];

/// Six releases of a thermostat, in the order of their versions, and one of a toaster.
fn releases(room: &TempDir) -> Vec<PathBuf> {
    let mut plans: Vec<_> = VERSIONS.iter().map(|version| Plan::new(version, 1)).collect();
    plans.push(Plan { product: "toaster", ..Plan::new("0.1", 1) });
    plans.iter().map(|plan| plan.write(room.path())).collect()
}

fn removed(collected: &Collected) -> Vec<&str> {
    collected.removed.iter().map(|release| release.version.as_str()).collect()
}

fn object_keys(release: impl AsRef<Path>) -> BTreeSet<String> {
    let release = VerifiedRelease::open(release.as_ref(), &keyring()).expect("opens");
    let files = release.index().files();
    files.iter().map(|file| whittle_publish::layout::object_key(&file.digest)).collect()
}

#[test]
fn where_no_store_is_nothing_is_left() {
    let room = TempDir::new().expect("a directory");
    let place = room.path().join("mistyped");
    std::fs::create_dir(&place).expect("made");
    let store = Store::open(place.to_str().expect("a name"), std::iter::empty()).expect("opens");
    let collected = gc(&store, &keyring(), &options(1)).expect("collects");
    assert_eq!(collected, Collected::default());
    assert_eq!(std::fs::read_dir(&place).expect("there").count(), 0);
}

#[test]
fn what_the_last_releases_need_stays() {
    let room = TempDir::new().expect("there is room");
    let releases = releases(&room);
    for place in Place::each() {
        for release in &releases {
            publish(&place.store(), from_ref(release)).expect("publishes");
        }
        let before = place.keys();
        let dry = collect(&place, &Options { dry_run: true, now_s: u64::MAX, ..options(3) });
        assert_eq!(place.keys(), before, "it only told");
        assert_eq!(removed(&dry), ["1.0", "1.1", "1.2"]);
        let done = collect(&place, &options(3));
        assert_eq!(Collected { young: 0, ..done.clone() }, dry);
        assert_eq!(done.objects.len(), 12);
        let needed: BTreeSet<_> = releases[3..].iter().flat_map(object_keys).collect();
        assert_eq!(place.under("by-sha256/"), needed.into_iter().collect::<Vec<_>>());
        let why: Vec<_> =
            done.kept.iter().map(|kept| (kept.release.version.as_str(), kept.why)).collect();
        let expected = [
            ("1.3", Why::Last),
            ("1.4", Why::Last),
            ("2.0-rc1", Why::Channel),
            ("0.1", Why::Channel),
        ];
        assert_eq!(why, expected);
        assert!(place.under("busy/").is_empty());

        let again = collect(&place, &options(1));
        assert_eq!(removed(&again), ["1.3", "1.4"]);
        let out = room.path().join("update.pkg");
        for product in ["thermostat", "toaster"] {
            let request = Request {
                product: label(product),
                which: Which::Channel(label("stable")),
                base: None,
                security_counter: 0,
                piece_log2: 12,
            };
            pull(&place.source(), &keyring(), &request, &out, &|_, _| {})
                .expect("full images stay");
        }
        assert!(matches!(gc(&place.store(), &keyring(), &options(0)), Err(Error::KeepsNothing)));
    }
}

#[test]
fn channels_and_active_releases_stay_however_old() {
    let room = TempDir::new().expect("there is room");
    let releases = releases(&room);
    let place = Place::directory();
    // A channel that was left behind.
    let old =
        whittle_publish::publish::Options { channel: label("legacy"), ..crate::support::options() };
    let keys = crate::support::release_keys();
    let publish_old = whittle_publish::publish::publish;
    publish_old(&place.store(), &releases[..1], &keys, &old, &|_| {}).expect("publishes");
    publish(&place.store(), &releases[1..]).expect("publishes");

    let list = room.path().join("active.json");
    let image = Plan::new("1.2", 1).target().digest();
    let json = format!(
        r#"{{"schema": 1, "active": [
            {{"product": "thermostat", "version": "1.1"}}, {{"product": "thermostat", "sha256": "{image}"}}
        ]}}"#
    );
    std::fs::write(&list, json).expect("written");
    let mut active = Active::read_list(&list).expect("a list");
    let rollout = Stage {
        product: label("thermostat"),
        target_version: label("1.3"),
        target_digest: shorten(&Plan::new("1.3", 1).target().digest().0),
        seed: Seed::default(),
        number: 1,
        share: Share::ALL,
    };
    let file = room.path().join("stage.bin");
    stage::sign(&rollout, &key()).and_then(|signed| signed.write(&file)).expect("signed");
    active.push(Active::read_stage(&file, &keyring()).expect("a stage"));
    // A rollout that is driven from the store itself.
    let live =
        Stage { target_digest: shorten(&Plan::new("1.4", 1).target().digest().0), ..rollout };
    let signed = stage::sign(&live, &key()).expect("signed");
    place.put("products/thermostat/stage.bin", &signed.0);
    place.put("products/thermostat/flags.bin", b"devices read it");
    let done = collect(&place, &Options { active: active.clone(), ..options(1) });
    assert!(done.removed.is_empty() && done.unknown.is_empty(), "{done:?}");
    place.take_away("products/thermostat/stage.bin");
    let done = collect(&place, &Options { active, ..options(1) });
    assert_eq!(removed(&done), ["1.4"]);

    for (json, why) in [
        (r#"{"active": [{"product": "thermostat"}]}"#, "either"),
        (r#"{"active": [{"product": "-", "version": "1"}]}"#, "label"),
        (r#"{"activ": []}"#, "activ"),
    ] {
        std::fs::write(&list, json).expect("written");
        let error = Active::read_list(&list).expect_err(json);
        let cause = std::error::Error::source(&error).expect("told").to_string();
        assert!(cause.contains(why) || why == "label", "{cause}");
    }
    let gone = vec![Active::version(label("thermostat"), label("1.4"))];
    let before = place.keys();
    let refused = gc(&place.store(), &keyring(), &Options { active: gone, ..options(1) });
    assert!(matches!(refused, Err(Error::NoSuchRelease(_))), "a slip of the pen removes nothing");
    assert_eq!(place.keys(), before);
}

#[test]
fn what_is_young_stays() {
    let room = TempDir::new().expect("there is room");
    for place in Place::each() {
        publish(&place.store(), &releases(&TempDir::new_in(room.path()).expect("room")))
            .expect("publishes");
        let orphan = whittle_release::Sha256Digest::of(b"an upload that was killed");
        place.put(&whittle_publish::layout::object_key(&orphan), b"an upload that was killed");
        let done = collect(&place, &Options { grace_s: 3600, ..options(1) });
        assert_eq!((done.removed.len(), done.objects.len(), done.young), (0, 0, 1));
        assert!(done.kept.iter().any(|kept| kept.why == Why::Young));
        let done = collect(&place, &options(9));
        assert_eq!((done.removed.len(), done.objects.len(), done.young), (0, 1, 0));
    }
}

#[test]
fn what_is_not_understood_ends_it() {
    let room = TempDir::new().expect("there is room");
    let releases = releases(&room);
    let index = std::fs::read(releases[0].join("index.cose")).expect("there");
    let mut flipped = index.clone();
    flipped[60] ^= 1;
    for place in Place::each() {
        publish(&place.store(), &releases).expect("publishes");
        let before = place.keys();
        for (key, bytes) in [
            ("products/thermostat/releases/0.9.cose", &index),
            ("products/toaster/channels/beta.cose", &index),
            ("products/thermostat/channels/beta.cose", &flipped),
            ("products/thermostat/stage.bin", &index),
        ] {
            place.put(key, bytes);
            let refused = gc(&place.store(), &keyring(), &options(1));
            assert!(matches!(refused, Err(Error::Damaged { .. })), "{key}: {refused:?}");
            place.take_away(key);
        }
        assert_eq!(place.keys(), before);
        place.put("by-sha256/readme.txt", b"?");
        place.put("products/thermostat/readme.txt", b"?");
        let done = collect(&place, &options(9));
        assert_eq!(done.unknown, ["products/thermostat/readme.txt", "by-sha256/readme.txt"]);
        assert!(done.objects.is_empty());
    }
}

#[test]
fn publishing_and_collecting_keep_apart() {
    let room = TempDir::new().expect("there is room");
    let release = Plan::new("1.0", 1).write(room.path());
    for place in Place::each() {
        place.put("busy/gc", b"somebody else");
        let refused = publish(&place.store(), from_ref(&release));
        assert!(matches!(refused, Err(Error::GcRunning(_))), "{refused:?}");
        let refused = gc(&place.store(), &keyring(), &options(1));
        assert!(matches!(refused, Err(Error::GcRunning(_))), "{refused:?}");
        assert_eq!(place.keys().len(), 1, "their own marks are gone");
        place.take_away("busy/gc");

        place.put("busy/publish-0123456789abcdef", b"somebody else");
        publish(&place.store(), from_ref(&release)).expect("two may publish");
        for grace_s in [0, 3600] {
            let refused = gc(&place.store(), &keyring(), &Options { grace_s, ..options(1) });
            assert!(matches!(refused, Err(Error::Publishing(_))), "{refused:?}");
        }
        assert_eq!(place.under("busy/"), ["busy/publish-0123456789abcdef"]);
    }
}

/// Publishes, and does something when the last object is there.
fn publish_and(
    place: &Place,
    releases: &[PathBuf],
    objects: usize,
    then: impl Fn() + Sync,
) -> Result<(), Error> {
    let done = AtomicUsize::new(0);
    let progress = |event| {
        let is_object = matches!(event, Event::Object { .. });
        if is_object && done.fetch_add(1, Ordering::SeqCst) + 1 == objects {
            then();
        }
    };
    let (keys, options) = (crate::support::release_keys(), crate::support::options());
    whittle_publish::publish::publish(&place.store(), releases, &keys, &options, &progress)
        .map(|_| ())
}

#[test]
fn who_was_taken_for_killed_sends_again_what_was_removed() {
    let room = TempDir::new().expect("there is room");
    let plan = Plan::new("1.0", 1);
    let release = plan.write(room.path());
    for place in Place::each() {
        // Somebody took the publisher for killed, and was done before it went on.
        publish_and(&place, from_ref(&release), plan.objects(), || {
            for key in place.under("busy/").iter().chain(&place.under("by-sha256/")) {
                place.take_away(key);
            }
        })
        .expect("publishes");
        let there: BTreeSet<_> = place.under("by-sha256/").into_iter().collect();
        assert_eq!(there, object_keys(&release), "all that the index names");
        assert!(place.under("busy/").is_empty());
    }
}

#[test]
fn who_was_taken_for_killed_gives_way() {
    let room = TempDir::new().expect("there is room");
    let plan = Plan::new("1.0", 1);
    let release = plan.write(room.path());
    for place in Place::each() {
        let refused = publish_and(&place, from_ref(&release), plan.objects(), || {
            place.put("busy/gc", b"it removes while the publisher is slow");
        });
        assert!(matches!(refused, Err(Error::GcRunning(_))), "{refused:?}");
        assert!(place.under("products/").is_empty(), "no index names what may be gone");
    }
}

#[test]
fn who_was_killed_is_forgotten() {
    let room = TempDir::new().expect("there is room");
    let release = Plan::new("1.0", 1).write(room.path());
    let place = Place::directory();
    let age = |key: &str, s: u64| {
        let file =
            std::fs::File::options().write(true).open(place.root().join(key)).expect("there");
        file.set_modified(SystemTime::now() - Duration::from_secs(s)).expect("set");
    };
    place.put("busy/gc", b"killed");
    age("busy/gc", 3000);
    assert!(matches!(
        publish(&place.store(), from_ref(&release)),
        Err(Error::GcRunning(3000..3100))
    ));
    age("busy/gc", 3700);
    publish(&place.store(), &[release]).expect("publishes");
    place.put("by-sha256/.whittle-abc", b"half an ob");
    age("by-sha256/.whittle-abc", 7200);
    place.put("busy/publish-0123456789abcdef", b"killed");
    age("busy/publish-0123456789abcdef", 3000);
    let hour = Options { grace_s: 3600, ..options(1) };
    assert!(matches!(gc(&place.store(), &keyring(), &hour), Err(Error::Publishing(3000..3100))));
    age("busy/publish-0123456789abcdef", 3700);
    place.put("busy/gc", b"killed");
    age("busy/gc", 3700);
    collect(&place, &hour);
    assert!(!place.root().join("by-sha256/.whittle-abc").exists());
    assert!(place.under("busy/").is_empty());
}

#[cfg(unix)]
#[test]
fn what_lies_behind_a_link_is_not_taken_for_unneeded() {
    let room = TempDir::new().expect("there is room");
    let place = Place::directory();
    publish(&place.store(), &releases(&room)).expect("publishes");
    let elsewhere = room.path().join("elsewhere");
    let shard = place.under("by-sha256/")[0][.."by-sha256/00".len()].to_owned();
    for moved in ["products/thermostat", "products/thermostat/channels", &shard, "by-sha256"] {
        let before = place.keys();
        let inside = place.root().join(moved);
        std::fs::rename(&inside, &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, &inside).expect("linked");
        for dry_run in [true, false] {
            let refused = gc(&place.store(), &keyring(), &Options { dry_run, ..options(1) });
            assert!(matches!(refused, Err(Error::Damaged { .. })), "{moved}: {refused:?}");
        }
        std::fs::remove_file(&inside).expect("unlinked");
        std::fs::rename(&elsewhere, &inside).expect("moved back");
        assert_eq!(place.keys(), before, "{moved}: nothing is removed");
    }
    std::os::unix::fs::symlink("/nowhere", place.root().join(".hidden")).expect("linked");
    std::os::unix::fs::symlink("/nowhere", place.root().join("index.html")).expect("linked");
    assert!(!collect(&place, &options(1)).removed.is_empty(), "links elsewhere do no harm");
}

#[test]
fn a_place_that_is_not_there_is_not_made() {
    for dry_run in [true, false] {
        let place = Place::directory();
        let refused = gc(&place.store(), &keyring(), &Options { dry_run, ..options(1) });
        let refused = refused.expect_err("there is nothing to collect");
        assert!(matches!(refused, Error::Io { action: "read", .. }), "{refused:?}");
        assert_eq!(refused.culprit(), whittle_release::Culprit::Io);
        assert!(!place.root().exists());
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_or_has_no_end_is_not_read() {
    let room = TempDir::new().expect("there is room");
    let list = room.path().join("active.json");
    std::os::unix::fs::symlink("/dev/zero", &list).expect("linked");
    assert!(matches!(Active::read_list(&list), Err(Error::Io { .. })));

    let request = Request {
        product: label("thermostat"),
        which: Which::Channel(label("stable")),
        base: None,
        security_counter: 0,
        piece_log2: 12,
    };
    let out = room.path().join("update.pkg");
    let fetch = |place: &Place| pull(&place.source(), &keyring(), &request, &out, &|_, _| {});
    let release = Plan::new("1.0", 1).write(room.path());
    let channel = "products/thermostat/channels/stable.cose";
    for place in Place::each() {
        publish(&place.store(), from_ref(&release)).expect("publishes");
        place.put(channel, &vec![0xd2; 1 << 20]);
        assert!(matches!(fetch(&place), Err(Error::Damaged { .. })));
        let refused = gc(&place.store(), &keyring(), &options(1));
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        if !place.is_s3() {
            place.take_away(channel);
            crate::support::pipe(&place.root().join(channel));
            assert!(matches!(fetch(&place), Err(Error::Io { .. })));
            let refused = gc(&place.store(), &keyring(), &options(1));
            assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        }
    }
}

/// Turns over the last bit of a file: of a signed document, one of the last signature.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).expect("reads");
    *bytes.last_mut().expect("is not empty") ^= 1;
    std::fs::write(file, bytes).expect("writes");
}

/// Two releases with what may be published beside them.
struct Releases {
    room: TempDir,
    first: PathBuf,
    second: PathBuf,
}

impl Releases {
    fn new() -> Self {
        let room = TempDir::new().expect("there is room");
        let [first, second] =
            ["1.0", "1.1"].map(|version| Plan::new(version, 1).write(room.path()));
        Self { room, first, second }
    }

    /// Puts an approval of one release into the directory of another, or its own.
    fn approve(signer: &PrivateKey, of: &Path, into: &Path) -> Vec<u8> {
        let release = VerifiedRelease::open(of, &keyring()).expect("opens");
        let mut approval = SignedApproval::of(release.index()).expect("fits");
        let signed = approval.sign(signer);
        signed.and_then(|()| approval.write(&into.join(APPROVAL_FILE))).expect("signed");
        approval.emit().expect("signed")
    }

    fn keys_file(&self, signer: &PrivateKey, product: &str, version: u32) -> Option<PathBuf> {
        Some(crate::support::keys_file(self.room.path(), signer, product, version))
    }
}

fn publish_with(
    place: &Place,
    release: &PathBuf,
    keys_file: Option<PathBuf>,
) -> whittle_publish::Result<Published> {
    let options = whittle_publish::publish::Options { keys_file, ..crate::support::options() };
    let keys = crate::support::release_keys();
    let publish = whittle_publish::publish::publish;
    publish(&place.store(), from_ref(release), &keys, &options, &|_| {})
}

#[test]
fn approvals_and_keys_of_something_else_are_not_published() {
    let releases = Releases::new();
    let Releases { first, second, .. } = &releases;
    for place in Place::each() {
        let publish = |keys_file| publish_with(&place, first, keys_file);
        Releases::approve(&key(), second, first);
        let refused = publish(None).expect_err("it approves the other one");
        assert!(matches!(refused, Error::OtherApproval(_)), "{refused:?}");
        Releases::approve(&key(), first, first);
        let of_another = releases.keys_file(&key(), "toaster", 1);
        let refused = publish(of_another).expect_err("another product");
        assert!(matches!(refused, Error::OtherKeys { .. }), "{refused:?}");
        let damaged = releases.keys_file(&key(), "thermostat", 1);
        damaged.iter().for_each(|file| damage(file));
        let refused = publish(damaged).expect_err("a damaged signature");
        assert!(refused.to_string().contains("damaged signature"), "{refused:?}");
        damage(&first.join(APPROVAL_FILE));
        let refused = publish(None).expect_err("a damaged signature");
        assert!(refused.to_string().contains("damaged signature"), "{refused:?}");
        assert!(place.keys().is_empty(), "nothing was written");
    }
}

#[test]
fn approvals_and_keys_lie_where_devices_look_and_go_with_their_releases() {
    let releases = Releases::new();
    let Releases { first, second, .. } = &releases;
    let other = PrivateKey::from_seed(&[99; 32]);
    for place in Place::each() {
        let publish = |release, keys_file| publish_with(&place, release, keys_file);
        let keys_file = |version| releases.keys_file(&key(), "thermostat", version);
        let bytes = Releases::approve(&key(), first, first);
        Releases::approve(&key(), second, second);
        publish(first, keys_file(2)).expect("publishes");
        let refused = publish(first, keys_file(1)).expect_err("an older one");
        assert!(matches!(refused, Error::OlderKeys { .. }), "{refused:?}");
        publish(second, keys_file(3)).expect("publishes");
        Releases::approve(&other, second, second);
        let refused = publish(second, None).expect_err("another signature");
        assert!(matches!(refused, Error::FewerSignatures { .. }), "{refused:?}");
        Releases::approve(&key(), second, second);
        let fewer = releases.keys_file(&other, "thermostat", 3);
        let refused = publish(second, fewer).expect_err("a signature less");
        assert!(matches!(refused, Error::FewerSignatures { .. }), "{refused:?}");
        let approvals =
            ["products/thermostat/approvals/1.0.cose", "products/thermostat/approvals/1.1.cose"];
        assert_eq!(place.under("products/thermostat/approvals/"), approvals);
        assert_eq!(place.keys()[approvals[0]], bytes.len() as u64);

        let done = collect(&place, &options(1));
        assert!(done.unknown.is_empty(), "{done:?}");
        assert!(done.objects.iter().any(|key| key == approvals[0]));
        assert_eq!(place.under("products/thermostat/approvals/"), approvals[1..]);
        assert_eq!(place.under("products/thermostat/keys.bin").len(), 1);
    }
}
