//! What has been gathered so far, in a form that fits into the memo.
//!
//! ```text
//! 7200 running
//! crashes 3ff0000000000000 … (six stakes, each the bits of an IEEE double, so that nothing is lost)
//! ```

use std::fmt::Write;

use whittle_policy::contract::Bucket;
use whittle_policy::prelude::*;
use whittle_policy::statistics::EProcess;

/// What is tolerated, and which figures count.
pub(crate) struct Tolerance {
    /// So many times as many events as control.
    pub(crate) control: f64,
    /// So many times as many events as the baseline.
    pub(crate) baseline: f64,
    /// Length of a bucket that is complete, in seconds.
    pub(crate) bucket: u32,
    /// Figures that are older than this many seconds do not count.
    pub(crate) max_age: u32,
}

/// The bets on all metrics.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    /// Seconds from the rollout's start up to which everything was counted.
    counted_until: u32,
    /// Whether the rollout was paused after the last look.
    pub(crate) was_paused: bool,
    bets: Vec<(String, EProcess)>,
}

impl Ledger {
    /// Reads a memo; an empty one is a new ledger.
    pub(crate) fn parse(memo: &str) -> Result<Self, String> {
        if memo.is_empty() {
            return Ok(Self::default());
        }
        Self::parse_lines(memo).ok_or_else(|| "the memo is not one of this policy".to_owned())
    }

    fn parse_lines(memo: &str) -> Option<Self> {
        let mut lines = memo.lines();
        let (counted_until, state) = lines.next()?.split_once(' ')?;
        let mut bets = Vec::new();
        for line in lines {
            let mut fields = line.split(' ');
            let name = fields.next()?;
            let mut stakes = [0.0; 6];
            for stake in &mut stakes {
                *stake = f64::from_bits(u64::from_str_radix(fields.next()?, 16).ok()?);
            }
            bets.push((name.to_owned(), EProcess::new(stakes)));
        }
        Some(Self {
            counted_until: counted_until.parse().ok()?,
            was_paused: state == "paused",
            bets,
        })
    }

    /// Writes a memo.
    pub(crate) fn to_memo(&self) -> String {
        let state = if self.was_paused { "paused" } else { "running" };
        let mut memo = format!("{} {state}", self.counted_until);
        for (name, bet) in &self.bets {
            memo.push('\n');
            memo.push_str(name);
            for stake in bet.log_stakes() {
                // Writing to a string does not fail.
                let _ = write!(memo, " {:x}", stake.to_bits());
            }
        }
        memo
    }

    /// Forgets the evidence, but not which time was counted.
    pub(crate) fn begin_anew(&mut self) {
        self.bets.clear();
    }

    /// Natural logarithm of the e-value of a metric.
    pub(crate) fn log_e(&self, name: &str) -> f64 {
        self.bets.iter().find(|(known, _)| known == name).map_or(0.0, |(_, bet)| bet.log_e())
    }

    /// Counts what has happened since the last look.
    pub(crate) fn gather(&mut self, now: &Snapshot, metrics: &[&str], tolerance: &Tolerance) {
        let mut counted_until = self.counted_until;
        // The fleet is first; if it is split, its parts are judged instead.
        let parts = if now.groups.len() > 1 { &now.groups[1..] } else { &now.groups[..] };
        for name in metrics {
            let mut bet = self.take(name);
            for metric in parts.iter().filter_map(|part| part.metric(name)) {
                if metric.age > tolerance.max_age {
                    continue;
                }
                for bucket in metric.recent.iter().rev() {
                    let end = now.clock.elapsed.saturating_sub(bucket.age);
                    let is_new = end.saturating_sub(bucket.length) >= self.counted_until;
                    if is_new && bucket.length == tolerance.bucket {
                        count(&mut bet, metric, bucket, tolerance);
                        counted_until = counted_until.max(end);
                    }
                }
            }
            self.bets.push(((*name).to_owned(), bet));
        }
        self.counted_until = counted_until;
    }

    fn take(&mut self, name: &str) -> EProcess {
        let at = self.bets.iter().position(|(known, _)| known == name);
        at.map(|at| self.bets.remove(at).1).unwrap_or_default()
    }
}

fn count(bet: &mut EProcess, metric: &Metric, bucket: &Bucket, tolerance: &Tolerance) {
    let Bucket { treated, control, .. } = bucket;
    if control.exposure > 0.0 {
        bet.compare(treated, control, tolerance.control);
    } else if metric.baseline.exposure > 0.0 && treated.exposure > 0.0 {
        // One event more: that there was none before does not mean that there can be none.
        let rate = (metric.baseline.count + 1.0) / metric.baseline.exposure;
        bet.expect(treated.count, tolerance.baseline * rate * treated.exposure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_read_as_it_was_written() {
        let mut bet = EProcess::default();
        bet.compare(&Tally::new(3.0, 10.0), &Tally::new(1.0, 7.0), 1.0);
        let bets = vec![("crashes".to_owned(), bet), ("tickets".to_owned(), EProcess::default())];
        let ledger = Ledger { counted_until: 7_200, was_paused: true, bets };
        assert_eq!(Ledger::parse(&ledger.to_memo()), Ok(ledger));
        assert_eq!(Ledger::parse(""), Ok(Ledger::default()));
    }

    #[test]
    fn another_memo_is_refused() {
        for memo in
            ["x", "1", "a running", "1 running\ncrashes 3ff", "1 running\ncrashes z z z z z z"]
        {
            assert!(Ledger::parse(memo).is_err(), "{memo}");
        }
    }
}
