//! Without a server: what is published, as the device's own code reads it.

use std::collections::BTreeSet;
use std::path::Path;

use whittle_fleet::published::{
    COPY_FILE, FLAGS_FILE, MORE_TELEMETRY, OWNER_FILE, PublishedConfig, STAGE_FILE, WAY_BACK_FILE,
    go_back_flag,
};
use whittle_fleet::{Campaign, ChangeKind, Driver, DriverConfig, DriverError, Report, Ring};
use whittle_patcher_nostd::{DeviceFacts, VerifiedFlags, VerifiedStage};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_rollout::policy::types::FlagOrder;
use whittle_rollout::{Orders, WayBack};

use crate::support::{World, campaign, cell, changes, closed, orders};

const DEVICES: u32 = 5_000;

/// A device with what its provisioning told it.
struct Device {
    id: String,
    hw: &'static str,
    ring: &'static str,
    region: &'static str,
}

impl Device {
    fn groups(&self) -> [String; 2] {
        [format!("hw.{}", self.hw), format!("ring.{}", self.ring)]
    }
}

/// A fleet with a directory that it reads, and whatever it has accepted so far.
struct Fleet {
    directory: tempfile::TempDir,
    key: PrivateKey,
    config: PublishedConfig,
    devices: Vec<Device>,
    accepted: Option<(Vec<u8>, u32)>,
}

impl Fleet {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = PrivateKey::from_seed(&[7; 32]);
        let (private, _) = key.write_pair(&directory.path().join("keys")).expect("keys");
        let config = PublishedConfig {
            directory: directory.path().to_owned(),
            product: "thermostat".to_owned(),
            key: private,
            flags: None,
            region: Some("region".to_owned()),
            way_back: None,
        };
        // Attributes are spread as the cells of `plan` say.
        let devices = (0..DEVICES).map(|n| Device {
            id: format!("TH-2026-{n:06}"),
            hw: ["B", "C"][(n % 2) as usize],
            ring: if n % 100 < 10 { "alpha" } else { "rest" },
            region: ["eu", "us"][(n / 2 % 2) as usize],
        });
        Self { directory, key, config, devices: devices.collect(), accepted: None }
    }

    fn driver(&self) -> Box<dyn Driver> {
        static WORLD: std::sync::OnceLock<Still> = std::sync::OnceLock::new();
        let config = DriverConfig::Published(self.config.clone());
        config.open(WORLD.get_or_init(Still::default)).expect("opens")
    }

    fn apply(&self, orders: &Orders, campaign: &Campaign) -> Report {
        self.driver().apply(orders, campaign).expect("published")
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(file)).expect(file)
    }

    fn flags<T>(&self, ask: impl Fn(&VerifiedFlags<'_>, &DeviceFacts<'_>) -> T) -> Vec<T> {
        let bytes = self.read(FLAGS_FILE);
        let keys = Keyring::of(&self.key);
        let flags = VerifiedFlags::check(&bytes, "thermostat", 0, &keys).expect("flags");
        let ask = |device: &Device| {
            let groups = device.groups();
            let groups: Vec<_> = groups.iter().map(String::as_str).collect();
            let facts = DeviceFacts {
                id: device.id.as_bytes(),
                groups: &groups,
                region: Some(device.region),
            };
            ask(&flags, &facts)
        };
        self.devices.iter().map(ask).collect()
    }

    /// Devices that a document admits, by the real check; they accept it as a real device does, or the test fails.
    fn admitted_by(&mut self, file: &str) -> BTreeSet<usize> {
        let keys = Keyring::of(&self.key);
        let bytes = self.read(file);
        let flags = self.read(FLAGS_FILE);
        let before = self.accepted.as_ref().filter(|_| file == STAGE_FILE);
        let stored =
            before.map(|(stage, _)| VerifiedStage::authenticate(stage, &keys).expect("own"));
        let stage =
            VerifiedStage::check(&bytes, "thermostat", stored.as_deref(), &keys).expect("follows");
        let version = before.map_or(0, |(_, version)| *version);
        let version =
            VerifiedFlags::check(&flags, "thermostat", version, &keys).expect("newer").version();
        self.accepted = (file == STAGE_FILE).then_some((bytes, version));
        let admitted = self.flags(|flags, facts| stage.admits(flags, facts));
        admitted.iter().enumerate().filter_map(|(place, is_in)| is_in.then_some(place)).collect()
    }

    fn admitted(&mut self) -> BTreeSet<usize> {
        self.admitted_by(STAGE_FILE)
    }

    fn share_of(&self, admitted: &BTreeSet<usize>, meant: impl Fn(&Device) -> bool) -> f64 {
        let all = self.devices.iter().filter(|device| meant(device)).count();
        let within = admitted.iter().filter(|place| meant(&self.devices[**place])).count();
        within as f64 / all as f64
    }
}

