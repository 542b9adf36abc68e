//! How large the ratio may be: its confidence sequence, an interval that holds at every look.
//!
//! With `ℓ` of the two-sample test and weights `w` on a fixed grid of ratios, the interval is
//!
//! ```text
//! { ρ : ln Σ w(r) exp(ℓ(r)) - ℓ(ρ) < ln(1 / alpha) }
//! ```
//!
//! The left side is what a mixture of bets has gained against ρ (Robbins 1970; as the ratio of prior to posterior in
//! Waudby-Smith and Ramdas, Confidence sequences for sampling without replacement, arXiv:2006.04347, section 2). By Ville's inequality
//! the true ratio is outside at any time with a probability of at most alpha. Unlike [`BETS`](super::BETS), which are multiples of
//! the claim and cannot tell 1.0 from 1.1, a grid that is fixed narrows down without end.
//!
//! `ℓ` is concave in `ln ρ`, so between grid points it lies below the lines through neighbouring pairs of points, extended: the ends
//! are taken from those lines, and so are never too narrow.

use std::sync::LazyLock;

use super::Count;
use super::math::{exp, ln, ln_each, ln_mean_exp};

/// The greatest end of an interval; what is above is not told apart.
pub(crate) const MOST: f64 = 1e9;

/// From where to where the ratio may be, at a level of confidence that holds at every look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end: 0 if nothing bounds it.
    pub low: f64,
    /// Upper end: 1e9 if nothing bounds it.
    pub high: f64,
}

impl Interval {
    /// What is known before anything was seen.
    pub const UNKNOWN: Self = Self { low: 0.0, high: MOST };
}

/// A grid of ratios from 1/65 to 65, narrow around 1.
pub(crate) struct Grid {
    /// Natural logarithms of the ratios, rising.
    pub(crate) thetas: Vec<f64>,
    /// The ratios.
    pub(crate) ratios: Vec<f64>,
    /// Logarithms of weights that sum up to 1.
    pub(crate) log_weights: Vec<f64>,
}

pub(crate) static GRID: LazyLock<Grid> = LazyLock::new(Grid::new);

impl Grid {
    fn new() -> Self {
        // Step and number of points of each part of the upper half.
        const PARTS: [(f64, u32); 3] = [(0.01, 22), (0.04, 12), (0.18, 19)];
        let mut upper = vec![];
        let mut theta = 0.0;
        for (step, points) in PARTS {
            for _ in 0..points {
                theta += step;
                upper.push((theta, step));
            }
        }
        let lower = upper.iter().rev().map(|(theta, step)| (-theta, *step));
        let points: Vec<_> =
            lower.chain([(0.0, PARTS[0].0)]).chain(upper.iter().copied()).collect();
        // Cauchy's density: most regressions are by small factors, and large ones are seen anyway.
        let masses: Vec<_> =
            points.iter().map(|(theta, step)| step / (1.0 + theta * theta)).collect();
        let total: f64 = masses.iter().sum();
        Self {
            thetas: points.iter().map(|(theta, _)| *theta).collect(),
            ratios: points.iter().map(|(theta, _)| exp(*theta)).collect(),
            log_weights: masses.iter().map(|mass| ln(mass / total)).collect(),
        }
    }
}

/// `ln((ρ t + s) / (t + s))` at each point of the grid. A stratum whose figures wait for nothing but time has the same exposures tick
/// after tick, and these logarithms are most of what a tick costs: the last ones are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mixture {
    exposures: (f64, f64),
    logs: Vec<f64>,
}

impl Mixture {
    fn of(&mut self, t: f64, s: f64) -> &[f64] {
        if self.exposures != (t, s) || self.logs.is_empty() {
            self.exposures = (t, s);
            let ratios = GRID.ratios.iter();
            self.logs.clear();
            self.logs.extend(ratios.map(|ratio| (ratio * t + s) / (t + s)));
            ln_each(&mut self.logs);
        }
        &self.logs
    }
}

/// By how much a tick within a stratum changes `ℓ` at each point of the grid; nothing if nothing is learnt.
#[derive(Default)]
pub(crate) struct Gain(Vec<f64>);

impl Gain {
    pub(crate) fn of(treated: Count, control: Count, mixture: &mut Mixture) -> Self {
        let (t, s) = (treated.exposure(), control.exposure());
        let n = treated.events() + control.events();
        if t <= 0.0 || s <= 0.0 || n <= 0.0 {
            return Self(vec![]);
        }
        let points = GRID.thetas.iter().zip(mixture.of(t, s));
        Self(points.map(|(theta, log)| treated.events() * theta - n * log).collect())
    }
}

/// The confidence sequence of the ratio between the rates on new and on old firmware.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioSequence {
    /// `ℓ` at each point of the grid.
    logs: Vec<f64>,
}

impl Default for RatioSequence {
    fn default() -> Self {
        Self { logs: vec![0.0; GRID.ratios.len()] }
    }
}

impl RatioSequence {
    /// Counts what happened in a tick within a stratum. Nothing is learnt if either side has no exposure.
    pub fn add(&mut self, treated: Count, control: Count) {
        self.gain(&Gain::of(treated, control, &mut Mixture::default()));
    }

