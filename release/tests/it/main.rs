//! The host library against files and programs of others.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

mod detached;
mod device_keys;
mod golden;
mod keys;
mod signers;
mod support;
