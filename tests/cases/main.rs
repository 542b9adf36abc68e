//! Whole-system tests, in one binary.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

mod support;

mod archive;
mod book;
mod calculators;
mod capi;
mod cli;
mod config;
mod cose;
mod demo;
mod device;
mod embassy_boot;
mod exit_codes;
mod explain;
mod export;
mod flags;
mod golden;
mod journal;
mod keys;
mod mcuboot;
mod openssl;
mod out_files;
mod policy;
mod policy_languages;
mod qemu;
mod qemu_update;
/// The server that the metrics' own tests are made with.
#[path = "../../metrics/tests/it/real.rs"]
#[allow(dead_code, reason = "their other tests look into its directory")]
mod real;
mod recordings;
mod reproducible;
mod rollout;
mod rollout_figures;
mod schemas;
mod simulate;
mod stage;
mod tamper;
mod update;
mod wit;
