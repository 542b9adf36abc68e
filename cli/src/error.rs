//! Errors as people read them: what happened, why, and the way out.

use std::path::PathBuf;

use whittle_policy_host::{CallError, Fault, LoadError};
use whittle_release::Error as ReleaseError;

use crate::exit::Exit;

pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("`{policy}` is not a policy")]
    Policy {
        /// As it was named on the command line.
        policy: String,
        source: Box<LoadError>,
    },
    #[error(transparent)]
    Call(Box<CallError>),
    #[error("`{}` is not a {what}", path.display())]
    BadJson { what: &'static str, path: PathBuf, source: serde_json::Error },
    /// A package or a module, and why no policy could be made of it.
    #[error("cannot make a policy of `{}`: {}", .0.display(), .1)]
    NotBuilt(PathBuf, String),
    /// A compiler is missing, and how it is installed.
    #[error("`{tool}` is not installed")]
    NoTool { tool: String, install: &'static str },
    /// A policy does not do what it should.
    #[error("{0}")]
    SelfCheck(String),
    #[error("{0}")]
    Usage(String),
    #[error("cannot write to standard output")]
    Stdout(#[source] std::io::Error),
    #[error("cannot write the result as JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Release(error) => error.culprit().into(),
            Self::Policy { source, .. } => match source.as_ref() {
                LoadError::Describe(error) => call_exit(error),
                _ => Exit::BadInput,
            },
            Self::Call(error) => call_exit(error),
            Self::BadJson { .. } | Self::NotBuilt(..) => Exit::BadInput,
            Self::SelfCheck(_) => Exit::SelfCheck,
            Self::Usage(_) => Exit::Usage,
            Self::Stdout(_) | Self::NoTool { .. } => Exit::Io,
            Self::Json(_) => Exit::Internal,
        }
    }

    /// The way out, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        let error = match self {
            Self::Release(error) => error,
            Self::Policy { source, .. } => return load_hint(source).map(str::to_owned),
            Self::NoTool { install, .. } => return Some((*install).to_owned()),
            Self::NotBuilt(_, reason) if reason.contains("`cargo` failed") => {
                return Some(
                    "`rustup target add wasm32-unknown-unknown`, if it finds no `core` or `std`"
                        .to_owned(),
                );
            }
            _ => return None,
        };
        let hint = match error {
            ReleaseError::OutputExists(_) => {
                "choose another `--out`, or remove the directory first"
            }
            ReleaseError::UnknownBase { .. } => {
                "use `--full` to take the full image, or rebuild the release with `--base` set to this image"
            }
            ReleaseError::NoBase { .. } => "pass the image that the device runs with `--base`",
            ReleaseError::KeyExists(_) => {
                "an existing key is never overwritten; choose another directory"
            }
            ReleaseError::BadKey { .. } => {
                "`whittle keygen` makes one; an encrypted key must be decrypted first, see `openssl pkey`"
            }
            ReleaseError::NoArchive(_) => "`whittle base add` makes one",
            ReleaseError::NotReproducible(_) => {
                "the same tool version and the same input give the same bytes: compare `whittle --version`"
            }
            ReleaseError::VersionNotAbove { .. } => {
                "raise `version`: devices keep the highest that they have seen"
            }
            ReleaseError::FlagsTooLarge { .. } => {
                "name a group instead of many devices, and remove flags that every release has on"
            }
            ReleaseError::SlotTooSmall { .. } => "shrink the image, or correct `--slot-size`",
            _ => match error.culprit() {
                whittle_release::Culprit::Base => {
                    "take the full image, or rebuild with `--base` set to this image"
                }
                whittle_release::Culprit::Key => {
                    "do not install it; check where it and the public key come from"
                }
                _ => return None,
            },
        };
        Some(hint.to_owned())
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

fn call_exit(error: &CallError) -> Exit {
    match error.fault {
        Fault::OutOfFuel { .. } | Fault::OutOfMemory { .. } | Fault::TooSlow { .. } => Exit::Budget,
        _ => Exit::BadInput,
    }
}

fn load_hint(error: &LoadError) -> Option<&'static str> {
    match error {
        LoadError::NotWasm => Some("pass a component, or a name that `whittle policy list` shows"),
        LoadError::CoreModule => Some("`whittle policy build` makes a component of it"),
        LoadError::Imports(_) => Some(
            "a policy has no clock, no random numbers and no files: all it needs is in its argument",
        ),
        LoadError::WrongWorld { .. } => Some("build it against `wit/policy.wit`"),
        _ => None,
    }
}
