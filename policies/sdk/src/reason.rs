//! Reasons and verdicts.

use crate::contract::{Decision, FlagOrder, Reason, Verdict};

impl Reason {
    /// Makes a reason of a name for machines and a sentence for people.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            metric: None,
            group: None,
            observed: None,
            limit: None,
        }
    }

    /// Names the metric and the group that it is about.
    #[must_use]
    pub fn about(self, metric: &str, group: &str) -> Self {
        Self { metric: Some(metric.to_owned()), group: Some(group.to_owned()), ..self }
    }

    /// Adds what was found, and what it was held against, in the same unit.
    #[must_use]
    pub fn figures(self, observed: f64, limit: f64) -> Self {
        Self { observed: Some(observed), limit: Some(limit), ..self }
    }
}

/// Most reasons of a verdict.
const MAX_REASONS: usize = 64;

impl Verdict {
    /// Makes a verdict. The reasons must not be empty; of more than 64 the first are kept.
    pub fn new(decision: Decision, mut reasons: Vec<Reason>) -> Self {
        reasons.truncate(MAX_REASONS);
        Self {
            decision,
            reasons,
            again_in: None,
            feature_flags: Vec::new(),
            memo: String::new(),
            extra: Vec::new(),
        }
    }

    /// Leaves everything as it is, for one reason.
    pub fn hold(reason: Reason) -> Self {
        Self::new(Decision::Hold, vec![reason])
    }

    /// Sets what the policy will be told the next time.
    #[must_use]
    pub fn memo(self, memo: impl Into<String>) -> Self {
        Self { memo: memo.into(), ..self }
    }

    /// Turns a feature flag off in these groups; in all devices, if there are none.
    #[must_use]
    pub fn turn_off(mut self, flag: &str, groups: &[String]) -> Self {
        let order = FlagOrder { name: flag.to_owned(), on: false, groups: groups.to_vec() };
        self.feature_flags.push(order);
        self
    }
}
