//! Secrets: where they are kept, and never what they are, in documents, errors and debug output.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 16 << 10;

/// How to show who is asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Auth {
    /// By a bearer token.
    Bearer(SecretPlace),
    /// By name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretPlace,
    },
}

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretPlace {
    /// In the environment variable of this name.
    Env(String),
    /// In this file, from the directory of the file that names it. A line end after the secret is not part of it.
    File(PathBuf),
}

/// What the crate does not look up by itself.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// From where files of secrets are looked for.
    pub directory: &'a Path,
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum NoSecret {
    /// The environment variable is not set.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is empty, too long, or has characters that no header may have.
    #[error("the secret in {0} is empty, too long, or not plain ASCII")]
    Unusable(String),
}

/// The value of an `Authorization` header.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: String,
    secret: String,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authorization(…)")
    }
}

impl Authorization {
    pub(super) fn of(auth: &Auth, surroundings: &Surroundings<'_>) -> Result<Self, NoSecret> {
        match auth {
            Auth::Bearer(place) => {
                let secret = place.secret(surroundings)?;
                Ok(Self { header: format!("Bearer {secret}"), secret })
            }
            Auth::Basic { user, password } => {
                let secret = password.secret(surroundings)?;
                let both = STANDARD.encode(format!("{user}:{secret}"));
                Ok(Self { header: format!("Basic {both}"), secret })
            }
        }
    }

    /// A text of others, without the secret in it.
    pub(super) fn redact(&self, text: &str) -> String {
        let header = self.header.split_once(' ').map_or(&*self.header, |(_, header)| header);
        text.replace(header, "…").replace(&self.secret, "…")
    }
}

impl SecretPlace {
    fn secret(&self, surroundings: &Surroundings<'_>) -> Result<String, NoSecret> {
        let (text, place) = match self {
            Self::Env(name) => {
                let value = (surroundings.variable)(name);
                (value.ok_or_else(|| NoSecret::Unset(name.clone()))?, format!("`${name}`"))
            }
            Self::File(path) => {
                let path = surroundings.directory.join(path);
                let place = format!("`{}`", path.display());
                (read(&path).map_err(|source| NoSecret::Io { path, source })?, place)
            }
        };
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        let is_plain = secret.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !is_plain || secret.is_empty() || secret.len() > MAX_SECRET_BYTES {
            return Err(NoSecret::Unusable(place));
        }
        Ok(secret.to_owned())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_SECRET_BYTES + 3).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}