/// `World` cannot be shared; this one need not.
#[derive(Default)]
struct Still;

impl whittle_fleet::Surroundings for Still {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn now_s(&self) -> u64 {
        0
    }
    fn seed(&self) -> u64 {
        0
    }
}

/// Cells of the fleet above, with stages of 1, 5, 25 and 100 %.
fn plan() -> Campaign {
    let mut cells = vec![];
    for hw in ["B", "C"] {
        for region in ["eu", "us"] {
            for (ring, tenths) in [("alpha", 1), ("rest", 9)] {
                let devices = DEVICES / 4 * tenths / 10;
                cells.push(cell(&[("hw", hw), ("region", region), ("ring", ring)], devices));
            }
        }
    }
    campaign(&cells, &["hw", "region", "ring"], &[1, 5, 25, 100])
}

fn at(campaign: &Campaign, stage: usize) -> (Orders, Campaign) {
    let campaign = Campaign { stage, ..campaign.clone() };
    (orders(campaign.rings[stage].devices), campaign)
}

/// Within 5 standard deviations of what is ordered.
fn assert_share(got: f64, ordered: f64, of: f64) {
    let deviation = (ordered * (1.0 - ordered) / of).sqrt();
    assert!((got - ordered).abs() <= 5.0 * deviation, "{got} is not {ordered} ± {deviation}");
}

#[test]
fn devices_take_the_ordered_share_and_stay_in_as_it_grows() {
    let mut fleet = Fleet::new();
    let mut before = BTreeSet::new();
    for (stage, share) in [0.01, 0.05, 0.25, 1.0].into_iter().enumerate() {
        let (orders, campaign) = at(&plan(), stage);
        let report = fleet.apply(&orders, &campaign);
        assert!(report.changed.iter().any(|change| change.object == STAGE_FILE), "{report:?}");
        let admitted = fleet.admitted();
        assert_share(admitted.len() as f64 / f64::from(DEVICES), share, f64::from(DEVICES));
        assert!(before.is_subset(&admitted), "who was in stays in");
        before = admitted;
    }
    assert_eq!(before.len(), DEVICES as usize);
}

#[test]
fn repeated_orders_change_nothing() {
    let fleet = Fleet::new();
    let (orders, campaign) = at(&plan(), 1);
    let first = fleet.apply(&orders, &campaign);
    let published = [(ChangeKind::Published, FLAGS_FILE), (ChangeKind::Published, STAGE_FILE)];
    assert_eq!(changes(&first), published);
    let bytes = [FLAGS_FILE, STAGE_FILE].map(|file| fleet.read(file));
    let again = fleet.apply(&orders, &campaign);
    assert_eq!(
        (changes(&again), again.already.clone()),
        (vec![], vec![FLAGS_FILE.into(), STAGE_FILE.into()])
    );
    assert_eq!(bytes, [FLAGS_FILE, STAGE_FILE].map(|file| fleet.read(file)));
}

#[test]
fn a_directory_belongs_to_one_rollout_until_it_is_over() {
    let mut fleet = Fleet::new();
    let (first_orders, first) = at(&plan(), 1);
    let (next_orders, next) =
        at(&Campaign { name: "summer".to_owned(), build: "ab".repeat(32), ..plan() }, 0);
    fleet.apply(&first_orders, &first);
    let before = [FLAGS_FILE, STAGE_FILE].map(|file| fleet.read(file));
    let refused = |error| {
        let is_named =
            matches!(&error, DriverError::OtherRollout { rollout, .. } if rollout == "spring");
        assert!(is_named, "{error}");
    };
    refused(fleet.driver().check(&next).expect_err("taken"));
    refused(fleet.driver().apply(&next_orders, &next).expect_err("taken"));
    assert_eq!(before, [FLAGS_FILE, STAGE_FILE].map(|file| fleet.read(file)));

    let note = fleet.directory.path().join(OWNER_FILE);
    let kept = fleet.read(OWNER_FILE);
    let long = [&*kept, " ".repeat(100_000).as_bytes()].concat();
    std::fs::write(&note, long).expect("written");
    let error = fleet.driver().check(&first).expect_err("no note");
    assert!(error.to_string().contains("more than 65536 bytes"), "{error}");
    std::fs::write(&note, kept).expect("as before");

    let stopped = Campaign { is_over: true, ..first.clone() };
    fleet.apply(&closed(&first_orders, "stopped"), &stopped);
    fleet.driver().check(&next).expect("free");
    fleet.apply(&next_orders, &next);
    fleet.accepted = None;
    assert!(!fleet.admitted().is_empty());
    let error = fleet.driver().apply(&first_orders, &first).expect_err("taken by the next one");
    assert!(matches!(error, DriverError::OtherRollout { .. }), "{error}");
}

