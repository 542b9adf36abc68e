//! The canary of the chapter as text, and what errors in a text look like.

use whittle_policy::testing::{evaluate, metric, plan, plan_input, setting, snapshot_with};

use super::*;

fn policy(text: &str) -> Vec<Setting> {
    vec![setting("policy", Value::Text(text.to_owned()))]
}

fn refused(text: &str) -> String {
    let mut input = plan_input(100_000);
    input.settings = policy(text);
    Declarative::plan(input).unwrap_err()
}

fn healthy() -> Snapshot {
    let tally = |value: f64, n: f64| Tally::new(value * n, n);
    let mut connected =
        metric("connected", MetricKind::Proportion, tally(0.98, 1e5), tally(0.98, 1e3));
    connected.higher_is_worse = false;
    let mut now = snapshot_with(vec![
        metric("crashes", MetricKind::Rate, tally(0.002, 1e6), tally(0.002, 5e3)),
        connected,
        metric("battery-drain", MetricKind::Mean, tally(1.0, 1e5), tally(1.0, 1e3)),
    ]);
    for (stage, name) in now.stages.iter_mut().zip(["canary", "early", "regional", "full"]) {
        stage.name = name.to_owned();
    }
    now
}

#[test]
fn the_default_is_the_chapters_canary() {
    let plan = plan::<Declarative>(&plan_input(100_000));
    let stages: Vec<_> = plan
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage.share, in_hours(stage.min_time)))
        .collect();
    assert_eq!(
        stages,
        [
            ("canary", 0.01, 2.0),
            ("early", 0.05, 12.0),
            ("regional", 0.25, 24.0),
            ("full", 1.0, 168.0)
        ]
    );
    assert_eq!(plan.hold_back, 0.02);
    let names: Vec<_> =
        Declarative::describe(&[]).metrics.into_iter().map(|need| (need.name, need.kind)).collect();
    assert_eq!(
        names,
        [
            ("crashes".to_owned(), MetricKind::Rate),
            ("connected".to_owned(), MetricKind::Proportion),
            ("battery-drain".to_owned(), MetricKind::Mean)
        ]
    );
}

#[test]
fn the_default_pauses_as_the_chapter_says() {
    assert_eq!(evaluate::<Declarative>(&healthy()).decision, Decision::Advance(0.05));
    let mut crashing = healthy();
    crashing.groups[0].metrics[0].current = Tally::new(21.0, 5_000.0);
    let verdict = evaluate::<Declarative>(&crashing);
    let Decision::Pause(order) = &verdict.decision else { panic!("{verdict:?}") };
    assert_eq!(in_hours(order.decide_within), 48.0);
    assert_eq!(verdict.reasons[0].code, "crashes-over-limit");
    let mut bricked = healthy();
    bricked.groups[0].bricked = 2;
    assert!(matches!(evaluate::<Declarative>(&bricked).decision, Decision::RollBack(_)));
}

/// Thresholds that get narrower, tickets, rings, pace: what the chapter's other plans need.
const RICH: &str = r#"
min-events = 1
within = "24 h"
otherwise = "stop"
split-by = "hw, region"

[[stage]]
name = "insiders"
share = "0.1 %"
watch = "3 d"
at-most = "10 d"
among = "ring=insiders"
devices = 10

[[stage]]
share = 1.0
watch = "90 min"
pace = "2400 per hour"
approval = true

[[pause]]
when = "crashes > 1.2 x control"
stages = ["100 %"]
severity = "high"
within = "4 h"

[[note]]
when = "radio-time > 10"

[[pause]]
when = "tickets > 100 in 4 h"

[metrics]
radio-time = "mean"
"#;

#[test]
fn everything_that_can_be_said() {
    let mut input = plan_input(100_000);
    input.settings = policy(RICH);
    input.groups.push(whittle_policy::testing::group("ring=insiders", 30, 0));
    let plan = plan::<Declarative>(&input);
    let [insiders, full] = &plan.stages[..] else { panic!("{plan:?}") };
    assert_eq!(
        (insiders.max_devices, insiders.among.as_deref()),
        (Some(10), Some("ring=insiders"))
    );
    assert_eq!((insiders.max_time, insiders.share), (Some(days(10.0)), 0.001));
    assert_eq!((full.name.as_str(), full.pace, full.needs_approval), ("100 %", Some(2_400), true));
    assert_eq!(in_hours(full.min_time), 1.5);
    let info = Declarative::describe(&input.settings);
    assert_eq!((info.buckets, info.bucket_length), (4, 3_600));
    assert_eq!(info.split_by, ["hw", "region"]);
    assert_eq!(info.metrics.len(), 3);
}

#[test]
fn rules_hold_in_their_stages() {
    let mut now = healthy();
    now.settings = policy(RICH);
    now.groups[0].metrics[0].control = Tally::new(2_000.0, 1e6);
    now.groups[0].metrics[0].current = Tally::new(13.0, 5_000.0);
    let verdict = evaluate::<Declarative>(&now);
    assert!(!matches!(verdict.decision, Decision::Pause(_)), "{verdict:?}");
    now.stages[0].name = "100 %".to_owned();
    let verdict = evaluate::<Declarative>(&now);
    let Decision::Pause(order) = verdict.decision else { panic!("{verdict:?}") };
    assert_eq!((order.severity, in_hours(order.decide_within)), (Severity::High, 4.0));
    assert_eq!(order.otherwise, Fallback::Stop);
}

