//! hawkBit, against a fake of its Management API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use whittle_fleet::hawkbit::HawkbitConfig;
use whittle_fleet::{DriverConfig, DriverError, RetryConfig, SecretSource};

use crate::fake_hawkbit::Hawkbit;
use crate::scenario::{self, Fork, Offer, Site};
use crate::support::{World, orders};
use crate::way::{Fault, Proxy, serve};

struct Fake {
    server: Arc<Mutex<Hawkbit>>,
    proxy: Proxy,
    config: HawkbitConfig,
}

impl Fake {
    fn of(server: Hawkbit) -> Self {
        let server = Arc::new(Mutex::new(server));
        let proxy = Proxy::to(&serve(Arc::clone(&server)));
        let config = HawkbitConfig {
            url: proxy.url.clone(),
            user: "rollouts".to_owned(),
            password: SecretSource::Env("HAWKBIT_PASSWORD".to_owned()),
            distribution_set: 42,
            way_back: Some(41),
            targets: Some("controllerId==TH*".to_owned()),
            groups: 1,
            error_percent: 50,
            retry: RetryConfig { timeout_ms: 2000, ..RetryConfig::default() },
        };
        Self { server, proxy, config }
    }

    fn lock(&self) -> MutexGuard<'_, Hawkbit> {
        self.server.lock().expect("no panic")
    }
}

impl Fork for Fake {
    fn fork(&self) -> Self {
        Self::of(self.lock().clone())
    }
}

impl Site for Fake {
    fn new() -> Self {
        // One of them has an id that must be escaped.
        let targets = scenario::fleet().into_iter().map(|(id, attributes)| (odd(&id), attributes));
        Self::of(Hawkbit::new(targets))
    }

    fn config(&self, tries: u32) -> DriverConfig {
        let retry = RetryConfig { tries, ..self.config.retry.clone() };
        DriverConfig::Hawkbit(HawkbitConfig { retry, ..self.config.clone() })
    }

    fn without_credentials(&self) -> DriverConfig {
        DriverConfig::Hawkbit(HawkbitConfig { user: "nobody".to_owned(), ..self.config.clone() })
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn take(&self, number: usize) {
        self.lock().take(number);
    }

    fn ids(&self) -> Vec<String> {
        scenario::fleet().into_iter().map(|(id, _)| odd(&id)).collect()
    }

    fn offers(&self) -> BTreeMap<String, Offer> {
        let offer = |(set, status): (u64, &str)| Offer {
            is_back: set == 41,
            has_taken: status == "finished",
        };
        self.lock().state().into_iter().map(|(target, state)| (target, offer(state))).collect()
    }
}

fn odd(id: &str) -> String {
    id.replace("-0007", " 0007")
}

scenario::tests!(Fake);

#[test]
fn later_groups_of_a_paused_wave_wait_and_go_on() {
    let mut site = Fake::new();
    site.config.groups = 2;
    let campaign = scenario::campaign();
    scenario::apply(&site, &orders(20), &campaign);
    site.take(4);
    let paused = crate::support::closed(&orders(20), "paused");
    scenario::apply(&site, &paused, &campaign);
    site.lock().start_group(1);
    site.take(20);
    let taken = site.offers().values().filter(|offer| offer.has_taken).count();
    assert_eq!(taken, 4, "nobody begins during a pause");
    scenario::apply(&site, &orders(20), &campaign);
    site.lock().start_group(1);
    site.take(20);
    assert_eq!(site.offers().len(), 20);
}

#[test]
fn what_hawkbit_has_paused_because_devices_failed_stays_paused() {
    let site = Fake::new();
    let campaign = scenario::campaign();
    scenario::apply(&site, &orders(10), &campaign);
    site.lock().fail(5);
    let report = scenario::apply(&site, &orders(10), &campaign);
    let words = format!(
        "`{}-w1` stays paused: 5 of 10 devices failed; resume it in hawkBit",
        campaign.id()
    );
    assert_eq!((report.shortfalls, report.changed), (vec![words], vec![]));
}

#[test]
fn a_server_that_wants_approval_is_waited_for() {
    let site = Fake::new();
    site.lock().needs_approval = true;
    let campaign = scenario::campaign();
    for _ in 0..2 {
        let report = scenario::apply(&site, &orders(5), &campaign);
        assert_eq!(report.unfinished, [format!("{}-w1", campaign.id())], "{report:?}");
    }
    assert_eq!(
        site.lock().statuses(),
        [(format!("{}-w1", campaign.id()).as_str(), "waiting_for_approval")]
    );
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = Fake::new().config;
    type Spoil = fn(&mut HawkbitConfig);
    let cases: [(Spoil, &str); 6] = [
        (|config| config.user.clear(), "user: is empty"),
        (|config| config.groups = 0, "groups: 0, wanted 1 to 500"),
        (|config| config.error_percent = 101, "error-percent: 101, wanted 1 to 100"),
        (
            |config| config.url = "https://u:pw@h".into(),
            "url: credentials do not belong into an address",
        ),
        (|config| config.retry.tries = 0, "retry: `tries` is 0, wanted 1 or more"),
        (
            |config| config.password = SecretSource::Env("NO_SUCH".into()),
            "no secret in environment variable `NO_SUCH`",
        ),
    ];
    for (spoil, words) in cases {
        let mut config = good.clone();
        spoil(&mut config);
        let error = DriverConfig::Hawkbit(config).open(&World::default()).err().expect(words);
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn an_unknown_distribution_set_is_named() {
    let mut site = Fake::new();
    site.config.distribution_set = 43;
    let error =
        scenario::try_apply(&site, 3, &orders(5), &scenario::campaign()).expect_err("no such set");
    let words = "hawkBit refuses to make a rollout (404): DistributionSet with given identifier does not exist";
    assert_eq!(error.to_string(), words);
    assert!(!error.is_passing() && matches!(error, DriverError::Refused { .. }));
}

#[test]
fn a_slow_server_is_given_up() {
    let mut site = Fake::new();
    site.config.retry.timeout_ms = 20;
    site.proxy.set(Fault::Slow(Duration::from_millis(200)));
    let error =
        scenario::try_apply(&site, 2, &orders(5), &scenario::campaign()).expect_err("too slow");
    assert!(error.to_string().starts_with("hawkBit failed 2 times to list rollouts: "), "{error}");
}