/// Others may write where documents are published: what a lock leads to is not the driver's to empty.
#[cfg(unix)]
#[test]
fn a_lock_leaves_alone_what_stands_in_its_place() {
    let fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 1);
    let [lock, other] = [".rollout.lock", "other"].map(|name| fleet.directory.path().join(name));
    std::fs::write(&other, "of somebody else").expect("written");
    std::os::unix::fs::symlink(&other, &lock).expect("linked");
    let error = fleet.driver().check(&campaign).expect_err("a link");
    assert!(matches!(error, DriverError::Io { action: "lock", .. }), "{error}");
    assert_eq!(std::fs::read(&other).expect("there"), b"of somebody else");
    std::fs::rename(&other, &lock).expect("in the place of the link");
    fleet.apply(&whole, &campaign);
    assert_eq!(std::fs::read(&lock).expect("there"), b"of somebody else");
}

#[test]
fn a_pause_shuts_the_gate_and_resuming_opens_it_for_the_same_devices() {
    let mut fleet = Fleet::new();
    let (orders, campaign) = at(&plan(), 2);
    fleet.apply(&orders, &campaign);
    let before = fleet.admitted();
    let report = fleet.apply(&closed(&orders, "paused"), &campaign);
    assert_eq!(changes(&report), [(ChangeKind::Published, FLAGS_FILE)], "a stage never falls");
    assert!(fleet.admitted().is_empty());
    fleet.apply(&orders, &campaign);
    assert_eq!(fleet.admitted(), before);
}

#[test]
fn a_slow_resume_reaches_fewer_devices_than_before_the_pause() {
    let mut fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 2);
    fleet.apply(&whole, &campaign);
    let before = fleet.admitted();
    let slow = Orders { devices: DEVICES / 10, start_now: DEVICES / 10, ..whole.clone() };
    fleet.apply(&slow, &campaign);
    let fewer = fleet.admitted();
    assert_share(fewer.len() as f64 / f64::from(DEVICES), 0.1, f64::from(DEVICES));
    assert!(fewer.is_subset(&before));
    fleet.apply(&whole, &campaign);
    assert_eq!(fleet.admitted(), before);
}

#[test]
fn a_pace_lets_in_what_has_been_offered_and_what_may_start_now() {
    let mut fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 2);
    let paced = Orders { start_now: 100, ..whole };
    let campaign = Campaign { offered: 400, ..campaign };
    fleet.apply(&paced, &campaign);
    assert_share(fleet.admitted().len() as f64 / f64::from(DEVICES), 0.1, f64::from(DEVICES));
    assert_eq!(changes(&fleet.apply(&paced, &campaign)), [], "the same hour counts once");
}

#[test]
fn closed_cells_are_closed_and_others_are_not() {
    let mut fleet = Fleet::new();
    let (orders, campaign) = at(&plan(), 3);
    let close = |meant: &dyn Fn(&str, &str, &str) -> bool| {
        let cells = campaign.cells.iter().enumerate();
        let places = cells.filter(|(_, cell)| {
            let [hw, region, ring] =
                ["hw", "region", "ring"].map(|name| cell.attributes[name].as_str());
            meant(hw, region, ring)
        });
        let closed_cells = places.map(|(place, _)| (place, "frozen".to_owned())).collect();
        Orders { closed_cells, ..orders.clone() }
    };
    type IsClosed = fn(&Device) -> bool;
    let cases: [(Orders, IsClosed, usize); 4] = [
        (close(&|hw, _, _| hw == "C"), |device| device.hw == "C", 0),
        (close(&|_, region, _| region == "eu"), |device| device.region == "eu", 0),
        // One cell of two groups: flags can name neither both nor the rest, so its smaller group is closed.
        (
            close(&|hw, region, ring| (hw, region, ring) == ("C", "eu", "alpha")),
            |device| device.ring == "alpha",
            1,
        ),
        (close(&|_, _, _| true), |_| true, 0),
    ];
    for (orders, is_closed, shortfalls) in cases {
        let report = fleet.apply(&orders, &campaign);
        assert_eq!(report.shortfalls.len(), shortfalls, "{report:?}");
        let admitted = fleet.admitted();
        let expected = fleet.devices.iter().map(|device| !is_closed(device));
        let got = (0..fleet.devices.len()).map(|place| admitted.contains(&place));
        assert!(expected.eq(got), "{orders:?}");
    }
}

