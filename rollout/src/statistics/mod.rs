//! Tests that may be looked at after every tick, and what they need.
//!
//! A rollout is looked at hundreds of times. A test that is wrong in one of twenty cases each time it is looked at stops
//! half of all healthy rollouts. The tests here bet against "the new firmware is fine": what a bet has grown to (its
//! **e-value**) exceeds `1 / alpha` at any time with a probability of at most `alpha` if the claim is true, however often
//! one looks and whatever one does in between. That is Ville's inequality
//! (Étude critique de la notion de collectif, 1939); Ramdas, Grünwald, Vovk and Shafer tell how such tests are made
//! (Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38(4), 2023).
//!
//! ```text
//! events of a tick ─▶ distinct: devices, once a day ─▶ count: events and exposure
//!                                                        │
//!          ┌─────────────────────────────────────────────┤
//!          ▼                                             ▼
//! two_sample: against old firmware            one_sample: against the time before the rollout,
//! in the same ticks (rates, proportions)      where no old firmware is left
//! mean: the same for readings                            │
//!          │                                             │
//!          └──────────▶ e-values, confidence sequences ◀─┘
//!                          │
//!            e_bh: which cohorts are bad?           power: what can a stage see at all?
//! ```
//!
//! ```
//! use whittle_rollout::statistics::{Count, RatioTest, log_threshold};
//!
//! let mut test = RatioTest::new(1.0, 2.0);
//! // Crashes and device-hours of a tick: first on new firmware, then on old firmware.
//! test.add(Count::new(40.0, 5_000.0)?, Count::new(190.0, 95_000.0)?);
//! assert!(test.log_e_worse() >= log_threshold(0.05), "evidence that new firmware is worse");
//! # Ok::<(), whittle_rollout::statistics::BadCount>(())
//! ```
//!
//! What must hold for the promise, and is left to the caller: devices are assigned to new and old firmware by chance within
//! each stratum; a device counts once a day, however often it restarts; exposure begins at the same point of a device's life
//! on both sides; and some devices stay on the old firmware until the end.
//!
//! All numbers are the same on every platform, bit for bit, because decisions are replayed from logs on other machines than
//! the one that took them. The standard library's `ln` and `exp` are those of the platform, and differ in the last bit; so
//! the ones of the `libm` crate are used, which are ordinary code over IEEE arithmetic.

mod count;
mod distinct;
mod e_bh;
mod math;
mod mean;
mod one_sample;
mod power;
mod sequence;
mod two_sample;

pub use count::{BadCount, Count};
pub use distinct::{BadDay, DistinctDevices};
pub use e_bh::{mean_of_logs, named_by_e_bh};
pub use mean::{BadReadings, MeanTest, Readings};
pub use one_sample::BaselineTest;
pub use power::{Certainty, StageOutlook, StagePlan, events_needed, outlook, time_until_failures};
pub(crate) use sequence::{Gain, Mixture};
pub use sequence::{Interval, RatioSequence};
pub(crate) use two_sample::RatioGain;
pub use two_sample::{BETS, RatioTest};

/// `ln(1 / alpha)`: an e-value whose logarithm reaches it is evidence at level `alpha`.
#[must_use]
pub fn log_threshold(alpha: f64) -> f64 {
    -math::ln(alpha)
}
