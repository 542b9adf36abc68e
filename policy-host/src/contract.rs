//! What the types of `wit/policy.wit` cannot say: ranges, lengths, and names that must be there.
//!
//! Each check stops at the first fault, and costs no memory as long as there is none.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::types::{
    Decision, Fallback, Group, PlanInput, PolicyInfo, Reason, RollbackOrder, RolloutPlan, Setting,
    SettingSpec, Snapshot, Stage, Value, Verdict,
};

/// The longest memo, in bytes.
pub const MAX_MEMO_BYTES: usize = 64 << 10;

const NAME_BYTES: RangeInclusive<usize> = 1..=64;
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

/// The least positive number: shares are greater than 0.
const ABOVE_ZERO: f64 = f64::MIN_POSITIVE;

/// Where an input or an answer is outside the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at} is {found}, wanted {wanted}")]
pub struct Violation {
    /// The field, such as `stages[1].share`.
    pub at: String,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
}

type Check = Result<(), Violation>;

/// Checks what a policy says of itself.
pub(crate) fn check_info(info: &PolicyInfo) -> Check {
    length("name", &info.name, NAME_BYTES)?;
    check_version(&info.version)?;
    length("summary", &info.summary, SENTENCE_BYTES)?;
    count("settings", info.settings.len(), 0..=MAX_SETTINGS)?;
    for (place, spec) in info.settings.iter().enumerate() {
        check_spec(place, spec)?;
        let others = info.settings.iter().take(place);
        once(format_args!("settings[{place}].key"), &spec.key, others.map(|spec| &spec.key))?;
    }
    count("metrics", info.metrics.len(), 0..=MAX_LISTED)?;
    for (place, metric) in info.metrics.iter().enumerate() {
        length(format_args!("metrics[{place}].name"), &metric.name, NAME_BYTES)?;
        length(format_args!("metrics[{place}].unit"), &metric.unit, UNIT_BYTES)?;
        length(format_args!("metrics[{place}].help"), &metric.help, TEXT_BYTES)?;
        let others = info.metrics.iter().take(place);
        once(format_args!("metrics[{place}].name"), &metric.name, others.map(|need| &need.name))?;
    }
    range("buckets", info.buckets, 0..=MAX_BUCKETS)?;
    let bucket_s = if info.buckets == 0 { 0..=0 } else { BUCKET_S };
    range("bucket_length", info.bucket_length, bucket_s)?;
    count("split_by", info.split_by.len(), 0..=MAX_SPLITS)?;
    check_extra(&info.extra)
}

/// Checks a plan against the groups that there are.
pub(crate) fn check_plan(plan: &RolloutPlan, input: &PlanInput) -> Check {
    count("stages", plan.stages.len(), STAGES)?;
    let mut share_before = 0.0;
    for (place, stage) in plan.stages.iter().enumerate() {
        check_stage(place, stage, share_before, &input.groups)?;
        share_before = stage.share;
    }
    range("hold_back", plan.hold_back, HOLD_BACK)?;
    check_reasons(&plan.reasons, 0, &input.groups)?;
    check_extra(&plan.extra)
}

/// Checks a verdict against the state of the rollout.
pub(crate) fn check_verdict(verdict: &Verdict, now: &Snapshot) -> Check {
    check_decision(&verdict.decision, now)?;
    check_reasons(&verdict.reasons, 1, &now.groups)?;
    if let Some(again_s) = verdict.again_in {
        range("again_in", again_s, SOONEST_S..=u32::MAX)?;
    }
    count("feature_flags", verdict.feature_flags.len(), 0..=MAX_LISTED)?;
    for (place, flag) in verdict.feature_flags.iter().enumerate() {
        length(format_args!("feature_flags[{place}].name"), &flag.name, NAME_BYTES)?;
        check_labels(format_args!("feature_flags[{place}].groups"), &flag.groups, &now.groups)?;
    }
    length("memo", &verdict.memo, 0..=MAX_MEMO_BYTES)?;
    check_extra(&verdict.extra)
}

/// Checks the text with which a policy says why it does not answer.
pub(crate) fn check_refusal(text: &str) -> Check {
    length("the error", text, TEXT_BYTES)
}

/// Checks what `plan` is to be told.
pub(crate) fn check_plan_input(input: &PlanInput, info: &PolicyInfo) -> Check {
    check_groups(&input.groups)?;
    check_settings(&input.settings, info)
}

