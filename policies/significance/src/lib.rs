//! The significance policy: pauses on evidence, however often one looks.
//!
//! "Pause above twice the baseline", looked at again and again, pauses up to half of all healthy rollouts; so does a plain test
//! with p < 0.05, and where days differ from nights it pauses nearly all of them. This policy bets against "new firmware has at
//! most `tolerated` times as many events" by the
//! e-processes of [`whittle_policy::statistics`]: a healthy rollout pauses with a probability of `alpha` at most, over all looks
//! together. It compares with devices that still run the old firmware in the same hours, so that a cold night is no regression;
//! where there are none left it falls back on the baseline, with a margin.
//!
//! Several metrics share `alpha`: each gets its part. If the fleet is split by an attribute, new and old firmware are compared
//! within each part, and the evidence is added up: that the new firmware is on other devices than the old one is no regression,
//! either.
//!
//! A stage that cannot have seen anything is not passed: before it advances, so many events must have been expected in it that
//! a regression by `must-see` would have shown.
//!
//! The evidence is kept in the memo; a stretch of time that was counted once is not counted again. When a pause ends, the bet
//! begins anew.

use whittle_policy::prelude::*;
use whittle_policy::statistics::events_needed;
use whittle_policy::{SHARES, Tripped, WATCH_HOURS, words};

mod ledger;

use ledger::{Ledger, Tolerance};

/// Pauses on evidence, however often one looks.
pub struct Significance;

export_policy!(Significance);

const METRICS: Text = Text {
    key: "metrics",
    help: "Rates of events that are tested, such as `crashes, tickets`.",
    default: "crashes",
    max_bytes: 1_024,
};

const ALPHA: Number = Number {
    key: "alpha",
    help: "A healthy rollout pauses with this probability at most.",
    unit: "fraction",
    default: 0.05,
    min: 0.000_001,
    max: 0.5,
};

const TOLERATED: Number = Number {
    key: "tolerated",
    help: "New firmware may have this many times as many events.",
    unit: "x control",
    default: 1.0,
    min: 1.0,
    max: 100.0,
};

const TOLERATED_BASELINE: Number = Number {
    key: "tolerated-baseline",
    help: "The same where there is only the baseline of before the rollout to compare with, which is less alike.",
    unit: "x baseline",
    default: 1.25,
    min: 1.0,
    max: 100.0,
};

const MUST_SEE: Number = Number {
    key: "must-see",
    help: "A stage is passed only if a regression of the first metric by this would have shown; 1 to pass it blindly.",
    unit: "x reference",
    default: 10.0,
    min: 1.0,
    max: 1_000.0,
};

const BUCKET_HOURS: Number = Number {
    key: "bucket-hours",
    help: "How long each stretch of time is in which new and old firmware are compared.",
    unit: "hours",
    default: 1.0,
    min: 0.25,
    max: 168.0,
};

const SPLIT_BY: Text = Text {
    key: "split-by",
    help: "Attribute of devices within whose values new and old firmware are compared; empty for the fleet as a whole.",
    default: "",
    max_bytes: 64,
};

const CHECKS: [Check; 3] = [Check::rolled_back(0.1), Check::silent(0.05), Check::bricked(0.001)];

