//! Decides how a rollout of new firmware goes on. Pure: no files, clock, network or random numbers.
//!
//! ```text
//!                       ┌──────────────────────── Rollout ────────────────────────┐
//! counters ─▶ intake ─▶ │ Observation ─▶ checked ─▶ evidence ─▶ statistics        │
//!                       │                  │           │            │             │
//!                       │              set aside    tallies      signals          │
//!                       │                  │           └─────┬──────┘             │
//! clock ─────────────▶  │ tick             │             Snapshot ─▶ Policy ──┐   │
//!                       │                  ▼                                  ▼   │
//! people ────────────▶  │ Command ─▶ guard rails ◀──────────── Verdict ───────┘   │ ─▶ Orders ─▶ the fleet
//!                       │                  │                                      │
//!                       │               Decided ─▶ State                          │
//!                       └──────────────────┬──────────────────────────────────────┘
//!                                          ▼
//!                                  Entry, Entry, … ─▶ log ─▶ replay ─▶ the same State, or the first Difference
//! ```
//!
//! A [`Rollout`] is fed: with [`Observation`]s, ticks and [`Command`]s, each at a time that the caller says. Each becomes an
//! [`Entry`] with what came of it. The state is nothing but the fold of the entries, and [`replay`](replay()) computes it again, on any
//! machine, with every outcome. A [`Policy`](policy::Policy) only ever wishes; `guard_rails` is the one place where a wish becomes a
//! decision.
//!
//! **Units.** Times are seconds from 1970, UTC (`_s`); lengths are seconds; shares are fractions of the fleet, cumulative;
//! exposure is device-hours for rates, and devices asked for proportions.
//!
//! **Errors.** A [`Refusal`] leaves everything as it was, and is not logged: the caller must act. Figures that cannot be are an
//! outcome that is logged ([`Outcome::SetAside`]), and hold the rollout until better ones come. What a policy does wrong is a pause.
//!
//! Left to others: where figures come from and where the log is kept, how policies run, who is in a share (devices draw that
//! themselves), and how orders reach devices.

pub mod calendar;
mod draft;
mod evidence;
mod guard_rails;
pub mod intake;
mod log;
mod observation;
mod orders;
pub mod policy;
mod replay;
mod rollout;
mod snapshot;
mod state;
pub mod statistics;
mod terms;

pub use draft::{Draft, DraftError};
pub use guard_rails::MAX_MEMO_BYTES;
pub use log::{Answered, Asked, Command, Decided, Entry, Input, Outcome, Rail};
pub use observation::{
    CellObservation, DeviceCounts, MetricObservation, Observation, Problem, Side,
};
pub use orders::Orders;
pub use replay::{Difference, Mismatch, replay};
pub use rollout::{Refusal, Rollout, plan};
pub use state::{Ending, Pause, Phase, Role, State, Suspect, VersionShare};
pub use terms::{
    BadTerms, Caution, Cell, FLEET, KillRule, LONGEST_PAUSE_S, Limits, Lost, MetricTerms, Planned,
    Terms, WayBack, part_of,
};