    /// The same, of a gain that several sequences share.
    pub(crate) fn gain(&mut self, gain: &Gain) {
        self.logs.iter_mut().zip(&gain.0).for_each(|(log, gained)| *log += gained);
    }

    /// The interval that misses the true ratio at any time with a probability of at most `alpha`.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        let terms = self.logs.iter().zip(&GRID.log_weights).map(|(log, weight)| log + weight);
        let terms: Vec<_> = terms.collect();
        // Weights sum up to 1, so the sum is the mean times the number of points.
        #[allow(clippy::cast_precision_loss)]
        let number = self.logs.len() as f64;
        let gained = ln_mean_exp(&terms) + ln(number);
        let bar = gained + ln(alpha);
        let rising = |place: usize| Some((*GRID.thetas.get(place)?, *self.logs.get(place)?));
        let last = self.logs.len() - 1;
        let falling = |place: usize| {
            let (theta, log) = rising(last.checked_sub(place)?)?;
            Some((-theta, log))
        };
        Interval {
            low: left_end(rising, bar).map_or(0.0, exp),
            high: left_end(falling, bar).map_or(MOST, |theta| exp(-theta)),
        }
    }
}

/// Where a concave function, known at the points in this order, first may exceed the bar; none if it does so at the first point already.
fn left_end(point: impl Fn(usize) -> Option<(f64, f64)>, bar: f64) -> Option<f64> {
    let inside = (0..).map_while(&point).position(|(_, log)| log > bar)?;
    let outside = inside.checked_sub(1)?;
    let cross = |one, other| crossing(point(one)?, point(other)?, bar);
    let from_left = outside.checked_sub(1).and_then(|other| cross(other, outside));
    let from_right = cross(inside, inside + 1);
    let (left, right) = (point(outside)?.0, point(inside)?.0);
    let known = [from_left, from_right].into_iter().flatten().filter(|theta| *theta <= right);
    Some(known.fold(left, f64::max))
}

/// Where the line through two points, which must rise, reaches the bar.
fn crossing((x0, y0): (f64, f64), (x1, y1): (f64, f64), bar: f64) -> Option<f64> {
    (y1 > y0).then(|| x0 + (bar - y0) * (x1 - x0) / (y1 - y0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(events: f64, exposure: f64) -> Count {
        Count::new(events, exposure).unwrap()
    }

    fn after(ticks: &[(f64, f64, f64, f64)]) -> Interval {
        let mut sequence = RatioSequence::default();
        for (k, t, c, s) in ticks {
            sequence.add(count(*k, *t), count(*c, *s));
        }
        sequence.interval(0.05)
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(after(&[]), Interval::UNKNOWN);
    }

    /// Forty crashes where ten were to be expected, of a control nineteen times as large. For a single look the exact limits are
    /// 2.77 and 5.65 (Clopper and Pearson's of 40 in 230, by `mpmath.betainc`); looking all the time costs a bit.
    #[test]
    fn an_interval_is_wider_than_that_of_a_single_look() {
        let found = after(&[(40.0, 5_000.0, 190.0, 95_000.0)]);
        assert!(found.low > 2.0 && found.low < 2.77, "{found:?}");
        assert!(found.high > 5.65 && found.high < 8.0, "{found:?}");
    }

    #[test]
    fn many_events_narrow_it_down() {
        let found = after(&[(100_000.0, 1e7, 100_000.0, 1e7)]);
        assert!(found.low > 0.97 && found.low < 0.99, "{found:?}");
        assert!(found.high < 1.03 && found.high > 1.01, "{found:?}");
    }

    #[test]
    fn no_event_bounds_one_side_only() {
        let found = after(&[(0.0, 1000.0, 100.0, 1000.0)]);
        assert_eq!(found.low, 0.0);
        assert!(found.high < 0.2, "{found:?}");
    }

    proptest! {
        /// The ends come from lines above the curve: the exact curve at the end has not passed the bar.
        #[test]
        fn an_interval_is_never_too_narrow(k in 0u32..400, c in 0u32..400, t in 1.0..1e3, s in 1.0..1e3) {
            let (k, c) = (f64::from(k), f64::from(c));
            let found = after(&[(k, t, c, s)]);
            let exact = |rho: f64| k * rho.ln() - (k + c) * ((rho * t + s) / (t + s)).ln();
            let gained = GRID.ratios.iter().zip(&GRID.log_weights)
                .map(|(ratio, weight)| (exact(*ratio) + weight).exp()).sum::<f64>().ln();
            let bar = gained + 0.05_f64.ln();
            if found.low > 0.0 {
                prop_assert!(exact(found.low) <= bar + 1e-6);
            }
            if found.high < MOST {
                prop_assert!(exact(found.high) <= bar + 1e-6);
            }
        }

        #[test]
        fn swapping_the_sides_turns_it_over(k in 1u32..200, c in 1u32..200) {
            let (k, c) = (f64::from(k), f64::from(c));
            let (one, other) = (after(&[(k, 10.0, c, 30.0)]), after(&[(c, 30.0, k, 10.0)]));
            if one.low > 0.0 && one.high < MOST {
                prop_assert!((one.low * other.high - 1.0).abs() < 1e-9);
                prop_assert!((one.high * other.low - 1.0).abs() < 1e-9);
            }
        }
    }
}
