//! Times of loading and asking the shipped policies, and those whose files are given; `cargo xtask measure policy` runs it.
//!
//! Times are the medians of many calls, in a thread that does nothing else. A bare snapshot has the fleet and the metrics
//! that the policy asks for; a full one has 9 groups, 5 metrics and 24 buckets, wanted or not.

use std::path::Path;
use std::time::{Duration, Instant};

use whittle_policy_host::shipped::SHIPPED;
use whittle_policy_host::types::{MetricKind, MetricNeed, PolicyInfo, RolloutPlan, Snapshot};
use whittle_policy_host::{Cache, Host, Limits, Policy, sample};

/// Calls that are timed.
const CALLS: usize = 2_000;

/// Loads that are timed, of each kind.
const LOADS: usize = 5;

/// How long a policy takes, or the slowest of several.
#[derive(Clone, Copy, Default)]
struct Times {
    bare: Duration,
    full: Duration,
    cold: Duration,
    warm: Duration,
}

impl Times {
    fn slower(self, other: Self) -> Self {
        Self {
            bare: self.bare.max(other.bare),
            full: self.full.max(other.full),
            cold: self.cold.max(other.cold),
            warm: self.warm.max(other.warm),
        }
    }
}

fn main() {
    println!(
        "{:<14} {:>8} {:>11} {:>11} {:>12} {:>12} {:>11} {:>11}",
        "policy", "bytes", "bare us", "full us", "bare fuel", "full fuel", "cold ms", "warm ms"
    );
    for file in std::env::args().skip(1) {
        let component = std::fs::read(&file).expect("a file that can be read");
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        measure(&name, &component);
    }
    let slowest = SHIPPED.map(|shipped| measure(shipped.name, shipped.component));
    let slowest = slowest.into_iter().fold(Times::default(), Times::slower);
    println!(
        "policy_bare_us={:.1} policy_full_us={:.1} policy_cold_ms={:.1} policy_warm_ms={:.2} policy_bytes={}",
        micros(slowest.bare),
        micros(slowest.full),
        micros(slowest.cold) / 1e3,
        micros(slowest.warm) / 1e3,
        SHIPPED.map(|shipped| shipped.component.len()).into_iter().max().unwrap_or_default(),
    );
}

/// Measures a policy, and prints its row.
fn measure(name: &str, component: &[u8]) -> Times {
    let (cold, warm) = (load_cold(component), load_warm(component));
    let policy = load(&Host::new(Limits::default(), None), component);
    let plan = policy.plan(&sample::plan_input(policy.info())).expect("it plans").value;
    let bare_info = PolicyInfo { split_by: vec![], buckets: 0, ..policy.info().clone() };
    let (bare, bare_fuel) = evaluate(&policy, &busiest(&bare_info, &plan));
    let (full, full_fuel) = evaluate(&policy, &busiest(&full_info(policy.info()), &plan));
    println!(
        "{name:<14} {:>8} {:>11.1} {:>11.1} {bare_fuel:>12} {full_fuel:>12} {:>11.1} {:>11.2}",
        component.len(),
        micros(bare),
        micros(full),
        micros(cold) / 1e3,
        micros(warm) / 1e3,
    );
    Times { bare, full, cold, warm }
}

fn load(host: &Host, component: &[u8]) -> Policy {
    host.load(component).expect("a shipped policy loads")
}

/// Of a new host and an empty cache, as at the very first start.
fn load_cold(component: &[u8]) -> Duration {
    median(LOADS, || {
        let directory = tempfile::tempdir().expect("there is room");
        let start = Instant::now();
        load(&Host::new(Limits::default(), Some(Cache::in_directory(directory.path()))), component);
        start.elapsed()
    })
}

/// Of a new host and a cache that has the policy, as at each later start.
fn load_warm(component: &[u8]) -> Duration {
    let directory = tempfile::tempdir().expect("there is room");
    let cache = || Some(Cache::in_directory(directory.path()));
    load(&Host::new(Limits::default(), cache()), component);
    median(LOADS, || {
        let start = Instant::now();
        load(&Host::new(Limits::default(), cache()), component);
        start.elapsed()
    })
}

fn evaluate(policy: &Policy, now: &Snapshot) -> (Duration, u64) {
    let fuel = policy.evaluate(now).expect("it answers").usage.fuel;
    let time = median(CALLS, || {
        let start = Instant::now();
        let answer = policy.evaluate(now);
        let took = start.elapsed();
        answer.expect("it answers");
        took
    });
    (time, fuel)
}

/// A snapshot in which much has been measured: the last stage is full, and nothing is wrong.
fn busiest(info: &PolicyInfo, plan: &RolloutPlan) -> Snapshot {
    let (_, snapshot) = sample::snapshots(info, plan)
        .filter(|(name, _)| name.ends_with(", full, as before"))
        .last()
        .expect("a plan has stages");
    snapshot
}

/// What a policy would say that wants 9 groups, 5 metrics and 24 buckets, its own metrics first.
fn full_info(info: &PolicyInfo) -> PolicyInfo {
    let filler = |number| MetricNeed {
        name: format!("metric-{number}"),
        kind: MetricKind::Rate,
        unit: String::new(),
        help: String::new(),
        required: false,
    };
    PolicyInfo {
        metrics: info.metrics.iter().cloned().chain((0..5).map(filler)).take(5).collect(),
        split_by: ["hw", "region", "ring", "model"].map(str::to_owned).to_vec(),
        buckets: 24,
        bucket_length: 3600,
        ..info.clone()
    }
}

fn median(times: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    let mut taken: Vec<_> = (0..times).map(|_| measure()).collect();
    taken.sort_unstable();
    taken[times / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
