//! Why a demo ends early.

use std::path::{Path, PathBuf};

use whittle_fleet::DriverError;
use whittle_patcher_nostd::UpdateError;
use whittle_release::Error as ReleaseError;
use whittle_rollout::DraftError;
use whittle_rollout_store::{SessionError, StoreError};

/// Why a demo ends early. All but the first three are faults of the demo, or of what it shows.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The fleet is too small to show anything, or too large for a demo.
    #[error("{got} devices, wanted {least} to {most}")]
    Devices {
        /// How many were wanted.
        got: u32,
        /// The least number.
        least: u32,
        /// The greatest number.
        most: u32,
    },
    /// A file of the demo could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The policy does not take the rollout.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A release was not built, or is not what a device believes.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A release was not published.
    #[error(transparent)]
    Publish(#[from] whittle_publish::Error),
    /// The rollout does not start, or its log cannot be written.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A rollout's name is none.
    #[error(transparent)]
    Name(#[from] whittle_rollout_store::BadName),
    /// The store of the log cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the rollout orders does not reach devices.
    #[error("the fleet does not follow")]
    Fleet(#[from] DriverError),
    /// A device refuses what it should not.
    #[error("device {device} fails in hour {hour}: {error}")]
    Device {
        /// Which one.
        device: String,
        /// When.
        hour: u32,
        /// Why.
        error: UpdateError,
    },
    /// A device does not come to rest.
    #[error("device {device} does not come to rest in hour {hour}")]
    Restless {
        /// Which one.
        device: String,
        /// When.
        hour: u32,
    },
    /// A rollout does not come to an end.
    #[error("rollout `{rollout}` is not over after {hours} hours")]
    Endless {
        /// Its name.
        rollout: String,
        /// How long it was waited for.
        hours: u32,
    },
    /// The engine sets the demo's figures aside.
    #[error("figures are set aside in hour {hour}: {problem}")]
    SetAside {
        /// When.
        hour: u32,
        /// Why.
        problem: whittle_rollout::Problem,
    },
}

impl DemoError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
