//! Releases that are exported, read back, carried out and tampered with.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

mod carried_out;
mod envelopes;
mod exported;
mod golden;
mod processor;
mod provenance;
mod support;
