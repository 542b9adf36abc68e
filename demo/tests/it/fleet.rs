use std::fmt::Write as _;

use whittle_demo::{Options, Outcome, POLICY, run};
use whittle_policy_host::{Host, Limits, shipped};

fn demo(seed: u64, devices: u32) -> Outcome {
    let out = tempfile::tempdir().expect("a temporary directory");
    let shipped = shipped::find(POLICY).expect("it comes with whittle");
    let policy = Host::new(Limits::default(), None).load(shipped.component).expect("loads");
    let since = std::time::Instant::now();
    let options = Options { seed, devices, out: out.path().to_owned() };
    run(&options, &policy, &mut |told| println!("{:.2?} {}", since.elapsed(), serde_json_line(told))).unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

fn serde_json_line(told: &whittle_demo::Told) -> String {
    let mut text = String::new();
    let _ = write!(text, "{told:?}");
    text.chars().take(400).collect()
}

#[test]
fn first() {
    let since = std::time::Instant::now();
    let outcome = demo(1, 500);
    println!("{:#?} {:?}", outcome.summary, since.elapsed());
}

#[test]
fn seeds() {
    for seed in 1..=14 {
        let outcome = demo(seed, 500);
        let s = &outcome.summary;
        println!("SEED {seed} back {} taken {} cuts {} again {} rollouts {:?} versions {:?}", s.went_back, s.taken_back, s.power_cuts, s.most_fetched_again_bytes, s.rollouts.iter().map(|r| (r.ending, r.hours, r.pauses)).collect::<Vec<_>>(), s.versions);
    }
}
