//! The chapter's worked examples: what they say where they are right, and what comes out where they are not.

use whittle_calculators::savings::{self, Megabyte};
use whittle_calculators::stages::{self, Percents, StageOutcome, Watched};
use whittle_calculators::{differences, poisson_at_least, presets};

fn sensors() -> savings::Inputs {
    savings_preset("chapter")
}

fn savings_preset(name: &str) -> savings::Inputs {
    let presets = presets::savings().into_iter();
    presets
        .filter(|preset| preset.name == name)
        .map(|preset| preset.inputs)
        .next()
        .expect("it is there")
}

fn stages_preset(name: &str) -> stages::Inputs {
    let presets = presets::stages().into_iter();
    presets
        .filter(|preset| preset.name == name)
        .map(|preset| preset.inputs)
        .next()
        .expect("it is there")
}

fn saved(inputs: &savings::Inputs) -> savings::Outcome {
    savings::outcome(inputs).expect("it can be")
}

fn shown(inputs: &stages::Inputs) -> stages::Outcome {
    stages::outcome(inputs).expect("it can be")
}

#[track_caller]
fn is_near(found: f64, wanted: f64, by: f64) {
    assert!((found - wanted).abs() <= by, "found {found}, wanted {wanted} ± {by}");
}

#[test]
fn sensors_save_what_the_chapter_says_but_for_its_roundings() {
    let found = saved(&sensors());
    is_near(found.full_usd, 15_450.0, 1e-9);
    is_near(found.delta_bytes / 1024.0, 82.944, 1e-9);
    is_near(found.data_usd, 2502.90, 0.005);
    is_near(found.delta_usd, 4502.90, 0.005);
    is_near(found.net_usd, 10_947.10, 0.005);
    is_near(found.delta_ratio, 0.162, 1e-9);
    is_near(found.bandwidth_reduction, 0.838, 1e-9);
    is_near(found.cost_reduction.expect("it costs"), 0.709, 0.0005);
    is_near(found.roi_on_spend.expect("it costs"), 2.431, 0.0005);
    is_near(found.roi_on_tooling.expect("it costs"), 5.474, 0.0005);
    is_near(found.full_after_retries_per_year, 1.62, 1e-9);
    is_near(found.storage_bytes, 3.0 * 82.944 * 1024.0 + 524_288.0, 1e-6);
    assert!(!found.measured && found.full_airtime_seconds.is_none());
}

#[test]
fn break_even_is_at_2317_devices() {
    let found = saved(&sensors());
    is_near(found.break_even_devices.expect("there is one"), 2317.12, 0.005);
    assert_eq!(found.first_profitable_devices, Some(2318.0));
    is_near(found.floor_devices.expect("there is one"), 1941.75, 0.01);
    let at = |devices: f64| saved(&savings::Inputs { devices, ..sensors() }).net_usd;
    assert!(at(2317.0) < 0.0 && at(2318.0) > 0.0);
    is_near(at(1800.0), -446.35, 0.005);
}

#[test]
fn devices_without_a_base_move_the_break_even() {
    for (fallback_percent, wanted) in [(5.0, 2439.0), (10.0, 2575.0), (20.0, 2896.0)] {
        let found = saved(&savings::Inputs { fallback_percent, ..sensors() });
        is_near(found.break_even_devices.expect("there is one"), wanted, 0.5);
    }
    let none = saved(&savings::Inputs { fallback_percent: 100.0, ..sensors() });
    assert_eq!((none.break_even_devices, none.floor_devices), (None, None));
    is_near(none.net_usd, -2000.0, 1e-9);
}

#[test]
fn decimal_megabytes_cost_more() {
    let found = saved(&savings_preset("decimal"));
    assert_eq!(found.inputs.megabyte, Megabyte::Decimal);
    is_near(found.full_usd, 16_200.50, 0.005);
}

