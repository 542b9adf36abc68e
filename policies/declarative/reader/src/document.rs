//! A whole policy, read from its text.

use std::borrow::Cow;

use whittle_policy::prelude::*;
use whittle_policy::{Evidence, Otherwise, figure, words};

use crate::condition::{Condition, count, duration, number, pace, share};
use crate::toml::{self, Table};

/// Metrics whose kind needs not be told.
const KNOWN: [(&str, MetricKind); 6] = [
    ("crashes", MetricKind::Rate),
    ("tickets", MetricKind::Rate),
    ("connected", MetricKind::Proportion),
    ("battery-drain", MetricKind::Mean),
    ("sensor-drift", MetricKind::Mean),
    ("heating-time", MetricKind::Mean),
];

const HOUR: u32 = 3_600;

/// A policy.
pub struct Document<'a> {
    /// Share of the fleet that keeps the old firmware until the end.
    pub hold_back: f64,
    /// How much must be known, and how pauses end.
    pub watch: Watch,
    /// Attributes of devices whose values are judged apart.
    pub split_by: Vec<String>,
    /// The stages.
    pub stages: Vec<Stage>,
    rules: Vec<Rule<'a>>,
}

/// A trigger, and the stages in which it holds; all, if there is none.
struct Rule<'a> {
    trigger: Trigger,
    kind: MetricKind,
    stages: Vec<Cow<'a, str>>,
}

impl<'a> Document<'a> {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// If the text is no TOML, or says something that no policy can say. The error names the line.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let document = toml::Document::parse(text)?;
        let keys = ["hold-back", "min-events", "max-age", "within", "otherwise", "split-by"];
        document.only(&keys, &["stage", "pause", "roll-back", "note", "metrics"])?;

        let root = &document.root;
        let watch = watch(root)?;
        let split_by =
            root.read("split-by", |list| Ok(words(list).map(str::to_owned).collect()))?;
        let stages = document.many("stage")?;
        let stages = stages.into_iter().map(stage).collect::<Result<Vec<_>, _>>()?;
        let kinds = kinds(document.table("metrics")?)?;
        let mut rules = Vec::new();
        for key in ["roll-back", "pause", "note"] {
            for table in document.many(key)? {
                rules.push(rule(key, table, &watch, &stages, &kinds)?);
            }
        }
        Ok(Self {
            hold_back: root.read("hold-back", share)?.unwrap_or(0.0),
            watch,
            split_by: split_by.unwrap_or_default(),
            stages,
            rules,
        })
    }

    /// The triggers that hold in a stage.
    pub fn into_triggers(self, stage: &str) -> Vec<Trigger> {
        let holds = |rule: &Rule<'_>| {
            rule.stages.is_empty() || rule.stages.iter().any(|name| name == stage)
        };
        self.rules.into_iter().filter(holds).map(|rule| rule.trigger).collect()
    }

    /// The metrics that the rules look at.
    pub fn needs(&self) -> Vec<MetricNeed> {
        let mut needs: Vec<MetricNeed> = Vec::new();
        for rule in &self.rules {
            let Source::Metric(name) = &rule.trigger.source else { continue };
            if needs.iter().all(|need| need.name != *name) {
                needs.push(MetricNeed::new(name, rule.kind, "", "A rule looks at it."));
            }
        }
        needs
    }

    /// How many buckets the rules look at, and how long each is, in seconds.
    pub fn buckets(&self) -> (u32, u32) {
        let windows = self.rules.iter().filter_map(|rule| match rule.trigger.limit {
            Limit::CountWithin(_, window) => Some(window),
            _ => None,
        });
        let Some(longest) = windows.clone().max() else { return (0, 0) };
        let length = if windows.clone().all(|window| window % HOUR == 0) { HOUR } else { HOUR / 4 };
        (longest / length, length)
    }
}

fn watch(table: &Table<'_>) -> Result<Watch, String> {
    let max_age = table.read("max-age", duration)?.unwrap_or(2 * HOUR);
    let min_events = table.read("min-events", number)?.unwrap_or(5.0);
    Ok(Watch {
        evidence: Evidence { min_events, max_age },
        against: Against::Either,
        decide_within: table.read("within", term)?.unwrap_or(48 * HOUR),
        otherwise: table.read("otherwise", Otherwise::parse)?.unwrap_or(Otherwise::RollBack),
    })
}

