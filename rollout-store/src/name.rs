//! Names of rollouts.

use std::fmt;
use std::str::FromStr;

/// What a rollout is called: 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`, beginning with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutName(String);

/// A text is no name of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rollout's name has 1 to 64 letters, digits, `.`, `_` or `-`, and begins with a letter or a digit"
)]
pub struct BadName;

impl FromStr for RolloutName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        if begins && text.len() <= 64 && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName)
        }
    }
}

impl RolloutName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RolloutName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "thermostat-2.4.1", "2026_11", &"x".repeat(64)] {
            assert!(good.parse::<RolloutName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "ä", "a/b", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<RolloutName>(), Err(BadName), "{bad}");
        }
    }
}