#[test]
fn measured_deltas_count_by_their_bases() {
    let base = |name: &str, download_bytes, weight| savings::Base {
        name: name.to_owned(),
        download_bytes,
        weight,
    };
    let bases = vec![
        base("1.2.0", 10_000.0, 3.0),
        base("1.1.0", 50_000.0, 1.0),
        base("1.0.0", 524_288.0, 0.0),
    ];
    let inputs = savings::Inputs {
        bases,
        budget_bytes: 20_000.0,
        link_bits_per_second: 80_000.0,
        ..sensors()
    };
    let found = saved(&inputs);
    assert!(found.measured);
    is_near(found.delta_bytes, 20_000.0, 1e-9);
    is_near(found.storage_bytes, 10_000.0 + 50_000.0 + 524_288.0, 1e-9);
    is_near(found.delta_airtime_seconds.expect("the link is known"), 2.0, 1e-9);
    let budgets: Vec<_> = found.bases.iter().map(|base| base.within_budget).collect();
    assert_eq!(budgets, [Some(true), Some(false), Some(false)]);
    is_near(found.bases[0].share, 0.75, 1e-12);
    is_near(found.bases[0].airtime_seconds.expect("the link is known"), 1.0, 1e-12);
}

#[test]
fn sensitivity_takes_half_and_twice_of_what_is_made_once_more() {
    let found = saved(&savings::Inputs { retry_percent: 3.0, ..savings_preset("chapter") });
    let row = found.sensitivity.iter().find(|row| row.what == "downloads made once more");
    let row = row.expect("is there");
    assert_eq!((&*row.low, &*row.high), ("1.5 %", "6 %"));
    let half = saved(&savings::Inputs { retry_percent: 1.5, ..savings_preset("chapter") });
    is_near(row.net_at_low_usd, half.net_usd, 1e-6);
}

#[test]
fn sensitivity_tells_the_size_of_a_delta_from_what_matters_more() {
    let found = saved(&sensors());
    let names: Vec<_> = found.sensitivity.iter().map(|row| row.what).collect();
    assert_eq!(names[..2], ["price of a megabyte", "updates a year"], "{names:?}");
    let row =
        found.sensitivity.iter().find(|row| row.what == "devices that run no base").expect("there");
    is_near(row.net_at_low_usd, found.net_usd, 1e-9);
    let fifth = saved(&savings::Inputs { fallback_percent: 20.0, ..sensors() });
    is_near(row.net_at_high_usd, fifth.net_usd, 1e-9);
}

fn chances(stage: &StageOutcome) -> [f64; 4] {
    [stage.false_pause, stage.power_2x, stage.power_3x, stage.power_5x]
}

#[test]
fn thermostats_have_fewer_crashes_in_six_hours_than_in_a_day() {
    let found = shown(&stages_preset("chapter"));
    let expected: Vec<_> = found.stages.iter().map(|stage| stage.expected_events).collect();
    for (found, wanted) in expected.iter().zip([0.0625, 2.5, 25.0, 104.25]) {
        is_near(*found, wanted, 1e-9);
    }
    let new: Vec<_> = found.stages.iter().map(|stage| stage.new_devices).collect();
    assert_eq!(new, [1250.0, 12_500.0, 62_500.0, 173_750.0]);
    let worst: Vec<_> = found.stages.iter().map(|stage| stage.updated_devices).collect();
    assert_eq!(worst, [1250.0, 13_750.0, 76_250.0, 250_000.0]);
    is_near(found.stages[2].updated_share, 0.305, 1e-12);
    is_near(found.download_seconds.expect("the link is known"), 45.0, 1e-9);
}

#[test]
fn a_limit_at_the_ratio_itself_is_a_coin_toss() {
    let found = shown(&stages_preset("chapter"));
    let limits: Vec<_> = found.stages.iter().map(|stage| stage.pause_at_events).collect();
    assert_eq!(limits, [1, 8, 76, 313], "more than 0.1875, 7.5, 75 and 312.75");
    let [one, two, ..] = &found.stages[..] else { panic!("four") };
    is_near(one.false_pause, 0.0606, 0.00005);
    is_near(one.power_3x, 0.171, 0.0005);
    is_near(two.false_pause, 0.0042, 0.00005);
    is_near(two.power_3x, 0.475, 0.0005);
    let all = shown(&stages_preset("chapter-cumulative"));
    is_near(all.stages[2].power_3x, 0.469, 0.0005);
    is_near(all.stages[3].power_3x, 0.487, 0.0006);
    for stage in found.stages.iter().chain(&all.stages) {
        assert!(chances(stage).is_sorted(), "{stage:?}");
    }
}

