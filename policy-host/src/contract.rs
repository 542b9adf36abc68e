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
            count(at, numbers.len(), 0..=MAX_SETTINGS)?;
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
    }
    Ok(())
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

/// A label of a policy's making may be long.
fn shortened(label: &str) -> impl Display + '_ {
    const MAX_CHARS: usize = 128;
    label.chars().take(MAX_CHARS).collect::<String>()
}

fn violation<T>(
    at: impl Display,
    found: impl Display,
    wanted: impl Display,
) -> Result<T, Violation> {
    Err(Violation { at: at.to_string(), found: found.to_string(), wanted: wanted.to_string() })
}
