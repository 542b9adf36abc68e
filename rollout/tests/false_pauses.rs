//! Healthy rollouts, looked at 824 times each: at most 5 % of them may be paused. And bad ones, which must be.
//!
//! `cargo test -p whittle-rollout --test false_pauses -- --nocapture` prints the figures.

use whittle_rollout::statistics::{
    BaselineTest, Certainty, Count, DistinctDevices, MeanTest, RatioSequence, RatioTest, Readings,
    events_needed, log_threshold,
};

mod fleet;

use fleet::{Fleet, Random, SCENARIOS, STAGES, Scenario};

const FLEETS: [f64; 4] = [1e3, 25e3, 250e3, 1e6];
/// The chapter's meters, and its thermostats, in crashes per device-hour.
const METER: f64 = 0.002;
const THERMOSTAT: f64 = 0.0002 / 24.0;
const ALPHA: f64 = 0.05;

fn fleet(devices: f64, rate: f64, scenario: Scenario) -> Fleet {
    Fleet {
        devices,
        rate,
        scenario,
        regression: 1.0,
        hold_back: 0.0,
        contrast: 3.0,
        distinct: true,
    }
}

fn assert_few(rollouts: u64, what: &str, is_paused: impl Fn(u64) -> bool) {
    let paused = (0..rollouts).filter(|seed| is_paused(*seed)).count();
    #[allow(clippy::cast_precision_loss)]
    let share = paused as f64 / rollouts as f64;
    println!("false pauses, {what}: {:.1} %", share * 100.0);
    assert!(share <= ALPHA, "{what}: {paused} of {rollouts} healthy rollouts paused");
}

#[test]
fn healthy_rollouts_are_seldom_paused() {
    for (name, rate) in [("meters", METER), ("thermostats", THERMOSTAT)] {
        for scenario in SCENARIOS {
            for devices in FLEETS {
                let fleet = fleet(devices, rate, scenario);
                assert_few(1000, &format!("{devices} {name}, {scenario:?}"), |seed| {
                    fleet.paused_by_two_sample(seed, 1.0).is_some()
                });
            }
        }
    }
}

/// The reason for counting devices: boot loops that are counted as events stop many a healthy rollout.
#[test]
fn boot_loops_counted_as_events_would_pause() {
    let fleet = Fleet { distinct: false, ..fleet(1e3, METER, Scenario::BootLoop) };
    let paused = (0..200).filter(|seed| fleet.paused_by_two_sample(*seed, 1.0).is_some()).count();
    println!("1000 meters in boot loops, counted as events: {paused} of 200 paused");
    assert!(paused > 40, "{paused}");
}

/// The same with each device and each event, and with the set that tells which devices count.
#[test]
fn boot_loops_of_single_devices_are_counted_once() {
    const DEVICES: u64 = 1_000;
    assert_few(300, "1000 meters one by one, BootLoop", |seed| {
        let mut random = Random::new(seed);
        let (mut seen, mut test) = (DistinctDevices::default(), RatioTest::new(1.0, 2.0));
        // When and on which device something happens, the latest last.
        let mut coming: Vec<(f64, f64)> = vec![];
        let mut hour = 0.0;
        for (share, length) in STAGES {
            #[allow(clippy::cast_precision_loss)]
            let of_fleet = |part: f64| part * DEVICES as f64;
            let updated = of_fleet(share * 0.95);
            let end = hour + length;
            while hour < end {
                for _ in 0..lossless(random.poisson(of_fleet(METER))) {
                    let device = of_fleet(random.fraction()).floor();
                    let mut at = hour + random.fraction();
                    coming.push((at, device));
                    while random.fraction() < 2.0 / 3.0 {
                        at += 0.5 * random.fraction();
                        coming.push((at, device));
                    }
                }
                hour += 1.0;
                let (now, later): (Vec<_>, Vec<_>) = coming.iter().partition(|(at, _)| *at < hour);
                coming = later;
                let mut events = [0.0; 2];
                for (at, device) in now {
                    if seen.count(lossless(device), lossless((at * 3600.0).floor())).unwrap() {
                        events[usize::from(device >= updated)] += 1.0;
                    }
                }
                let side = |events, devices| Count::new(events, devices).unwrap();
                test.add(side(events[0], updated), side(events[1], of_fleet(1.0) - updated));
                if test.log_e_worse() >= log_threshold(ALPHA) {
                    return true;
                }
            }
        }
        false
    });
}

