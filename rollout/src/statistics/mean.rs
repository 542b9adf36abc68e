//! Means of readings (battery drain, drift of a sensor, heating time) on new against old firmware.
//!
//! Readings lie between 0 and a bound b that is known before: what is above is counted as b by whoever gathers. In a tick and a
//! stratum let new firmware have `m` readings with sum A, and old firmware `n` with sum B. For λ in [0, 1), `x >= -1` and
//! `ψ(λ) = -ln(1 - λ) - λ`,
//!
//! ```text
//! exp(λ x - ψ(λ) x²) <= 1 + λ x
//! ```
//!
//! (Fan, Grama, Liu, Exponential inequalities for martingales with applications, EJP 20, 2015, lemma 4.1), from which the
//! empirical-Bernstein bet of Howard, Ramdas, McAuliffe, Sekhon follows (Time-uniform, nonparametric, nonasymptotic confidence
//! sequences, Annals of Statistics 49(2), 2021, theorem 4), here with both sides in one bet:
//!
//! ```text
//! ln e = (λ A - κ B) / b  -  ψ(λ) V(A) / b²  -  ψ(κ) V(B) / b²,      κ n = ρ0 λ m
//! ```
//!
//! with `V` the squares around the mean of earlier ticks. What is expected of the first term is `λ m (μ_new - ρ0 μ_old) / b`: at most
//! 0 if the mean on new firmware is at most ρ0 times that on old firmware *in that tick*. So, as with rates, what both sides
//! share cancels. Nothing is assumed of the readings' distribution; they are taken for independent, which those of different devices
//! are: ask each device once a day. A tight bound makes a strong test: 20 % a day for a drain of 5 %, rather than 100 %.

use super::math::{exp, ln, ln_each, ln_mean_exp};
use super::sequence::{Interval, MOST};

/// Values of the larger of λ and κ that are bet on.
const LAMBDAS: [f64; 6] = [0.6, 0.3, 0.1, 0.03, 0.01, 0.003];

/// The interval's grid: ratios from e^-1.4 to e^1.4, by 4 %.
const GRID_STEP: f64 = 0.04;
const GRID_POINTS: i32 = 35;

/// Why figures are no readings.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadReadings {
    /// A figure is infinite or no number.
    #[error("{0} is no finite number")]
    NotFinite(f64),
    /// A figure is below zero.
    #[error("{0} is below zero")]
    Negative(f64),
    /// There is a sum of no readings.
    #[error("a sum of {sum} without any reading")]
    SumWithoutReadings {
        /// The sum.
        sum: f64,
    },
    /// No readings up to the bound have this sum and these squares.
    #[error("{number} readings up to {most} have no sum of {sum} with squares of {squares}")]
    Impossible {
        /// How many readings.
        number: f64,
        /// Their sum.
        sum: f64,
        /// The sum of their squares.
        squares: f64,
        /// The bound.
        most: f64,
    },
}

/// Readings between 0 and a bound: how many, their sum, and the sum of their squares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Readings {
    number: f64,
    /// As fractions of the bound.
    sum: f64,
    squares: f64,
}

impl Readings {
    /// Checks figures. `most` is the bound of a reading, in its unit.
    ///
    /// # Errors
    ///
    /// If a figure is negative or not finite, or if no readings between 0 and `most` have these sums.
    pub fn new(number: f64, sum: f64, squares: f64, most: f64) -> Result<Self, BadReadings> {
        for figure in [number, sum, squares, most] {
            if !figure.is_finite() {
                return Err(BadReadings::NotFinite(figure));
            }
            if figure < 0.0 {
                return Err(BadReadings::Negative(figure));
            }
        }
        if number <= 0.0 && (sum > 0.0 || squares > 0.0) {
            return Err(BadReadings::SumWithoutReadings { sum });
        }
        // Sums of millions of readings are rounded.
        const SLACK: f64 = 1.0 + 1e-9;
        let too_much = sum > number * most * SLACK || squares > sum * most * SLACK;
        if too_much || sum * sum > squares * number * SLACK {
            return Err(BadReadings::Impossible { number, sum, squares, most });
        }
        if number <= 0.0 || most <= 0.0 {
            return Ok(Self::default());
        }
        Ok(Self { number, sum: sum / most, squares: squares / (most * most) })
    }

    fn mean(&self) -> Option<f64> {
        (self.number > 0.0).then(|| self.sum / self.number)
    }

    fn squares_around(&self, center: f64) -> f64 {
        (self.squares - 2.0 * center * self.sum + self.number * center * center).max(0.0)
    }

