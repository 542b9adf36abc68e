//! Secrets: where they come from, and that they go nowhere else.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{DriverError, Surroundings, files};

/// The longest file of a secret: far more than a token has, and little enough for any machine.
const MAX_SECRET_BYTES: u64 = 16 << 10;

/// Where a secret is: `{ env = "NAME" }` or `{ file = "path" }`. The secret itself is never in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretSource {
    /// In the environment variable of this name.
    Env(String),
    /// In this file, white space at its end left out.
    File(PathBuf),
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`DriverError::NoSecret`] if it is not there, or is no single line of text, or is in a file of more than [`MAX_SECRET_BYTES`].
    pub(crate) fn read(&self, surroundings: &dyn Surroundings) -> Result<Secret, DriverError> {
        let text = match self {
            Self::Env(name) => surroundings.variable(name),
            Self::File(path) => {
                let bytes = files::read_at_most(path, MAX_SECRET_BYTES).ok().flatten();
                bytes.and_then(|bytes| String::from_utf8(bytes).ok())
            }
        };
        let text = text.map(|text| text.trim_end().to_owned());
        let fits = |text: &String| !text.is_empty() && !text.chars().any(char::is_control);
        text.filter(fits).map(Secret).ok_or_else(|| DriverError::NoSecret { place: self.place() })
    }

    /// The file, if it is one.
    pub(crate) fn path(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Env(_) => None,
            Self::File(path) => Some(path),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Env(name) => format!("environment variable `{name}`"),
            Self::File(path) => format!("file `{}`", path.display()),
        }
    }
}

/// A secret that shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret, to be sent to whom it is for.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A text of a server without the secrets that were sent to it, which it might quote.
pub(crate) fn without(text: &str, secrets: &[Secret]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "[secret]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Surroundings for Nothing {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "TWO_LINES").then(|| "one\ntwo".to_owned())
        }
        fn now_s(&self) -> u64 {
            0
        }
        fn seed(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_secret_is_found_or_missed_by_its_place() {
        let missing = SecretSource::Env("TOKEN".into()).read(&Nothing).expect_err("not set");
        assert_eq!(missing.to_string(), "no secret in environment variable `TOKEN`");
        assert!(SecretSource::Env("TWO_LINES".into()).read(&Nothing).is_err(), "no header");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "hunter2\n").expect("written");
        let secret = SecretSource::File(path).read(&Nothing).expect("there");
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("hunter2", "Secret"));
        let long = directory.path().join("long");
        std::fs::write(&long, "x".repeat(20_000)).expect("written");
        let error = SecretSource::File(long.clone()).read(&Nothing).expect_err("no token");
        assert_eq!(error.to_string(), format!("no secret in file `{}`", long.display()));
        assert_eq!(without("Basic hunter2!", &[secret]), "Basic [secret]!");
    }
}
