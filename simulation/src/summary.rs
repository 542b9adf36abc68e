//! What many runs of a rollout say together.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::{Run, Sample};

/// The middle and the ends of what runs gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quantiles {
    /// One in twenty is below.
    pub p5: f64,
    /// Half are below.
    pub p50: f64,
    /// One in twenty is above.
    pub p95: f64,
}

/// How many runs ended in a way, of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdicts {
    /// How many.
    pub runs: usize,
    /// Of how many.
    pub of: usize,
    /// Their share, from 0 to 1.
    pub share: f64,
    /// Lower end of the 95 % interval of the share (Wilson, Probable inference, the law of succession, and statistical inference,
    /// 1927).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What the runs of a scenario under a policy say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Runs that were paused, taken back or stopped by the policy or a guard rail: detections of a bug, or false alarms without one.
    pub detected: Verdicts,
    /// Hours from the start until then; none if it was never.
    pub detected_after_h: Option<Quantiles>,
    /// Who did so: `policy`, or a guard rail and its name, with the code of the reason; in how many runs.
    pub by: BTreeMap<String, usize>,
    /// Devices that were updated by then.
    pub updated_by_then: Option<Quantiles>,
    /// Runs in which all stages were done.
    pub completed: Verdicts,
    /// Runs in which devices were taken back.
    pub rolled_back: Verdicts,
    /// Hours until all stages were done, of those runs.
    pub hours_to_full: Option<Quantiles>,
    /// Hours that it was paused.
    pub paused_h: Option<Quantiles>,
    /// Devices that failed at least once.
    pub harmed: Option<Quantiles>,
    /// Devices that need somebody's help.
    pub stuck: Option<Quantiles>,
    /// The most tickets in 24 hours.
    pub tickets_per_day: Option<Quantiles>,
    /// Runs in which there were more tickets in 24 hours than support can take; none if it can take any number.
    pub over_capacity: Option<Verdicts>,
    /// Bytes that devices have fetched.
    pub bytes: Option<Quantiles>,
}

/// By how much runs under another policy differ from those under a first one, in the same worlds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// Harmed devices more, on average.
    pub harmed: f64,
    /// Standard error of it.
    pub harmed_error: f64,
    /// Hours longer, on average.
    pub hours: f64,
    /// Standard error of it.
    pub hours_error: f64,
}

/// Sums runs up. `capacity` is how many devices support can help in a day.
#[must_use]
pub fn summary(runs: &[Run], capacity: Option<u32>) -> Summary {
    let of = |figure: &dyn Fn(&Run) -> Option<f64>| quantiles(runs.iter().filter_map(figure));
    let all = |figure: &dyn Fn(&Run) -> f64| quantiles(runs.iter().map(figure));
    let how_many =
        |is: &dyn Fn(&&Run) -> bool| verdicts(runs.iter().filter(is).count(), runs.len());
    let mut by = BTreeMap::new();
    for detected in runs.iter().filter_map(|run| run.detected.as_ref()) {
        let who = match detected.rail {
            _ if detected.by_policy => format!("policy: {}", detected.code),
            Some(rail) => format!("guard rail {rail:?}: {}", detected.code),
            None => format!("guard rail: {}", detected.code),
        };
        *by.entry(who).or_insert(0) += 1;
    }
    Summary {
        detected: how_many(&|run| run.detected.is_some()),
        detected_after_h: of(&|run| run.detected.as_ref().map(|detected| detected.at_h)),
        by,
        updated_by_then: of(&|run| run.detected.as_ref().map(|detected| detected.updated.into())),
        completed: how_many(&|run| run.completed),
        rolled_back: how_many(&|run| run.rolled_back),
        hours_to_full: of(&|run| run.completed.then_some(run.hours)),
        paused_h: all(&|run| run.paused_h),
        harmed: all(&|run| run.harmed.into()),
        stuck: all(&|run| run.stuck.into()),
        tickets_per_day: all(&|run| run.tickets_per_day),
        over_capacity: capacity
            .map(|capacity| how_many(&|run| run.tickets_per_day > f64::from(capacity))),
        bytes: all(&|run| run.bytes),
    }
}

impl Summary {
    /// What the figures of [`Self::rows`] are.
    pub const HEADING: &'static str = "half of the runs (5 to 95 %)";

