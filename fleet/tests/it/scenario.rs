//! What every driver of a server must do, whatever the server.

use std::collections::{BTreeMap, BTreeSet};

use whittle_fleet::{Campaign, ChangeKind, DriverConfig, DriverError, Report};
use whittle_patcher_nostd::{Draw, place};
use whittle_rollout::{Orders, WayBack};
use whittle_test_servers::Reply;

use crate::support::{SECRET, World, campaign as campaign_of, cell, closed, orders};
use crate::way::{Fault, Proxy};

/// What a device is offered or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) is_back: bool,
    pub(crate) has_taken: bool,
}

/// A fleet with its server.
pub(crate) trait Site {
    fn new() -> Self;
    fn config(&self, tries: u32) -> DriverConfig;
    /// The same with a user or key that the server does not know.
    fn without_credentials(&self) -> DriverConfig;
    /// What it must not tell anybody.
    fn secret(&self) -> String {
        SECRET.to_owned()
    }
    fn proxy(&self) -> &Proxy;
    /// So many of the devices that are offered something take it.
    fn take(&self, number: usize);
    /// What each device is offered or has; those that are offered nothing are left out.
    fn offers(&self) -> BTreeMap<String, Offer>;
    /// Ids of all its devices.
    fn ids(&self) -> Vec<String> {
        fleet().into_iter().map(|(id, _)| id).collect()
    }
}

/// One whose server can be copied.
pub(crate) trait Fork: Site {
    /// Another one in the same state.
    fn fork(&self) -> Self;
}

/// 40 devices: half of each hardware, a quarter in each region.
pub(crate) fn fleet() -> Vec<(String, BTreeMap<String, String>)> {
    let device = |n: usize| {
        let attributes = [("hw", ["B", "C"][n % 2]), ("region", ["eu", "us"][n / 2 % 2])];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        (format!("TH-{n:04}"), attributes.into())
    };
    (0..40).map(device).collect()
}

pub(crate) fn campaign() -> Campaign {
    let cells =
        ["B", "C"].map(|hw| ["eu", "us"].map(|region| cell(&[("hw", hw), ("region", region)], 10)));
    campaign_of(&cells.concat(), &["hw", "region"], &[25, 50, 100])
}

pub(crate) fn try_apply(
    site: &impl Site,
    tries: u32,
    orders: &Orders,
    campaign: &Campaign,
) -> Result<Report, DriverError> {
    let world = World::default();
    site.config(tries).open(&world).expect("opens").apply(orders, campaign)
}

/// Applies orders until the server is done with them.
pub(crate) fn apply(site: &impl Site, orders: &Orders, campaign: &Campaign) -> Report {
    let mut report = try_apply(site, 6, orders, campaign).expect("applied");
    for _ in 0..3 {
        if report.unfinished.is_empty() {
            break;
        }
        let next = try_apply(site, 6, orders, campaign).expect("applied");
        report.changed.extend(next.changed);
        report.unfinished = next.unfinished;
    }
    report
}

fn kinds(report: &Report) -> Vec<ChangeKind> {
    report.changed.iter().map(|change| change.kind).collect()
}

/// Devices that are offered the target or have it, and those that have it.
fn counts(site: &impl Site) -> (usize, usize) {
    let offers = site.offers();
    let forth = offers.values().filter(|offer| !offer.is_back);
    (forth.clone().count(), forth.filter(|offer| offer.has_taken).count())
}