/// A time in which a pause must be decided.
fn term(text: &str) -> Result<u32, String> {
    let term = duration(text)?;
    if (1..=72 * HOUR).contains(&term) {
        Ok(term)
    } else {
        Err(format!("a pause must be decided within 72 h, not `{text}`"))
    }
}

fn stage(table: &Table<'_>) -> Result<Stage, String> {
    table.only(&["name", "share", "watch", "at-most", "devices", "among", "pace", "approval"])?;
    let share = table.must("share", share)?;
    let text = |text: &str| Ok(text.to_owned());
    let name = table.read("name", text)?.unwrap_or_else(|| format!("{} %", figure(share * 100.0)));
    let stage = Stage {
        max_time: table.read("at-most", duration)?,
        max_devices: table.read("devices", count)?,
        among: table.read("among", text)?,
        pace: table.read("pace", pace)?,
        needs_approval: table.flag("approval")?,
        ..Stage::new(name, share, table.must("watch", duration)?)
    };
    if stage.max_time.is_some_and(|longest| longest <= stage.min_time) {
        return Err(table.error("`at-most` must be longer than `watch`"));
    }
    Ok(stage)
}

/// The metrics whose kind the policy tells, before those that are known.
fn kinds<'a>(table: Option<&Table<'a>>) -> Result<Vec<(&'a str, MetricKind)>, String> {
    let mut kinds = Vec::with_capacity(KNOWN.len());
    for entry in table.into_iter().flat_map(|table| &table.entries) {
        let kind = entry.read(|kind| match kind {
            "rate" => Ok(MetricKind::Rate),
            "proportion" => Ok(MetricKind::Proportion),
            "mean" => Ok(MetricKind::Mean),
            _ => Err(format!("`{kind}` is none of `rate`, `proportion` and `mean`")),
        })?;
        kinds.push((entry.key, kind));
    }
    kinds.extend(KNOWN);
    Ok(kinds)
}

fn rule<'a>(
    key: &str,
    table: &Table<'a>,
    watch: &Watch,
    stages: &[Stage],
    kinds: &[(&str, MetricKind)],
) -> Result<Rule<'a>, String> {
    let action = match key {
        "pause" => {
            table.only(&["when", "within", "severity", "stages"])?;
            Action::Pause {
                severity: table.read("severity", severity)?.unwrap_or(Severity::Moderate),
                decide_within: table.read("within", term)?.unwrap_or(watch.decide_within),
            }
        }
        "roll-back" => {
            table.only(&["when", "stages"])?;
            Action::RollBack
        }
        _ => {
            table.only(&["when", "stages"])?;
            Action::Note
        }
    };
    let Condition { source, limit } = table.must("when", Condition::parse)?;
    let kind = match &source {
        Source::Metric(name) => {
            kinds.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind)
        }
        Source::RolledBack | Source::Silent | Source::Bricked => Some(MetricKind::Proportion),
    };
    let kind = kind.ok_or_else(|| {
        let name = source.name();
        table.error(&format!("metric `{name}` is not known: say in `[metrics]` whether it is a rate, proportion or mean"))
    })?;
    if matches!(limit, Limit::CountWithin(..)) && kind != MetricKind::Rate {
        return Err(
            table.error(&format!("`{}` is no rate, whose events could be counted", source.name()))
        );
    }
    let in_stages = table.list("stages")?;
    if let Some(unknown) =
        in_stages.iter().find(|name| stages.iter().all(|stage| stage.name != **name))
    {
        return Err(table.error(&format!("there is no stage `{unknown}`")));
    }
    Ok(Rule { trigger: Trigger::new(source, limit, action), kind, stages: in_stages })
}

fn severity(word: &str) -> Result<Severity, String> {
    match word {
        "low" => Ok(Severity::Low),
        "moderate" => Ok(Severity::Moderate),
        "high" => Ok(Severity::High),
        "critical" => Ok(Severity::Critical),
        _ => Err(format!("`{word}` is none of `low`, `moderate`, `high` and `critical`")),
    }
}
