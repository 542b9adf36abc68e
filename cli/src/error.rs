//! Errors as people read them: what happened, why, and the way out.

use whittle_release::Error as ReleaseError;

use crate::exit::Exit;

pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Release(#[from] ReleaseError),
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
            Self::Usage(_) => Exit::Usage,
            Self::Stdout(_) => Exit::Io,
            Self::Json(_) => Exit::Internal,
        }
    }

    /// The way out, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        let Self::Release(error) = self else { return None };
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