#[test]
fn a_group_and_a_region_can_be_closed_together() {
    let mut fleet = Fleet::new();
    let cells = ["B", "C"]
        .map(|hw| ["eu", "us"].map(|region| cell(&[("hw", hw), ("region", region)], DEVICES / 4)));
    let campaign = campaign(&cells.concat(), &["hw", "region"], &[100]);
    let orders = Orders { closed_cells: vec![(2, "frozen".into())], ..orders(DEVICES) };
    let report = fleet.apply(&orders, &campaign);
    assert_eq!(report.shortfalls, Vec::<String>::new());
    let admitted = fleet.admitted();
    assert_eq!(admitted.len(), DEVICES as usize * 3 / 4);
    assert_eq!(fleet.share_of(&admitted, |device| (device.hw, device.region) == ("C", "eu")), 0.0);
}

#[test]
fn rings_are_taken_alone_and_keep_what_they_have() {
    let mut fleet = Fleet::new();
    let mut campaign = plan();
    campaign.hold_back = 0.05;
    let ring = |among: Option<&str>, devices| Ring { among: among.map(str::to_owned), devices };
    campaign.rings = vec![
        ring(Some("ring=alpha"), 250),
        ring(Some("ring=alpha"), 475),
        ring(None, 1250),
        ring(None, 4750),
    ];
    let mut before = BTreeSet::new();
    // Shares of the ring, and of the others: 475 devices are all of the ring that are not held back.
    let cases =
        [(250, 0.5, 0.0), (475, 0.95, 0.0), (1250, 0.95, 775.0 / 4500.0), (4750, 0.95, 0.95)];
    for (stage, (devices, of_ring, of_rest)) in cases.into_iter().enumerate() {
        campaign.stage = stage;
        let among = campaign.rings[stage].among.clone();
        fleet.apply(&Orders { among, ..orders(devices) }, &campaign);
        let admitted = fleet.admitted();
        assert_share(fleet.share_of(&admitted, |device| device.ring == "alpha"), of_ring, 500.0);
        assert_share(fleet.share_of(&admitted, |device| device.ring == "rest"), of_rest, 4500.0);
        assert!(before.is_subset(&admitted), "stage {stage}: who was in stays in");
        before = admitted;
    }
    let all = Orders { release_held_back: true, ..orders(DEVICES) };
    fleet.apply(&all, &campaign);
    assert_eq!(fleet.admitted().len(), DEVICES as usize, "complete: nobody is held back");
}

#[test]
fn a_group_goes_back_by_another_release_or_by_the_other_slot() {
    let mut fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 2);
    fleet.apply(&whole, &campaign);
    let closed_cells = (4..8).map(|place| (place, "taken back: hw=C".to_owned())).collect();
    let release = WayBack::Release {
        name: "2.4.0-back".into(),
        security_counter: 8,
        target_security_counter: 8,
    };
    let taken =
        Orders { closed_cells, take_back: vec!["hw=C".into()], way_back: Some(release), ..whole };

    let report = fleet.apply(&taken, &campaign);
    assert_eq!(
        report.shortfalls,
        ["`way-back` is not configured: nothing takes devices to `2.4.0-back`"]
    );
    fleet.config.way_back = Some(whittle_fleet::published::WayBackRelease {
        version: "2.4.0-back".into(),
        sha256: "ab".repeat(32),
    });
    let report = fleet.apply(&taken, &campaign);
    assert_eq!(changes(&report), [(ChangeKind::Published, WAY_BACK_FILE)]);
    let admitted = fleet.admitted();
    assert_eq!(fleet.share_of(&admitted, |device| device.hw == "C"), 0.0);
    assert_share(fleet.share_of(&admitted, |device| device.hw == "B"), 0.25, 2500.0);
    let back = fleet.admitted_by(WAY_BACK_FILE);
    assert_eq!(fleet.share_of(&back, |device| device.hw == "C"), 1.0);
    assert_eq!(fleet.share_of(&back, |device| device.hw == "B"), 0.0);

    let taken = Orders { way_back: Some(WayBack::OtherSlot), ..taken };
    fleet.apply(&taken, &campaign);
    let flag = go_back_flag(&campaign.seed());
    let goes_back = fleet.flags(|flags, facts| flags.is_on(&flag, facts));
    let is_c = fleet.devices.iter().map(|device| Some(device.hw == "C"));
    assert!(is_c.eq(goes_back));
    let all = Orders { take_back: vec!["fleet".into()], ..closed(&taken, "rolled back") };
    fleet.apply(&all, &campaign);
    assert!(fleet.admitted().is_empty());
    assert!(
        fleet
            .flags(|flags, facts| flags.is_on(&flag, facts))
            .iter()
            .all(|is_on| *is_on == Some(true))
    );
}

