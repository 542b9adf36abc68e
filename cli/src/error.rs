//! Errors as people read them: what happened, why, and the way out.

use std::path::PathBuf;

use whittle_delta::EncodeError;
use whittle_demo::DemoError;
use whittle_export::Error as ExportError;
use whittle_fleet::DriverError;
use whittle_metrics::BadFile;
use whittle_metrics::prometheus::BadSource;
use whittle_policy_host::{CallError, Fault, LoadError};
use whittle_publish::Error as PublishError;
use whittle_release::budget::Checked;
use whittle_release::detached::PLAN_FILE;
use whittle_release::{Error as ReleaseError, WayOut};
use whittle_rollout_store::{SessionError, StoreError};

use crate::config::Origin;
use crate::exit::Exit;

pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A release is not what it is exported as, or cannot be.
    #[error(transparent)]
    Export(ExportError),
    #[error("`{policy}` is not a policy")]
    Policy {
        /// As it was named on the command line.
        policy: String,
        source: Box<LoadError>,
    },
    #[error("the delta cannot be explained")]
    Explain(#[source] whittle_explain::Error),
    /// An ELF file or a map.
    #[error("cannot use `{}`", path.display())]
    Program { path: PathBuf, source: whittle_explain::Error },
    #[error(transparent)]
    Call(Box<CallError>),
    /// A file, and how many bytes it may have at most.
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("`{}` is not a {what}", path.display())]
    BadJson { what: &'static str, path: PathBuf, source: serde_json::Error },
    /// The project's file, and what is wrong with it.
    #[error("`{}`, line {line}: {why}", path.display())]
    BadConfig { path: PathBuf, line: usize, why: String },
    /// A device profile that the project's file has not, and those that it has.
    #[error("there is no device profile `{name}`{}", listed(profiles))]
    NoProfile { name: String, profiles: Vec<String> },
    /// A file that should be the report of a build.
    #[error("`{}` has no measured deltas", path.display())]
    BadBuildReport { path: PathBuf, source: whittle_calculators::BadReport },
    /// A variable, a line of a file or an argument that should name a key, and holds one.
    #[error(
        "`{0}` holds the text of a key, where a file's name is wanted or `env:` and a variable's"
    )]
    HoldsKey(String),
    /// A setting of a switch, and where it stands.
    #[error("`--{flag}` is neither `true` nor `false` in {origin}")]
    BadSwitch { flag: String, origin: Origin },
    /// Two flags that exclude each other, and where they stand.
    #[error("`--{}` of {} and `--{}` of {} contradict each other", .0[0].0, .0[0].1, .0[1].0, .0[1].1)]
    Contradiction([(String, Origin); 2]),
    /// A file that describes a rollout, and what is wrong with it.
    #[error("`{}` is not a rollout: {why}", path.display())]
    BadRollout { path: PathBuf, why: String },
    /// The same of a scenario.
    #[error("`{}` is not a scenario: {why}", path.display())]
    BadScenario { path: PathBuf, why: String },
    /// A policy that makes no terms with what a scenario says of the rollout, and why.
    #[error("the policy `{policy}` does not fit the scenario `{}`", path.display())]
    PolicyMisfit { policy: String, path: PathBuf, source: Box<whittle_rollout::DraftError> },
    #[error(transparent)]
    Simulation(whittle_simulation::RunError),
    #[error(transparent)]
    Demo(Box<DemoError>),
    /// A store that should have a rollout is not there.
    #[error("there is no store `{0}`")]
    NoStore(String),
    /// Neither a file nor a policy that comes with whittle.
    #[error("there is no policy `{0}`: no file has this name, and none that comes with whittle")]
    NoPolicy(String),
    /// The file of a store, and what is wrong with it.
    #[error("the store `{}` is damaged: {why}", path.display())]
    DamagedStore { path: PathBuf, why: String },
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Replay(Box<whittle_rollout::Difference>),
    /// What a rollout decided is written down, but the fleet does not follow yet.
    #[error("the fleet does not follow")]
    Fleet(#[source] DriverError),
    /// The same because somebody else has it.
    #[error("the fleet does not follow: another process has been driving it for {0} s")]
    FleetBusy(u64),
    /// A file of figures, of which nothing was taken.
    #[error(transparent)]
    BadFigures(Box<whittle_metrics::FileError>),
    /// Where figures should be read from, and why that cannot be.
    #[error("`[source]` does not fit the rollout")]
    BadSource(#[source] Box<BadSource>),
    /// No figures came; those that are there grow stale, and then nothing goes on.
    #[error("no figures were read")]
    Unread(#[source] Box<whittle_metrics::prometheus::ReadError>),
    /// Figures were logged, but set aside.
    #[error("the figures are set aside: {0}")]
    SetAside(whittle_rollout::Problem),
    /// It is paused, or has ended before all devices could have the release.
    #[error("`{rollout}` does not go on: {phase}")]
    DoesNotGoOn { rollout: String, phase: &'static str },
    /// A package or a module, and why no policy could be made of it.
    #[error("cannot make a policy of `{}`: {}", .0.display(), .1)]
    NotBuilt(PathBuf, String),
    /// A compiler is missing, and how it is installed.
    #[error("`{tool}` is not installed")]
    NoTool { tool: String, install: &'static str },
    /// A policy does not do what it should.
    #[error("{0}")]
    SelfCheck(String),
    /// A file would be written in place of something that is needed.
    #[error("`{flag}` is `{}`, {what}", path.display())]
    Overwrites { flag: String, path: PathBuf, what: String },
    /// [`ReleaseError::SlotTooSmall`], and the budget that the slot is.
    #[error("{error}")]
    OverfullSlot { error: ReleaseError, checked: Box<Checked> },
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
            Self::Release(error) | Self::OverfullSlot { error, .. } => error.culprit().into(),
            Self::Publish(error) => error.culprit().into(),
            Self::Export(ExportError::Unusable { .. }) => Exit::Usage,
            Self::Export(ExportError::Order(_)) => Exit::BadInput,
            // What was just made cannot be read back.
            Self::Export(_) => Exit::SelfCheck,
            Self::Policy { source, .. } => match source.as_ref() {
                LoadError::Describe(error) => call_exit(error),
                LoadError::NotCompiled { .. } => Exit::Budget,
                _ => Exit::BadInput,
            },
            Self::Call(error) => call_exit(error),
            Self::BadJson { .. }
            | Self::TooLarge { .. }
            | Self::BadConfig { .. }
            | Self::NoProfile { .. }
            | Self::BadSwitch { .. }
            | Self::Contradiction(_)
            | Self::NotBuilt(..)
            | Self::BadBuildReport { .. }
            | Self::BadRollout { .. }
            | Self::BadScenario { .. }
            | Self::PolicyMisfit { .. }
            | Self::SetAside(_) => Exit::BadInput,
            Self::Explain(whittle_explain::Error::Encode(EncodeError::Memory { .. })) => {
                Exit::Budget
            }
            Self::Explain(_) | Self::Program { .. } => Exit::BadInput,
            Self::HoldsKey(_) => Exit::Key,
            Self::SelfCheck(_) | Self::Replay(_) | Self::DamagedStore { .. } => Exit::SelfCheck,
            Self::DoesNotGoOn { .. } => Exit::Paused,
            Self::Usage(_) | Self::Overwrites { .. } => Exit::Usage,
            Self::Session(error) => session_exit(error),
            Self::Fleet(error) => fleet_exit(error),
            Self::BadFigures(error) if matches!(error.source, BadFile::Io(_)) => Exit::Io,
            Self::BadSource(bad) if matches!(**bad, BadSource::Secret(_)) => Exit::Key,
            Self::BadFigures(_) | Self::BadSource(_) => Exit::BadInput,
            Self::Unread(_) | Self::FleetBusy(_) => Exit::Io,
            Self::Stdout(_) | Self::NoTool { .. } | Self::NoStore(_) | Self::NoPolicy(_) => {
                Exit::Io
            }
            Self::Demo(error) => demo_exit(error),
            Self::Json(_) | Self::Simulation(_) => Exit::Internal,
        }
    }

    /// Whether the same may go well a little later, without anybody doing anything.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Session(SessionError::Crowded) | Self::FleetBusy(_) => true,
            Self::Session(SessionError::Store(error)) => matches!(
                error,
                StoreError::Open { .. }
                    | StoreError::Busy
                    | StoreError::Full
                    | StoreError::Database(_)
            ),
            Self::Fleet(error) => error.is_passing(),
            _ => false,
        }
    }

    /// The budgets that a release has exceeded, and those that it has kept.
    pub(crate) fn budgets(&self) -> Option<Checked> {
        match self {
            Self::Release(ReleaseError::OverBudget { checked, .. }) => Some((**checked).clone()),
            Self::OverfullSlot { checked, .. } => Some((**checked).clone()),
            _ => None,
        }
    }

    /// The way out, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        let error = match self {
            Self::Release(error)
            | Self::Publish(PublishError::Release(error))
            | Self::OverfullSlot { error, .. } => error,
            Self::Publish(PublishError::Absent(_)) => {
                return Some(
                    "nothing of that name was published there: see to the place, the product, and the channel or version"
                        .to_owned(),
                );
            }
            Self::Publish(error) => return error.hint().map(str::to_owned),
            Self::Policy { source, .. } => return load_hint(source).map(str::to_owned),
            Self::DoesNotGoOn { rollout, .. } => {
                return Some(format!("`whittle rollout status {rollout}` tells why"));
            }
            Self::NoStore(_) | Self::Session(SessionError::Store(StoreError::Empty(_))) => {
                return Some(
                    "`whittle rollout start` makes one; name it with `--store`".to_owned(),
                );
            }
            Self::Fleet(error) if error.is_passing() => {
                return Some("`whittle rollout drive` or the next tick tries again".to_owned());
            }
            Self::Fleet(DriverError::OtherRollout { .. }) => {
                return Some(
                    "end that one first, or give this one a directory and devices of its own"
                        .to_owned(),
                );
            }
            Self::Explain(whittle_explain::Error::Encode(EncodeError::Memory { .. })) => {
                return Some(MORE_RAM.to_owned());
            }
            Self::NoPolicy(_) => {
                return Some("`whittle policy list` shows those that come with whittle".to_owned());
            }
            Self::Overwrites { .. } => return Some("choose another place".to_owned()),
            Self::NoTool { install, .. } => return Some((*install).to_owned()),
            Self::Program { source: whittle_explain::Error::OtherImage { .. }, .. } => {
                return Some(
                    "pass the file of the very build that the image comes from".to_owned(),
                );
            }
            Self::NotBuilt(_, reason) if reason.contains("`cargo` failed") => {
                return Some(
                    "`rustup target add wasm32-unknown-unknown`, if it finds no `core` or `std`"
                        .to_owned(),
                );
            }
            _ => return None,
        };
        release_hint(error).map(str::to_owned)
    }
}

