//! The worked example: 250,000 thermostats, 0.02 % crashes per device-day, and where its arithmetic is off.

use whittle_policy::contract::{Bucket, Clock};
use whittle_policy::statistics::poisson_at_least;
use whittle_policy::testing::{
    clock, evaluate, metric, number, plan, plan_input, setting, snapshot_with,
};

use super::*;

const FLEET: u32 = 250_000;
const CRASHES_PER_HOUR: f64 = 0.0002 / 24.0;

/// The second stage after its day: 12,500 devices.
fn second_stage(crashes: f64) -> Snapshot {
    let tickets =
        buckets(metric("tickets", MetricKind::Rate, Tally::NONE, Tally::NONE), &[1.0; 24]);
    let mut now = snapshot_with(vec![
        metric(
            "crashes",
            MetricKind::Rate,
            Tally::new(50.0 * 30.0, 250_000.0 * 24.0 * 30.0),
            Tally::new(crashes, 12_500.0 * 24.0),
        ),
        tickets,
        metric(
            "heating-time",
            MetricKind::Mean,
            Tally::new(20.0 * 100_000.0, 100_000.0),
            Tally::new(20.0 * 12_500.0, 12_500.0),
        ),
    ]);
    now.stages = plan::<Thermostat>(&plan_input(FLEET)).stages;
    now.stage_index = 1;
    now.share_limit = 0.05;
    now.full_for = Some(hours(24.0));
    (now.groups[0].devices, now.groups[0].updated) = (FLEET, 12_500);
    now
}

/// Tickets by hour, the newest first.
fn buckets(mut tickets: Metric, counts: &[f64]) -> Metric {
    tickets.recent.clear();
    for (age, count) in (0..).map(|hour| hour * 3_600).zip(counts) {
        let treated = Tally::new(*count, 12_500.0);
        tickets.recent.push(Bucket { age, length: 3_600, treated, control: Tally::NONE });
    }
    tickets
}

fn is_pause_for(verdict: &Verdict, code: &str) -> bool {
    matches!(verdict.decision, Decision::Pause(_)) && verdict.reasons[0].code == code
}

#[test]
fn the_plan_is_the_chapters() {
    let plan = plan::<Thermostat>(&plan_input(FLEET));
    let devices: Vec<_> =
        plan.stages.iter().map(|stage| (stage.share * f64::from(FLEET)).round()).collect();
    assert_eq!(devices, [1_250.0, 12_500.0, 62_500.0, 250_000.0]);
    let watch: Vec<_> = plan.stages.iter().map(|stage| in_hours(stage.min_time)).collect();
    assert_eq!(watch, [6.0, 24.0, 48.0, 24.0]);
    // 187,500 devices over 72 hours: cumulative shares leave more for the last stage than the 173,750 of the chapter.
    assert_eq!(plan.stages[3].pace, Some(2_605));
}

/// The chapter adds 6 + 24 + 48 + 72 hours up to 6.5 days.
#[test]
fn the_plan_takes_six_days_and_a_quarter() {
    let mut input = plan_input(FLEET);
    input.settings = vec![setting("watch-hours", Value::Numbers(vec![6.0, 24.0, 48.0, 0.0]))];
    let plan = plan::<Thermostat>(&input);
    let watched: f64 = plan.stages.iter().map(|stage| in_hours(stage.min_time)).sum();
    let pace = f64::from(plan.stages[3].pace.expect("it is spread"));
    let rolling = (0.75 * f64::from(FLEET) / pace).round();
    assert_eq!((watched + rolling) / 24.0, 6.25);
}

/// 0.3 % of the devices that roll back become tickets: 3.75 in the first stage. The chapter calls 37.5 the most of the second,
/// whose 11,250 more devices make 33.75, and forgets that the last one would bring 562.5, above the 500 of a day.
#[test]
fn the_plan_tells_what_support_has_to_expect() {
    let plan = plan::<Thermostat>(&plan_input(FLEET));
    let loads: Vec<_> = plan
        .reasons
        .iter()
        .map(|reason| {
            (reason.code.as_str(), (reason.observed.unwrap_or(0.0) * 100.0).round() / 100.0)
        })
        .collect();
    assert_eq!(
        loads,
        [
            ("support-load", 3.75),
            ("support-load", 33.75),
            ("support-load", 150.0),
            ("support-over-capacity", 562.5)
        ]
    );
}

/// 2.5 crashes are expected and 7.5 are the limit, so the eighth pauses.
#[test]
fn the_eighth_crash_of_the_second_stage_pauses() {
    assert_eq!(evaluate::<Thermostat>(&second_stage(7.0)).decision, Decision::Advance(0.25));
    let verdict = evaluate::<Thermostat>(&second_stage(8.0));
    assert!(is_pause_for(&verdict, "crashes-over-limit"), "{verdict:?}");
    let limit = verdict.reasons[0].limit.expect("a limit");
    assert!((limit - 3.0 * CRASHES_PER_HOUR).abs() < 1e-12);
}

/// What the chapter's rule is worth: false pauses, and how often a true tripling is caught.
#[test]
fn three_times_the_baseline_is_a_coin_toss() {
    let near = |found: f64, wanted: f64| (found - wanted).abs() < 0.001;
    assert!(near(poisson_at_least(8, 2.5), 0.004), "{}", poisson_at_least(8, 2.5));
    assert!(near(poisson_at_least(8, 7.5), 0.475), "{}", poisson_at_least(8, 7.5));
    // The first stage, in whose 6 hours 0.0625 crashes are expected; the chapter says 0.25.
    let expected = 1_250.0 * 6.0 * CRASHES_PER_HOUR;
    assert!(near(expected, 0.0625));
    assert!(near(poisson_at_least(1, expected), 0.061), "one crash, without any fault");
    assert!(near(poisson_at_least(1, 0.25), 0.221));
    assert!(near(poisson_at_least(1, 3.0 * expected), 0.171), "a true tripling");
}