pub(crate) fn starts_grows_and_repeats(site: &impl Site) {
    let campaign = campaign();
    let mut before = BTreeSet::new();
    for devices in [5, 12, 40] {
        let report = apply(site, &orders(devices), &campaign);
        assert!(kinds(&report).contains(&ChangeKind::Offered), "{report:?}");
        let offered: BTreeSet<_> = site.offers().into_keys().collect();
        assert_eq!(offered.len(), devices as usize);
        assert!(before.is_subset(&offered), "who was in stays in");
        // The first ones of the draw.
        let mut by_place: Vec<_> = site
            .ids()
            .into_iter()
            .map(|id| (place(Draw::Rollout, &campaign.seed(), id.as_bytes()), id))
            .collect();
        by_place.sort();
        let first: BTreeSet<_> =
            by_place.into_iter().take(devices as usize).map(|(_, id)| id).collect();
        assert_eq!(offered, first);
        let again = apply(site, &orders(devices), &campaign);
        assert_eq!(kinds(&again), [], "{again:?}");
        assert!(!again.already.is_empty());
        site.take(3);
        let again = apply(site, &orders(devices), &campaign);
        assert_eq!(kinds(&again), [], "{again:?}");
        before = offered;
    }
    assert_eq!(counts(site), (40, 9));
}

pub(crate) fn pauses_and_resumes(site: &impl Site) {
    let campaign = campaign();
    apply(site, &orders(12), &campaign);
    site.take(4);
    let paused = closed(&orders(12), "paused");
    let report = apply(site, &paused, &campaign);
    assert!(matches!(kinds(&report)[..], [ChangeKind::Paused | ChangeKind::Stopped]), "{report:?}");
    assert_eq!(kinds(&apply(site, &paused, &campaign)), []);
    site.take(40);
    assert_eq!(counts(site).1, 4, "nobody begins during a pause");
    apply(site, &orders(12), &campaign);
    site.take(40);
    assert_eq!(counts(site), (12, 12), "as many as before the pause");
    assert_eq!(kinds(&apply(site, &orders(12), &campaign)), []);
}

pub(crate) fn a_pace_is_kept_however_often_orders_are_repeated(site: &impl Site) {
    let campaign = Campaign { offered: 5, ..campaign() };
    apply(site, &orders(5), &Campaign { offered: 0, ..campaign.clone() });
    let paced = Orders { start_now: 3, ..orders(40) };
    for _ in 0..3 {
        apply(site, &paced, &campaign);
        assert_eq!(counts(site).0, 8, "5 that were observed, and 3");
    }
}

pub(crate) fn closed_cells_and_held_back_devices_are_left_out(site: &impl Site) {
    let mut campaign = campaign();
    // Cell 2 is `hw=C` in `eu`.
    let closed_cells = vec![(2, "frozen".to_owned())];
    let frozen = Orders { closed_cells, ..orders(40) };
    apply(site, &frozen, &campaign);
    assert_eq!(site.offers().len(), 30);
    apply(site, &orders(40), &campaign);
    assert_eq!(site.offers().len(), 40);
    // Who has not begun is withdrawn, and offered it again later.
    site.take(25);
    let report = apply(site, &frozen, &campaign);
    let left = site.offers().len();
    assert!(left < 40 && kinds(&report).contains(&ChangeKind::Withdrawn), "{left}: {report:?}");
    assert_eq!(kinds(&apply(site, &frozen, &campaign)), []);
    apply(site, &orders(40), &campaign);
    assert_eq!(site.offers().len(), 40);

    campaign.name = "summer".to_owned();
    campaign.hold_back = 0.25;
    let only = Orders { among: Some("hw=B".to_owned()), ..orders(40) };
    let before = site.offers().len();
    let report = apply(site, &only, &campaign);
    let offered: u32 = report.changed.iter().filter_map(|change| change.devices).sum();
    assert!((8..20).contains(&offered), "{offered} of 20 devices, a quarter of which is held back");
    assert_eq!(site.offers().len(), before);
}

