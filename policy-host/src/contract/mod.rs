//! What the types of `wit/policy.wit` cannot say: ranges, lengths, and names that must be there.
//!
//! Each check stops at the first fault, and costs no memory as long as there is none.

mod answer;
mod input;
mod parts;
mod words;

use std::ops::RangeInclusive;

use whittle_rollout::policy::{LABEL_BYTES, NAME_BYTES};

pub(crate) use answer::{check_info, check_plan, check_refusal, check_verdict};
pub(crate) use input::{check_plan_input, check_snapshot};
pub(crate) use parts::check_settings;
pub use words::Violation;
pub(crate) use words::shortened;

/// The longest memo, in bytes.
pub const MAX_MEMO_BYTES: usize = 64 << 10;

const UNIT_BYTES: RangeInclusive<usize> = 0..=32;
const SENTENCE_BYTES: RangeInclusive<usize> = 1..=1024;
const TEXT_BYTES: RangeInclusive<usize> = 0..=1024;
const VALUE_TEXT_BYTES: RangeInclusive<usize> = 0..=64 << 10;
const STAGES: RangeInclusive<usize> = 1..=64;
const MAX_LISTED: usize = 64;
const MAX_SETTINGS: usize = 256;
const MAX_NUMBERS: usize = 256;
const MAX_DECISIONS: usize = 256;
const MAX_SPLITS: usize = 8;
const MAX_BUCKETS: u32 = 1000;
const BUCKET_S: RangeInclusive<u32> = 60..=604_800;
const HOLD_BACK: RangeInclusive<f64> = 0.0..=0.5;
const PAUSE_S: RangeInclusive<u32> = 1..=259_200;
const SOONEST_S: u32 = 60;

#[cfg(test)]
mod tests {
    use super::words::Check;
    use super::*;
    use crate::sample;
    use crate::types::{
        Decision, Fallback, FlagOrder, MetricKind, MetricNeed, PauseOrder, PolicyInfo, Reason,
        RollbackOrder, RolloutPlan, RootCause, Setting, SettingSpec, Severity, Snapshot, Stage,
        Value, Verdict,
    };

    fn info() -> PolicyInfo {
        let need = MetricNeed {
            name: "crashes".to_owned(),
            kind: MetricKind::Rate,
            unit: String::new(),
            help: String::new(),
            required: true,
        };
        PolicyInfo {
            name: "good".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Keeps the contract.".to_owned(),
            settings: vec![SettingSpec {
                key: "limit".to_owned(),
                help: "A limit.".to_owned(),
                unit: String::new(),
                default: Value::Number(2.0),
                min: 1.0,
                max: 10.0,
            }],
            metrics: vec![need],
            buckets: 0,
            bucket_length: 0,
            split_by: vec!["hw".to_owned()],
            extra: vec![],
        }
    }

    fn stage(share: f64) -> Stage {
        Stage {
            name: "stage".to_owned(),
            share,
            max_devices: None,
            among: None,
            min_time: 3600,
            max_time: None,
            pace: None,
            needs_approval: false,
        }
    }

    fn plan() -> RolloutPlan {
        RolloutPlan {
            stages: vec![stage(0.1), stage(1.0)],
            hold_back: 0.02,
            reasons: vec![],
            extra: vec![],
        }
    }

    fn verdict(decision: Decision) -> Verdict {
        let reason = Reason {
            code: "because".to_owned(),
            text: String::new(),
            metric: None,
            group: Some("hw=a".to_owned()),
            observed: Some(1.0),
            limit: None,
        };
        Verdict {
            decision,
            reasons: vec![reason],
            again_in: Some(60),
            feature_flags: vec![],
            memo: String::new(),
            extra: vec![],
        }
    }