/// Checks what `evaluate` is to be told, as far as an answer is judged by it.
pub(crate) fn check_snapshot(now: &Snapshot, info: &PolicyInfo) -> Check {
    check_groups(&now.groups)?;
    count("stages", now.stages.len(), STAGES)?;
    let stage = this_stage(now)?;
    range("share_limit", now.share_limit, ABOVE_ZERO..=stage.share)?;
    count("decisions", now.decisions.len(), 0..=MAX_DECISIONS)?;
    length("memo", &now.memo, 0..=MAX_MEMO_BYTES)?;
    check_settings(&now.settings, info)
}

/// Checks settings against what the policy says that it understands.
pub(crate) fn check_settings(settings: &[Setting], info: &PolicyInfo) -> Check {
    for (place, setting) in settings.iter().enumerate() {
        let at = format_args!("setting `{}`", setting.key);
        let Some(spec) = info.settings.iter().find(|spec| spec.key == setting.key) else {
            return violation(at, "unknown", "a setting of the policy");
        };
        once(at, &setting.key, settings.iter().take(place).map(|other| &other.key))?;
        check_value(at, &setting.value, spec)?;
    }
    Ok(())
}

fn check_version(version: &str) -> Check {
    length("version", version, 5..=64)?;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers = core.split('.').filter(|part| part.parse::<u64>().is_ok()).count();
    if numbers != 3 || core.split('.').count() != 3 {
        return violation("version", format_args!("{version:?}"), "three numbers, as in 1.0.0");
    }
    Ok(())
}

fn check_spec(place: usize, spec: &SettingSpec) -> Check {
    code(format_args!("settings[{place}].key"), &spec.key, b"-")?;
    length(format_args!("settings[{place}].help"), &spec.help, SENTENCE_BYTES)?;
    length(format_args!("settings[{place}].unit"), &spec.unit, UNIT_BYTES)?;
    range(format_args!("settings[{place}].min"), spec.min, f64::MIN..=f64::MAX)?;
    range(format_args!("settings[{place}].max"), spec.max, spec.min..=f64::MAX)?;
    check_value(format_args!("settings[{place}].default"), &spec.default, spec)
}

