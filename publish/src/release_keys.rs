//! The public keys that a release must be signed by, none of which may be one to try things with.

use std::path::Path;

use whittle_release::development_key;
use whittle_release::keys::{self, Keyring};

use crate::{Error, Result};

/// Keys of releases that may reach devices.
#[derive(Clone, Debug)]
pub struct ReleaseKeys {
    current: Keyring,
    /// The same, and those of what was published before a change of keys.
    stored: Keyring,
}

impl ReleaseKeys {
    /// Reads public keys, as [`keys::read_public`] does, of what is to be published.
    ///
    /// # Errors
    /// [`Error::DevelopmentKey`] for a file with the mark of [`development_key`]; [`Error::Release`] for one that is no key.
    pub fn read<P: AsRef<Path>>(files: &[P]) -> Result<Self> {
        let current = read(files)?;
        Ok(Self { stored: current.clone(), current })
    }

    /// Reads public keys, besides, of what was published before: what is in a store may be signed by them, what is to be published
    /// may not.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn with_former<P: AsRef<Path>>(mut self, files: &[P]) -> Result<Self> {
        self.stored.0.extend(read(files)?.0);
        Ok(self)
    }

    /// The keys of what is to be published.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.current
    }

    /// The keys of what is in a store already.
    #[must_use]
    pub fn stored(&self) -> &Keyring {
        &self.stored
    }
}

fn read<P: AsRef<Path>>(files: &[P]) -> Result<Keyring> {
    let read = |file: &P| {
        let file = file.as_ref();
        if development_key::is_marked_file(file)? {
            return Err(Error::DevelopmentKey(file.to_owned()));
        }
        Ok(keys::read_public(file)?)
    };
    files.iter().map(read).collect::<Result<_>>().map(Keyring)
}