    fn plus(&self, other: Self) -> Self {
        Self {
            number: self.number + other.number,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }
}

/// Bets against "at most" and "at least" one ratio.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    ratio: f64,
    worse: [f64; LAMBDAS.len()],
    better: [f64; LAMBDAS.len()],
}

impl Claim {
    fn new(ratio: f64) -> Self {
        Self { ratio, worse: [0.0; LAMBDAS.len()], better: [0.0; LAMBDAS.len()] }
    }

    fn add(&mut self, treated: Side, control: Side) {
        // λ m ρ0 = κ n, and the larger of both is the one of the list.
        let kappa_by_lambda = self.ratio * treated.now.number / control.now.number;
        let scale = (1.0_f64).min(1.0 / kappa_by_lambda);
        let lambdas = LAMBDAS.map(|most| most * scale);
        let kappas = lambdas.map(|lambda| lambda * kappa_by_lambda);
        let (of_treated, of_control) = (psi(lambdas), psi(kappas));
        for (place, (lambda, kappa)) in lambdas.into_iter().zip(kappas).enumerate() {
            let gain = lambda * treated.now.sum - kappa * control.now.sum;
            let cost = of_treated[place] * treated.spread() + of_control[place] * control.spread();
            self.worse[place] += gain - cost;
            self.better[place] += -gain - cost;
        }
    }

    fn log_e_worse(&self) -> f64 {
        ln_mean_exp(&self.worse)
    }

    fn log_e_better(&self) -> f64 {
        ln_mean_exp(&self.better)
    }
}

/// One side of a tick.
#[derive(Clone, Copy)]
struct Side {
    now: Readings,
    /// Mean of the ticks before.
    center: f64,
}

impl Side {
    fn spread(&self) -> f64 {
        self.now.squares_around(self.center)
    }
}

/// `-ln(1 - λ) - λ` of each bet.
fn psi(lambdas: [f64; LAMBDAS.len()]) -> [f64; LAMBDAS.len()] {
    let mut costs = lambdas.map(|lambda| 1.0 - lambda);
    ln_each(&mut costs);
    costs.iter_mut().zip(lambdas).for_each(|(cost, lambda)| *cost = -*cost - lambda);
    costs
}

/// Tests whether the mean of readings is greater on new firmware than on old firmware.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanTest {
    tolerated: Claim,
    alarm: Claim,
    grid: Vec<Claim>,
    treated: Readings,
    control: Readings,
}

impl MeanTest {
    /// Begins a test that tolerates one ratio, and must not miss another one above it.
    #[must_use]
    pub fn new(tolerated: f64, alarm: f64) -> Self {
        Self {
            tolerated: Claim::new(tolerated),
            alarm: Claim::new(alarm),
            grid: (-GRID_POINTS..=GRID_POINTS)
                .map(|point| Claim::new(exp(GRID_STEP * f64::from(point))))
                .collect(),
            treated: Readings::default(),
            control: Readings::default(),
        }
    }

    /// Counts the readings of a tick within a stratum. Nothing is learnt if either side has none; the first tick with both
    /// only tells around what the next ones vary. Returns whether anything is learnt.
    pub fn add(&mut self, treated: Readings, control: Readings) -> bool {
        if treated.number <= 0.0 || control.number <= 0.0 {
            return false;
        }
        if let (Some(of_treated), Some(of_control)) = (self.treated.mean(), self.control.mean()) {
            let sides = (
                Side { now: treated, center: of_treated },
                Side { now: control, center: of_control },
            );
            let claims = [&mut self.tolerated, &mut self.alarm].into_iter().chain(&mut self.grid);
            claims.for_each(|claim| claim.add(sides.0, sides.1));
        }
        self.treated = self.treated.plus(treated);
        self.control = self.control.plus(control);
        true
    }

    /// Natural logarithm of the e-value against "at most the tolerated ratio".
    #[must_use]
    pub fn log_e_worse(&self) -> f64 {
        self.tolerated.log_e_worse()
    }

    /// Natural logarithm of the e-value against "at least the alarming ratio".
    #[must_use]
    pub fn log_e_fine(&self) -> f64 {
        self.alarm.log_e_better()
    }