fn check_value(at: impl Display + Copy, value: &Value, spec: &SettingSpec) -> Check {
    let limits = spec.min..=spec.max;
    match (value, &spec.default) {
        (Value::Flag(_), Value::Flag(_)) => Ok(()),
        (Value::Number(number), Value::Number(_)) => range(at, *number, limits),
        (Value::Numbers(numbers), Value::Numbers(_)) => {
            count(at, numbers.len(), 0..=MAX_NUMBERS)?;
            numbers.iter().try_for_each(|number| range(at, *number, limits.clone()))
        }
        (Value::Text(text), Value::Text(_)) => {
            length(at, text, VALUE_TEXT_BYTES)?;
            // A length of at most 64 KiB is exact.
            #[allow(clippy::cast_precision_loss)]
            let bytes = text.len() as f64;
            if limits.contains(&bytes) {
                return Ok(());
            }
            let wanted = format_args!("{} to {} bytes", spec.min, spec.max);
            violation(at, format_args!("{bytes} bytes"), wanted)
        }
        (found, wanted) => violation(at, kind(found), kind(wanted)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Flag(_) => "a flag",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::Numbers(_) => "a list of numbers",
    }
}

fn check_stage(place: usize, stage: &Stage, share_before: f64, groups: &[Group]) -> Check {
    length(format_args!("stages[{place}].name"), &stage.name, NAME_BYTES)?;
    let share = stage.share;
    // `<=` is false for what is no number, which the range refuses.
    if share <= share_before && place > 0 {
        let wanted = format_args!("more than {share_before}, the share of the stage before");
        return violation(format_args!("stages[{place}].share"), share, wanted);
    }
    range(format_args!("stages[{place}].share"), share, ABOVE_ZERO..=1.0)?;
    if let Some(devices) = stage.max_devices {
        range(format_args!("stages[{place}].max_devices"), devices, 1..=u32::MAX)?;
    }
    if let Some(label) = &stage.among {
        check_label(format_args!("stages[{place}].among"), label, groups)?;
    }
    if let Some(max_s) = stage.max_time.filter(|max_s| *max_s <= stage.min_time) {
        let wanted = format_args!("more than its min_time of {}", stage.min_time);
        return violation(format_args!("stages[{place}].max_time"), max_s, wanted);
    }
    if let Some(pace) = stage.pace {
        range(format_args!("stages[{place}].pace"), pace, 1..=u32::MAX)?;
    }
    Ok(())
}

fn check_decision(decision: &Decision, now: &Snapshot) -> Check {
    let stage = this_stage(now)?;
    match decision {
        Decision::Hold | Decision::Stop => Ok(()),
        Decision::Advance(_) if now.paused.is_some() => {
            violation("decision", "advance", "resume first: the rollout is paused")
        }
        Decision::Advance(share) => check_advance(*share, now, stage),
        Decision::Pause(order) => {
            range("pause.decide_within", order.decide_within, PAUSE_S)?;
            match &order.otherwise {
                Fallback::Resume(share) => {
                    range("pause.otherwise.resume", *share, ABOVE_ZERO..=stage.share)
                }
                Fallback::RollBack(order) => {
                    check_rollback("pause.otherwise.roll_back.groups", order, now)
                }
                Fallback::Stop => Ok(()),
            }
        }
        Decision::Resume(_) if now.paused.is_none() => {
            violation("decision", "resume", "another one: the rollout is not paused")
        }
        Decision::Resume(share) => range("resume", *share, ABOVE_ZERO..=stage.share),
        Decision::RollBack(order) => check_rollback("roll_back.groups", order, now),
        Decision::Complete if this_is_last(now) => Ok(()),
        Decision::Complete => violation("decision", "complete", "another one: stages are left"),
    }
}

fn check_advance(share: f64, now: &Snapshot, stage: &Stage) -> Check {
    let most = now.stages.get(index(now) + 1).unwrap_or(stage).share;
    if share <= now.share_limit {
        let wanted =
            format_args!("more than {}, what the rollout may reach already", now.share_limit);
        return violation("advance", share, wanted);
    }
    range("advance", share, ABOVE_ZERO..=most)
}

fn check_rollback(at: &str, order: &RollbackOrder, now: &Snapshot) -> Check {
    check_labels(at, &order.groups, &now.groups)
}

fn index(now: &Snapshot) -> usize {
    usize::try_from(now.stage_index).unwrap_or(usize::MAX)
}

fn this_stage(now: &Snapshot) -> Result<&Stage, Violation> {
    now.stages.get(index(now)).map_or_else(
        || {
            violation(
                "stage_index",
                now.stage_index,
                format_args!("less than {}", now.stages.len()),
            )
        },
        Ok,
    )
}

fn this_is_last(now: &Snapshot) -> bool {
    index(now).checked_add(1) == Some(now.stages.len())
}

fn check_reasons(reasons: &[Reason], least: usize, groups: &[Group]) -> Check {
    count("reasons", reasons.len(), least..=MAX_LISTED)?;
    for (place, reason) in reasons.iter().enumerate() {
        code(format_args!("reasons[{place}].code"), &reason.code, b"-")?;
        length(format_args!("reasons[{place}].text"), &reason.text, TEXT_BYTES)?;
        if let Some(metric) = &reason.metric {
            length(format_args!("reasons[{place}].metric"), metric, NAME_BYTES)?;
        }
        if let Some(label) = &reason.group {
            check_label(format_args!("reasons[{place}].group"), label, groups)?;
        }
        if let Some(observed) = reason.observed {
            range(format_args!("reasons[{place}].observed"), observed, f64::MIN..=f64::MAX)?;
        }
        if let Some(limit) = reason.limit {
            range(format_args!("reasons[{place}].limit"), limit, f64::MIN..=f64::MAX)?;
        }
    }
    Ok(())
}

fn check_extra(extra: &[Setting]) -> Check {
    count("extra", extra.len(), 0..=MAX_SETTINGS)?;
    for (place, setting) in extra.iter().enumerate() {
        let at = format_args!("extra[{place}].key");
        code(at, &setting.key, b"-:")?;
        once(at, &setting.key, extra.iter().take(place).map(|other| &other.key))?;
        check_plain(format_args!("extra[{place}].value"), &setting.value)?;
    }
    Ok(())
}

/// What holds for a value that no setting of the policy describes.
fn check_plain(at: impl Display + Copy, value: &Value) -> Check {
    match value {
        Value::Flag(_) => Ok(()),
        Value::Number(number) => range(at, *number, f64::MIN..=f64::MAX),
        Value::Text(text) => length(at, text, VALUE_TEXT_BYTES),
        Value::Numbers(numbers) => {
            count(at, numbers.len(), 0..=MAX_NUMBERS)?;
            numbers.iter().try_for_each(|number| range(at, *number, f64::MIN..=f64::MAX))
        }
    }
}

fn check_groups(groups: &[Group]) -> Check {
    match groups.first() {
        Some(fleet) if fleet.label == "fleet" => Ok(()),
        Some(other) => violation("groups[0].label", format_args!("{:?}", other.label), "`fleet`"),
        None => violation("groups", "empty", "the fleet at least"),
    }
}

fn check_labels(at: impl Display + Copy, labels: &[String], groups: &[Group]) -> Check {
    count(at, labels.len(), 0..=MAX_LISTED)?;
    labels.iter().try_for_each(|label| check_label(at, label, groups))
}

fn check_label(at: impl Display, label: &str, groups: &[Group]) -> Check {
    if groups.iter().any(|group| group.label == label) {
        return Ok(());
    }
    violation(
        at,
        format_args!("`{}`", shortened(label)),
        "the label of a group that was in the input",
    )
}

/// Names for machines: 1 to 64 bytes of `a-z`, `0-9` and what else is allowed.
fn code(at: impl Display + Copy, text: &str, also: &[u8]) -> Check {
    length(at, text, NAME_BYTES)?;
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(&byte);
    if text.bytes().all(fits) {
        return Ok(());
    }
    let also = String::from_utf8_lossy(also);
    violation(
        at,
        format_args!("{text:?}"),
        format_args!("letters a to z, digits and any of `{also}`"),
    )
}

fn once<'a>(at: impl Display, name: &str, mut others: impl Iterator<Item = &'a String>) -> Check {
    if others.any(|other| other == name) {
        return violation(at, format_args!("`{name}` again"), "each name once");
    }
    Ok(())
}

