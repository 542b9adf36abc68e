//! What holds for all simulations, with policies that say what the test wants.

use std::collections::BTreeMap;

use whittle_rollout::policy::types::{
    Decision, Fallback, PauseOrder, PlanInput, PolicyInfo, Reason, RolloutPlan, Setting, Severity,
    Snapshot, Stage, Verdict,
};
use whittle_rollout::policy::{Answer, Policy, PolicyFault};
use whittle_simulation::{
    Bug, Effect, Operator, Recording, Run, RunError, Scenario, backtest, compare, page, simulate,
    summary,
};

/// Goes on as soon as it may, and pauses if the host's own test says that something is worse.
struct Careful;

impl Policy for Careful {
    fn digest(&self) -> String {
        "ca".repeat(32)
    }

    fn describe(&self, _: &[Setting]) -> Result<Answer<PolicyInfo>, PolicyFault> {
        let info = PolicyInfo {
            name: "careful".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Pauses on evidence.".to_owned(),
            settings: vec![],
            metrics: vec![],
            buckets: 0,
            bucket_length: 0,
            split_by: vec![],
            extra: vec![],
        };
        Ok(Answer { value: info, fuel: 1 })
    }

    fn plan(&self, _: &PlanInput) -> Result<Answer<RolloutPlan>, PolicyFault> {
        let stage = |share: f64, hours: u32| Stage {
            name: format!("{share}"),
            share,
            max_devices: None,
            among: None,
            min_time: hours * 3600,
            max_time: None,
            pace: None,
            needs_approval: share == 0.25,
        };
        let stages = vec![stage(0.01, 6), stage(0.05, 12), stage(0.25, 24), stage(1.0, 72)];
        let plan = RolloutPlan { stages, hold_back: 0.05, reasons: vec![], extra: vec![] };
        Ok(Answer { value: plan, fuel: 1 })
    }

    fn evaluate(&self, now: &Snapshot) -> Result<Answer<Verdict>, PolicyFault> {
        let signals = now.groups[0].metrics.iter().filter_map(|metric| metric.signal);
        let is_worse = signals.into_iter().any(|signal| signal.log_e_worse >= 20_f64.ln());
        let place = now.stage_index as usize;
        let is_done = now.full_for.is_some_and(|full| full >= now.stages[place].min_time);
        let decision = match now.stages.get(place + 1) {
            _ if now.paused.is_some() => Decision::Hold,
            _ if is_worse => Decision::Pause(PauseOrder {
                severity: Severity::High,
                decide_within: 86_400,
                otherwise: Fallback::Stop,
                more_telemetry: false,
            }),
            // A guard rail has let it reach a part of the stage only.
            _ if is_done && now.share_limit < now.stages[place].share => {
                Decision::Advance(now.stages[place].share)
            }
            Some(next) if is_done => Decision::Advance(next.share),
            None if is_done => Decision::Complete,
            _ => Decision::Hold,
        };
        let why = Reason {
            code: if is_worse { "evidence" } else { "fine" }.to_owned(),
            text: String::new(),
            metric: None,
            group: None,
            observed: None,
            limit: None,
        };
        let verdict = Verdict {
            decision,
            reasons: vec![why],
            again_in: None,
            feature_flags: vec![],
            memo: String::new(),
            extra: vec![],
        };
        Ok(Answer { value: verdict, fuel: 1 })
    }
}

/// The shipped scenario without a fault, with fewer devices so that chance shows.
fn healthy() -> Scenario {
    let text = include_str!("../../examples/scenarios/healthy.toml");
    let mut scenario: Scenario = toml::from_str(text).expect("it is one");
    scenario.max_days = 14;
    for cell in &mut scenario.rollout.cells {
        cell.devices /= 4;
    }
    scenario.operator = Operator { approves_after_h: Some(1.0), ..Operator::default() };
    scenario
}

fn sick(effect: Effect, affected: f64) -> Scenario {
    let bug = Bug { name: "bug".to_owned(), attributes: BTreeMap::new(), affected, effect };
    Scenario { bugs: vec![bug], ..healthy() }
}

fn run(scenario: &Scenario, runs: u64) -> Vec<Run> {
    let (_, runs) = simulate(scenario, &Careful, runs, 7, &|| {}).expect("it runs");
    runs
}

#[test]
fn a_seed_gives_the_same_runs_on_any_number_of_threads() {
    let scenario = sick(Effect::Crash { mttf_h: 12.0, metric: "crashes".to_owned() }, 0.01);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let alone = pool.install(|| run(&scenario, 20));
    assert_eq!(alone, run(&scenario, 20));
    let same = compare(&alone, &alone);
    assert!(same.harmed == 0.0 && same.harmed_error == 0.0 && same.hours == 0.0, "{same:?}");
    let (_, other) = simulate(&scenario, &Careful, 20, 8, &|| {}).expect("it runs");
    assert_ne!(alone, other);
}