#[test]
fn what_would_tell_three_times_as_many() {
    let found = shown(&stages_preset("chapter"));
    // 8 events: at most 5 % where 3.924 are expected, and 90 % where 11.77 are.
    is_near(found.fitting_device_hours.expect("there is one") / 24.0, 19_650.0, 50.0);
    is_near(found.stages[0].fitting_hours.expect("there are devices") / 24.0, 15.7, 0.05);
    is_near(found.stages[1].fitting_hours.expect("there are devices"), 37.7, 0.05);
    let events = stages::fitting_events(3.0, 0.05, 0.9).expect("there is a limit");
    assert!(poisson_at_least(8, events) <= 0.05 && poisson_at_least(8, 3.0 * events) > 0.8999);
    assert_eq!(stages::fitting_events(1.0, 0.05, 0.9), None);
    // 88,000 events tell 1 % more; a tenth of that is more than anybody waits for.
    let many = stages::fitting_events(1.01, 0.05, 0.9).expect("there is a limit");
    assert!((80_000.0..100_000.0).contains(&many), "{many}");
    assert_eq!(stages::fitting_events(1.001, 0.05, 0.9), None);
    let enough = |pause_ratio, baseline_percent| {
        let stages::Inputs { false_pause_percent, power_percent, .. } = stages_preset("chapter");
        assert_eq!((false_pause_percent, power_percent), (5.0, 90.0));
        let inputs = stages::Inputs { pause_ratio, baseline_percent, ..stages_preset("chapter") };
        let table = shown(&inputs).tables().remove(0);
        let column = table.header.iter().position(|name| *name == "enough").expect("is there");
        table.rows[0][column].clone()
    };
    assert_eq!(enough(1.001, 0.5), "more than 100,000 events");
    assert_eq!((enough(1.0, 0.5), enough(1.001, 0.0)), ("never".to_owned(), "never".to_owned()));
    let same = shown(&stages::Inputs { pause_ratio: 1.0, ..stages_preset("chapter") });
    assert_eq!((same.fitting_device_hours, same.stages[0].fitting_hours), (None, None));
    let silent = shown(&stages::Inputs { baseline_percent: 0.0, ..stages_preset("chapter") });
    assert_eq!((silent.fitting_device_hours, silent.stages[0].pause_at_events), (None, 1));
    is_near(found.stages[0].silence_excludes_share.expect("there are devices"), 0.0024, 0.00001);
}

/// `rollout`'s own figures for the canary: it sees 41x in half of all cases with an alpha of 1 %.
#[test]
fn whittles_own_test_stands_beside_the_rule() {
    let found = shown(&stages_preset("chapter"));
    assert!(
        found.stages[0].test_sees_ratio.is_some_and(|ratio| ratio > 38.0),
        "{:?}",
        found.stages[0].test_sees_ratio
    );
    assert!(
        found.stages[2].test_sees_ratio.is_some_and(|ratio| ratio < 2.5),
        "{:?}",
        found.stages[2].test_sees_ratio
    );
    assert_eq!(found.stages[3].test_sees_ratio, None, "nobody is left on the old firmware");
}

#[test]
fn tickets_come_from_devices_that_roll_back() {
    let found = shown(&stages_preset("chapter"));
    let all: Vec<_> = found.stages.iter().map(|stage| stage.tickets_if_all_roll_back).collect();
    for (found, wanted) in all.iter().zip([3.75, 37.5, 187.5, 521.25]) {
        is_near(*found, wanted, 1e-9);
    }
    let above: Vec<_> = found.stages.iter().map(|stage| stage.above_capacity).collect();
    assert_eq!(above, [false, false, false, true]);
    is_near(found.stages[1].tickets_at_trigger, 0.75, 1e-9);
    is_near(found.trigger_tickets_per_day, 600.0, 1e-9);
    assert!(found.trigger_above_capacity);
}

#[test]
fn the_rollout_takes_150_hours_and_more_with_what_is_unsaid() {
    let inputs = stages_preset("chapter");
    let found = shown(&inputs);
    assert_eq!((found.hours, found.hours_with_one_pause), (150.0, 198.0));
    let analysed = shown(&stages::Inputs { analysis_hours: 2.0, ..inputs });
    assert_eq!(analysed.hours / 24.0, 6.5);
    assert_eq!(analysed.stages[1].from_hour, 8.0);
}