impl Policy for Significance {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "Pauses on evidence against a control group, valid however often one looks.";
        let help = "Tested against devices on the old firmware.";
        let metrics = words(METRICS.of(settings).unwrap_or_default())
            .map(|name| MetricNeed::new(name, MetricKind::Rate, "events per device-hour", help));
        PolicyInfo::new("significance", env!("CARGO_PKG_VERSION"), summary)
            .settings(&[&SHARES, &WATCH_HOURS, &METRICS, &ALPHA, &TOLERATED, &TOLERATED_BASELINE])
            .settings(&[&MUST_SEE, &BUCKET_HOURS])
            .settings(&PlanSettings::SPECS)
            .checks(&CHECKS, settings)
            .settings(&Watch::SPECS)
            .metrics(metrics)
            .split_by(&SPLIT_BY, settings)
            // So that nothing is lost if the host was not able to ask for a night; what waits for longer is no evidence.
            .buckets(8, hours(BUCKET_HOURS.of(settings).unwrap_or(BUCKET_HOURS.default)))
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        if words(METRICS.of(settings)?).next().is_none() {
            return Err("setting `metrics` must name a metric".to_owned());
        }
        if words(SPLIT_BY.of(settings)?).nth(1).is_some() {
            // Every device would be evidence twice.
            return Err("setting `split-by` must not name more than one attribute".to_owned());
        }
        PlanSettings::of(settings)?.plan_of(&SHARES.of(settings)?, &WATCH_HOURS.of(settings)?)
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let settings = &now.settings;
        let watch = Watch::of(settings)?;
        let metrics: Vec<&str> = words(METRICS.of(settings)?).collect();
        let mut ledger = Ledger::parse(&now.memo)?;
        if ledger.was_paused && now.paused.is_none() {
            ledger.begin_anew();
        }
        ledger.gather(
            &now,
            &metrics,
            &Tolerance {
                control: TOLERATED.of(settings)?,
                baseline: TOLERATED_BASELINE.of(settings)?,
                bucket: hours(BUCKET_HOURS.of(settings)?),
                max_age: watch.evidence.max_age,
            },
        );

        let checks = Check::triggers(&CHECKS, settings, &watch)?;
        let mut findings = Trigger::check_all(&checks, &now, watch.evidence);
        let alpha =
            ALPHA.of(settings)? / f64::from(u32::try_from(metrics.len()).unwrap_or(1).max(1));
        for name in &metrics {
            findings.tripped.extend(convict(name, ledger.log_e(name), alpha, &watch));
            findings.blind.extend(blind(&now, name, watch.evidence.max_age)?);
        }
        if findings.blind.is_empty()
            && let Some(first) = metrics.first()
        {
            findings.blind.extend(unseen(&now, first, alpha, &watch)?);
        }
        let verdict = watch.conclude(&now, findings)?;
        // Also if it is to go on: whether it does is seen at the next look, which then begins anew.
        ledger.was_paused = now.paused.is_some() || matches!(verdict.decision, Decision::Pause(_));
        Ok(verdict.memo(ledger.to_memo()))
    }
}

/// Evidence that a metric is worse than tolerated.
fn convict(name: &str, log_e: f64, alpha: f64, watch: &Watch) -> Option<Tripped> {
    let limit = -alpha.ln();
    let text =
        format!("`{name}` is worse than tolerated, and that is no chance (ln of the e-value)");
    let reason = Reason::new("significantly-worse", text);
    (log_e >= limit).then(|| Tripped {
        action: watch.pause(),
        group: Group::FLEET.to_owned(),
        reason: reason.about(name, Group::FLEET).figures(log_e, limit),
    })
}

/// Why a metric cannot be judged.
fn blind(now: &Snapshot, name: &str, max_age: u32) -> Result<Option<Reason>, String> {
    let reason = match now.fleet()?.metric(name) {
        None => Reason::new("metric-missing", format!("`{name}` has not been measured")),
        Some(metric) if metric.age > max_age => {
            let reason = Reason::new(
                "metric-stale",
                format!("figures of `{name}` are too old (in seconds)"),
            );
            reason.figures(f64::from(metric.age), f64::from(max_age))
        }
        Some(_) => return Ok(None),
    };
    Ok(Some(reason.about(name, Group::FLEET)))
}

/// Why a stage has not had the chance to see what it must.
fn unseen(now: &Snapshot, name: &str, alpha: f64, watch: &Watch) -> Result<Option<Reason>, String> {
    let must_see = MUST_SEE.of(&now.settings)?;
    let Some(metric) = now.fleet()?.metric(name).filter(|_| must_see > 1.0) else {
        return Ok(None);
    };
    let rate = watch.against.tally(metric).value().unwrap_or(0.0);
    let (expected, needed) = (rate * metric.current.exposure, events_needed(must_see, alpha));
    let text = format!(
        "events of `{name}` to be expected in this stage, and those that it takes to see a regression"
    );
    let reason = Reason::new("too-little-evidence", text).about(name, Group::FLEET);
    Ok((expected < needed).then(|| reason.figures(expected, needed)))
}

#[cfg(test)]
mod tests;
