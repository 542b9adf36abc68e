//! The public keys that a release must be signed by, none of which may be one to try things with.

use std::path::Path;

use whittle_release::development_key;
use whittle_release::keys::{self, Keyring};

use crate::{Error, Result};

/// Keys of releases that may reach devices.
#[derive(Clone, Debug)]
pub struct ReleaseKeys(Keyring);

impl ReleaseKeys {
    /// Reads public keys in PEM.
    ///
    /// # Errors
    /// [`Error::DevelopmentKey`] for a file with the mark of [`development_key`]; [`Error::Release`] for one that is no key.
    pub fn read<P: AsRef<Path>>(files: &[P]) -> Result<Self> {
        let read = |file: &P| {
            let file = file.as_ref();
            if development_key::is_marked_file(file)? {
                return Err(Error::DevelopmentKey(file.to_owned()));
            }
            Ok(keys::read_public(file)?)
        };
        files.iter().map(read).collect::<Result<_>>().map(|keys| Self(Keyring(keys)))
    }

    /// The keys.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.0
    }
}
