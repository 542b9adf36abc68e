//! Why a driver did not do all that was ordered, sorted by who must act.

use std::path::PathBuf;
use std::time::Duration;

/// Why a driver did not do all that was ordered. No variant ever holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The configuration contradicts itself, or names what is not there.
    #[error("{field}: {why}")]
    Config {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A secret is not where the configuration says.
    #[error("no secret in {place}")]
    NoSecret {
        /// The environment variable or file.
        place: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A document cannot be read, signed or written.
    #[error("cannot publish")]
    Document(#[source] whittle_release::Error),
    /// What is published belongs to another rollout of the same name, or to another product.
    #[error("`{}` is {got}, wanted {wanted}", path.display())]
    OtherDocument {
        /// The file.
        path: PathBuf,
        /// What it is about.
        got: String,
        /// What it should be about.
        wanted: String,
    },
    /// What devices read belongs to another rollout, which is not over.
    #[error("`{}` belongs to rollout `{rollout}`, which is not over", directory.display())]
    OtherRollout {
        /// The directory that devices see.
        directory: PathBuf,
        /// Name of that rollout.
        rollout: String,
    },
    /// The server did not answer, or only to say that it cannot now.
    #[error("{server} failed {tries} times to {action}: {why}")]
    Unavailable {
        /// Which server.
        server: &'static str,
        /// What was tried.
        action: String,
        /// How often.
        tries: u32,
        /// What happened the last time.
        why: String,
    },
    /// The server asks to come back later than retries last.
    #[error("{server} asks to wait {} s before it will {action}", wait.as_secs())]
    Busy {
        /// Which server.
        server: &'static str,
        /// What was tried.
        action: String,
        /// How long to wait.
        wait: Duration,
    },
    /// The server does not accept the credentials.
    #[error("{server} does not accept the credentials ({status}): {why}")]
    Credentials {
        /// Which server.
        server: &'static str,
        /// Status code of its answer.
        status: u16,
        /// What it says.
        why: String,
    },
    /// The server refuses what was asked.
    #[error("{server} refuses to {action} ({status}): {why}")]
    Refused {
        /// Which server.
        server: &'static str,
        /// What was tried.
        action: String,
        /// Status code of its answer.
        status: u16,
        /// What it says.
        why: String,
    },
    /// The server's answer is not what its interface promises.
    #[error("cannot read what {server} answers to {action}: {why}")]
    Answer {
        /// Which server.
        server: &'static str,
        /// What was tried.
        action: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl DriverError {
    pub(crate) fn config(field: &'static str, why: impl Into<String>) -> Self {
        Self::Config { field, why: why.into() }
    }

    /// Whether the same call may work later, without anybody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. })
    }
}
