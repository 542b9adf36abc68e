//! What a policy may answer.

use super::parts::{
    check_extra, check_labels, check_reasons, check_stage, check_value, index, this_stage,
};
use super::words::{ABOVE_ZERO, Check, code, count, length, once, range, violation};
use super::{
    BUCKET_S, HOLD_BACK, MAX_BUCKETS, MAX_LISTED, MAX_MEMO_BYTES, MAX_SETTINGS, MAX_SPLITS,
    NAME_BYTES, PAUSE_S, SENTENCE_BYTES, SOONEST_S, STAGES, TEXT_BYTES, UNIT_BYTES,
};
use crate::types::{
    Decision, Fallback, PlanInput, PolicyInfo, RollbackOrder, RolloutPlan, SettingSpec, Snapshot,
    Stage, Verdict,
};

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
    for (place, attribute) in info.split_by.iter().enumerate() {
        let at = format_args!("split_by[{place}]");
        length(at, attribute, NAME_BYTES)?;
        once(at, attribute, info.split_by.iter().take(place))?;
    }
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

fn check_version(version: &str) -> Check {
    length("version", version, 5..=64)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    if !version.bytes().all(plain) {
        let wanted = "letters, digits, `.`, `-` and `+`, as in 1.0.0-rc.1";
        return violation("version", format_args!("{version:?}"), wanted);
    }
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
        Decision::Complete if now.paused.is_some() => {
            violation("decision", "complete", "resume first: the rollout is paused")
        }
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

fn this_is_last(now: &Snapshot) -> bool {
    index(now).checked_add(1) == Some(now.stages.len())
}