    /// The states of a rollout by this plan whose names end so, in the order of their stages.
    fn states(ending: &str) -> Vec<Snapshot> {
        let all = sample::snapshots(&info(), &plan()).collect::<Vec<_>>();
        all.into_iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, now)| now).collect()
    }

    #[track_caller]
    fn refused(check: Check, at: &str) {
        assert_eq!(check.expect_err("it is outside the contract").at, at);
    }

    #[test]
    fn a_description_has_lengths_ranges_and_names_that_appear_once() {
        let with = |spoil: fn(&mut PolicyInfo)| {
            let mut info = info();
            spoil(&mut info);
            check_info(&info)
        };
        with(|_| ()).expect("it is within the contract");
        refused(with(|info| info.name.clear()), "name");
        refused(with(|info| info.version.push_str(".0")), "version");
        refused(with(|info| info.settings.push(info.settings[0].clone())), "settings[1].key");
        refused(with(|info| info.settings[0].key = "Limit".to_owned()), "settings[0].key");
        refused(with(|info| info.settings[0].max = f64::INFINITY), "settings[0].max");
        refused(with(|info| info.settings[0].min = 3.0), "settings[0].default");
        refused(with(|info| info.metrics.push(info.metrics[0].clone())), "metrics[1].name");
        refused(with(|info| info.bucket_length = 60), "bucket_length");
        refused(with(|info| (info.buckets, info.bucket_length) = (1, 59)), "bucket_length");
        refused(with(|info| info.split_by = vec![String::new(); 9]), "split_by");
    }

    #[test]
    fn a_plan_has_rising_shares_and_groups_that_exist() {
        let with = |spoil: fn(&mut RolloutPlan)| {
            let mut plan = plan();
            spoil(&mut plan);
            check_plan(&plan, &sample::plan_input(&info()))
        };
        with(|plan| plan.stages[0].among = Some("hw=b".to_owned())).expect("there is such a group");
        refused(with(|plan| plan.stages.clear()), "stages");
        refused(with(|plan| plan.stages[0].share = 0.0), "stages[0].share");
        refused(with(|plan| plan.stages[1].share = 0.1), "stages[1].share");
        refused(with(|plan| plan.stages[0].among = Some("hw=c".to_owned())), "stages[0].among");
        refused(with(|plan| plan.stages[0].max_time = Some(3600)), "stages[0].max_time");
        refused(with(|plan| plan.stages[0].pace = Some(0)), "stages[0].pace");
        refused(with(|plan| plan.hold_back = 0.6), "hold_back");
    }

    #[test]
    fn a_verdict_fits_the_state_of_the_rollout() {
        let [first, last] = &states(", full, as before")[..] else { panic!("two stages") };
        let [paused, _] = &states("just paused, as before")[..] else { panic!("two stages") };
        let check = |decision, now| check_verdict(&verdict(decision), now);
        check(Decision::Advance(1.0), first).expect("the next stage");
        refused(check(Decision::Advance(0.1), first), "advance");
        refused(check(Decision::Advance(f64::NAN), first), "advance");
        refused(check(Decision::Advance(1.0), paused), "decision");
        check(Decision::Resume(0.05), paused).expect("a part of the stage");
        refused(check(Decision::Resume(0.2), paused), "resume");
        refused(check(Decision::Resume(0.05), first), "decision");
        check(Decision::Complete, last).expect("nothing is left");
        refused(check(Decision::Complete, first), "decision");
        let back = |label: &str| RollbackOrder { groups: vec![label.to_owned()], quarantine: true };
        check(Decision::RollBack(back("hw=a")), first).expect("there is such a group");
        refused(check(Decision::RollBack(back("hw=c")), first), "roll_back.groups");
        let pause = |otherwise| PauseOrder {
            severity: Severity::High,
            decide_within: 3600,
            otherwise,
            more_telemetry: false,
        };
        check(Decision::Pause(pause(Fallback::Resume(0.1))), paused).expect("other terms");
        let too_far = check(Decision::Pause(pause(Fallback::Resume(0.2))), first);
        refused(too_far, "pause.otherwise.resume");
        let nobody = check(Decision::Pause(pause(Fallback::RollBack(back("?")))), first);
        refused(nobody, "pause.otherwise.roll_back.groups");
    }

    #[test]
    fn whatever_else_a_verdict_says_is_checked() {
        let [first, _] = &states(", full, as before")[..] else { panic!("two stages") };
        let with = |spoil: fn(&mut Verdict)| {
            let mut verdict = verdict(Decision::Hold);
            spoil(&mut verdict);
            check_verdict(&verdict, first)
        };
        let flag = |groups: &[&str]| FlagOrder {
            name: "heating".to_owned(),
            on: false,
            groups: groups.iter().map(|label| (*label).to_owned()).collect(),
        };
        with(|_| ()).expect("it is within the contract");
        refused(with(|verdict| verdict.reasons.clear()), "reasons");
        refused(with(|verdict| verdict.reasons[0].code.push('_')), "reasons[0].code");
        refused(
            with(|verdict| verdict.reasons[0].observed = Some(f64::NAN)),
            "reasons[0].observed",
        );
        refused(with(|verdict| verdict.again_in = Some(59)), "again_in");
        refused(with(|verdict| verdict.memo = "x".repeat(MAX_MEMO_BYTES + 1)), "memo");
        let mut unknown = verdict(Decision::Hold);
        unknown.feature_flags = vec![flag(&["hw=b"]), flag(&["hw=c"])];
        refused(check_verdict(&unknown, first), "feature_flags[1].groups");
        let mut twice = verdict(Decision::Hold);
        let extra = Setting { key: "host:a".to_owned(), value: Value::Flag(true) };
        twice.extra = vec![extra.clone(), extra];
        refused(check_verdict(&twice, first), "extra[1].key");
    }

    #[test]
    fn an_input_is_held_against_what_the_policy_understands() {
        let with = |key: &str, value| {
            let mut input = sample::plan_input(&info());
            input.settings = vec![Setting { key: key.to_owned(), value }];
            check_plan_input(&input, &info())
        };
        with("limit", Value::Number(3.0)).expect("it is in its range");
        refused(with("limit", Value::Number(11.0)), "setting `limit`");
        refused(with("limit", Value::Flag(true)), "setting `limit`");
        refused(with("another", Value::Number(3.0)), "setting `another`");
        let mut now = states("paused, minor cause found, as before").remove(0);
        assert_eq!(now.paused.as_ref().map(|pause| pause.root_cause), Some(RootCause::FoundMinor));
        now.stage_index = 2;
        refused(check_snapshot(&now, &info()), "stage_index");
        now.groups.clear();
        refused(check_snapshot(&now, &info()), "groups");
    }

    #[test]
    fn all_that_is_promised_of_a_snapshot_is_checked() {
        let with = |spoil: fn(&mut Snapshot)| {
            let mut now = states("just paused, as before").remove(0);
            spoil(&mut now);
            check_snapshot(&now, &info())
        };
        with(|_| ()).expect("it is within the contract");
        refused(with(|now| now.clock.weekday = 0), "clock.weekday");
        refused(with(|now| now.clock.month = 13), "clock.month");
        refused(with(|now| (now.clock.month, now.clock.day) = (2, 30)), "clock.day");
        refused(with(|now| now.release.name.clear()), "release.name");
        refused(with(|now| now.release.delta_bytes = -1.0), "release.delta_bytes");
        refused(with(|now| now.stages[1].share = 2.0), "stages[1].share");
        refused(with(|now| now.share_limit = 0.2), "share_limit");
        refused(with(|now| now.groups[1].label = "fleet".to_owned()), "groups[1].label");
        refused(with(|now| now.groups[1].label = "x".repeat(129)), "groups[1].label");
        refused(with(|now| now.groups[0].held_back = 100_001), "groups[0].held_back");
        refused(with(|now| now.groups[0].bricked = 10_001), "groups[0].bricked");
        let twice = with(|now| {
            let metric = now.groups[0].metrics[0].clone();
            now.groups[0].metrics.push(metric);
        });
        refused(twice, "groups[0].metrics[1].name");
        let tally = with(|now| now.groups[1].metrics[0].current.count = -1.0);
        refused(tally, "groups[1].metrics[0].current.count");
        let mean = |now: &mut Snapshot| {
            now.groups[1].metrics[0].kind = MetricKind::Mean;
            now.groups[1].metrics[0].current.count = -1.0;
        };
        with(mean).expect("a sum of readings may be negative");
        let signal =
            with(|now| now.groups[0].metrics[0].signal.as_mut().expect("measured").high = 0.1);
        refused(signal, "groups[0].metrics[0].signal.high");
        let alarm =
            with(|now| now.groups[0].metrics[0].signal.as_mut().expect("measured").alarm = 1.0);
        refused(alarm, "groups[0].metrics[0].signal.alarm");
        refused(
            with(|now| now.paused.as_mut().expect("paused").time_left = 259_201),
            "paused.time_left",
        );
        let otherwise = |now: &mut Snapshot| {
            now.paused.as_mut().expect("paused").otherwise = Fallback::Resume(0.5);
        };
        refused(with(otherwise), "paused.otherwise.resume");
        let extra = |now: &mut Snapshot| {
            now.extra = vec![Setting { key: "a b".to_owned(), value: Value::Flag(true) }];
        };
        refused(with(extra), "extra[0].key");
        let mut input = sample::plan_input(&info());
        input.clock.elapsed = 1;
        refused(check_plan_input(&input, &info()), "clock.elapsed");
    }
}