    /// Ratio of the means; none before anything was seen, or where the mean on old firmware is 0.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let below = self.control.mean().filter(|mean| *mean > 0.0)?;
        Some(self.treated.mean()? / below)
    }

    /// The interval that misses the true ratio at any time with a probability of at most `alpha`.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        // Half of alpha for each end.
        let bar = ln(2.0 / alpha);
        let low = self.grid.iter().take_while(|claim| claim.log_e_worse() >= bar).last();
        let high = self.grid.iter().rev().take_while(|claim| claim.log_e_better() >= bar).last();
        Interval {
            low: low.map_or(0.0, |claim| claim.ratio),
            high: high.map_or(MOST, |claim| claim.ratio),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// So many readings, half of them a bit below and half of them a bit above a mean.
    fn readings(number: f64, mean: f64, spread: f64) -> Readings {
        let squares = number * (mean * mean + spread * spread);
        Readings::new(number, number * mean, squares, 20.0).unwrap()
    }

    fn after(ticks: u32, mean: f64) -> MeanTest {
        let mut test = MeanTest::new(1.0, 1.2);
        for _ in 0..ticks {
            test.add(readings(100.0, mean, 2.0), readings(400.0, 5.0, 2.0));
        }
        test
    }

    #[test]
    fn a_fifth_more_battery_is_seen() {
        assert!(after(2, 6.0).log_e_worse() < 3.0);
        assert!(after(4, 6.0).log_e_worse() > 3.0, "{}", after(4, 6.0).log_e_worse());
        let found = after(60, 6.0).interval(0.05);
        assert!(
            found.low > 1.08 && found.low < 1.2 && found.high > 1.2 && found.high < 1.33,
            "{found:?}"
        );
        assert!((after(5, 6.0).ratio().unwrap() - 1.2).abs() < 1e-12);
    }

    #[test]
    fn the_same_battery_is_shown_to_be_fine() {
        assert!(after(40, 5.0).log_e_worse() < 0.0);
        assert!(after(40, 5.0).log_e_fine() > 3.0, "{}", after(40, 5.0).log_e_fine());
    }

    /// By hand from the formula, for a single λ.
    #[test]
    fn a_bet_is_the_formula() {
        let mut claim = Claim::new(1.1);
        let side = |now, center| Side { now, center };
        claim.add(side(readings(10.0, 6.0, 1.0), 0.25), side(readings(40.0, 5.0, 1.0), 0.25));
        // λ = 0.6 for new firmware with 10 readings; κ = 1.1 · 0.6 · 10 / 40 = 0.165.
        let gain = 0.6 * 3.0 - 0.165 * 10.0;
        let (v_new, v_old) = (10.0 * (0.05_f64.powi(2) * 2.0), 40.0 * 0.05_f64.powi(2));
        let cost = (-(0.4_f64.ln()) - 0.6) * v_new + (-(0.835_f64.ln()) - 0.165) * v_old;
        assert!((claim.worse[0] - (gain - cost)).abs() < 1e-12, "{}", claim.worse[0]);
        assert!((claim.better[0] - (-gain - cost)).abs() < 1e-12);
    }

    #[test]
    fn figures_that_cannot_be_are_refused() {
        assert!(matches!(Readings::new(f64::NAN, 1.0, 1.0, 2.0), Err(BadReadings::NotFinite(_))));
        assert_eq!(Readings::new(2.0, -1.0, 1.0, 2.0), Err(BadReadings::Negative(-1.0)));
        assert!(matches!(
            Readings::new(0.0, 1.0, 1.0, 2.0),
            Err(BadReadings::SumWithoutReadings { .. })
        ));
        assert!(
            matches!(Readings::new(2.0, 5.0, 12.5, 2.0), Err(BadReadings::Impossible { .. })),
            "above the bound"
        );
        assert!(
            matches!(Readings::new(2.0, 2.0, 1.0, 2.0), Err(BadReadings::Impossible { .. })),
            "too few squares"
        );
        assert!(Readings::new(2.0, 2.0, 2.0, 2.0).is_ok());
    }

    proptest! {
        /// The inequality on which all of this rests.
        #[test]
        fn the_lemma_holds(lambda in 0.0..0.999, x in -1.0..1.0) {
            let bet: f64 = lambda * x - psi([lambda; LAMBDAS.len()])[0] * x * x;
            prop_assert!(bet.exp() <= 1.0 + lambda * x + 1e-12);
        }

        /// The promise in one tick of one reading on each side, over all outcomes of readings that are 0 or the bound.
        #[test]
        fn the_bet_is_fair(old in 0.01..0.9, ratio in 0.3..1.0, center_new in 0.0..1.0, center_old in 0.0..1.0) {
            let new = old * ratio;
            let mut mean = 0.0;
            for (x, p) in [(0.0, 1.0 - new), (1.0, new)] {
                for (y, q) in [(0.0, 1.0 - old), (1.0, old)] {
                    let of = |x| Readings::new(1.0, x, x, 1.0).unwrap();
                    let mut claim = Claim::new(1.0);
                    claim.add(Side { now: of(x), center: center_new }, Side { now: of(y), center: center_old });
                    mean += p * q * claim.log_e_worse().exp();
                }
            }
            prop_assert!(mean <= 1.0 + 1e-9, "{mean}");
        }
    }
}