#[test]
fn percentages_mean_what_is_said() {
    let mut inputs = stages_preset("chapter-cumulative");
    let new = |found: &stages::Outcome| {
        found.stages.iter().map(|stage| stage.new_devices).collect::<Vec<_>>()
    };
    assert_eq!(new(&shown(&inputs)), [1250.0, 11_250.0, 50_000.0, 187_500.0]);
    inputs.percents = Percents::Incremental;
    let refused = stages::outcome(&inputs).expect_err("130.5 %").to_string();
    assert_eq!(refused, "stages: they add up to 130.5 %, wanted 100 at most; are they cumulative?");
    let incremental = stages::Inputs { percents: Percents::Cumulative, ..stages_preset("chapter") };
    assert!(stages::outcome(&incremental).is_ok(), "0.5, 5, 25 and 69.5 % could be meant so");
    inputs.percents = Percents::Cumulative;
    inputs.stages.swap(1, 2);
    let refused = stages::outcome(&inputs).expect_err("5 % after 25 %").to_string();
    assert_eq!(refused, "stages: 5 % after 25 %, wanted no less; are they incremental?");
}

#[test]
fn meters_show_four_times_as_many_crashes() {
    let found = shown(&stages_preset("meters"));
    is_near(found.stages[0].expected_events, 10.0, 1e-9);
    is_near(poisson_at_least(40, 10.0), 7.3e-13, 0.1e-13);
    assert_eq!(found.stages[0].new_devices, 1250.0);
}

#[test]
fn a_limit_that_is_whole_pauses_at_one_more() {
    let inputs = stages::Inputs {
        devices: 5000.0,
        stages: vec![stages::Stage { name: "all".to_owned(), percent: 100.0, hours: 24.0 }],
        baseline_percent: 0.03,
        pause_ratio: 2.0,
        ..stages_preset("chapter-cumulative")
    };
    let found = shown(&inputs);
    assert_eq!(found.stages[0].pause_at_events, 4, "more than 2 x 1.5");
    is_near(found.stages[0].false_pause, 0.065_642, 1e-6);
    is_near(found.false_pause, 0.065_642, 1e-6);
}

#[test]
fn a_late_bug_shows_on_no_more_devices_than_there_are() {
    let inputs = |bug_percent: f64, seen: f64| stages::Inputs {
        devices: 2.0,
        stages: vec![stages::Stage { name: "both".to_owned(), percent: 100.0, hours: 4.0 }],
        bug_percent,
        bug_hours: 4.0,
        bug_devices_seen: seen,
        ..stages_preset("chapter-cumulative")
    };
    let seen = |bug_percent, devices| shown(&inputs(bug_percent, devices)).stages[0].late_bug_seen;
    let failed = 1.0 - (-1.0_f64).exp();
    assert_eq!(seen(100.0, 3.0), 0.0);
    is_near(seen(100.0, 2.0), failed * failed, 1e-12);
    is_near(seen(50.0, 2.0), failed * failed / 4.0, 1e-12);
    is_near(seen(100.0, 1.0), 1.0 - (1.0 - failed) * (1.0 - failed), 1e-12);
}

/// Who was updated first has had the bug the longest: what a stage has seen, the next one does not forget.
#[test]
fn a_late_bug_goes_on_showing_on_devices_of_earlier_stages() {
    let stage = |percent: f64, hours| stages::Stage { name: percent.to_string(), percent, hours };
    let inputs = |watched| stages::Inputs {
        devices: 1000.0,
        stages: vec![stage(10.0, 200.0), stage(20.0, 1.0), stage(100.0, 50.0)],
        percents: Percents::Cumulative,
        watched,
        analysis_hours: 9.0,
        bug_percent: 2.0,
        bug_hours: 100.0,
        bug_devices_seen: 3.0,
        ..stages_preset("chapter-cumulative")
    };
    let seen = |watched| shown(&inputs(watched)).stages.iter().map(|s| s.late_bug_seen).collect();
    let all: Vec<f64> = seen(Watched::AllUpdated);
    // By the sum over all numbers of the 100, 100 and 800 devices, for 269, 60 and 50 hours in the end.
    is_near(all[0], 0.24990159475295814, 1e-9);
    is_near(all[1], 0.2621543928887591, 1e-9);
    is_near(all[2], 0.9942413814424799, 1e-9);
    let new: Vec<f64> = seen(Watched::NewDevices);
    is_near(new[1], 1.2560474936697675e-06, 1e-12);
}

