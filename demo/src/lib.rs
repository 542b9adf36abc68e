//! A whole fleet in one process: what becomes of a release that one hardware revision does not stand.
//!
//! ```text
//! workshop: build, sign, publish ─▶ public directory ◀─ devices: real updater, simulated flash, real draw
//!                                        ▲                   │ crashes, versions, rollbacks
//!                    stage, flags, gate ─┘                   ▼
//!                    fleet's driver ◀─ orders ◀─ rollout's log ◀─ figures, policy, made-up people
//! ```
//!
//! Nothing is acted: releases are built by `release`, published by `publish`, offered by the documents of `fleet`, and judged by the
//! engine and a policy of the caller's. Each device runs the updater of `patcher-nostd` with its journal, trial boots and
//! rollback, on flash that tears what is written when the power fails. What is made up is the firmware, what goes wrong with it, and the
//! people who act on a pause.
//!
//! Everything follows from the seed: there is no clock here, and no random number.

mod bet;
mod character;
mod device;
mod draws;
mod error;
mod event;
mod firmware;
mod fleet;
mod people;
mod server;
mod story;
mod summary;
mod workshop;

pub use device::{CHUNK_BYTES, MOST_AGAIN_BYTES};
pub use error::DemoError;
pub use event::{BuiltPackage, Event, Look, Note, Share, Told, Troubles, Worst};
pub use story::{ALPHA, LEAST_DEVICES, MOST_DEVICES, Options, Outcome, POLICY, run};
pub use summary::{DeviceReport, Fetched, Packages, RolloutSummary, Summary};

/// The demo's clock starts here: 2026-01-05 00:00 UTC, a Monday.
const START_S: u64 = 1_767_571_200;

const HOUR_S: u32 = 3600;

/// When an hour begins, in seconds from 1970, UTC.
fn now_s(hour: u32) -> u64 {
    START_S + u64::from(hour) * u64::from(HOUR_S)
}

/// How many there are; a fleet or an image never has more than can be counted so.
fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
