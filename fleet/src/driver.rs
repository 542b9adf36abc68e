//! What every driver does, and what it needs from outside.

use std::time::Duration;

use serde::Serialize;
use whittle_rollout::Orders;

use crate::{Campaign, DriverError};

/// Does to a fleet what a rollout orders.
pub trait Driver {
    /// Checks what can be known before a rollout starts, without asking a server.
    ///
    /// # Errors
    /// [`DriverError`], if [`apply`](Self::apply) could not do anything.
    fn check(&self, campaign: &Campaign) -> Result<(), DriverError> {
        let _ = campaign;
        Ok(())
    }

    /// Makes the fleet as ordered, as far as it is not so already. Blocks for as long as its retries take.
    ///
    /// May be repeated at any time, also after it was interrupted: what is there already is left alone.
    ///
    /// # Errors
    /// [`DriverError`]; what was done until then stays, and the next call goes on from there.
    fn apply(&mut self, orders: &Orders, campaign: &Campaign) -> Result<Report, DriverError>;
}

/// What a driver needs and does not take by itself.
pub trait Surroundings {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// Now, in seconds from 1970, UTC: servers refuse signatures of other times.
    fn now_s(&self) -> u64;

    /// Spreads the retries of clients that failed at the same time.
    fn seed(&self) -> u64;

    /// Waits before a retry.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// What a driver did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// What was changed, in the order in which it was; empty if all was so already.
    pub changed: Vec<Change>,
    /// What was as ordered already.
    pub already: Vec<String>,
    /// What was ordered and cannot be done with this fleet; somebody should know.
    pub shortfalls: Vec<String>,
    /// What the server has not finished yet; the next call goes on with it.
    pub unfinished: Vec<String>,
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// To what: a file, or the name that the server has for it.
    pub object: String,
    /// To how many devices, if it is about single ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<u32>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A signed document was published.
    Published,
    /// Devices were offered the new firmware, or the way back.
    Offered,
    /// What had been made was started.
    Started,
    /// What was under way was paused.
    Paused,
    /// What was paused goes on.
    Resumed,
    /// What was under way was ended.
    Stopped,
    /// Devices that had not begun are no longer offered anything.
    Withdrawn,
}

impl Report {
    pub(crate) fn change(&mut self, kind: ChangeKind, object: &str, devices: Option<usize>) {
        let devices = devices.map(|devices| u32::try_from(devices).unwrap_or(u32::MAX));
        self.changed.push(Change { kind, object: object.to_owned(), devices });
    }
}