pub(crate) fn a_group_goes_back(site: &impl Site) {
    let campaign = campaign();
    apply(site, &orders(40), &campaign);
    site.take(20);
    let had: BTreeSet<_> =
        site.offers().into_iter().filter(|(_, offer)| offer.has_taken).map(|(id, _)| id).collect();
    let is_c: BTreeMap<_, _> =
        fleet().into_iter().map(|(id, attributes)| (id, attributes["hw"] == "C")).collect();
    let is_c = |id: &String| is_c[&id.replace(' ', "-")];
    let way = WayBack::Release {
        name: "2.4.0-back".into(),
        security_counter: 8,
        target_security_counter: 8,
    };
    let closed_cells = vec![(2, "taken back: hw=C".to_owned()), (3, "taken back: hw=C".to_owned())];
    let back = Orders {
        take_back: vec!["hw=C".to_owned()],
        way_back: Some(way),
        closed_cells,
        ..orders(40)
    };
    let report = apply(site, &back, &campaign);
    assert_eq!(report.shortfalls, Vec::<String>::new());
    let offers = site.offers();
    for (id, offer) in &offers {
        assert_eq!(offer.is_back, is_c(id) && had.contains(id), "{id}: {offer:?}");
    }
    let back_now = offers.values().filter(|offer| offer.is_back).count();
    assert_eq!(back_now, had.iter().filter(|id| is_c(id)).count());
    assert_eq!(kinds(&apply(site, &back, &campaign)), []);
    site.take(40);
    assert_eq!(kinds(&apply(site, &back, &campaign)), []);
    assert_eq!(counts(site).1, 20, "the others have the target");
}

pub(crate) fn the_others_take_what_is_left_of_a_stage(site: &impl Site) {
    let campaign = campaign();
    apply(site, &orders(12), &campaign);
    site.take(12);
    let hw = |id: &String| {
        let of = |(own, _): &(String, BTreeMap<_, _>)| *own == id.replace(' ', "-");
        fleet().into_iter().find(of).map(|(_, attributes)| attributes["hw"].clone())
    };
    let of_c = || site.offers().keys().filter(|id| hw(id).as_deref() == Some("C")).count();
    let had = of_c();
    assert!(had > 0);
    let closed_cells = vec![(2, "taken back: hw=C".to_owned()), (3, "taken back: hw=C".to_owned())];
    let taken_back_cells = vec![(2, u32::try_from(had).expect("few")), (3, 0)];
    let take_back = vec!["hw=C".to_owned()];
    apply(site, &Orders { closed_cells, taken_back_cells, take_back, ..orders(20) }, &campaign);
    assert_eq!((site.offers().len(), of_c()), (20, had));
}

pub(crate) fn stops(site: &impl Site) {
    let campaign = Campaign { is_over: true, ..campaign() };
    apply(site, &orders(12), &Campaign { is_over: false, ..campaign.clone() });
    site.take(5);
    let stopped = closed(&orders(12), "stopped");
    let report = apply(site, &stopped, &campaign);
    assert!(kinds(&report).contains(&ChangeKind::Stopped), "{report:?}");
    site.take(40);
    assert_eq!(counts(site), (5, 5));
    assert_eq!(kinds(&apply(site, &stopped, &campaign)), []);
}

/// For each request of each step: the driver is killed before it hears the answer; afterwards all is as without a kill.
pub(crate) fn a_kill_at_any_request_is_made_good<S: Fork>() {
    let campaign = campaign();
    let way =
        WayBack::Release { name: "back".into(), security_counter: 8, target_security_counter: 8 };
    let closed_cells = vec![(2, "taken back".to_owned()), (3, "taken back".to_owned())];
    let back = Orders {
        take_back: vec!["hw=C".to_owned()],
        way_back: Some(way),
        closed_cells,
        ..orders(12)
    };
    let steps = [orders(4), orders(12), closed(&orders(12), "paused"), orders(12), back];
    let prepared = S::new();
    for (number, step) in steps.iter().enumerate() {
        let whole = prepared.fork();
        apply(&whole, step, &campaign);
        let requests = whole.proxy().seen().len();
        assert!(requests > 1);
        // A request that never came leaves the server as an answer to the one before does that was not heard.
        for fault in (1..=requests).map(Fault::DeadAfter) {
            let site = prepared.fork();
            site.proxy().set(fault.clone());
            // What a call would do after one that was not finished is not always reached.
            if let Err(error) = try_apply(&site, 1, step, &campaign) {
                assert!(error.is_passing(), "{fault:?}: {error}");
            }
            site.proxy().set(Fault::None);
            apply(&site, step, &campaign);
            assert_eq!(site.offers(), whole.offers(), "step {number}, {fault:?}");
        }
        apply(&prepared, step, &campaign);
        prepared.take(2);
    }
}

