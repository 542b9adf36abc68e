//! The adaptive policy: stages last as long as history and risk demand.
//!
//! | stage | reaches | lasts | pauses above |
//! |---|---|---|---|
//! | `alpha` | 50 devices | 24 hours | any crash |
//! | `beta` | 1 % | 72 hours | 2 x |
//! | `canary` | 5 % | 6 hours | 2 x |
//! | `early` | 25 % | 24 hours | 1.5 x |
//! | `regional` | 50 % | 72 hours | 1.5 x |
//! | `full` | 100 % | 168 hours | 1.2 x |
//!
//! The times are multiplied: by 2 if more than a tenth of the past rollouts showed trouble after more than three days only, by
//! 1.5 if the release is safety-critical, by 0.5 if the stage has fewer than 100 devices. For emergencies, cosmetic changes,
//! well-tested releases, major features and weak rollback there are factors, too, which are 1 unless they are set.
//!
//! If `mttf-hours` is set, a stage lasts long enough to show a fault that hits `affected` of the devices after that time on
//! average. The chapter's formula for it, `MTTF / (devices x rate)`, does not hold: with 1,000 devices of which 0.5 % are hit
//! after 4 hours it demands 0.8 hours, and says itself that one MTTF is the least. Right is: after a time `t` a share of
//! `1 - exp(-t / MTTF)` of the devices that are hit have failed, 63 % after one MTTF and 95 % after three. To see at least one
//! of `n` with a confidence `c`, `m = -ln(1 - c)` failures must be expected by then, so `t = -MTTF ln(1 - m / n)`; with fewer
//! than `m` devices hit no time is long enough, and the plan says so. A stage lasts three MTTF at least, as the chapter
//! recommends.

use whittle_policy::contract::{PastRollout, Release};
use whittle_policy::prelude::*;
use whittle_policy::whole;

/// Stages last as long as history and risk demand.
pub struct Adaptive;

export_policy!(Adaptive);

/// The stages. A small fleet has fewer.
const NAMES: [&str; 6] = ["alpha", "beta", "canary", "early", "regional", "full"];

const ALPHA: Number = Number {
    key: "alpha-devices",
    help: "How many devices the first stage has.",
    unit: "devices",
    default: 50.0,
    min: 1.0,
    max: 1e6,
};

const SHARES: Numbers = Numbers {
    help: "Share of the fleet that each stage after the first one reaches; cumulative.",
    default: &[0.01, 0.05, 0.25, 0.5, 1.0],
    ..whittle_policy::SHARES
};

const BASE_HOURS: Numbers = Numbers {
    key: "base-hours",
    help: "How long each stage is watched before anything is multiplied.",
    unit: "hours",
    default: &[24.0, 72.0, 6.0, 24.0, 72.0, 168.0],
    min: 0.0,
    max: 2_160.0,
};

const CRASH_LIMITS: Numbers = Numbers {
    key: "crash-limits",
    help: "For each stage, trouble if the crash rate is above this; 0 for any crash.",
    unit: "x reference",
    default: &[0.0, 2.0, 2.0, 1.5, 1.5, 1.2],
    min: 0.0,
    max: 1_000.0,
};

const RARE_HOURS: Number = Number {
    key: "rare-hours",
    help: "Trouble that shows later than this is rare.",
    unit: "hours",
    default: 72.0,
    min: 0.0,
    max: 8_760.0,
};

const RARE_SHARE: Number = Number {
    key: "rare-share",
    help: "History counts as one of rare trouble if more than this share of the past rollouts had it.",
    unit: "fraction",
    default: 0.1,
    min: 0.0,
    max: 1.0,
};

const SMALL: Number = Number {
    key: "small-devices",
    help: "A stage with fewer devices than this is small.",
    unit: "devices",
    default: 100.0,
    min: 0.0,
    max: 1e6,
};

const MTTF_HOURS: Number = Number {
    key: "mttf-hours",
    help: "Mean time until the fault shows that every stage shall be able to see; 0 to plan without.",
    unit: "hours",
    default: 0.0,
    min: 0.0,
    max: 8_760.0,
};

const AFFECTED: Number = Number {
    key: "affected",
    help: "Share of the devices that such a fault hits.",
    unit: "fraction",
    default: 0.005,
    min: 0.000_001,
    max: 1.0,
};

