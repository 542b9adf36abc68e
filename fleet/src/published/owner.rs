//! Whose directory it is: one rollout at a time, because a directory has one stage.
//!
//! The file beside the documents is for drivers alone; devices never read it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use whittle_release::files;
use whittle_rollout::Orders;

use super::exists;
use crate::files::read_at_most;
use crate::{Campaign, DriverError};

/// File name of what drivers note of their rollout.
pub const OWNER_FILE: &str = "rollout.json";

/// The most that a note has: two names, and some more.
const MAX_BYTES: u64 = 64 << 10;

/// The rollout that publishes in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Owner {
    rollout: String,
    build: String,
    /// Whether it is over, so that another one may follow.
    ended: bool,
}

impl Owner {
    pub(super) fn of(campaign: &Campaign, orders: &Orders) -> Self {
        Self {
            rollout: campaign.name.clone(),
            build: campaign.build.clone(),
            ended: campaign.is_over || orders.release_held_back,
        }
    }

    /// Whether both are the same rollout, over or not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.begun() == other.begun()
    }

    /// The same before it is over.
    pub(super) fn begun(&self) -> Self {
        Self { ended: false, ..self.clone() }
    }

    /// Reads whose directory it is; none if it is nobody's.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, DriverError> {
        let path = path(directory);
        if !exists(&path)? {
            return Ok(None);
        }
        // A rename put it there, so nothing is half written.
        let bad = |why: &dyn std::fmt::Display| DriverError::OtherDocument {
            path: path.clone(),
            got: format!("not a note of a driver ({why})"),
            wanted: "one".to_owned(),
        };
        let text = read_at_most(&path, MAX_BYTES)?;
        let text = text.ok_or_else(|| bad(&format_args!("more than {MAX_BYTES} bytes")))?;
        serde_json::from_slice(&text).map(Some).map_err(|error| bad(&error))
    }

    /// Refuses a directory in which another rollout is under way.
    pub(super) fn must_leave_room(
        &self,
        campaign: &Campaign,
        directory: &Path,
    ) -> Result<(), DriverError> {
        let is_its_own = self.rollout == campaign.name && self.build == campaign.build;
        if is_its_own || self.ended {
            return Ok(());
        }
        Err(DriverError::OtherRollout {
            directory: directory.to_owned(),
            rollout: self.rollout.clone(),
        })
    }

    pub(super) fn write(&self, directory: &Path) -> Result<(), DriverError> {
        let path = path(directory);
        let io = |source| DriverError::Io { action: "write", path: path.clone(), source };
        let text = serde_json::to_vec(self).map_err(|error| io(error.into()))?;
        files::write_atomically(&path, &text).map_err(DriverError::Document)?;
        files::sync_directory(directory).map_err(DriverError::Document)
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(OWNER_FILE)
}