/// What a group was offered before it went back is all that it has; the others take the rest, and no more.
#[test]
fn the_others_take_what_is_left_of_a_stage() {
    let mut fleet = Fleet::new();
    let (whole, first) = at(&plan(), 1);
    fleet.apply(&whole, &first);
    let before = fleet.admitted();
    let is_c = |place: &usize| fleet.devices[*place].hw == "C";
    let offered = u32::try_from(before.iter().filter(|place| is_c(place)).count()).expect("few");
    let (whole, campaign) = at(&plan(), 2);
    let closed_cells = (4..8).map(|place| (place, "taken back: hw=C".to_owned())).collect();
    // As if all of them were of one cell.
    let taken_back_cells = vec![(4, offered), (5, 0), (6, 0), (7, 0)];
    let taken = Orders { closed_cells, taken_back_cells, ..whole };
    fleet.apply(&taken, &campaign);
    let admitted = fleet.admitted();
    let of_others = f64::from(taken.devices - offered) / 2500.0;
    assert_share(fleet.share_of(&admitted, |device| device.hw == "B"), of_others, 2500.0);
    assert_eq!(fleet.share_of(&admitted, |device| device.hw == "C"), 0.0);
    // A stage of nobody else than who went back lets in no more.
    let only = Orders { among: Some("hw=C".to_owned()), ..taken.clone() };
    fleet.apply(&only, &campaign);
    assert!(fleet.admitted().is_subset(&admitted));
    fleet.apply(&taken, &campaign);
    assert_eq!(fleet.admitted(), admitted);
}

#[test]
fn feature_flags_are_ordered_on_top_of_the_products_own() {
    let mut fleet = Fleet::new();
    let source = fleet.directory.path().join("flags.json");
    let own = r#"{"product": "thermostat", "version": 40, "flags": [
        {"name": "mesh", "default": true, "rules": [{"value": true, "regions": ["eu"]}]},
        {"name": "eco", "default": false}
    ]}"#;
    std::fs::write(&source, own).expect("written");
    fleet.config.flags = Some(source.clone());
    let order = |name: &str, on, groups: &[&str]| FlagOrder {
        name: name.to_owned(),
        on,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let (whole, campaign) = at(&plan(), 1);
    let feature_flags = vec![
        order("mesh", false, &["hw=C"]),
        order("eco", true, &[]),
        order("new", true, &["region=us"]),
    ];
    let ordered = Orders { feature_flags, more_telemetry: true, ..whole.clone() };
    fleet.apply(&ordered, &campaign);
    for (place, on) in fleet
        .flags(|flags, facts| {
            ["mesh", "eco", "new", MORE_TELEMETRY].map(|name| flags.is_on(name, facts))
        })
        .iter()
        .enumerate()
    {
        let device = &fleet.devices[place];
        assert_eq!(
            *on,
            [Some(device.hw == "B"), Some(true), Some(device.region == "us"), Some(true)]
        );
    }
    fleet.apply(&whole, &campaign);
    let plain = fleet
        .flags(|flags, facts| ["mesh", "new", MORE_TELEMETRY].map(|name| flags.is_on(name, facts)));
    assert!(plain.iter().all(|on| *on == [Some(true), None, None]));
    // What the operator raises counts; what the operator forgets to raise is raised.
    let version = fleet.flags(|flags, _| flags.version())[0];
    assert_eq!(version, 41);
    std::fs::write(
        &source,
        own.replace("40", "39").replace("\"default\": false", "\"default\": true"),
    )
    .expect("written");
    fleet.apply(&whole, &campaign);
    assert_eq!(fleet.flags(|flags, _| flags.version())[0], 42);
}