fn lossless(number: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = number as u64;
    whole
}

/// Without control, against a month of the same fleet before: seasons are left out, since no baseline knows the weather.
#[test]
fn healthy_rollouts_are_seldom_paused_by_their_baseline() {
    for (name, rate) in [("meters", METER), ("thermostats", THERMOSTAT)] {
        for devices in FLEETS {
            let fleet = fleet(devices, rate, Scenario::Flat);
            let paused = |seed: u64, direct: &dyn Fn(BaselineTest) -> BaselineTest| {
                let mut random = Random::new(!seed);
                let hours = 720.0 * devices / 2.0;
                let baseline = [1.0, fleet.contrast].map(|contrast| {
                    let mean = hours * rate * contrast;
                    Count::new(random.poisson(mean), hours).unwrap()
                });
                let mut test = direct(BaselineTest::new(&baseline, 1.0, 2.0));
                let paused = fleet.run(seed, |tick| {
                    tick.into_iter().enumerate().for_each(|(place, side)| test.add(place, side.0));
                    test.log_e_worse() >= log_threshold(ALPHA)
                });
                paused.is_some()
            };
            let what = format!("{devices} {name}, Flat, against the baseline");
            assert_few(500, &what, |seed| paused(seed, &|test| test));
            assert_few(500, &format!("{what}, fewer are worse"), |seed| {
                paused(seed, &BaselineTest::where_fewer_are_worse)
            });
        }
    }
}

/// At each of the looks the interval contains the true ratio, with few exceptions. Every crash counts here: of distinct devices
/// a day there are fewer than four times as many, if four times as many crash as often again.
#[test]
fn confidence_sequences_contain_the_truth() {
    for (devices, regression) in [(1e3, 1.0), (25e3, 1.0), (25e3, 4.0)] {
        let fleet = Fleet {
            regression,
            hold_back: 0.05,
            distinct: false,
            ..fleet(devices, METER, Scenario::Daily)
        };
        assert_few(200, &format!("intervals, {devices} meters at {regression}x"), |seed| {
            let (mut sequence, mut looks) = (RatioSequence::default(), 0);
            let missed = fleet.run(seed, |tick| {
                tick.into_iter().for_each(|(treated, control)| sequence.add(treated, control));
                looks += 1;
                let found = sequence.interval(ALPHA);
                // All looks of the first day, which are the shakiest, and one of each hour afterwards.
                (looks < 96 || looks % 4 == 0) && !(found.low..=found.high).contains(&regression)
            });
            missed.is_some()
        });
    }
}

/// Battery drain of 5 % a day, more at night, asked of each device once a day; skewed, as exponential as readings get.
#[test]
fn healthy_batteries_are_seldom_paused() {
    for devices in [100u32, 1_000] {
        assert_few(200, &format!("batteries of {devices} devices"), |seed| {
            let mut random = Random::new(seed);
            let mut test = MeanTest::new(1.0, 1.2);
            (0..200u32).any(|hour| {
                let mean = 5.0 + 2.0 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin();
                let mut readings = |number: u32| {
                    let (mut sum, mut squares) = (0.0, 0.0);
                    for _ in 0..number {
                        let reading = (-mean * (1.0 - random.fraction()).ln()).min(40.0);
                        sum += reading;
                        squares += reading * reading;
                    }
                    Readings::new(f64::from(number), sum, squares, 40.0).unwrap()
                };
                let (treated, control) = (readings(devices / 96), readings(devices / 24));
                test.add(treated, control);
                test.log_e_worse() >= log_threshold(ALPHA)
            })
        });
    }
}

