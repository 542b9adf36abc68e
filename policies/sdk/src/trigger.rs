//! Limits that metrics are held against.

use crate::contract::{Group, Metric, MetricKind, Reason, Severity, Snapshot, Tally};
use crate::figure;
use crate::time::in_hours;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The metric with this name.
    Metric(String),
    /// Updated devices that went back to the old firmware. The host counts them, without any metric.
    RolledBack,
    /// Updated devices that have not been heard of for too long. The host counts them.
    Silent,
    /// Updated devices that no longer work. The host counts them.
    Bricked,
}

impl Source {
    /// The metric with this name.
    pub fn metric(name: &str) -> Self {
        Self::Metric(name.to_owned())
    }

    /// Its name, as it stands in reasons.
    pub fn name(&self) -> &str {
        match self {
            Self::Metric(name) => name,
            Self::RolledBack => "rolled-back",
            Self::Silent => "silent",
            Self::Bricked => "bricked",
        }
    }
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The same devices before the rollout.
    Baseline,
    /// Devices that still run the old firmware.
    Control,
    /// Control where it was measured, else the baseline.
    Either,
}

impl Against {
    /// The tally to compare with.
    pub fn tally(self, metric: &Metric) -> &Tally {
        match self {
            Self::Either if metric.control.exposure > 0.0 => &metric.control,
            Self::Control => &metric.control,
            Self::Baseline | Self::Either => &metric.baseline,
        }
    }
}

/// How far a value may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At most this many times the reference: 2 for twice as much, 1.2 for 20 % more.
    TimesReference(f64, Against),
    /// At least the reference less this much, in the metric's unit: 0.05 for five points of a percentage less.
    BelowReference(f64, Against),
    /// At most this, in the metric's unit.
    Above(f64),
    /// At least this, in the metric's unit.
    Below(f64),
    /// At most this many events in any stretch of this many seconds that lies within the buckets.
    CountWithin(f64, u32),
}

/// What happens if a limit is crossed. The later ones weigh more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// The rollout goes on; the verdict mentions it.
    Note,
    /// The rollout pauses.
    Pause {
        /// How bad it is.
        severity: Severity,
        /// To be decided within this many seconds.
        decide_within: u32,
    },
    /// Devices are taken back at once, and the release is quarantined.
    RollBack,
}

/// A limit, and what happens if it is crossed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// What is looked at.
    pub source: Source,
    /// How far it may go.
    pub limit: Limit,
    /// What happens then.
    pub action: Action,
}

/// A limit that was crossed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tripped {
    /// What happens.
    pub action: Action,
    /// Label of the group.
    pub group: String,
    /// Why.
    pub reason: Reason,
}

/// What came of holding a snapshot against triggers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Limits that were crossed, in the order of the triggers, the fleet before its parts.
    pub tripped: Vec<Tripped>,
    /// What could not be judged of the fleet, because figures are missing or stale.
    pub blind: Vec<Reason>,
}

/// How much must be known before a value counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// A limit counts as crossed only with this many events, devices hit or readings.
    pub min_events: f64,
    /// Figures older than this many seconds are stale.
    pub max_age: u32,
}

/// Why a value was not judged.
enum Blind {
    /// The host sent no such metric, or nothing of it in this stage.
    Missing,
    /// Its figures are too old.
    Stale { age: u32 },
    /// There is nothing to compare with.
    NoReference,
}

/// What was seen, and what it was held against.
struct Sight {
    observed: f64,
    limit: f64,
    events: f64,
    is_crossed: bool,
}

impl Trigger {
    /// Makes a trigger.
    pub fn new(source: Source, limit: Limit, action: Action) -> Self {
        Self { source, limit, action }
    }

    /// Holds the fleet and its parts against triggers.
    pub fn check_all(triggers: &[Self], now: &Snapshot, evidence: Evidence) -> Findings {
        let mut findings = Findings::default();
        for trigger in triggers {
            for group in &now.groups {
                match trigger.look(group, evidence) {
                    Ok(sight)
                        if sight.is_crossed && sight.events >= trigger.min_events(evidence) =>
                    {
                        findings.tripped.push(trigger.tripped(group, &sight));
                    }
                    Err(blind) if group.label == Group::FLEET => {
                        findings.blind.push(trigger.blind(&blind, evidence));
                    }
                    // Too little to go by; or a part of the fleet without figures, which shall not stop all of it.
                    Ok(_) | Err(_) => {}
                }
            }
        }
        findings
    }