pub(crate) fn failures_pass_or_are_told_without_secrets(site: &impl Site) {
    let campaign = campaign();
    let html = Reply::new(200, "<html><h1>Welcome to nginx</h1></html>");
    let quoting = Reply::new(500, format!("no {} here", site.secret()));
    let busy = |seconds: &str| Reply::new(429, "").with("retry-after", seconds);
    let redirect = Reply::new(302, "").with("location", "https://elsewhere.example/");
    let cases = [
        (Fault::DeadBefore(1), true),
        (Fault::Instead(9, quoting.clone()), true),
        (Fault::Instead(9, Reply { status: 503, ..html.clone() }), true),
        (Fault::Instead(9, busy("3600")), true),
        (Fault::Instead(9, html), false),
        (Fault::Instead(9, Reply { status: 401, ..quoting.clone() }), false),
        (Fault::Instead(9, Reply { status: 403, ..quoting.clone() }), false),
        (Fault::Instead(9, Reply { status: 418, ..quoting.clone() }), false),
        (Fault::Instead(9, redirect), false),
    ];
    for (fault, is_passing) in cases {
        site.proxy().set(fault.clone());
        let error = try_apply(site, 3, &orders(5), &campaign).expect_err("it fails");
        assert_eq!(error.is_passing(), is_passing, "{fault:?}: {error}");
        assert!(!format!("{error} {error:?}").contains(&site.secret()), "{error:?}");
        let tries = if is_passing && !matches!(error, DriverError::Busy { .. }) { 3 } else { 1 };
        assert_eq!(site.proxy().seen().len(), tries, "{fault:?}: {error}");
    }
    assert!(site.offers().is_empty());
    for fault in [Fault::Instead(2, quoting), Fault::Instead(2, busy("7")), Fault::LostAnswers(3)] {
        site.proxy().set(fault.clone());
        let world = World::default();
        let mut driver = site.config(6).open(&world).expect("opens");
        driver.apply(&orders(5), &campaign).expect("passes");
        let slept = world.slept.borrow();
        if matches!(&fault, Fault::Instead(_, reply) if reply.status == 429) {
            assert!(slept[..2].iter().all(|time| time.as_secs() == 7), "{slept:?}");
        } else {
            assert!(slept.len() >= 2, "{slept:?}");
        }
    }
    site.proxy().set(Fault::None);
    assert_eq!(site.offers().len(), 5);
    let world = World::default();
    let config = site.without_credentials();
    let mut driver = config.open(&world).expect("opens");
    let error = driver.apply(&orders(5), &campaign).expect_err("no credentials");
    assert!(matches!(error, DriverError::Credentials { .. }), "{error}");
    assert!(!format!("{error} {error:?} {config:?}").contains(&site.secret()), "{error:?}");
}

/// All of them, for a kind of site.
macro_rules! tests {
    ($site:ty) => {
        $crate::scenario::tests!(
            $site: starts_grows_and_repeats, pauses_and_resumes, a_pace_is_kept_however_often_orders_are_repeated,
            closed_cells_and_held_back_devices_are_left_out, a_group_goes_back, the_others_take_what_is_left_of_a_stage, stops, failures_pass_or_are_told_without_secrets
        );

        #[test]
        fn a_kill_at_any_request_is_made_good() {
            $crate::scenario::a_kill_at_any_request_is_made_good::<$site>();
        }
    };
    ($site:ty: $($name:ident),*) => {
        $(#[test]
        fn $name() {
            $crate::scenario::$name(&<$site as $crate::scenario::Site>::new());
        })*
    };
}

pub(crate) use tests;