#[test]
fn late_bugs_show_late() {
    let hours = |wanted| stages::hours_until_failed(5, wanted, 0.95, 4.0).expect("five have it");
    is_near(hours(1), 2.4, 0.05);
    is_near(hours(3), 6.7, 0.05);
    assert_eq!(stages::hours_until_failed(5, 6, 0.95, 4.0), None);
    // A canary of 1,000 devices, of which 0.5 % have a bug that shows after 4 h.
    let inputs = |hours: f64, seen: f64| stages::Inputs {
        devices: 100_000.0,
        stages: vec![stages::Stage { name: "canary".to_owned(), percent: 1.0, hours }],
        bug_devices_seen: seen,
        ..stages_preset("chapter-cumulative")
    };
    let seen = |hours, devices| shown(&inputs(hours, devices)).stages[0].late_bug_seen;
    is_near(seen(4.0, 1.0), 0.958, 0.0005);
    is_near(seen(4.0, 3.0), 0.61, 0.005);
    is_near(seen(12.0, 3.0), 0.85, 0.005);
}

#[test]
fn other_plans_have_names() {
    for preset in presets::stages() {
        let found = shown(&preset.inputs);
        assert!(found.updated_share == 1.0 && !preset.about.is_empty(), "{}", preset.name);
    }
    for preset in presets::savings() {
        saved(&preset.inputs);
    }
    let longer = shown(&stages_preset("slow")).hours - shown(&stages_preset("fast")).hours;
    assert_eq!(longer / 24.0, 33.0);
}

/// Parts of what is recomputed, by parts of what the chapter says.
#[test]
fn each_difference_is_stated() {
    let wanted = [
        ("$15,450", "$15,450.00; $16,200.50 "),
        ("0.083 MB", "82.944 KiB -> 0.08343 MB -> 1,251.45 MB -> $2,502.90"),
        ("$4,490", "$4,502.90, and $10,947.10"),
        ("71 %", "70.9 % of the cost, 83.8 % of the bytes"),
        ("ROI 244 %", "243.1 % of all that is spent with deltas; 547.4 % of the tools (548 % "),
        ("1,800", "2,317, so that 2,318 is the first fleet that saves; 2,315 "),
        ("249 KB", "761 KB"),
        ("licensing", "no fee"),
        ("every device runs", "2,439, 2,575, 2,896"),
        ("2 retries", "1.6 full images a year"),
        ("40 crashes", "p = 7.3e-13; 4x; 19x"),
        ("28.8 s", "28.8 s"),
        ("0.25 crashes", "0.0625 and 0.1875"),
        ("above 0.75", "pauses at 1: 6.1 % false pauses, 17.1 % power"),
        ("above 7.5", "pauses at 8: 0.42 % false pauses, 47.5 % power"),
        ("catches most", "0.24 % of devices"),
        ("37.5", "37.5 only if all 12,500 roll back; 0.75 at the 2 % that pause, 3.75 at 10 %"),
        ("3.7 expected", "3.75, 37.5, 187.5, 521.25"),
        ("100 tickets", "600 a day, above"),
        ("6.5 days", "150 h (6.25 d); 156 h (6.5 d) "),
        ("173,750", "cumulative: 1,250, 11,250, 50,000, 187,500"),
        ("stages 3 and 4", "46.9 % power against 3x in stage 3, 48.7 % in stage 4"),
        (
            "MTTF",
            "0.8 h by that formula; 5 affected devices: one has failed after 2.4 h, three after 6.7 h",
        ),
        ("2,500 devices", "2.5 %"),
        ("3 weeks", "33 days, 4.7 weeks"),
        ("100-1,000 devices", "20 to 500 for each week of delay; 80 to 2,000 for four"),
        ("0.02 %", "240 times apart"),
        ("2-6 weeks", "presets: chapter, "),
    ];
    let found = differences();
    assert_eq!(found.len(), wanted.len());
    for (chapter, recomputed) in wanted {
        let row = found
            .iter()
            .find(|row| row.chapter.contains(chapter) && row.recomputed.contains(recomputed));
        assert!(row.is_some(), "{chapter}: {recomputed}");
    }
}
