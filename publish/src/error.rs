//! What can go wrong between a release and the place that devices fetch it from.

use std::path::PathBuf;

use whittle_release::Culprit;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of publishing, cleaning up or fetching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A release, a key or a file of ours is not as it should be.
    #[error(transparent)]
    Release(#[from] whittle_release::Error),
    /// A place that is none, or cannot be used as it is configured.
    #[error("cannot use `{location}` as a store: {why}")]
    Location {
        /// As it was named, without what follows a question mark or precedes an at sign.
        location: String,
        /// Why not.
        why: String,
    },
    /// A store did not do what it was asked to, also when it was asked again.
    #[error("cannot {action} `{key}`")]
    Store {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// Of which object.
        key: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store does not let us.
    #[error("the store does not allow to {action} `{key}`")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// Of which object.
        key: String,
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key is one to try things with.
    #[error("`{}` is a development key", .0.display())]
    DevelopmentKey(PathBuf),
    /// There is no object of this name.
    #[error("there is no `{0}`")]
    Absent(String),
    /// An object is not what its name says.
    #[error("`{key}` is damaged: {why}")]
    Damaged {
        /// Of which object.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// What is in a store is signed by a key that was not named.
    #[error("`{key}`, which is published already, is signed by a key that was not named")]
    UnknownSigner {
        /// Of which object.
        key: String,
        /// Which key that is.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The version is published already, with another index.
    #[error("{product} {version} is already published, with another index")]
    VersionTaken {
        /// Name of the product.
        product: String,
        /// The version.
        version: String,
    },
    /// The approval in a release directory is of something else.
    #[error("`{}` approves another release than the one beside it", .0.display())]
    OtherApproval(PathBuf),
    /// The keys file is of a product that is not published with it.
    #[error("`{}` is of product `{product}`, of which no release is named", path.display())]
    OtherKeys {
        /// The file.
        path: PathBuf,
        /// Name of its product.
        product: String,
    },
    /// There is a newer keys file.
    #[error("`{key}` has version {current}, which is newer than {version}")]
    OlderKeys {
        /// Of which object.
        key: String,
        /// Version that is there.
        current: u32,
        /// Version that was to be published.
        version: u32,
    },
    /// What is published already has signatures that this file lacks.
    #[error("`{key}` is published with a signature of key {signer}, which `{}` does not have", path.display())]
    FewerSignatures {
        /// Of which object.
        key: String,
        /// Id of that key.
        signer: String,
        /// The file.
        path: PathBuf,
    },
    /// The channel has a newer release.
    #[error(
        "channel `{channel}` of `{product}` has {current} with security counter {current_counter}, which is newer than \
         {version} with {counter}"
    )]
    Older {
        /// Name of the product.
        product: String,
        /// Name of the channel.
        channel: String,
        /// Version that is in the channel.
        current: String,
        /// Its security counter.
        current_counter: u32,
        /// Version that was to be published.
        version: String,
        /// Its security counter.
        counter: u32,
    },
    /// Others changed an object each time that we were about to.
    #[error("`{key}` changes all the time: {tries} tries failed")]
    Contended {
        /// Which object.
        key: String,
        /// How often it was tried.
        tries: u32,
    },
    /// Objects are being removed, so nothing can be published that relies on them.
    #[error("`gc` has been at work on the store for {0} s")]
    GcRunning(u64),
    /// Somebody is publishing, so nothing can be removed.
    #[error("somebody has been publishing for {0} s, or was killed then")]
    Publishing(u64),
    /// Somebody else is fetching the same package into the same file.
    #[error("somebody else is fetching into `{}`", .0.display())]
    Fetching(PathBuf),
    /// A release that must be kept is not in the store.
    #[error("{0} is to be kept, but is not in the store")]
    NoSuchRelease(String),
    /// `gc` was to keep no release.
    #[error("`gc` keeps 1 release or more, not 0")]
    KeepsNothing,
    /// What to keep cannot be read.
    #[error("`{}` does not say what to keep", path.display())]
    KeepFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// The index is for an older release than the device has.
    #[error("the release has security counter {got}, the device already requires {wanted}")]
    CounterTooLow {
        /// Counter of the release.
        got: u32,
        /// Counter of the device.
        wanted: u32,
    },
    /// A local file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
}

impl Error {
    /// Who must act.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::Release(error) => error.culprit(),
            Self::Location { .. } | Self::KeepsNothing => Culprit::Usage,
            Self::Store { .. }
            | Self::Absent(_)
            | Self::Contended { .. }
            | Self::GcRunning(_)
            | Self::Publishing(_)
            | Self::Fetching(_)
            | Self::Io { .. }
            | Self::NoRandomness(_) => Culprit::Io,
            Self::Denied { .. } | Self::DevelopmentKey(_) | Self::UnknownSigner { .. } => {
                Culprit::Key
            }
            Self::Damaged { .. }
            | Self::VersionTaken { .. }
            | Self::OtherApproval(_)
            | Self::OtherKeys { .. }
            | Self::OlderKeys { .. }
            | Self::FewerSignatures { .. }
            | Self::Older { .. }
            | Self::NoSuchRelease(_)
            | Self::KeepFile { .. }
            | Self::CounterTooLow { .. } => Culprit::BadInput,
        }
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::DevelopmentKey(_) => {
                "sign the release with a key that is looked after: `whittle keygen` makes one"
            }
            Self::UnknownSigner { .. } => {
                "after a change of keys, `--former-pubkey` names the one before: it counts for what is published already, and for nothing else"
            }
            Self::VersionTaken { .. } => "what is published never changes: take another version",
            Self::Older { .. } => "`--allow-older` takes the channel back on purpose",
            Self::GcRunning(_) => {
                "try again when it is done; a killed one is forgotten after an hour"
            }
            Self::Publishing(_) => {
                "try again when they are done; who was killed is forgotten after `--grace`, and not within a quarter of an hour"
            }
            Self::Location { why, .. } if why.contains("https") => {
                "AWS_ALLOW_HTTP=true lets a store be used without encryption"
            }
            _ => return None,
        })
    }

    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Of an index in a store.
    pub(crate) fn of_stored(key: &str, error: whittle_release::Error) -> Self {
        match error {
            whittle_release::Error::Refused { culprit: Culprit::Key, .. } => {
                Self::UnknownSigner { key: key.to_owned(), source: error.into() }
            }
            error => Self::damaged(key, chain(&error)),
        }
    }

    pub(crate) fn damaged(key: &str, why: impl Into<String>) -> Self {
        Self::Damaged { key: key.to_owned(), why: why.into() }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