#[test]
fn flags_that_become_too_long_shut_the_gate() {
    let mut fleet = Fleet::new();
    let ids: Vec<String> = (0..60).map(|n| format!(r#""TH-2026-{n:04}""#)).collect();
    let source = fleet.directory.path().join("flags.json");
    let own = format!(
        r#"{{"product": "thermostat", "version": 1, "flags": [{{"name": "f", "default": false, "rules": [{{"value": true, "devices": [{}]}}]}}]}}"#,
        ids.join(", ")
    );
    std::fs::write(&source, own).expect("written");
    fleet.config.flags = Some(source);
    let (whole, campaign) = at(&plan(), 2);
    fleet.apply(&whole, &campaign);
    assert!(!fleet.admitted().is_empty());
    let feature_flags = (0..8).map(|n| FlagOrder {
        name: format!("flag-{n}"),
        on: false,
        groups: vec!["hw=C".into(), "hw=B".into()],
    });
    let report =
        fleet.apply(&Orders { feature_flags: feature_flags.collect(), ..whole }, &campaign);
    let [why, what] = &report.shortfalls[..] else { panic!("{report:?}") };
    assert!(why.contains("above the limit of 1024"), "{why}");
    assert!(what.contains("that were ordered are left out"), "{what}");
    assert!(fleet.admitted().is_empty());
}

/// Two halves by hardware, of which the second has a name that flags cannot have.
fn half_without_a_name() -> Campaign {
    let cells = ["B", "rev C"].map(|hw| cell(&[("hw", hw)], DEVICES / 2));
    campaign(&cells, &["hw"], &[25, 100])
}

#[test]
fn a_group_that_cannot_be_told_is_refused_before_anything_begins() {
    let fleet = Fleet::new();
    let error = fleet.driver().check(&half_without_a_name()).expect_err("no name");
    assert!(matches!(error, DriverError::Config { field: "split_by", .. }), "{error}");
    assert!(error.to_string().contains("`hw=rev C`"), "{error}");
    fleet.driver().check(&plan()).expect("names");
}

#[test]
fn a_group_that_goes_back_and_cannot_be_told_shuts_the_gate() {
    let mut fleet = Fleet::new();
    let (whole, campaign) = at(&half_without_a_name(), 1);
    fleet.apply(&whole, &campaign);
    assert_eq!(fleet.admitted().len(), DEVICES as usize);
    for closed_cells in [vec![(1, "taken back: hw=rev C".to_owned())], vec![]] {
        let take_back = vec!["hw=rev C".to_owned(), "hw=B".to_owned()];
        let way_back = Some(WayBack::OtherSlot);
        let taken = Orders { closed_cells, take_back, way_back, ..whole.clone() };
        let report = fleet.apply(&taken, &campaign);
        assert!(fleet.admitted().is_empty());
        let flag = go_back_flag(&campaign.seed());
        let goes_back = fleet.flags(|flags, facts| flags.is_on(&flag, facts));
        let is_b = fleet.devices.iter().map(|device| Some(device.hw == "B"));
        assert!(is_b.eq(goes_back), "who can be told goes back");
        assert_eq!(
            report.shortfalls,
            [
                "flags cannot name hw=rev C: all devices are closed",
                "devices cannot be told of `hw=rev C`, wanted 1 to 32 of `A-Z a-z 0-9 . _ + -`: its devices do not go back"
            ]
        );
    }
}

#[test]
fn a_ring_that_cannot_be_told_is_not_let_in() {
    let mut fleet = Fleet::new();
    let mut campaign = half_without_a_name();
    let among = Some("hw=rev C".to_owned());
    campaign.rings[0].among.clone_from(&among);
    let (whole, mut campaign) = at(&campaign, 0);
    let report = fleet.apply(&Orders { among, ..whole }, &campaign);
    assert!(fleet.admitted().is_empty());
    let [why] = &*report.shortfalls else { panic!("{report:?}") };
    assert!(why.ends_with("its ring is not let in"), "{why}");
    campaign.stage = 1;
    fleet.apply(&orders(DEVICES), &campaign);
    assert_eq!(fleet.admitted().len(), DEVICES as usize);
}

#[test]
fn ordered_flags_that_cannot_be_told_keep_nothing_else_from_devices() {
    let mut fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 2);
    let source = fleet.directory.path().join("flags.json");
    let gate = whittle_patcher_nostd::Gate::of(&campaign.seed());
    let own = format!(
        r#"{{"product": "thermostat", "version": 1, "flags": [
            {{"name": "eco", "default": true}}, {{"name": "mesh", "default": false}},
            {{"name": "{}", "default": true}}, {{"name": "{MORE_TELEMETRY}", "default": false}}]}}"#,
        gate.name()
    );
    std::fs::write(&source, own).expect("written");
    fleet.config.flags = Some(source);
    fleet.apply(&whole, &campaign);
    assert!(!fleet.admitted().is_empty());
    let order = |name: &str, on, groups: &[&str]| FlagOrder {
        name: name.to_owned(),
        on,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let feature_flags = vec![
        order("new-sensor-algorithm-second-edition", false, &[]),
        order("odd\nname", true, &[]),
        order(gate.name(), true, &[]),
        order(MORE_TELEMETRY, false, &[]),
        order("eco", false, &["hw=rev C"]),
        order("mesh", true, &["hw=C", "hw=rev C"]),
        order("new", true, &["hw=rev C"]),
    ];
    let ordered = Orders { feature_flags, more_telemetry: true, ..closed(&whole, "paused") };
    let report = fleet.apply(&ordered, &campaign);
    assert!(fleet.admitted().is_empty());
    let names = ["eco", "mesh", "new", MORE_TELEMETRY];
    let on = fleet.flags(|flags, facts| names.map(|name| flags.is_on(name, facts)));
    for (device, on) in fleet.devices.iter().zip(on) {
        // Off for more than was ordered, and never on for more.
        assert_eq!(on, [Some(false), Some(device.hw == "C"), Some(false), Some(true)]);
    }
    let wanted = [
        ("new-sensor-algorithm-second-edition`", "the flag is left out"),
        (r"`odd\nname`", "the flag is left out"),
        ("update-", "left out"),
        ("more-telemetry", "left out"),
        ("`hw=rev C`", "flag `eco` is turned off for all devices"),
        ("`hw=rev C`", "flag `mesh` is not turned on for it"),
        ("`hw=rev C`", "flag `new` is not turned on for it"),
    ];
    assert_eq!(report.shortfalls.len(), wanted.len(), "{report:?}");
    for (shortfall, (name, end)) in report.shortfalls.iter().zip(wanted) {
        assert!(shortfall.contains(name) && shortfall.ends_with(end), "{shortfall}");
    }
}

