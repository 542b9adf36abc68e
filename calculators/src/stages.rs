//! What each stage of a rollout can show, and what it risks.
//!
//! The rule that is judged is the chapter's: a stage pauses when it has seen more than so many times the events that are expected.
//! Numbers of events are Poisson numbers, whose tails are exact here. Beside it stands what whittle's own test sees in the same stage
//! (`whittle_rollout::statistics`), which may be looked at all the time.
//!
//! All devices of a stage count for the whole stage. Where they are updated one after the other over it, they have about half that time.
mod fitting;
mod inputs;
mod outcome;
mod plots;
mod rollout;
mod step;

pub use fitting::{MOST_FITTING_EVENTS, fitting_events, hours_until_failed};
pub use inputs::{FORM, Inputs, Percents, RatePer, Stage, Watched};
pub use outcome::{Outcome, StageOutcome, outcome};