    /// A device that no longer works is no matter of chance.
    fn min_events(&self, evidence: Evidence) -> f64 {
        if self.source == Source::Bricked { 1.0 } else { evidence.min_events }
    }

    fn look(&self, group: &Group, evidence: Evidence) -> Result<Sight, Blind> {
        let share_of_updated = |count: u32| Tally::new(f64::from(count), f64::from(group.updated));
        match &self.source {
            Source::RolledBack => self.limit.hold(&share_of_updated(group.rolled_back), None),
            Source::Silent => self.limit.hold(&share_of_updated(group.silent), None),
            Source::Bricked => self.limit.hold(&share_of_updated(group.bricked), None),
            Source::Metric(name) => {
                let metric = group.metric(name).ok_or(Blind::Missing)?;
                if metric.age > evidence.max_age {
                    return Err(Blind::Stale { age: metric.age });
                }
                self.limit.hold(&metric.current, Some(metric))
            }
        }
    }

    fn tripped(&self, group: &Group, sight: &Sight) -> Tripped {
        let (name, label) = (self.source.name(), &group.label);
        let (side, words) = self.limit.words();
        let reason = Reason::new(
            format!("{name}-{side}-limit"),
            format!("`{name}` of `{label}` is {words}"),
        );
        Tripped {
            action: self.action,
            group: label.clone(),
            reason: reason.about(name, label).figures(sight.observed, sight.limit),
        }
    }

    fn blind(&self, blind: &Blind, evidence: Evidence) -> Reason {
        let name = self.source.name();
        let reason = match blind {
            Blind::Missing => Reason::new(
                "metric-missing",
                format!("`{name}` has not been measured in this stage"),
            ),
            Blind::Stale { age } => {
                let reason = Reason::new(
                    "metric-stale",
                    format!("figures of `{name}` are too old (in seconds)"),
                );
                reason.figures(f64::from(*age), f64::from(evidence.max_age))
            }
            Blind::NoReference => {
                Reason::new("no-reference", format!("there is nothing to compare `{name}` with"))
            }
        };
        reason.about(name, Group::FLEET)
    }
}

impl Limit {
    /// Holds a tally against the limit. Without a metric there is no reference and there are no buckets.
    fn hold(self, tally: &Tally, metric: Option<&Metric>) -> Result<Sight, Blind> {
        if let Self::CountWithin(most, window) = self {
            let metric = metric.ok_or(Blind::Missing)?;
            let observed = most_within(metric, window).ok_or(Blind::Missing)?;
            return Ok(Sight {
                observed,
                limit: most,
                events: observed,
                is_crossed: observed > most,
            });
        }
        let observed = tally.value().ok_or(Blind::Missing)?;
        let reference = |against: Against| {
            metric.and_then(|metric| against.tally(metric).value()).ok_or(Blind::NoReference)
        };
        let (limit, is_floor) = match self {
            Self::TimesReference(factor, against) => (factor * reference(against)?, false),
            Self::BelowReference(less, against) => (reference(against)? - less, true),
            Self::Below(limit) => (limit, true),
            Self::Above(limit) | Self::CountWithin(limit, _) => (limit, false),
        };
        let events = match metric.map(|metric| metric.kind) {
            Some(MetricKind::Mean) => tally.exposure,
            Some(MetricKind::Proportion) if is_floor => tally.exposure - tally.count,
            _ => tally.count,
        };
        let is_crossed = if is_floor { observed < limit } else { observed > limit };
        Ok(Sight { observed, limit, events, is_crossed })
    }

    /// On which side of the limit the trouble lies, and the limit in words.
    fn words(self) -> (&'static str, String) {
        match self {
            Self::TimesReference(factor, _) => {
                ("over", format!("above {} x what it is compared with", figure(factor)))
            }
            Self::BelowReference(less, _) => {
                ("under", format!("more than {} below what it is compared with", figure(less)))
            }
            Self::Above(limit) => ("over", format!("above {}", figure(limit))),
            Self::Below(limit) => ("under", format!("below {}", figure(limit))),
            Self::CountWithin(most, window) => (
                "over",
                format!("above {} within {} hours", figure(most), figure(in_hours(window))),
            ),
        }
    }
}

