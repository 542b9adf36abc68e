//! Explanations of real and made-up deltas.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

mod hostile;
mod laws;
mod page;
mod real;
mod support;
