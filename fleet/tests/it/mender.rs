//! Mender, against a fake of its management interfaces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use whittle_fleet::mender::MenderConfig;
use whittle_fleet::{DriverConfig, RetryConfig, SecretSource};

use crate::fake_mender::Mender;
use crate::scenario::{self, Fork, Offer, Site};
use crate::support::orders;
use crate::way::{Proxy, serve};

pub(crate) struct Fake {
    server: Arc<Mutex<Mender>>,
    proxy: Proxy,
    config: MenderConfig,
}

impl Fake {
    fn of(server: Mender) -> Self {
        let server = Arc::new(Mutex::new(server));
        let proxy = Proxy::to(&serve(Arc::clone(&server)));
        let config = MenderConfig {
            url: proxy.url.clone(),
            token: SecretSource::Env("MENDER_TOKEN".to_owned()),
            artifact: "thermostat-2.4.1".to_owned(),
            way_back: Some("thermostat-2.4.0".to_owned()),
            group: Some("thermostats".to_owned()),
            retry: RetryConfig { timeout_ms: 2000, ..RetryConfig::default() },
        };
        Self { server, proxy, config }
    }

    fn lock(&self) -> MutexGuard<'_, Mender> {
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
        Self::of(Mender::new(scenario::fleet()))
    }

    fn config(&self, tries: u32) -> DriverConfig {
        let retry = RetryConfig { tries, ..self.config.retry.clone() };
        DriverConfig::Mender(MenderConfig { retry, ..self.config.clone() })
    }

    fn without_credentials(&self) -> DriverConfig {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "expired").expect("written");
        let (_, path) = file.keep().expect("kept");
        DriverConfig::Mender(MenderConfig {
            token: SecretSource::File(path),
            ..self.config.clone()
        })
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn take(&self, number: usize) {
        self.lock().take(number);
    }

    fn offers(&self) -> BTreeMap<String, Offer> {
        let server = self.lock();
        let state = server.state().into_iter();
        let offers = state.map(|(device, (artifact, has_taken))| {
            (device, Offer { is_back: artifact.ends_with("2.4.0"), has_taken })
        });
        offers.collect()
    }
}

scenario::tests!(Fake);

#[test]
fn an_unknown_artifact_is_named() {
    let mut site = Fake::new();
    site.config.artifact = "meter-1".to_owned();
    let error = scenario::try_apply(&site, 3, &orders(5), &scenario::campaign()).expect_err("none");
    let words = "Mender refuses to make a deployment (422): No artifact for the deployment";
    assert_eq!(error.to_string(), words);
}
