//! Rehearses rollouts: a made-up fleet with made-up faults meets the real engine, its guard rails and a real policy.
//!
//! ```text
//! Scenario ─▶ Fleet ◀──────────── Orders ────────────┐
//!               │ counts per cell                    │
//!               └──▶ Observation ─▶ Rollout ─ tick ─▶ Policy
//!                                      │
//!                                   Run, Run, … ─▶ Summary ─▶ page
//! ```
//!
//! A fleet is counts, never devices, so that a rollout to a million takes as long as one to a thousand. All that is random is
//! drawn from a stream of its own for each seed, run, cell, tick and purpose: whatever a policy decides does not shift what else
//! happens, so that two policies meet the same world, and their difference is not noise. The same scenario, policy and seed
//! give the same runs, on any number of threads.
//!
//! A [`Recording`] is what a rollout really saw. [`backtest`] asks a policy what it would have said to it.

mod backtest;
mod fleet;
mod page;
mod random;
mod run;
mod scenario;
mod summary;

pub use backtest::{Backtest, Recording, Said, backtest};
pub use page::page;
pub use run::{Detected, Run, RunError, Sample, simulate};
pub use scenario::{BadScenario, Bug, Effect, FleetTerms, Operator, Scenario, Season};
pub use summary::{Comparison, Quantiles, Summary, Verdicts, compare, summary};