const CONFIDENCE: Number = Number {
    key: "confidence",
    help: "With this probability a stage shows such a fault at least once.",
    unit: "fraction",
    default: 0.95,
    min: 0.5,
    max: 0.999_999,
};

const MTTF_CYCLES: Number = Number {
    key: "mttf-cycles",
    help: "A stage is watched for this many mean times at least.",
    unit: "x mean time",
    default: 3.0,
    min: 0.0,
    max: 100.0,
};

const CHECKS: [Check; 4] =
    [Check::connected(0.05), Check::battery(1.2), Check::rolled_back(0.1), Check::bricked(0.001)];

/// A factor of all times, and when it holds.
struct Factor {
    setting: Number,
    holds: fn(&Release) -> bool,
}

const fn factor(key: &'static str, help: &'static str, default: f64) -> Number {
    Number { key, help, unit: "x", default, min: 0.01, max: 100.0 }
}

const RARE: Number =
    factor("rare-factor", "If history shows rare trouble, stages last longer by this.", 2.0);
const SMALL_FACTOR: Number = factor("small-factor", "A small stage lasts longer by this.", 0.5);

const FACTORS: [Factor; 6] = [
    Factor {
        setting: factor("safety-factor", "Safety-critical releases take longer by this.", 1.5),
        holds: |release| release.safety_critical,
    },
    Factor {
        setting: factor("emergency-factor", "Emergencies take longer by this.", 1.0),
        holds: |release| release.emergency,
    },
    Factor {
        setting: factor("cosmetic-factor", "Cosmetic changes take longer by this.", 1.0),
        holds: |release| release.change == Change::Cosmetic,
    },
    Factor {
        setting: factor("tested-factor", "Well-tested releases take longer by this.", 1.0),
        holds: |release| release.well_tested,
    },
    Factor {
        setting: factor("feature-factor", "Major features take longer by this.", 1.0),
        holds: |release| release.change == Change::Feature,
    },
    Factor {
        setting: factor(
            "irreversible-factor",
            "Where devices cannot go back by themselves, stages last longer by this.",
            1.0,
        ),
        holds: |release| !release.reversible,
    },
];

impl Policy for Adaptive {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "Stages last as long as history and risk demand, and limits get narrower.";
        let factors = FACTORS.each_ref().map(|factor| &factor.setting as &dyn Spec);
        let crashes = "Trouble if there are more crashes than the stage's limit.";
        PolicyInfo::new("adaptive", env!("CARGO_PKG_VERSION"), summary)
            .settings(&[&ALPHA, &SHARES, &BASE_HOURS, &CRASH_LIMITS])
            .settings(&[&RARE_HOURS, &RARE_SHARE, &RARE, &SMALL, &SMALL_FACTOR])
            .settings(&factors)
            .settings(&[&MTTF_HOURS, &AFFECTED, &CONFIDENCE, &MTTF_CYCLES])
            .settings(&PlanSettings::SPECS)
            .metrics([MetricNeed::new(
                "crashes",
                MetricKind::Rate,
                "crashes per device-hour",
                crashes,
            )])
            .checks(&CHECKS, settings)
            .settings(&Watch::SPECS)
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        let base = six(BASE_HOURS.of(settings)?, BASE_HOURS.key)?;
        six(CRASH_LIMITS.of(settings)?, CRASH_LIMITS.key)?;
        let devices = f64::from(input.groups.first().map_or(0, |fleet| fleet.devices)).max(1.0);
        let alpha = ALPHA.of(settings)?.min(devices);
        let shares = six(
            [vec![alpha / devices], SHARES.of(settings)?].concat(),
            "shares, with that of alpha,",
        )?;
        let (multiplier, mut reasons) = multiplier(&input)?;
        let fault = Fault::of(settings)?;