/// Whatever a kill leaves behind (one document of two, temporary files), the next call ends where it would have without.
#[test]
fn a_kill_between_two_documents_is_made_good() {
    let whole = Fleet::new();
    let (first, campaign) = at(&plan(), 0);
    let (second, later) = at(&plan(), 1);
    let mut killed = Fleet::new();
    killed.apply(&first, &campaign);
    let stage = killed.read(STAGE_FILE);
    killed.apply(&second, &later);
    std::fs::write(killed.directory.path().join(STAGE_FILE), stage).expect("as before");
    killed.apply(&second, &later);
    whole.apply(&first, &campaign);
    whole.apply(&second, &later);
    assert_eq!(
        [STAGE_FILE, FLAGS_FILE].map(|file| whole.read(file)),
        [STAGE_FILE, FLAGS_FILE].map(|file| killed.read(file))
    );
    killed.admitted();
    std::fs::remove_file(killed.directory.path().join(STAGE_FILE)).expect("gone");
    let names = |directory: &Path| std::fs::read_dir(directory).expect("a directory").count();
    assert_eq!(names(killed.directory.path()) + 1, names(whole.directory.path()));
}

#[test]
fn what_others_have_signed_or_broken_is_left_alone() {
    let fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 1);
    fleet.apply(&whole, &campaign);
    for file in [STAGE_FILE, FLAGS_FILE] {
        let path = fleet.directory.path().join(file);
        let good = fleet.read(file);
        for bad in [vec![], good[..good.len() - 1].to_vec(), b"<html>not found</html>".to_vec()] {
            std::fs::write(&path, &bad).expect("written");
            let error = fleet.driver().apply(&whole, &campaign).expect_err("no document");
            assert!(matches!(error, DriverError::Document(_)), "{error:?}");
            assert_eq!(fleet.read(file), bad);
        }
        std::fs::write(&path, &good).expect("written");
    }
    let mut other = fleet.config.clone();
    other.product = "meter".to_owned();
    let world = World::default();
    let mut driver = DriverConfig::Published(other).open(&world).expect("opens");
    let error = driver.apply(&whole, &campaign).expect_err("of another product");
    assert!(
        error.to_string().ends_with("of product `thermostat`, wanted of product `meter`"),
        "{error}"
    );
}

const OWN_FLAGS: &str = r#"{"product": "thermostat", "version": 40, "flags": [
    {"name": "mesh", "default": true, "rules": [
        {"value": false, "regions": ["eu"], "groups": ["hw.B"]}, {"value": false, "percent": 5}]}
]}"#;

/// A fleet of a product with flags, under way, and then with something else in the place of these files.
fn broken(files: &[&str], orders: &Orders, campaign: &Campaign) -> Fleet {
    let mut fleet = Fleet::new();
    let source = fleet.directory.path().join("flags.json");
    std::fs::write(&source, OWN_FLAGS).expect("written");
    fleet.config.flags = Some(source);
    fleet.apply(orders, campaign);
    assert!(!fleet.admitted().is_empty());
    for file in files {
        std::fs::write(fleet.directory.path().join(file), "<html>").expect("written");
    }
    fleet
}

