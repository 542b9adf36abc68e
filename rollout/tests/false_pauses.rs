//! Healthy rollouts, looked at 824 times each: at most 5 % of them may be paused. And bad ones, which must be.

use std::collections::BTreeMap;

use whittle_rollout::statistics::{
    BaselineTest, Count, DistinctDevices, MeanTest, RatioSequence, RatioTest, Readings,
    log_threshold,
};

mod fleet;

use fleet::{Fleet, Random, SCENARIOS, Scenario};

const FLEETS: [f64; 4] = [1e3, 25e3, 250e3, 1e6];
/// The chapter's meters, and its thermostats, in crashes per device-hour.
const METER: f64 = 0.002;
const THERMOSTAT: f64 = 0.0002 / 24.0;
const ROLLOUTS: u64 = 200;

fn fleet(devices: f64, rate: f64, scenario: Scenario) -> Fleet {
    Fleet { devices, rate, scenario, regression: 1.0, hold_back: 0.0, contrast: 3.0 }
}

/// At 5 % by chance no more than 20 of 200 pause in one of a thousand such tests (binomial); in fact far fewer do.
fn assert_few(paused: usize, what: &str) {
    println!("{what}: {paused} of {ROLLOUTS} paused");
    assert!(paused <= 10, "{what}: {paused} of {ROLLOUTS} healthy rollouts paused");
}

#[test]
fn healthy_rollouts_are_seldom_paused() {
    for rate in [METER, THERMOSTAT] {
        for scenario in SCENARIOS.into_iter().filter(|scenario| *scenario != Scenario::BootLoop) {
            for devices in FLEETS {
                let fleet = fleet(devices, rate, scenario);
                let paused =
                    (0..ROLLOUTS).filter(|seed| fleet.paused_by_two_sample(*seed, 1.0).is_some());
                assert_few(
                    paused.count(),
                    &format!("{devices} devices, {rate:.1e}/h, {scenario:?}"),
                );
            }
        }
    }
}