#[test]
fn a_healthy_release_reaches_everybody_who_can_be_reached() {
    let runs = run(&healthy(), 200);
    let found = summary(&runs, Some(500));
    assert!(found.detected.share <= 0.05, "{found:?}");
    let full = runs.iter().filter(|run| run.completed).count();
    assert_eq!(full + found.detected.runs, 200, "those that were not paused are done");
    for run in &runs {
        assert_eq!((run.harmed, run.stuck), (0, 0));
        assert!(!run.completed || run.updated >= 230_000, "{}", run.updated);
        assert!(run.course.windows(2).all(|two| two[0].share <= two[1].share));
    }
}

#[test]
fn what_is_wrong_is_seen_and_ends() {
    let crash = sick(Effect::Crash { mttf_h: 12.0, metric: "crashes".to_owned() }, 0.02);
    let found = summary(&run(&crash, 50), None);
    assert_eq!(found.detected.runs, 50, "{found:?}");
    assert!(found.by.keys().all(|who| who == "policy: evidence"), "{:?}", found.by);
    let bricks = sick(Effect::Brick { mttf_h: 4.0 }, 0.02);
    let runs = run(&bricks, 50);
    let found = summary(&runs, None);
    assert_eq!((found.detected.runs, found.rolled_back.runs), (50, 50), "{found:?}");
    assert!(found.by.keys().any(|who| who.starts_with("guard rail Kill")), "{:?}", found.by);
    assert!(runs.iter().all(|run| run.stuck >= run.harmed && run.harmed > 0));
    let silent = summary(&run(&sick(Effect::Silence { mttf_h: 2.0 }, 0.2), 20), None);
    assert_eq!(silent.rolled_back.runs, 20, "{silent:?}");
    let loops = Effect::BootLoop { mttf_h: 6.0, metric: Some("crashes".to_owned()) };
    let loops = run(&sick(loops, 0.05), 20);
    assert!(loops.iter().all(|run| run.harmed > 0 && run.stuck < run.harmed));
    let drift = Effect::Drift { metric: "heating-time".to_owned(), times: 1.3 };
    assert_eq!(summary(&run(&sick(drift, 1.0), 20), None).detected.runs, 20);
}

/// A people's roll-back within hours spares devices that a policy alone lets fail.
#[test]
fn people_who_act_spare_devices_in_the_same_world() {
    let slow = sick(Effect::Crash { mttf_h: 100.0, metric: "crashes".to_owned() }, 0.02);
    let operator = Operator { finds_cause_after_h: Some(2.0), acts: true, ..slow.operator };
    let quick = Scenario { operator, ..slow.clone() };
    let (slow, quick) = (run(&slow, 50), run(&quick, 50));
    let spared = compare(&slow, &quick);
    assert!(spared.harmed < 0.0, "{spared:?}");
    for (slow, quick) in slow.iter().zip(&quick) {
        assert_eq!(slow.detected, quick.detected, "the same until somebody acts");
    }
}

#[test]
fn what_cannot_be_is_told() {
    let told = |spoil: fn(&mut Scenario)| {
        let mut scenario = sick(Effect::Brick { mttf_h: 4.0 }, 0.1);
        spoil(&mut scenario);
        simulate(&scenario, &Careful, 1, 1, &|| {}).expect_err("it cannot be").to_string()
    };
    let offline = told(|scenario| scenario.fleet.offline = 1.0);
    assert_eq!(offline, "fleet.offline is 1, wanted 0 to below 1");
    let mttf = told(|scenario| scenario.bugs[0].effect = Effect::Brick { mttf_h: 0.0 });
    assert_eq!(mttf, "bug `bug`: mttf_h is 0, wanted 0.001 to 1000000000");
    let affected = told(|scenario| scenario.bugs[0].affected = f64::NAN);
    assert_eq!(affected, "bug `bug`: affected is NaN, wanted 0 to 1");
    let nobody = told(|scenario| {
        scenario.bugs[0].attributes.insert("hw".to_owned(), "Z".to_owned());
    });
    assert!(nobody.ends_with("wanted those of a cell"), "{nobody}");
    let metric = told(|scenario| scenario.fleet.ticket_metric = Some("tickts".to_owned()));
    assert_eq!(metric, "fleet.ticket_metric is `tickts`, wanted a metric of the rollout");
    let season = told(|scenario| {
        let season = whittle_simulation::Season { from_h: 5.0, until_h: 5.0, factor: 2.0 };
        scenario.fleet.seasons.push(season);
    });
    assert_eq!(season, "fleet.seasons.until_h is 5, wanted after `from_h`");
    let cells = told(|scenario| scenario.rollout.cells.clear());
    assert!(cells.contains("devices") || cells.contains("cell"), "{cells}");
}