/// The most events on new firmware in any run of buckets that together are no longer than the window; none if there are
/// no buckets.
fn most_within(metric: &Metric, window: u32) -> Option<f64> {
    let runs = 0..metric.recent.len();
    let counts = runs.map(|first| {
        let mut length = 0;
        let fitting = metric.recent[first..].iter().take_while(|bucket| {
            length += u64::from(bucket.length);
            length <= u64::from(window)
        });
        fitting.map(|bucket| bucket.treated.count).sum()
    });
    counts.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Bucket;
    use crate::testing::{group, metric, snapshot_with};

    const EVIDENCE: Evidence = Evidence { min_events: 5.0, max_age: 3_600 };

    /// 0.002 crashes per device-hour before the rollout, and these now.
    fn crashes(count: f64) -> Metric {
        metric("crashes", MetricKind::Rate, Tally::new(20.0, 10_000.0), Tally::new(count, 5_000.0))
    }

    fn find(limit: Limit, metrics: Vec<Metric>) -> Findings {
        let trigger = Trigger::new(Source::metric("crashes"), limit, Action::Note);
        Trigger::check_all(&[trigger], &snapshot_with(metrics), EVIDENCE)
    }

    /// Codes of what was crossed, and of what could not be judged.
    fn codes(limit: Limit, metrics: Vec<Metric>) -> (Vec<String>, Vec<String>) {
        let Findings { tripped, blind } = find(limit, metrics);
        let codes = |reasons: Vec<Reason>| reasons.into_iter().map(|reason| reason.code).collect();
        (codes(tripped.into_iter().map(|tripped| tripped.reason).collect()), codes(blind))
    }

    fn only(code: &str) -> Vec<String> {
        vec![code.to_owned()]
    }

    #[test]
    fn limits_of_every_kind() {
        let cases = [
            (Limit::TimesReference(2.0, Against::Baseline), 21.0, "crashes-over-limit"),
            (Limit::BelowReference(0.001, Against::Baseline), 4.0, ""),
            (Limit::Above(0.003), 16.0, "crashes-over-limit"),
            (Limit::Above(0.003), 15.0, ""),
            (Limit::Below(0.003), 14.0, "crashes-under-limit"),
            (Limit::Below(0.003), 15.0, ""),
        ];
        for (limit, count, code) in cases {
            let (tripped, blind) = codes(limit, vec![crashes(count)]);
            assert_eq!(tripped.concat(), code, "{limit:?} {count}");
            assert!(blind.is_empty());
        }
    }

    #[test]
    fn too_few_events_are_no_evidence() {
        assert!(codes(Limit::Above(0.0), vec![crashes(4.0)]).0.is_empty());
        assert_eq!(codes(Limit::Above(0.0), vec![crashes(5.0)]).0, only("crashes-over-limit"));
    }

    #[test]
    fn what_cannot_be_judged_says_why() {
        let against = |against| Limit::TimesReference(2.0, against);
        assert_eq!(codes(against(Against::Control), vec![crashes(9.0)]).1, only("no-reference"));
        assert!(codes(against(Against::Either), vec![crashes(9.0)]).1.is_empty());
        assert_eq!(codes(Limit::Above(1.0), Vec::new()).1, only("metric-missing"));
        let nothing_yet = Metric { current: Tally::NONE, ..crashes(0.0) };
        assert_eq!(codes(Limit::Above(1.0), vec![nothing_yet]).1, only("metric-missing"));
        assert_eq!(
            codes(Limit::CountWithin(1.0, 3_600), vec![crashes(9.0)]).1,
            only("metric-missing")
        );
        let stale = Metric { age: 3_601, ..crashes(9.0) };
        assert_eq!(codes(Limit::Above(1.0), vec![stale]).1, only("metric-stale"));
    }

    #[test]
    fn a_part_without_figures_does_not_stop_the_fleet() {
        let mut now = snapshot_with(vec![crashes(9.0)]);
        now.groups.push(group("hw=C", 10, 1));
        let trigger = Trigger::new(Source::metric("crashes"), Limit::Above(1.0), Action::Note);
        assert_eq!(Trigger::check_all(&[trigger], &now, EVIDENCE), Findings::default());
    }

    #[test]
    fn the_window_slides_over_buckets() {
        let mut metric = crashes(0.0);
        for (age, count) in [(0, 1.0), (900, 9.0), (1_800, 9.0), (2_700, 1.0)] {
            let treated = Tally::new(count, 1.0);
            metric.recent.push(Bucket { age, length: 900, treated, control: Tally::NONE });
        }
        assert_eq!(most_within(&metric, 899), Some(0.0));
        assert_eq!(most_within(&metric, 900), Some(9.0));
        assert_eq!(most_within(&metric, 1_800), Some(18.0));
        assert_eq!(most_within(&metric, 2_700), Some(19.0));
        assert_eq!(most_within(&metric, 86_400), Some(20.0));
    }
}
