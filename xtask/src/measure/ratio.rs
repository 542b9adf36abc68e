//! Geometric means of ratios.

use std::fmt;

/// The geometric mean of the ratios that it has been given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Geomean {
    logs: f64,
    count: u32,
}

impl Geomean {
    /// Adds `ours / theirs`.
    pub(super) fn add(&mut self, ours: u64, theirs: u64) {
        self.add_ratio(ours as f64 / theirs as f64);
    }

    /// Adds a ratio.
    pub(super) fn add_ratio(&mut self, ratio: f64) {
        self.logs += ratio.ln();
        self.count += 1;
    }

    /// How many ratios it has been given.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The mean, if there is anything to take one of.
    pub(super) fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.logs / f64::from(self.count)).exp())
    }
}

/// Four digits, or `-` for the mean of nothing.
impl fmt::Display for Geomean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => f.pad(&format!("{value:.4}")),
            None => f.pad("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_double_cancel_out() {
        let mut mean = Geomean::default();
        mean.add(1, 2);
        mean.add(2, 1);
        assert_eq!((mean.to_string().as_str(), mean.count()), ("1.0000", 2));
        mean.add(8, 1);
        assert_eq!(mean.to_string(), "2.0000");
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(Geomean::default().value(), None);
        assert_eq!(Geomean::default().to_string(), "-");
    }
}