/// Old and new firmware are never quite alike. A difference of 5 % does not pause a large fleet, because no bet is made on it; one of
/// 10 % does not where it is tolerated.
#[test]
fn small_differences_do_not_pause_large_fleets() {
    for (regression, tolerated) in [(1.05, 1.0), (1.1, 1.1)] {
        let fleet = Fleet { regression, ..fleet(1e6, METER, Scenario::Daily) };
        assert_few(
            400,
            &format!("a million meters at {regression}x, {tolerated}x tolerated"),
            |seed| fleet.paused_by_two_sample(seed, tolerated).is_some(),
        );
    }
}

/// Median hours until a regression is paused, and how many are.
#[test]
fn regressions_are_paused() {
    let cells = [
        // devices, rate, ratio, hold-back; least share detected, greatest median in hours
        (1e3, METER, 2.0, 0.05, 0.9, 60.0),
        (1e3, METER, 4.0, 0.05, 1.0, 18.0),
        (1e3, METER, 10.0, 0.05, 1.0, 7.0),
        (25e3, METER, 2.0, 0.0, 1.0, 7.0),
        (25e3, METER, 4.0, 0.0, 1.0, 2.75),
        (25e3, METER, 10.0, 0.0, 1.0, 1.5),
        (250e3, METER, 2.0, 0.0, 1.0, 2.5),
        (1e6, METER, 2.0, 0.0, 1.0, 1.0),
        (25e3, THERMOSTAT, 10.0, 0.05, 0.9, 25.0),
        (250e3, THERMOSTAT, 2.0, 0.05, 0.9, 40.0),
        (250e3, THERMOSTAT, 4.0, 0.0, 1.0, 18.0),
        (1e6, THERMOSTAT, 2.0, 0.0, 0.9, 20.0),
    ];
    for (devices, rate, regression, hold_back, least_share, greatest_median) in cells {
        const ROLLOUTS: usize = 200;
        let fleet =
            Fleet { regression, hold_back, contrast: 1.0, ..fleet(devices, rate, Scenario::Daily) };
        let mut hours: Vec<_> =
            (0..ROLLOUTS as u64).filter_map(|seed| fleet.paused_by_two_sample(seed, 1.0)).collect();
        hours.sort_by(f64::total_cmp);
        #[allow(clippy::cast_precision_loss)]
        let share = hours.len() as f64 / ROLLOUTS as f64;
        let median = hours[hours.len() / 2];
        println!(
            "{devices} devices, {rate:.1e}/h, {regression}x, {hold_back} held back: {:.0} % after {median} h",
            share * 100.0
        );
        assert!(share >= least_share && median <= greatest_median, "{share} {median}");
    }
}

/// With as many events as the power report asks for, regressions are seen as often as it says.
#[test]
fn stages_see_what_they_promise() {
    const ROLLOUTS: u32 = 1000;
    const TICKS: f64 = 40.0;
    for (certainty, wanted) in [(Certainty::Half, 0.5), (Certainty::FourFifths, 0.8)] {
        for x in [0.01, 0.25, 1.0] {
            for ratio in [1.5, 2.0, 4.0, 10.0] {
                let per_tick = events_needed(ratio, x, ALPHA, certainty) / TICKS;
                let is_seen = |seed: &u32| {
                    let mut random = Random::new(u64::from(*seed));
                    let mut test = RatioTest::new(1.0, 2.0);
                    (0..lossless(TICKS)).any(|_| {
                        let treated = Count::new(random.poisson(per_tick * ratio), 1.0).unwrap();
                        let control = Count::new(random.poisson(per_tick / x), 1.0 / x).unwrap();
                        test.add(treated, control);
                        test.log_e_worse() >= log_threshold(ALPHA)
                    })
                };
                let seen = (0..ROLLOUTS).filter(is_seen).count();
                #[allow(clippy::cast_precision_loss)]
                let share = seen as f64 / f64::from(ROLLOUTS);
                println!("{ratio}x, treated {x} of control: promised {wanted}, seen {share}");
                assert!(share >= wanted && share < wanted + 0.3, "{ratio}x, {x}: {share}");
            }
        }
    }
}
