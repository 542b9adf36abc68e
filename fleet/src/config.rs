//! Which driver, and how it is set up.

use std::path::{Path, PathBuf};

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
    /// The same with each relative path taken from a directory: that of the file which holds the configuration.
    #[must_use]
    pub fn beside(mut self, directory: &Path) -> Self {
        for path in self.paths() {
            *path = directory.join(&*path);
        }
        self
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Published(config) => config.paths(),
            Self::Hawkbit(config) => config.password.path().into_iter().collect(),
            Self::Mender(config) => config.token.path().into_iter().collect(),
            Self::AwsIotJobs(config) => config.paths(),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_beside_the_file() {
        let moved = |toml: &str| {
            let config: DriverConfig = toml::from_str(toml).expect("a configuration");
            let mut moved = config.beside(Path::new("/etc/whittle"));
            moved.paths().into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let published = "kind = 'published'\ndirectory = 'public'\nproduct = 'p'\nkey = '/run/key.pem'\nflags = 'flags.json'";
        assert_eq!(
            moved(published),
            ["/etc/whittle/public", "/run/key.pem", "/etc/whittle/flags.json"]
        );
        let mender =
            "kind = 'mender'\nurl = 'https://a'\ntoken = { file = 'token' }\nartifact = 'a'";
        assert_eq!(moved(mender), ["/etc/whittle/token"]);
        let hawkbit = "kind = 'hawkbit'\nurl = 'https://a'\nuser = 'u'\npassword = { env = 'P' }\ndistribution-set = 1";
        assert_eq!(moved(hawkbit), Vec::<String>::new());
        let aws = "kind = 'aws-iot-jobs'\nregion = 'r'\naccess-key-id = { env = 'A' }\n\
                   secret-access-key = { file = 'secret' }\ndocument = { file = 'job.json' }\nway-back = { source = 'https://a' }";
        assert_eq!(moved(aws), ["/etc/whittle/secret", "/etc/whittle/job.json"]);
    }
}