const MORE_RAM: &str = "`--device-ram` says how much RAM the device has for decoding";

fn release_hint(error: &ReleaseError) -> Option<&'static str> {
    Some(match error {
        ReleaseError::OutputExists(path) if path.join(PLAN_FILE).exists() => {
            "`whittle attach` takes the signatures that have come back; to begin anew, remove the directory first"
        }
        ReleaseError::OutputExists(_) => "choose another place, or remove the directory first",
        ReleaseError::UnknownBase { .. } => {
            "use `--full` to take the full image, or rebuild the release with `--base` set to this image"
        }
        ReleaseError::NoBase { .. } => "pass the image that the device runs with `--base`",
        ReleaseError::KeyExists(_) => {
            "a private key is never overwritten, nor the public one that belongs to it; choose another place"
        }
        ReleaseError::BadKey { .. } => {
            "`whittle keygen` makes one; PKCS#8 PEM and minisign's keys are read"
        }
        ReleaseError::PassphraseWanted(_) => {
            "give it with `--passphrase-env` or `--passphrase-file`, or run this at a terminal"
        }
        ReleaseError::WrongPassphrase(_) => "try again; keys cannot be opened without it",
        ReleaseError::CostlyKey(_) => "encrypt it anew: `openssl pkcs8 -topk8`",
        ReleaseError::SignerCommand { .. } => {
            "it must read all of its standard input, and sign these very bytes with Ed25519, not a hash of them"
        }
        ReleaseError::SignatureWanted(_) => {
            "sign this file with Ed25519, put the signature beside it as `.sig`, and run the same command again"
        }
        ReleaseError::WrongSignature(_) => {
            "sign the `.tbs` file beside it as it is, with the private half of `--signer-pubkey`"
        }
        ReleaseError::KeysTooLarge { .. } => {
            "name the keys of the firmware with `--factory`, so that what is of no use any more is left out"
        }
        ReleaseError::NoArchive(_) => {
            "`whittle base add` makes one; `--archive` names one that is elsewhere, `--base` an image without any"
        }
        ReleaseError::DevelopmentKey(_) => {
            "devices in the field must trust another one; `--allow-development` takes it all the same"
        }
        ReleaseError::NotYet { .. } => {
            "bring what is required to such a version first: `--installed` says what is there"
        }
        ReleaseError::Encode { source: EncodeError::Memory { .. }, .. } => MORE_RAM,
        ReleaseError::NotReproducible(_) => {
            "the same tool version and the same input give the same bytes: compare `whittle --version`"
        }
        ReleaseError::VersionNotAbove { .. } => {
            "raise `version`: devices keep the highest that they have seen"
        }
        ReleaseError::FlagsTooLarge { .. } => {
            "name a group instead of many devices, and remove flags that every release has on"
        }
        ReleaseError::Input { source, .. } => match source.way_out() {
            WayOut::Unlooked => {
                "have it made anew; `--input-format` with the file's own format takes what it holds, whatever that is"
            }
            WayOut::FirmwareOrProgram => {
                "`--input-format elf` takes what it puts into flash, `--input-format raw` the file as it is"
            }
            WayOut::Anew => "have it made anew: what should have written it may have failed",
            WayOut::Raw => "have it made anew; `--input-format raw` takes the file as it is",
            WayOut::Range => {
                "`--address-range` takes a part of it, such as the main flash of a file that also has option bytes"
            }
            WayOut::Family => "`--uf2-family` says which one is meant",
            WayOut::Format => "leave out `--input-format`, and the format is recognised",
        },
        ReleaseError::OtherInstructionSet { .. } => {
            "leave this base out; `--instruction-set` overrules what the files say"
        }
        ReleaseError::SlotTooSmall { .. } => "shrink the image, or correct `--slot-size`",
        ReleaseError::OverBudget { .. } => "`whittle explain` tells what takes the room",
        _ => match error.culprit() {
            whittle_release::Culprit::Base => {
                "take the full image, or rebuild with `--base` set to this image"
            }
            whittle_release::Culprit::Key => {
                "do not install it; check where it and the public key come from"
            }
            _ => return None,
        },
    })
}

