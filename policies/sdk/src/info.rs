//! What a policy says about itself.

use crate::contract::{MetricKind, MetricNeed, PolicyInfo, Setting};
use crate::settings::{Spec, Text};

impl PolicyInfo {
    /// Describes a policy without settings that looks at no metric.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            settings: Vec::new(),
            metrics: Vec::new(),
            buckets: 0,
            bucket_length: 0,
            split_by: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// Adds settings.
    #[must_use]
    pub fn settings(mut self, settings: &[&dyn Spec]) -> Self {
        self.settings.extend(settings.iter().map(|setting| setting.spec()));
        self
    }

    /// Adds metrics that must be there.
    #[must_use]
    pub fn metrics(mut self, metrics: impl IntoIterator<Item = MetricNeed>) -> Self {
        self.metrics.extend(metrics);
        self
    }

    /// Asks for this many buckets, each of this many seconds.
    #[must_use]
    pub fn buckets(self, buckets: u32, length: u32) -> Self {
        Self { buckets, bucket_length: length, ..self }
    }

    /// Splits the fleet by the attributes that a setting lists, such as `hw, region`. Adds the setting, too.
    #[must_use]
    pub fn split_by(mut self, attributes: &Text, settings: &[Setting]) -> Self {
        self.settings.push(attributes.spec());
        self.split_by.extend(words(attributes.of(settings).unwrap_or_default()).map(str::to_owned));
        self
    }
}

/// The words of a list such as `hw, region`.
pub fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

impl MetricNeed {
    /// A metric that must be there.
    pub fn new(name: &str, kind: MetricKind, unit: &str, help: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            unit: unit.to_owned(),
            help: help.to_owned(),
            required: true,
        }
    }
}
