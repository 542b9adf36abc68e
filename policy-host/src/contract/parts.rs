//! What stands in inputs as well as in answers.

use std::fmt::Display;

use super::words::{
    ABOVE_ZERO, Check, Violation, code, count, length, once, range, shortened, violation,
};
use super::{MAX_LISTED, MAX_NUMBERS, MAX_SETTINGS, NAME_BYTES, TEXT_BYTES, VALUE_TEXT_BYTES};
use crate::types::{Group, PolicyInfo, Reason, Setting, SettingSpec, Snapshot, Stage, Value};

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

pub(super) fn check_value(at: impl Display + Copy, value: &Value, spec: &SettingSpec) -> Check {
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

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Flag(_) => "a flag",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::Numbers(_) => "a list of numbers",
    }
}

pub(super) fn check_stage(
    place: usize,
    stage: &Stage,
    share_before: f64,
    groups: &[Group],
) -> Check {
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

pub(super) fn check_reasons(reasons: &[Reason], least: usize, groups: &[Group]) -> Check {
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

pub(super) fn check_extra(extra: &[Setting]) -> Check {
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
pub(super) fn check_plain(at: impl Display + Copy, value: &Value) -> Check {
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

pub(super) fn check_labels(at: impl Display + Copy, labels: &[String], groups: &[Group]) -> Check {
    count(at, labels.len(), 0..=MAX_LISTED)?;
    labels.iter().try_for_each(|label| check_label(at, label, groups))
}

pub(super) fn check_label(at: impl Display, label: &str, groups: &[Group]) -> Check {
    if groups.iter().any(|group| group.label == label) {
        return Ok(());
    }
    violation(
        at,
        format_args!("`{}`", shortened(label)),
        "the label of a group that was in the input",
    )
}

pub(super) fn index(now: &Snapshot) -> usize {
    usize::try_from(now.stage_index).unwrap_or(usize::MAX)
}

pub(super) fn this_stage(now: &Snapshot) -> Result<&Stage, Violation> {
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