fn length(at: impl Display, text: &str, bytes: RangeInclusive<usize>) -> Check {
    if bytes.contains(&text.len()) {
        return Ok(());
    }
    let wanted = format_args!("{} to {}", bytes.start(), bytes.end());
    violation(at, format_args!("{} bytes long", text.len()), wanted)
}

fn count(at: impl Display, found: usize, wanted: RangeInclusive<usize>) -> Check {
    if wanted.contains(&found) {
        return Ok(());
    }
    let wanted = format_args!("{} to {}", wanted.start(), wanted.end());
    violation(at, format_args!("a list of {found}"), wanted)
}

/// What is not a number is in no range.
fn range<T: PartialOrd + Display + Bound>(
    at: impl Display,
    found: T,
    wanted: RangeInclusive<T>,
) -> Check {
    if wanted.contains(&found) {
        return Ok(());
    }
    violation(at, found, T::named(&wanted))
}

/// Numbers whose ranges have names.
trait Bound: Sized {
    fn named(range: &RangeInclusive<Self>) -> String;
}

impl Bound for u32 {
    fn named(range: &RangeInclusive<Self>) -> String {
        match (*range.start(), *range.end()) {
            (least, Self::MAX) => format!("{least} or more"),
            (only, end) if only == end => only.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

impl Bound for f64 {
    fn named(range: &RangeInclusive<Self>) -> String {
        match (*range.start(), *range.end()) {
            (Self::MIN, Self::MAX) => "a finite number".to_owned(),
            (least, Self::MAX) => format!("a finite number of {least} or more"),
            (ABOVE_ZERO, most) => format!("more than 0 and at most {most}"),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

/// The beginning of a name that somebody else has made: it may be long.
pub(crate) fn shortened(name: &str) -> String {
    const MAX_CHARS: usize = 128;
    let mut chars = name.chars();
    let mut start: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        start.push('…');
    }
    start
}

fn violation<T>(
    at: impl Display,
    found: impl Display,
    wanted: impl Display,
) -> Result<T, Violation> {
    Err(Violation { at: at.to_string(), found: found.to_string(), wanted: wanted.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::types::{FlagOrder, MetricKind, MetricNeed, PauseOrder, RootCause, Severity};

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
}