    /// What it says, in words: a name and its figures each.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let row = |what: &str, figure| (what.to_owned(), figure);
        let mut rows = vec![
            row("paused, taken back or stopped", self.detected.words()),
            row("hours until then", words(self.detected_after_h)),
            row("devices updated by then", words(self.updated_by_then)),
        ];
        rows.extend(
            self.by.iter().map(|(who, runs)| (format!("by {who}"), format!("{runs} runs"))),
        );
        let megabytes = self.bytes.map(|Quantiles { p5, p50, p95 }| Quantiles {
            p5: p5 / 1e6,
            p50: p50 / 1e6,
            p95: p95 / 1e6,
        });
        rows.extend([
            row("all stages done", self.completed.words()),
            row("hours until then", words(self.hours_to_full)),
            row("devices taken back", self.rolled_back.words()),
            row("hours paused", words(self.paused_h)),
            row("devices that failed", words(self.harmed)),
            row("devices that need help", words(self.stuck)),
            row("most tickets in 24 hours", words(self.tickets_per_day)),
            row("megabytes fetched", words(megabytes)),
        ]);
        rows.extend(
            self.over_capacity.map(|over| row("more tickets than support can take", over.words())),
        );
        rows
    }
}

impl Verdicts {
    fn words(self) -> String {
        let Self { runs, of, share, low, high } = self;
        let percent = |share: f64| share * 100.0;
        format!(
            "{runs} of {of}: {:.1} % ({:.1} to {:.1})",
            percent(share),
            percent(low),
            percent(high)
        )
    }
}

fn words(figures: Option<Quantiles>) -> String {
    figures.map_or("-".to_owned(), |found| {
        format!("{} ({} to {})", short(found.p50), short(found.p5), short(found.p95))
    })
}

/// A figure with one decimal at most.
pub(crate) fn short(figure: f64) -> String {
    if figure.fract() == 0.0 { format!("{figure:.0}") } else { format!("{figure:.1}") }
}

/// Compares runs with those of a first policy, world by world.
#[must_use]
pub fn compare(first: &[Run], other: &[Run]) -> Comparison {
    let (harmed, harmed_error) = difference(first, other, |run| run.harmed.into());
    let (hours, hours_error) = difference(first, other, |run| run.hours);
    Comparison { harmed, harmed_error, hours, hours_error }
}

/// Mean of the differences, and its standard error.
fn difference(first: &[Run], other: &[Run], figure: impl Fn(&Run) -> f64) -> (f64, f64) {
    let differences: Vec<_> =
        first.iter().zip(other).map(|(one, other)| figure(other) - figure(one)).collect();
    let number = lossy(differences.len().max(1));
    let mean = differences.iter().sum::<f64>() / number;
    let squares: f64 = differences.iter().map(|one| (one - mean).powi(2)).sum();
    (mean, (squares / (number - 1.0).max(1.0) / number).sqrt())
}

/// Quantiles of the course at each of its points.
pub(crate) fn course(runs: &[Run], figure: impl Fn(&Sample) -> f64) -> Vec<Quantiles> {
    let points = runs.first().map_or(0, |run| run.course.len());
    (0..points)
        .filter_map(|at| quantiles(runs.iter().filter_map(|run| run.course.get(at).map(&figure))))
        .collect()
}

fn quantiles(figures: impl Iterator<Item = f64>) -> Option<Quantiles> {
    let mut sorted: Vec<_> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |share: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let place = (lossy(last) * share).round() as usize;
        sorted[place.min(last)]
    };
    Some(Quantiles { p5: at(0.05), p50: at(0.5), p95: at(0.95) })
}

fn verdicts(runs: usize, of: usize) -> Verdicts {
    const Z: f64 = 1.959_963_984_540_054;
    let number = lossy(of.max(1));
    let share = lossy(runs) / number;
    let middle = (share + Z * Z / (2.0 * number)) / (1.0 + Z * Z / number);
    let half = Z / (1.0 + Z * Z / number)
        * (share * (1.0 - share) / number + Z * Z / (4.0 * number * number)).sqrt();
    Verdicts { runs, of, share, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

/// Numbers of runs are far below what a double counts.
fn lossy(number: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let number = number as f64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_figures_that_were_there() {
        let found = quantiles((0..=100).rev().map(f64::from)).expect("there are some");
        assert_eq!((found.p5, found.p50, found.p95), (5.0, 50.0, 95.0));
        assert_eq!(quantiles(std::iter::empty()), None);
    }

    /// Newcombe, Two-sided confidence intervals for the single proportion, 1998: 81 of 263 and 0 of 20.
    #[test]
    fn shares_have_wilsons_interval() {
        let found = verdicts(81, 263);
        assert!(
            (found.low - 0.2553).abs() < 1e-4 && (found.high - 0.3662).abs() < 1e-4,
            "{found:?}"
        );
        let none = verdicts(0, 20);
        assert!(none.low == 0.0 && (none.high - 0.1611).abs() < 1e-4, "{none:?}");
    }
}
