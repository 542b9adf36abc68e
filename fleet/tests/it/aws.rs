//! AWS IoT Jobs, against ministack.
//!
//! ministack (PyPI) does what the driver needs of things, thing groups, jobs and their executions: snapshot and continuous jobs, rate,
//! abort, cancelling, and it checks signatures. What it has not: pages of things and of groups' members, and the time that AWS
//! takes to see a new member of a group.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};
use whittle_fleet::aws::{AbortConfig, AwsConfig, JobDocument, TargetSelection};
use whittle_fleet::{Campaign, DriverConfig, RetryConfig, SecretSource};
use whittle_test_servers::{LocalAws, Reply};

use crate::scenario::{self, Offer, Site};
use crate::support::{World, closed, orders};
use crate::way::{Fault, Proxy};

/// ministack, whoever acts on it besides the driver, and where its keys are kept.
struct Ministack {
    server: LocalAws,
    id: PathBuf,
    key: PathBuf,
}

impl Ministack {
    /// The one of this test run.
    fn shared() -> &'static Mutex<Self> {
        static SHARED: OnceLock<Mutex<Ministack>> = OnceLock::new();
        SHARED.get_or_init(|| Mutex::new(Self::start()))
    }

    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let server = LocalAws::start(&root.join("tests/it/ministack.py"), &[]);
        let file = |text: &str| {
            let (mut file, path) =
                tempfile::NamedTempFile::new().expect("a file").keep().expect("kept");
            file.write_all(text.as_bytes()).expect("written");
            path
        };
        let (id, key) = (file(&server.id), file(&server.secret));
        Self { server, id, key }
    }
}

/// A region with things of its own.
struct Region {
    proxy: Proxy,
    config: AwsConfig,
    secret: String,
    _document: tempfile::NamedTempFile,
}

fn ask(command: &str, arguments: &Value) -> Value {
    Ministack::shared().lock().expect("no panic").server.ask(command, arguments)
}

impl Region {
    fn job(&self, campaign: &Campaign, wave: &str) -> Value {
        ask("describe", &json!([self.config.region, format!("{}{wave}", campaign.id())]))
    }

    fn groups(&self) -> Value {
        ask("groups", &json!([self.config.region]))
    }

    fn end(&self, number: usize, status: &str) {
        ask("take", &json!([self.config.region, number, status]));
    }
}

