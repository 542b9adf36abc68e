//! Triggers whose limits are settings.

use crate::contract::{MetricKind, MetricNeed, PolicyInfo, Setting};
use crate::flow::Watch;
use crate::settings::{Number, Spec};
use crate::trigger::{Action, Limit, Source, Trigger};

/// A trigger whose limit is a setting; 0 turns it off, and its metric is not needed then.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The setting.
    pub limit: Number,
    /// What is looked at.
    pub subject: Subject,
    /// What the limit means.
    pub rule: Rule,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// The metric with this name, of this kind, in this unit.
    Metric(&'static str, MetricKind, &'static str),
    /// Updated devices that went back to the old firmware.
    RolledBack,
    /// Updated devices that have not been heard of for too long.
    Silent,
    /// Updated devices that no longer work.
    Bricked,
}

/// What the limit of a check means.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// At most this many times the reference.
    TimesReference,
    /// At least the reference less this much.
    BelowReference,
    /// At most this.
    Above,
    /// At most this many events in any stretch of so many seconds.
    CountWithin(u32),
}

const fn limit(
    key: &'static str,
    help: &'static str,
    unit: &'static str,
    default: f64,
    max: f64,
) -> Number {
    Number { key, help, unit, default, min: 0.0, max }
}

impl Check {
    /// Devices with a crash per device-hour: at most this many times the reference.
    pub const fn crashes(default: f64) -> Self {
        let help = "Trouble if the crash rate is above this; 0 turns it off.";
        Self {
            limit: limit("crash-limit", help, "x reference", default, 1_000.0),
            subject: Subject::Metric("crashes", MetricKind::Rate, "crashes per device-hour"),
            rule: Rule::TimesReference,
        }
    }

    /// Devices that check in: at most this much fewer than before, in points.
    pub const fn connected(default: f64) -> Self {
        let help = "Trouble if the share of devices that check in falls by more; 0 turns it off.";
        Self {
            limit: limit("connected-drop", help, "fraction", default, 1.0),
            subject: Subject::Metric("connected", MetricKind::Proportion, "fraction of devices"),
            rule: Rule::BelowReference,
        }
    }

    /// Battery drain: at most this many times the reference.
    pub const fn battery(default: f64) -> Self {
        let help = "Trouble if batteries drain faster than this; 0 turns it off.";
        Self {
            limit: limit("battery-limit", help, "x reference", default, 1_000.0),
            subject: Subject::Metric("battery-drain", MetricKind::Mean, "charge per hour"),
            rule: Rule::TimesReference,
        }
    }

    /// Drift of calibrated sensors: at most this many times the reference.
    pub const fn drift(default: f64) -> Self {
        let help = "Trouble if calibrated sensors drift more than this; 0 turns it off.";
        Self {
            limit: limit("drift-limit", help, "x reference", default, 1_000.0),
            subject: Subject::Metric("sensor-drift", MetricKind::Mean, "reading"),
            rule: Rule::TimesReference,
        }
    }

    /// Support tickets per device-hour: at most this many times the reference.
    pub const fn tickets(default: f64) -> Self {
        let help = "Trouble if the rate of support tickets is above this; 0 turns it off.";
        Self {
            limit: limit("ticket-limit", help, "x reference", default, 1_000.0),
            subject: Subject::Metric("tickets", MetricKind::Rate, "tickets per device-hour"),
            rule: Rule::TimesReference,
        }
    }

    /// Updated devices that went back by themselves: at most this share.
    pub const fn rolled_back(default: f64) -> Self {
        let help =
            "Trouble if more of the updated devices went back by themselves; 0 turns it off.";
        Self {
            limit: limit("rolled-back-limit", help, "fraction", default, 1.0),
            subject: Subject::RolledBack,
            rule: Rule::Above,
        }
    }

    /// Updated devices that have not been heard of: at most this share.
    pub const fn silent(default: f64) -> Self {
        let help = "Trouble if more of the updated devices fell silent; 0 turns it off.";
        Self {
            limit: limit("silent-limit", help, "fraction", default, 1.0),
            subject: Subject::Silent,
            rule: Rule::Above,
        }
    }

    /// Updated devices that no longer work: at most this share.
    pub const fn bricked(default: f64) -> Self {
        let help = "Trouble if more of the updated devices no longer work; 0 turns it off.";
        Self {
            limit: limit("bricked-limit", help, "fraction", default, 1.0),
            subject: Subject::Bricked,
            rule: Rule::Above,
        }
    }

    /// The same under another key, for policies that check a metric more than once.
    #[must_use]
    pub const fn called(mut self, key: &'static str) -> Self {
        self.limit.key = key;
        self
    }

    /// The trigger; none if it is turned off.
    ///
    /// # Errors
    ///
    /// If the setting is of the wrong type or out of range.
    pub fn trigger(
        &self,
        settings: &[Setting],
        watch: &Watch,
        action: Action,
    ) -> Result<Option<Trigger>, String> {
        let number = self.limit.of(settings)?;
        let limit = match self.rule {
            Rule::TimesReference => Limit::TimesReference(number, watch.against),
            Rule::BelowReference => Limit::BelowReference(number, watch.against),
            Rule::Above => Limit::Above(number),
            Rule::CountWithin(window) => Limit::CountWithin(number, window),
        };
        let source = match self.subject {
            Subject::Metric(name, ..) => Source::metric(name),
            Subject::RolledBack => Source::RolledBack,
            Subject::Silent => Source::Silent,
            Subject::Bricked => Source::Bricked,
        };
        Ok((number > 0.0).then(|| Trigger::new(source, limit, action)))
    }

    /// Triggers of those that are turned on; each pauses the rollout as the settings say.
    ///
    /// # Errors
    ///
    /// If a setting is of the wrong type or out of range.
    pub fn triggers(
        checks: &[Self],
        settings: &[Setting],
        watch: &Watch,
    ) -> Result<Vec<Trigger>, String> {
        let triggers = checks.iter().map(|check| check.trigger(settings, watch, watch.pause()));
        triggers.filter_map(Result::transpose).collect()
    }

    fn need(&self) -> Option<MetricNeed> {
        let Subject::Metric(name, kind, unit) = self.subject else { return None };
        Some(MetricNeed::new(name, kind, unit, self.limit.help))
    }
}

impl PolicyInfo {
    /// Adds the settings of checks, and the metrics of those that are turned on.
    #[must_use]
    pub fn checks(mut self, checks: &[Check], settings: &[Setting]) -> Self {
        for check in checks {
            self.settings.push(check.limit.spec());
            let is_on = check.limit.of(settings).is_ok_and(|limit| limit > 0.0);
            let need = check.need().filter(|_| is_on);
            self.metrics.extend(
                need.filter(|need| self.metrics.iter().all(|known| known.name != need.name)),
            );
        }
        self
    }
}
