//! Which driver, and how it is set up.

use serde::{Deserialize, Serialize};

use crate::DriverError;
use crate::aws::{Aws, AwsConfig};
use crate::driver::{Driver, Surroundings};
use crate::hawkbit::{Hawkbit, HawkbitConfig};
use crate::mender::{Mender, MenderConfig};
use crate::published::{Published, PublishedConfig};

/// Which driver, and how it is set up; `kind` in TOML or JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DriverConfig {
    /// Signed documents beside the release, which devices check themselves.
    Published(PublishedConfig),
    /// Eclipse hawkBit, by its Management API.
    Hawkbit(HawkbitConfig),
    /// Mender, by its management interfaces.
    Mender(MenderConfig),
    /// AWS IoT, by its Jobs.
    AwsIotJobs(AwsConfig),
}

impl DriverConfig {
    /// Makes the driver: reads keys and secrets, asks nobody yet.
    ///
    /// # Errors
    /// [`DriverError::Config`], [`DriverError::NoSecret`], or what reading a key gives.
    pub fn open<'a>(
        &self,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Box<dyn Driver + 'a>, DriverError> {
        Ok(match self {
            Self::Published(config) => Box::new(Published::open(config.clone())?),
            Self::Hawkbit(config) => Box::new(Hawkbit::open(config.clone(), surroundings)?),
            Self::Mender(config) => Box::new(Mender::open(config.clone(), surroundings)?),
            Self::AwsIotJobs(config) => Box::new(Aws::open(config.clone(), surroundings)?),
        })
    }
}