#[test]
fn the_page_needs_nothing_else() {
    let scenario =
        Scenario { about: "<b>&\"'".to_owned(), ..sick(Effect::Brick { mttf_h: 4.0 }, 0.02) };
    let runs = run(&scenario, 10);
    let all = [("<script>".to_owned(), summary(&runs, Some(5)), runs)];
    let html = page(&scenario, "a & b", &all);
    for never in ["http", "<script", "src=", "url(", "@import"] {
        assert!(!html.contains(never), "{never}");
    }
    assert!(html.contains("&lt;b&gt;&amp;&quot;&#39;") && html.contains("<svg"));
    for tag in ["table", "svg", "h2", "h3", "tr", "td", "html", "body"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// A recording of a rollout whose devices crash more often from the second stage on, which nobody stopped.
fn recording() -> Recording {
    use whittle_rollout::policy::types::Tally;
    use whittle_rollout::{CellObservation, DeviceCounts, MetricObservation, Observation};
    let scenario = healthy();
    let figures = (0..48_u32).map(|hour| {
        let cells = scenario.rollout.cells.iter().map(|cell| {
            let updated = cell.devices / 1000 * if hour < 24 { 10 } else { 50 };
            let ratio = if hour < 24 { 1.0 } else { 6.0 };
            let tally = |devices: u32, rate: f64| Tally {
                count: (f64::from(devices) * rate).round(),
                exposure: f64::from(devices),
                squares: 0.0,
            };
            let crashes = MetricObservation {
                name: "crashes".to_owned(),
                treated: tally(updated, 0.0002 * ratio),
                control: tally(cell.devices - updated, 0.0002),
            };
            CellObservation {
                attributes: cell.attributes.clone(),
                devices: DeviceCounts {
                    offered: updated,
                    updated,
                    committed: updated,
                    ..DeviceCounts::default()
                },
                metrics: vec![crashes],
            }
        });
        let from_s = scenario.start_s + u64::from(hour) * 3600;
        let until_s = from_s + 3600;
        Observation { from_s, until_s, cells: cells.collect(), versions: BTreeMap::new() }
    });
    let mut rollout = scenario.rollout.clone();
    rollout.metrics.retain(|metric| metric.name == "crashes");
    Recording {
        about: "nobody looked".to_owned(),
        start_s: scenario.start_s,
        rollout,
        figures: figures.collect(),
    }
}

#[test]
fn the_outermost_values_of_a_scenario_are_simulated() {
    let text = include_str!("../../examples/scenarios/empty-batteries.toml");
    let scenario: Scenario = toml::from_str(text).expect("it is one");
    let drift = |times| Effect::Drift { metric: "battery-drain".to_owned(), times };
    let crash = |mttf_h| Effect::Crash { mttf_h, metric: "crashes".to_owned() };
    for effect in [drift(0.0), drift(1e6), crash(1e-3), crash(1e9)] {
        let mut scenario = Scenario { bugs: sick(effect, 1.0).bugs, ..scenario.clone() };
        scenario.fleet.tickets_per_failure = 1e6;
        assert_eq!(run(&scenario, 2).len(), 2);
    }
    for effect in [drift(1.1e6), drift(f64::INFINITY), crash(0.9e-3), crash(f64::NAN)] {
        let scenario = Scenario { bugs: sick(effect, 1.0).bugs, ..scenario.clone() };
        assert!(matches!(simulate(&scenario, &Careful, 1, 7, &|| {}), Err(RunError::Scenario(_))));
    }
}

#[test]
fn a_backtest_says_what_would_have_been_spared() {
    let mut recording = recording();
    let found = backtest(&recording, &Careful).expect("it can be");
    let alarm_h = found.alarm_h.expect("it is seen");
    assert!((25.0..30.0).contains(&alarm_h), "{found:?}");
    assert_eq!(found.spared, 0, "all had been updated by then");
    assert!(matches!(found.said.last().expect("said").decision, Decision::Pause(_)));
    // The rest of the fleet follows, as if nothing was wrong.
    let mut last = recording.figures.last().expect("figures").clone();
    (last.from_s, last.until_s) = (last.until_s, last.until_s + 3600);
    for cell in &mut last.cells {
        cell.devices.offered *= 10;
        cell.devices.updated *= 10;
    }
    recording.figures.push(last);
    let found = backtest(&recording, &Careful).expect("it can be");
    assert_eq!(found.spared, found.updated / 10 * 9);
    recording.figures[3].cells[0].devices.updated = u32::MAX;
    let bad = backtest(&recording, &Careful).expect_err("it cannot be").to_string();
    assert!(bad.starts_with("the engine sets figures aside at hour 4.00"), "{bad}");
}