/// With `min-events` at 1 the first crash pauses, as the chapter has it (0.75 "crashes" are its limit).
#[test]
fn the_first_crash_of_the_first_stage() {
    let mut now = second_stage(0.0);
    now.stage_index = 0;
    now.share_limit = 0.005;
    now.groups[0].updated = 1_250;
    now.groups[0].metrics[0].current = Tally::new(1.0, 1_250.0 * 6.0);
    assert_eq!(evaluate::<Thermostat>(&now).decision, Decision::Advance(0.05));
    now.settings = vec![number("min-events", 1.0)];
    assert!(is_pause_for(&evaluate::<Thermostat>(&now), "crashes-over-limit"));
}

#[test]
fn two_in_a_hundred_that_roll_back_are_the_limit() {
    let mut now = second_stage(0.0);
    now.groups[0].rolled_back = 250;
    assert_eq!(evaluate::<Thermostat>(&now).decision, Decision::Advance(0.25));
    now.groups[0].rolled_back = 251;
    assert!(is_pause_for(&evaluate::<Thermostat>(&now), "rolled-back-over-limit"));
}

#[test]
fn a_hundred_tickets_in_any_four_hours_are_the_limit() {
    let with = |counts: &[f64]| {
        let mut now = second_stage(0.0);
        let tickets = now.groups[0].metrics.remove(1);
        now.groups[0].metrics.push(buckets(tickets, counts));
        evaluate::<Thermostat>(&now)
    };
    assert_eq!(with(&[25.0; 4]).decision, Decision::Advance(0.25));
    // 101 within hours 2 to 5, and a day ago within hours 20 to 23.
    assert!(is_pause_for(&with(&[0.0, 25.0, 26.0, 25.0, 25.0, 0.0]), "tickets-over-limit"));
    let mut long_ago = [0.0; 24];
    long_ago[20..].copy_from_slice(&[26.0, 25.0, 25.0, 25.0]);
    assert!(is_pause_for(&with(&long_ago), "tickets-over-limit"));
    // 101 within five hours.
    assert_eq!(with(&[26.0, 25.0, 0.0, 25.0, 25.0]).decision, Decision::Advance(0.25));
    // 21 in each hour are below 100 in four, and above 500 in a day.
    let all_day = with(&[21.0; 24]);
    assert!(is_pause_for(&all_day, "tickets-over-limit"));
    assert_eq!((all_day.reasons[0].observed, all_day.reasons[0].limit), (Some(504.0), Some(500.0)));
}

#[test]
fn heating_for_longer_is_the_limit() {
    let mut now = second_stage(0.0);
    now.groups[0].metrics[2].current = Tally::new(22.99 * 12_500.0, 12_500.0);
    assert_eq!(evaluate::<Thermostat>(&now).decision, Decision::Advance(0.25));
    now.groups[0].metrics[2].current = Tally::new(23.01 * 12_500.0, 12_500.0);
    assert!(is_pause_for(&evaluate::<Thermostat>(&now), "heating-time-over-limit"));
}

#[test]
fn stages_begin_when_the_calendar_allows() {
    let with = |clock: Clock| {
        let mut now = second_stage(0.0);
        now.clock = clock;
        now.settings = vec![
            setting("weekdays", Value::Numbers(vec![1.0, 2.0, 3.0, 4.0])),
            number("from-hour", 9.0),
            number("to-hour", 16.0),
            setting("freezes", Value::Numbers(vec![1_220.0, 105.0])),
        ];
        let verdict = evaluate::<Thermostat>(&now);
        (verdict.decision, verdict.reasons[0].code.clone())
    };
    let held = |code: &str| (Decision::Hold, code.to_owned());
    let open = (Decision::Advance(0.25), "stage-passed".to_owned());
    assert_eq!(with(clock(100.0)), open);
    assert_eq!(with(Clock { hour: 15, minute: 59, ..clock(1.0) }), open);
    assert_eq!(with(Clock { hour: 16, ..clock(1.0) }), held("calendar-hour"));
    assert_eq!(with(Clock { hour: 8, ..clock(1.0) }), held("calendar-hour"));
    assert_eq!(with(Clock { weekday: 5, ..clock(1.0) }), held("calendar-weekday"));
    assert_eq!(with(Clock { month: 12, day: 24, ..clock(1.0) }), held("calendar-freeze"));
    assert_eq!(with(Clock { day: 5, ..clock(1.0) }), held("calendar-freeze"));
    assert_eq!(with(Clock { day: 6, ..clock(1.0) }), open);
}

#[test]
fn the_calendar_never_delays_a_pause() {
    let mut now = second_stage(8.0);
    now.settings = vec![setting("weekdays", Value::Numbers(vec![1.0]))];
    assert!(is_pause_for(&evaluate::<Thermostat>(&now), "crashes-over-limit"));
}

#[test]
fn a_calendar_that_makes_no_sense_is_refused() {
    for (key, wanted) in [("freezes", "last day"), ("weekdays", "must name a day")] {
        let mut input = plan_input(FLEET);
        let odd = if key == "freezes" { vec![1_220.0] } else { Vec::new() };
        input.settings = vec![setting(key, Value::Numbers(odd))];
        let error = Thermostat::plan(input).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
}
