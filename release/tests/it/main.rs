//! The host library as a whole, and against files and programs of others.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

mod bundle;
mod detached;
mod device_keys;
mod firmware_files;
mod golden;
mod keys;
mod signers;
mod support;
