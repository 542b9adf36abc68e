//! What deltas save a fleet that pays for what it downloads.
//!
//! The way goes from bytes to money: what a device downloads, what the fleet pays in a year, and from which number of devices on
//! that is less than the tools cost. Sizes of deltas are measured ones of a build, or estimated from how much of the code changes.
mod case;
mod inputs;
mod outcome;
mod plots;
mod sensitivity;

pub use inputs::{Base, FORM, Inputs, Megabyte};
pub use outcome::{BaseOutcome, Outcome, outcome};
pub use sensitivity::Sensitivity;
