//! What can go wrong on the host, sorted by who must act.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use whittle_delta::{DecodeError, EncodeError};
use whittle_format::FormatError;
use whittle_patcher_nostd::{DocumentError, PatchError};

use crate::budget::Checked;
use crate::flags::LongestRule;
use crate::refusal;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who must act on an error; the command line makes an exit code of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// Whoever called: contradictory or missing arguments.
    Usage,
    /// The file system.
    Io,
    /// Whoever made or delivered the input.
    BadInput,
    /// Whoever holds the keys: the wrong key, or bytes that the right one did not sign.
    Key,
    /// Whoever chose the base.
    Base,
    /// Whoever set a limit of the device.
    Budget,
    /// Us: an artifact that does not do what it should.
    SelfCheck,
}

/// An error of the host side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A private key would be overwritten.
    #[error("`{}` exists", .0.display())]
    KeyExists(PathBuf),
    /// A file is to be written where something else stands: a link, a device, a directory.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A directory is to be made where something else stands.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Another process is writing there.
    #[error("another process is writing to `{}`", .0.display())]
    InUse(PathBuf),
    /// A directory for output is already in use.
    #[error("`{}` exists and is not empty", .0.display())]
    OutputExists(PathBuf),
    /// An image is larger than the format allows.
    #[error("image of {got} bytes is too large, the limit is {limit}")]
    ImageTooLarge {
        /// Size in bytes.
        got: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A firmware file is damaged, or cannot be made one image.
    #[error("cannot take `{}`", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: Box<whittle_inputs::Error>,
    },
    /// A base is code for another processor than the target.
    #[error("base {base} is {got} code, the target {wanted}")]
    OtherInstructionSet {
        /// Version or SHA-256 of the base.
        base: String,
        /// Instruction set of the base.
        got: &'static str,
        /// That of the target.
        wanted: &'static str,
    },
    /// The target, or a base, has no bytes.
    #[error("the {0} is empty")]
    EmptyImage(&'static str),
    /// A development key would go where nothing tells any more that it is one.
    #[error("`{}` is a development key, and nothing would tell so any more", .0.display())]
    DevelopmentKey(PathBuf),
    /// A component requires another one, which is not there yet.
    #[error(
        "`{component}` requires `{required}` {at_least} or later before it is installed, {found} is there"
    )]
    NotYet {
        /// Product of the component.
        component: String,
        /// Product of the one that it requires.
        required: String,
        /// The lowest version that will do.
        at_least: String,
        /// The version that is there, or `none`.
        found: String,
    },
    /// There is no archive in this directory.
    #[error("there is no base archive in `{}`", .0.display())]
    NoArchive(PathBuf),
    /// The target does not fit the device's slot.
    #[error("image of {got} bytes does not fit a slot of {slot}")]
    SlotTooSmall {
        /// Size of the image in bytes.
        got: u64,
        /// Size of the slot in bytes.
        slot: u64,
    },
    /// A release takes more than it may.
    #[error("budgets exceeded: {exceeded} of {of}, the first is {first}")]
    OverBudget {
        /// How many budgets are exceeded.
        exceeded: usize,
        /// How many were checked.
        of: usize,
        /// The first of them, with what was spent and its limit.
        first: String,
        /// All of them.
        checked: Box<Checked>,
    },
    /// Bytes are not what their place calls for.
    #[error("cannot read {what}")]
    Format {
        /// What was expected.
        what: String,
        /// Why it is not that.
        source: FormatError,
    },
    /// An artifact cannot be encoded.
    #[error("cannot encode {what}")]
    Encode {
        /// Which artifact.
        what: String,
        /// Why not.
        source: EncodeError,
    },
    /// A package cannot be used.
    #[error("cannot use {what}")]
    Package {
        /// Which package.
        what: String,
        /// Why not.
        source: PatchError,
    },
    /// A package or a document is refused, and the numbers tell why.
    #[error("cannot use {what}: {why}")]
    Refused {
        /// What is refused.
        what: String,
        /// Why, with what was found and what was wanted.
        why: String,
        /// Who must act.
        culprit: Culprit,
    },
    /// A delta was made from another image.
    #[error("cannot apply `{file}`: package expects base {wanted}, image is {got}")]
    WrongBase {
        /// The package.
        file: String,
        /// First bytes of the SHA-256 of the wanted base.
        wanted: String,
        /// The same of the image.
        got: String,
    },
    /// A flags document or a stage cannot be used.
    #[error("cannot use {what}")]
    Document {
        /// Which document.
        what: String,
        /// Why not.
        source: DocumentError,
    },
    /// JSON that people wrote is not what its place calls for.
    #[error("cannot read {what}")]
    Json {
        /// Which file.
        what: String,
        /// Why not, with line and column.
        source: serde_json::Error,
    },
    /// A flags document does not fit what devices keep for it.
    #[error(
        "flags document of {got} bytes is {} above the limit of {limit}{}",
        got - limit,
        longest.as_ref().map(|rule| format!("; {rule}")).unwrap_or_default()
    )]
    FlagsTooLarge {
        /// Size of the signed document in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
        /// The rule that takes most; `None` if there are no rules.
        longest: Option<LongestRule>,
    },
    /// A flags document is not newer than the one that it is to follow.
    #[error("version {got} is not above version {previous}, which is already signed")]
    VersionNotAbove {
        /// Version of the document.
        got: u32,
        /// Version that it is to follow.
        previous: u32,
    },
    /// A document is to follow one of another product.
    #[error("the document is for `{got}`, the one that it is to follow for `{previous}`")]
    ProductChanged {
        /// Product of the document.
        got: String,
        /// Product of the one before.
        previous: String,
    },
    /// A document of keys that no device would take.
    #[error("the document of keys cannot be: {0}")]
    BadKeys(String),
    /// A keys file does not fit what devices keep for it.
    #[error("keys file of {got} bytes is above the limit of {limit}")]
    KeysTooLarge {
        /// Size in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A file is larger than anything that its place calls for.
    #[error("`{}` has more than {limit} bytes", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A bare BSDIFF40 patch cannot be applied.
    #[error("cannot apply `{what}`")]
    BsdiffPatch {
        /// The patch file.
        what: String,
        /// Why not.
        source: DecodeError<Infallible>,
    },
    /// A key file holds no Ed25519 key in a known form.
    #[error("`{}` holds no {wanted}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What was wanted.
        wanted: &'static str,
    },
    /// A private key is encrypted, and nobody has given its passphrase.
    #[error("`{}` is encrypted, and there is no passphrase", .0.display())]
    PassphraseWanted(PathBuf),
    /// A passphrase does not open a private key.
    #[error("the passphrase does not open `{}`", .0.display())]
    WrongPassphrase(PathBuf),
    /// The file of an encrypted key asks for more time or memory than any honest one.
    #[error("`{}` asks for more time or memory to be opened than any key should", .0.display())]
    CostlyKey(PathBuf),
    /// A command that should sign did not.
    #[error("`{program}` did not sign: {why}")]
    SignerCommand {
        /// The command, without its arguments.
        program: String,
        /// What happened.
        why: String,
    },
    /// A signature has to come from elsewhere; what is to be signed stands in this file.
    #[error("`{}` is not signed yet", .0.display())]
    SignatureWanted(PathBuf),
    /// The plan of a release that is to be signed elsewhere is not as it was put down.
    #[error("`{}` is not as it was emitted: {what}", path.display())]
    BadPlan {
        /// The plan.
        path: PathBuf,
        /// What of it is wrong.
        what: String,
    },
    /// A file holds no signature of the given key over what was to be signed.
    #[error("`{}` is not the signature that was wanted", .0.display())]
    WrongSignature(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    /// A file is not the one that the signed index lists.
    #[error("`{file}` is not the file that the signed index lists")]
    NotTheListedFile {
        /// Name in the release directory.
        file: String,
    },
    /// A file is shorter or longer than the signed index says.
    #[error("`{file}` has {got} bytes, the signed index says {wanted}")]
    WrongFileSize {
        /// Name in the release directory.
        file: String,
        /// Size found in bytes.
        got: u64,
        /// Size signed in bytes.
        wanted: u64,
    },
    /// A manifest and the index of its release contradict each other.
    #[error("`{file}` and the index contradict each other in {field}")]
    IndexContradiction {
        /// Name in the release directory.
        file: String,
        /// What differs.
        field: &'static str,
    },
    /// No package of the release applies to this image.
    #[error("the release was not built for base {base}")]
    UnknownBase {
        /// SHA-256 of the image.
        base: crate::Sha256Digest,
    },
    /// A delta was to be applied without its base.
    #[error("package needs base {wanted}, none was given")]
    NoBase {
        /// First half of the wanted base's SHA-256 in hexadecimal.
        wanted: String,
    },
    /// The replay of a package on the device crate did not give the target.
    #[error("self-check of {what} failed: {why}")]
    SelfCheck {
        /// Which artifact.
        what: String,
        /// What happened.
        why: String,
    },
    /// A second build gave other bytes.
    #[error("a rebuild differs: {0}")]
    NotReproducible(String),
    /// The base archive does not hold what was asked for, or holds something else under that name.
    #[error("{0}")]
    Archive(String),
    /// Arguments that contradict each other.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Who must act.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::Io { .. } | Self::OutputExists(_) | Self::NoRandomness(_) => Culprit::Io,
            Self::InUse(_) | Self::KeyExists(_) | Self::NotAFile(_) | Self::NotADirectory(_) => {
                Culprit::Io
            }
            Self::NoArchive(_) => Culprit::Io,
            Self::SlotTooSmall { .. } | Self::OverBudget { .. } => Culprit::Budget,
            Self::Encode { source: EncodeError::Memory { .. }, .. } => Culprit::Budget,
            Self::ImageTooLarge { .. } | Self::EmptyImage(_) | Self::Format { .. } => {
                Culprit::BadInput
            }
            Self::Input { .. } => Culprit::BadInput,
            Self::WrongFileSize { .. } | Self::Encode { .. } | Self::Archive(_) => {
                Culprit::BadInput
            }
            Self::BsdiffPatch { .. } | Self::Json { .. } | Self::FileTooLarge { .. } => {
                Culprit::BadInput
            }
            Self::VersionNotAbove { .. } | Self::ProductChanged { .. } => Culprit::BadInput,
            Self::BadPlan { .. } | Self::BadKeys(_) => Culprit::BadInput,
            Self::FlagsTooLarge { .. } | Self::KeysTooLarge { .. } => Culprit::Budget,
            Self::Document { source, .. } if source.is_about_the_key() => Culprit::Key,
            Self::Document { .. } => Culprit::BadInput,
            Self::PassphraseWanted(_)
            | Self::WrongPassphrase(_)
            | Self::CostlyKey(_)
            | Self::SignerCommand { .. }
            | Self::SignatureWanted(_)
            | Self::WrongSignature(_) => Culprit::Key,
            Self::BadKey { .. }
            | Self::DevelopmentKey(_)
            | Self::NotTheListedFile { .. }
            | Self::IndexContradiction { .. } => Culprit::Key,
            Self::UnknownBase { .. } | Self::NoBase { .. } | Self::WrongBase { .. } => {
                Culprit::Base
            }
            Self::OtherInstructionSet { .. } | Self::NotYet { .. } => Culprit::Base,
            Self::SelfCheck { .. } | Self::NotReproducible(_) => Culprit::SelfCheck,
            Self::Usage(_) => Culprit::Usage,
            Self::Refused { culprit, .. } => *culprit,
            Self::Package { source, .. } => match source {
                PatchError::UnknownKey
                | PatchError::BadSignature
                | PatchError::NotApproved
                | PatchError::BlockMismatch => Culprit::Key,
                PatchError::BaseMismatch => Culprit::Base,
                PatchError::ImageMismatch | PatchError::Flash(_) | PatchError::BlockBuffer => {
                    Culprit::SelfCheck
                }
                _ => Culprit::BadInput,
            },
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn format(what: impl Into<String>) -> impl FnOnce(FormatError) -> Self {
        let what = what.into();
        move |source| Self::Format { what, source }
    }

    /// Of a document whose bytes are at hand.
    pub(crate) fn document(path: &Path, bytes: &[u8]) -> impl FnOnce(DocumentError) -> Self {
        let what = format!("`{}`", path.display());
        move |source| {
            let key =
                (source == DocumentError::UnknownKey).then(|| refusal::of_key(what.clone(), bytes));
            key.flatten().unwrap_or(Self::Document { what, source })
        }
    }

    pub(crate) fn json(what: String) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { what, source }
    }

    pub(crate) fn package(what: impl Into<String>) -> impl FnOnce(PatchError) -> Self {
        let what = what.into();
        move |source| Self::Package { what, source }
    }

    /// Of a package, or an index, whose bytes are at hand.
    pub(crate) fn signed(what: impl Into<String>, bytes: &[u8]) -> impl FnOnce(PatchError) -> Self {
        let what = what.into();
        move |source| {
            let key =
                (source == PatchError::UnknownKey).then(|| refusal::of_key(what.clone(), bytes));
            key.flatten().unwrap_or(Self::Package { what, source })
        }
    }
}
