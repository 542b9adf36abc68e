//! Which policy it is.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a policy's component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyDigest(pub [u8; 32]);

impl PolicyDigest {
    pub(crate) fn of(component: &[u8]) -> Self {
        Self(Sha256::digest(component).into())
    }

    /// The first eight digits: enough for people to tell policies apart.
    #[must_use]
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(8);
        digits
    }
}

impl fmt::Display for PolicyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