fn listed(profiles: &[String]) -> String {
    if profiles.is_empty() {
        return ": no file has a table `[profile.NAME]`".to_owned();
    }
    format!(", only `{}`", profiles.join("`, `"))
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Release(error) => Self::Release(error),
            error => Self::Export(error),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Session(error.into())
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

fn session_exit(error: &SessionError) -> Exit {
    let error = match error {
        SessionError::Refused(_) => return Exit::Usage,
        SessionError::Terms(_) => return Exit::BadInput,
        SessionError::Replay(_) => return Exit::SelfCheck,
        SessionError::Crowded => return Exit::Io,
        SessionError::Store(error) => error,
    };
    match error {
        StoreError::Exists(_) | StoreError::Unknown(_) => Exit::Usage,
        StoreError::Foreign(_)
        | StoreError::Empty(_)
        | StoreError::Newer { .. }
        | StoreError::Unreadable { .. } => Exit::BadInput,
        StoreError::Edited { .. } | StoreError::Damaged(_) => Exit::SelfCheck,
        StoreError::Unwritable(_) => Exit::Internal,
        StoreError::Open { .. }
        | StoreError::ReadOnly
        | StoreError::Busy
        | StoreError::Full
        | StoreError::Database(_) => Exit::Io,
    }
}

fn fleet_exit(error: &DriverError) -> Exit {
    match error {
        DriverError::NoSecret { .. } | DriverError::Credentials { .. } => Exit::Key,
        DriverError::Document(error) => error.culprit().into(),
        DriverError::Config { .. } | DriverError::OtherDocument { .. } => Exit::BadInput,
        DriverError::OtherRollout { .. } => Exit::Usage,
        _ => Exit::Io,
    }
}

fn call_exit(error: &CallError) -> Exit {
    match error.fault {
        Fault::OutOfFuel { .. }
        | Fault::OutOfMemory { .. }
        | Fault::TableTooLarge { .. }
        | Fault::TooSlow { .. } => Exit::Budget,
        Fault::Host(_) => Exit::Io,
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

/// A demo brings everything along, so that what goes wrong is the machine's doing, or ours.
fn demo_exit(error: &DemoError) -> Exit {
    match error {
        DemoError::Devices { .. } => Exit::Usage,
        DemoError::Io { .. } => Exit::Io,
        DemoError::Release(error) => error.culprit().into(),
        DemoError::Publish(error) => error.culprit().into(),
        DemoError::Session(error) => session_exit(error),
        DemoError::Fleet(error) => fleet_exit(error),
        _ => Exit::Internal,
    }
}