impl Site for Region {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let region = format!("eu-test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let things: BTreeMap<_, _> = scenario::fleet().into_iter().collect();
        ask("things", &json!([region, things]));
        let Ministack { server, id, key } = &*Ministack::shared().lock().expect("no panic");
        let proxy = Proxy::to(&server.url);
        let mut document = tempfile::NamedTempFile::new().expect("a file");
        document.write_all(br#"{"package": "thermostat-2.4.1"}"#).expect("written");
        let config = AwsConfig {
            region,
            endpoint: Some(proxy.url.clone()),
            access_key_id: SecretSource::File(id.clone()),
            secret_access_key: SecretSource::File(key.clone()),
            session_token: None,
            document: JobDocument::File(document.path().to_owned()),
            way_back: Some(JobDocument::File(document.path().to_owned())),
            target_selection: TargetSelection::Snapshot,
            per_minute: None,
            abort: AbortConfig::default(),
            timeout_minutes: Some(60),
            thing_type: None,
            retry: RetryConfig { timeout_ms: 10_000, ..RetryConfig::default() },
        };
        Self { proxy, config, secret: server.secret.clone(), _document: document }
    }

    fn config(&self, tries: u32) -> DriverConfig {
        let retry = RetryConfig { tries, ..self.config.retry.clone() };
        DriverConfig::AwsIotJobs(AwsConfig { retry, ..self.config.clone() })
    }

    /// With a key that does not belong to its id.
    fn without_credentials(&self) -> DriverConfig {
        let secret_access_key = SecretSource::Env("AWS_SECRET_ACCESS_KEY".to_owned());
        DriverConfig::AwsIotJobs(AwsConfig { secret_access_key, ..self.config.clone() })
    }

    fn secret(&self) -> String {
        self.secret.clone()
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn take(&self, number: usize) {
        self.end(number, "SUCCEEDED");
    }

    fn offers(&self) -> BTreeMap<String, Offer> {
        let state = ask("state", &json!([self.config.region]));
        let state: BTreeMap<String, (String, String)> =
            serde_json::from_value(state).expect("jobs");
        let offer = |(job, status): (String, String)| Offer {
            is_back: job.contains("-back-w"),
            has_taken: status == "SUCCEEDED",
        };
        state.into_iter().map(|(thing, state)| (thing, offer(state))).collect()
    }
}

scenario::tests!(
    Region: starts_grows_and_repeats, pauses_and_resumes, a_pace_is_kept_however_often_orders_are_repeated,
    closed_cells_and_held_back_devices_are_left_out, a_group_goes_back, stops, failures_pass_or_are_told_without_secrets
);

/// Killed wherever it tells the server something of a new kind, or for the last time: of twelve things that join a group, those between are
/// alike.
#[test]
fn a_kill_at_any_kind_of_request_is_made_good() {
    let campaign = scenario::campaign();
    let grown = orders(6);
    let steps = [vec![orders(4), closed(&orders(4), "paused")], vec![orders(3), grown.clone()]];
    for steps in steps {
        let (last, before) = steps.split_last().expect("steps");
        let prepare = || {
            let site = Region::new();
            for step in before {
                scenario::apply(&site, step, &campaign);
                site.take(2);
            }
            site.proxy().set(Fault::None);
            site
        };
        let whole = prepare();
        scenario::apply(&whole, last, &campaign);
        let seen = whole.proxy().seen();
        let kind =
            |n: usize| seen.get(n).map(|request| (request.method.clone(), request.target.clone()));
        let told = (0..seen.len()).filter(|n| seen[*n].method != "GET");
        let points: Vec<_> = told
            .filter(|n| kind(*n) != kind(n + 1) || kind(*n) != kind(n.wrapping_sub(1)))
            .collect();
        assert!(!points.is_empty());
        for point in points {
            let site = prepare();
            site.proxy().set(Fault::DeadAfter(point + 1));
            let killed = scenario::try_apply(&site, 1, last, &campaign);
            assert!(killed.is_ok() || killed.is_err_and(|error| error.is_passing()));
            site.proxy().set(Fault::None);
            scenario::apply(&site, last, &campaign);
            assert_eq!(
                site.offers(),
                whole.offers(),
                "killed after request {point}: {:?}",
                seen[point]
            );
        }
    }
}

#[test]
fn a_continuous_job_grows_and_withdrawn_things_come_back() {
    let mut site = Region::new();
    site.config.target_selection = TargetSelection::Continuous;
    let campaign = scenario::campaign();
    scenario::apply(&site, &orders(5), &campaign);
    scenario::apply(&site, &orders(40), &campaign);
    assert_eq!(site.job(&campaign, "-w1")["targetSelection"], "CONTINUOUS");
    assert_eq!(
        (site.offers().len(), site.groups()),
        (40, json!([format!("{}-w1", campaign.id())]))
    );
    let mut frozen = orders(40);
    frozen.closed_cells = vec![(2, "frozen".to_owned())];
    scenario::apply(&site, &frozen, &campaign);
    assert_eq!(site.offers().len(), 30);
    scenario::apply(&site, &orders(40), &campaign);
    assert_eq!(site.offers().len(), 40);
    assert_eq!(scenario::apply(&site, &orders(40), &campaign).changed, []);
}

#[test]
fn a_job_says_what_was_configured_and_its_group_goes_when_it_has_ended() {
    let mut site = Region::new();
    site.config.per_minute = Some(1000);
    let campaign = scenario::campaign();
    scenario::apply(&site, &orders(5), &campaign);
    let job = site.job(&campaign, "-w1");
    assert_eq!(job["jobExecutionsRolloutConfig"], json!({ "maximumPerMinute": 1000 }));
    assert_eq!(job["timeoutConfig"], json!({ "inProgressTimeoutInMinutes": 60 }));
    let criterion = &job["abortConfig"]["criteriaList"][0];
    assert_eq!(
        *criterion,
        json!({ "failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 10.0, "minNumberOfExecutedThings": 20 })
    );
    site.take(5);
    assert_eq!(scenario::apply(&site, &orders(5), &campaign).changed, []);
    assert_eq!(site.groups(), json!([]));
    assert_eq!(scenario::apply(&site, &orders(5), &campaign).changed, []);
    assert_eq!(site.offers().len(), 5);
}

/// AWS's own brake holds, whatever the rollout orders, until somebody lets go of it.
#[test]
fn what_aws_has_aborted_stays_so_until_the_job_is_deleted() {
    let mut site = Region::new();
    site.config.abort = AbortConfig { percent: 50.0, at_least: 4 };
    let campaign = scenario::campaign();
    scenario::apply(&site, &orders(10), &campaign);
    site.end(4, "FAILED");
    let job = format!("{}-w1", campaign.id());
    for _ in 0..2 {
        let report = scenario::apply(&site, &orders(20), &campaign);
        let words = format!("`{job}` was ended by the server or somebody else; delete it to go on");
        assert_eq!((report.shortfalls, report.changed), (vec![words], vec![]));
    }
    ask("delete", &json!([site.config.region, job]));
    scenario::apply(&site, &orders(20), &campaign);
    assert_eq!(site.offers().len(), 20);
}

#[test]
fn throttling_passes_and_expired_tokens_do_not() {
    let site = Region::new();
    let refusal = |kind: &str, status| {
        let body = json!({ "message": format!("{kind} it is") });
        let mut reply = Reply::json(status, &body);
        reply
            .headers
            .push(("x-amzn-ErrorType".to_owned(), format!("{kind}:http://internal.amazon.com/")));
        reply
    };
    site.proxy.set(Fault::Instead(2, refusal("ThrottlingException", 400)));
    scenario::try_apply(&site, 3, &orders(5), &scenario::campaign()).expect("passes");
    site.proxy.set(Fault::Instead(9, refusal("ExpiredTokenException", 403)));
    let error =
        scenario::try_apply(&site, 3, &orders(5), &scenario::campaign()).expect_err("expired");
    assert_eq!(
        error.to_string(),
        "AWS IoT does not accept the credentials (403): ExpiredTokenException it is"
    );
    site.proxy.set(Fault::Instead(9, refusal("InvalidRequestException", 400)));
    let error =
        scenario::try_apply(&site, 3, &orders(5), &scenario::campaign()).expect_err("refused");
    assert!(error.to_string().starts_with("AWS IoT refuses to describe a job (400)"), "{error}");
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let site = Region::new();
    let missing = PathBuf::from("/nowhere/job.json");
    let long = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(long.path(), format!("{{}}{}", " ".repeat(32 << 10))).expect("written");
    let document = JobDocument::File(long.path().to_owned());
    let too_long = format!(
        "document: `{}` has more than the 32768 bytes that AWS takes",
        long.path().display()
    );
    type Spoil = Box<dyn Fn(&mut AwsConfig)>;
    let cases: [(Spoil, &str); 8] = [
        (
            Box::new(|config| config.region = "Frankfurt".into()),
            "region: `Frankfurt`, wanted one such as `eu-central-1`",
        ),
        (Box::new(|config| config.per_minute = Some(0)), "per-minute: 0, wanted 1 to 1000"),
        (
            Box::new(|config| config.timeout_minutes = Some(20_000)),
            "timeout-minutes: 20000, wanted 1 to 10,080",
        ),
        (
            Box::new(|config| config.abort.percent = f64::NAN),
            "abort.percent: NaN, wanted more than 0 and at most 100",
        ),
        (Box::new(|config| config.abort.at_least = 0), "abort.at-least: 0, wanted 1 or more"),
        (
            Box::new(move |config| config.document = JobDocument::File(missing.clone())),
            "cannot read `/nowhere/job.json`",
        ),
        (Box::new(move |config| config.document = document.clone()), &too_long),
        (
            Box::new(|config| config.session_token = Some(SecretSource::Env("NO_TOKEN".into()))),
            "no secret in environment variable `NO_TOKEN`",
        ),
    ];
    for (spoil, words) in cases {
        let mut config = site.config.clone();
        spoil(&mut config);
        let error = DriverConfig::AwsIotJobs(config).open(&World::default()).err().expect(words);
        assert_eq!(error.to_string(), words);
    }
}
