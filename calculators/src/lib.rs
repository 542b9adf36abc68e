//! What deltas save, and what each stage of a rollout can show: two calculators for people who plan a release.
//!
//! ```text
//! presets, flags, a build's report ──▶ Inputs ──▶ outcome() ──▶ Outcome ─┬─▶ figures, each with its Formula
//!                                        ▲                               └─▶ plots
//!                  the page's sliders ───┘   answer(): the same as JSON, compiled to WebAssembly for the page
//! ```
//!
//! Every formula stands here once, beside its words and numbers ([`Formula`]); the command line prints them, and the page runs this very
//! code. No function of the platform is asked that could differ in the last bit, so both show the same figures.
//!
//! The examples are those of a textbook chapter on rollbacks and staged rollouts. Where its figures cannot be had from its own
//! inputs, [`differences()`] says so, with what comes out instead and why.
//!
//! ```
//! use whittle_calculators::{presets, savings};
//!
//! let [chapter, ..] = &presets::savings()[..] else { panic!("there are presets") };
//! let outcome = savings::outcome(&chapter.inputs)?;
//! assert_eq!(outcome.first_profitable_devices, Some(2318.0));
//! # Ok::<(), whittle_calculators::BadInput>(())
//! ```
//!
//! Left to others: files, the terminal, and which build is meant.

mod answer;
mod binomial;
mod build_report;
mod differences;
mod form;
mod formula;
#[cfg(feature = "page")]
mod page;
mod plot;
mod poisson;
pub mod presets;
pub mod savings;
pub mod stages;
mod table;
pub mod words;

pub use answer::answer;
pub use build_report::{BadReport, BuildReport};
pub use differences::{Difference, differences, markdown};
pub use form::{BadInput, Choice, Field, Form, List, row};
pub use formula::Formula;
#[cfg(feature = "page")]
pub use page::{Start, page};
pub use plot::{Line, Lines, Mark, Plot, Span, Spans, Tone};
pub use poisson::at_least as poisson_at_least;
pub use table::Table;

/// Version of the inputs and outcomes; raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;