/// The plan and triggers that the chapter sets against skipped stages: 10 %, 25 %, 50 % after the canary, "crash rate > 0.1 %,
/// error logs > threshold"; and its tables of thresholds by stage and of criteria.
#[test]
fn the_chapters_other_rules_can_be_written() {
    let mut text = String::new();
    for (share, watch) in [(1, 48), (10, 48), (25, 72), (50, 168), (100, 336)] {
        text += &format!("[[stage]]\nshare = \"{share} %\"\nwatch = \"{watch} h\"\n");
    }
    text += r#"
[[roll-back]]
when = "crashes > 0.1 % per day"
[[roll-back]]
when = "error-logs > 50 per day"
[[roll-back]]
when = "crashes > 10 x baseline"
[[roll-back]]
when = "silent > 1 %"
[[pause]]
when = "crashes > 5 x baseline"
severity = "high"
within = "24 h"
[[pause]]
when = "crashes > 1.5 x baseline"
stages = ["25 %", "50 %"]
[[pause]]
when = "crashes > 1.2 x baseline"
stages = ["100 %"]
[[pause]]
when = "tickets > 2 x baseline"
within = "24 h"
[[note]]
when = "battery-drain > 1.2 x baseline"
[metrics]
error-logs = "rate"
"#;
    let mut input = plan_input(100_000);
    input.settings = policy(&text);
    let shares: Vec<_> =
        plan::<Declarative>(&input).stages.iter().map(|stage| stage.share).collect();
    assert_eq!(shares, [0.01, 0.1, 0.25, 0.5, 1.0]);

    let mut now = healthy();
    now.settings = input.settings;
    let per_day = |share: f64| Tally::new(share / 24.0 * 1e7, 1e7);
    now.groups[0].metrics[0].baseline = per_day(0.0002);
    now.groups[0].metrics[0].current = per_day(0.0011);
    let verdict = evaluate::<Declarative>(&now);
    assert!(matches!(verdict.decision, Decision::RollBack(_)), "{verdict:?}");
    now.groups[0].metrics[0].current = per_day(0.0009);
    assert!(!matches!(evaluate::<Declarative>(&now).decision, Decision::RollBack(_)));
}

#[test]
fn errors_name_the_line() {
    let stage = "[[stage]]\nshare = \"5 %\"\nwatch = \"1 h\"\n";
    let cases = [
        ("", "a plan needs a stage"),
        ("[[stage]]\nshare = \"5 %\"", "line 1: `watch` is missing"),
        ("\n[[stage]]\nshare = \"5\"\nwatch = \"1 h\"", "line 3: `5` is more than all of it"),
        (
            "[[stage]]\nshare = \"5 %\"\nwatch = \"1 hour\"",
            "line 3: `1 hour` is no time such as `12 h`",
        ),
        (
            "[[stage]]\nshares = 1",
            "line 2: `shares` is not known here; known are `name`, `share`, `watch`, `at-most`, `devices`, `among`, `pace`, `approval`",
        ),
        (
            "stage = 1",
            "line 1: `stage` is not known here; known are `hold-back`, `min-events`, `max-age`, `within`, `otherwise`, `split-by`",
        ),
        ("[[stage]]\nshare = true\nwatch = \"1 h\"", "line 2: this must be a text or a number"),
        ("[stage]\nshare = 1", "line 1: this must be written `[[stage]]`"),
        ("within = \"80 h\"", "line 1: a pause must be decided within 72 h, not `80 h`"),
        ("otherwise = \"wait\"", "line 1: `wait` is none of `resume`, `roll-back` and `stop`"),
        ("[metrics]\nx = \"sum\"", "line 2: `sum` is none of `rate`, `proportion` and `mean`"),
    ];
    for (text, error) in cases {
        assert_eq!(refused(text), error, "{text}");
    }
    let rules = [
        (
            "[[pause]]\nwhen = \"crashes > lots\"",
            "line 5: `lots` is no number such as `12` or `0.5`",
        ),
        (
            "[[pause]]\nwhen = \"latency > 2 x control\"",
            "line 4: metric `latency` is not known: say in `[metrics]` whether it is a rate, proportion or mean",
        ),
        (
            "[[pause]]\nwhen = \"crashes > 2 x control\"\nstages = [\"late\"]",
            "line 4: there is no stage `late`",
        ),
        (
            "[[roll-back]]\nwhen = \"connected > 2 in 4 h\"",
            "line 4: `connected` is no rate, whose events could be counted",
        ),
        (
            "[[note]]\nwithin = \"4 h\"",
            "line 5: `within` is not known here; known are `when`, `stages`",
        ),
    ];
    for (rule, error) in rules {
        assert_eq!(refused(&format!("{stage}{rule}")), error, "{rule}");
    }
    let falling = format!("{stage}{stage}");
    assert!(refused(&falling).contains("shares are cumulative"), "{}", refused(&falling));
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let error = refused("hold-back = \"2 %\"\n[[stage]\nshare = 1");
    assert!(error.starts_with("line 2: "), "{error}");
    assert!(Declarative::describe(&policy("[[")).metrics.is_empty());
}
