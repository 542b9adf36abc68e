//! Observations as a table, whose columns [`Format::Csv`](crate::Format::Csv) names.

mod columns;
mod rows;
mod write;

pub use write::{Inexpressible, emit};

pub(crate) use rows::parse;