/// Nothing goes on without what cannot be read, but all that is to be closed is: devices take the new flags for newer ones.
#[test]
fn what_cannot_be_read_keeps_no_gate_open() {
    let order = FlagOrder { name: "new".to_owned(), on: true, groups: vec!["hw=C".to_owned()] };
    let (whole, campaign) = at(&plan(), 2);
    let open = Orders { feature_flags: vec![order], ..whole };
    let taken = Orders {
        closed_cells: (4..8).map(|place| (place, "taken back: hw=C".to_owned())).collect(),
        take_back: vec!["hw=C".to_owned()],
        way_back: Some(WayBack::OtherSlot),
        ..open.clone()
    };
    let back = go_back_flag(&campaign.seed());
    let on = |fleet: &Fleet| {
        fleet.flags(|flags, facts| ["mesh", "new", &back].map(|name| flags.is_on(name, facts)))
    };
    let whole = on(&broken(&[], &open, &campaign));
    let all = [STAGE_FILE, FLAGS_FILE, "flags.json"];
    for files in [&all[..1], &all[1..2], &all[2..], &all] {
        for orders in [closed(&open, "stopped"), taken.clone()] {
            let mut fleet = broken(files, &open, &campaign);
            let error = fleet.driver().apply(&open, &campaign).expect_err("nothing goes on");
            assert!(matches!(error, DriverError::Document(_)), "{error}");
            let report = fleet.apply(&orders, &campaign);
            assert_eq!(report.shortfalls.len(), files.len(), "{report:?}");
            for (file, shortfall) in files.iter().zip(&report.shortfalls) {
                assert!(shortfall.contains(file), "{shortfall}");
                assert!(shortfall.ends_with("shut for all devices"), "{shortfall}");
            }
            // Even with the stage that devices have.
            let good = broken(&[], &open, &campaign).read(STAGE_FILE);
            std::fs::write(fleet.directory.path().join(STAGE_FILE), good).expect("again");
            assert!(fleet.admitted().is_empty(), "{files:?}");
            for ((device, [mesh, new, back]), before) in
                fleet.devices.iter().zip(on(&fleet)).zip(&whole)
            {
                assert_eq!([mesh, new], before[..2], "{files:?}");
                let goes_back = orders.closed.is_none().then_some(device.hw == "C");
                assert_eq!(back, goes_back, "{files:?}");
            }
            if orders.closed.is_some() {
                assert_eq!(changes(&fleet.apply(&orders, &campaign)), [], "{files:?}");
            }
            std::fs::write(fleet.directory.path().join("flags.json"), OWN_FLAGS).expect("again");
            fleet.apply(&open, &campaign);
            assert!(!fleet.admitted().is_empty(), "{files:?}");
        }
    }
}

#[test]
fn without_the_last_flags_a_gate_is_shut_as_far_as_can_be() {
    let fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 1);
    fleet.apply(&whole, &campaign);
    for file in [FLAGS_FILE, COPY_FILE] {
        std::fs::write(fleet.directory.path().join(file), "<html>").expect("written");
    }
    let report = fleet.apply(&closed(&whole, "stopped"), &campaign);
    let [broken, version] = &report.shortfalls[..] else { panic!("{report:?}") };
    assert!(broken.contains(FLAGS_FILE) && version.contains("raise `version`"), "{report:?}");
    let gate = whittle_patcher_nostd::Gate::of(&campaign.seed());
    let on = fleet.flags(|flags, facts| flags.is_on(gate.name(), facts));
    assert!(on.iter().all(|on| *on == Some(false)));
}

/// What is another product's is not taken for something broken.
#[test]
fn the_flags_of_another_product_are_not_overwritten() {
    let fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 1);
    fleet.apply(&whole, &campaign);
    let mut other = fleet.config.clone();
    other.product = "meter".to_owned();
    let world = World::default();
    let mut driver = DriverConfig::Published(other).open(&world).expect("opens");
    let before = fleet.read(FLAGS_FILE);
    let error = driver.apply(&closed(&whole, "stopped"), &campaign).expect_err("of another");
    assert!(matches!(error, DriverError::OtherDocument { .. }), "{error}");
    assert_eq!(fleet.read(FLAGS_FILE), before);
}

#[test]
fn another_rollout_begins_anew() {
    let mut fleet = Fleet::new();
    let (whole, campaign) = at(&plan(), 3);
    fleet.apply(&Orders { release_held_back: true, ..whole }, &campaign);
    fleet.admitted();
    let next = Campaign { name: "summer".to_owned(), ..at(&plan(), 0).1 };
    let stage = fleet.read(STAGE_FILE);
    fleet.apply(&at(&next, 0).0, &next);
    // A device that has got the new flags, but still the old stage, takes nothing.
    let old = VerifiedStage::authenticate(&stage, &Keyring::of(&fleet.key)).expect("own");
    assert!(fleet.flags(|flags, facts| !old.admits(flags, facts)).iter().all(|shut| *shut));
    assert_share(fleet.admitted().len() as f64 / f64::from(DEVICES), 0.01, f64::from(DEVICES));
}
