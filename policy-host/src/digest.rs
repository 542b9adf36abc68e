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
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        formatter.write_str(&text)
    }
}
