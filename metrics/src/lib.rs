//! Reads what was measured on a fleet, for the rollout engine to judge.
//!
//! ```text
//! figures.json ──▶ json ────┐
//! figures.csv  ──▶ table ───┼──▶ Observation ──▶ rollout
//! ```
//!
//! A reader says what can be read; what the figures mean, and whether they can be, is judged by the engine, which sets wrong ones aside
//! and logs it. Nothing is ever guessed or left out in silence: a file is taken as a whole or not at all.
//!
//! Left to others: keeping observations, and the clock.

mod file;
mod json;
mod table;

pub use file::{BadFile, FileError, Format, MAX_FILE_BYTES, parse, read};
pub use json::emit as emit_json;
pub use table::{Inexpressible, emit as emit_csv};