        let (mut stages, mut reached) = (Vec::new(), 0.0);
        for ((name, share), base) in NAMES.into_iter().zip(shares).zip(base) {
            // A small fleet's first stage holds what the next ones would.
            if share <= reached && reached == alpha / devices {
                continue;
            }
            let new = (share - reached) * devices;
            let mut watch = base * multiplier;
            if new < SMALL.of(settings)? {
                watch *= SMALL_FACTOR.of(settings)?;
                let reason = Reason::new("small-stage", format!("stage `{name}` has few devices"));
                reasons.push(reason.figures(new.round(), SMALL.of(settings)?));
            }
            if let Some(fault) = &fault {
                let (needed, reason) = fault.hours_to_see(name, share * devices);
                watch = watch.max(needed);
                reasons.push(reason);
            }
            stages.push(Stage {
                max_devices: (name == "alpha").then(|| whole(alpha)),
                ..Stage::new(name, share, hours(watch))
            });
            reached = share;
        }
        let plan = PlanSettings::of(settings)?.plan(stages)?;
        Ok(RolloutPlan { reasons, ..plan })
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let mut watch = Watch::of(&now.settings)?;
        let limits = six(CRASH_LIMITS.of(&now.settings)?, CRASH_LIMITS.key)?;
        let stage = &now.stage()?.name;
        let limit = NAMES.iter().zip(limits).find(|(name, _)| *name == stage);
        let (_, limit) = limit.ok_or_else(|| format!("stage `{stage}` is none of this policy"))?;
        let limit = if limit > 0.0 {
            Limit::TimesReference(limit, watch.against)
        } else {
            // Any crash, the first one included.
            watch.evidence.min_events = 1.0;
            Limit::Above(0.0)
        };
        let crashes = Trigger::new(Source::metric("crashes"), limit, watch.pause());
        let mut triggers = Check::triggers(&CHECKS, &now.settings, &watch)?;
        triggers.insert(0, crashes);
        watch.decide(&now, &triggers)
    }
}

/// A setting with one number for each stage.
fn six(numbers: Vec<f64>, what: &str) -> Result<[f64; 6], String> {
    let found = numbers.len();
    numbers
        .try_into()
        .map_err(|_| format!("{what} must be 6 numbers, one for each stage; there are {found}"))
}

/// By how much all stages last longer, and why.
fn multiplier(input: &PlanInput) -> Result<(f64, Vec<Reason>), String> {
    let settings = &input.settings;
    let (mut multiplier, mut reasons) = (1.0, Vec::new());
    let (rare, limit) =
        (rare_share(&input.history, hours(RARE_HOURS.of(settings)?)), RARE_SHARE.of(settings)?);
    if rare > limit {
        multiplier *= RARE.of(settings)?;
        let text = "share of past rollouts whose trouble showed late: stages last longer";
        reasons.push(Reason::new("rare-trouble", text).figures(rare, limit));
    }
    for Factor { setting, holds } in &FACTORS {
        let factor = setting.of(settings)?;
        if holds(&input.release) {
            multiplier *= factor;
            reasons.push(Reason::new(setting.key, setting.help).figures(factor, 1.0));
        }
    }
    Ok((multiplier, reasons))
}

/// Share of the past rollouts whose trouble showed after more than this many seconds.
fn rare_share(history: &[PastRollout], after: u32) -> f64 {
    let late = |past: &&PastRollout| past.time_to_trouble.is_some_and(|time| time > after);
    let count = |rollouts: usize| f64::from(u32::try_from(rollouts).unwrap_or(u32::MAX));
    count(history.iter().filter(late).count()) / count(history.len().max(1))
}

/// A fault that every stage shall be able to see.
struct Fault {
    mttf_hours: f64,
    affected: f64,
    failures_expected: f64,
    cycles: f64,
}

impl Fault {
    fn of(settings: &[Setting]) -> Result<Option<Self>, String> {
        let mttf_hours = MTTF_HOURS.of(settings)?;
        let fault = Self {
            mttf_hours,
            affected: AFFECTED.of(settings)?,
            failures_expected: -(1.0 - CONFIDENCE.of(settings)?).ln(),
            cycles: MTTF_CYCLES.of(settings)?,
        };
        Ok((mttf_hours > 0.0).then_some(fault))
    }

    /// How many hours a stage with this many updated devices needs to show the fault.
    fn hours_to_see(&self, stage: &str, devices: f64) -> (f64, Reason) {
        let hit = devices * self.affected;
        let least = self.cycles * self.mttf_hours;
        if hit <= self.failures_expected {
            let text = format!(
                "stage `{stage}` is too small to show the fault, however long it lasts (in devices hit)"
            );
            return (
                least,
                Reason::new("stage-too-small", text).figures(hit, self.failures_expected),
            );
        }
        let needed = -self.mttf_hours * (1.0 - self.failures_expected / hit).ln();
        let text = format!(
            "hours that stage `{stage}` needs to show the fault, and those of all mean times"
        );
        (needed.max(least), Reason::new("time-to-show", text).figures(needed, least))
    }
}

#[cfg(test)]
mod tests;
