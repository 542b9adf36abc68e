//! Exit codes: a documented contract for scripts.

use std::process::ExitCode;

use whittle_release::Culprit;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A fault of whittle itself.
    Internal = 1,
    /// Contradictory or missing arguments.
    Usage = 2,
    /// A file cannot be read or written.
    Io = 3,
    /// An input is damaged, of another kind, or not acceptable here.
    BadInput = 4,
    /// A signature or a key does not count.
    Key = 5,
    /// The base is not the one that the package was made from.
    Base = 6,
    /// A limit of the device is exceeded: its slot, its RAM.
    Budget = 7,
    /// A rollout does not go on: it is paused, rolled back or stopped.
    Paused = 8,
    /// An artifact does not do what it should, or a rebuild differs.
    SelfCheck = 9,
}

/// The codes as `--help` shows them.
pub(crate) const HELP: &str = "\
Exit codes:
  0 ok               3 I/O error           6 base mismatch
  1 internal error   4 bad input           7 budget exceeded
  2 usage            5 signature or key    8 rollout paused     9 self-check failed";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Culprit> for Exit {
    fn from(culprit: Culprit) -> Self {
        match culprit {
            Culprit::Usage => Self::Usage,
            Culprit::Io => Self::Io,
            Culprit::BadInput => Self::BadInput,
            Culprit::Key => Self::Key,
            Culprit::Base => Self::Base,
            Culprit::Budget => Self::Budget,
            Culprit::SelfCheck => Self::SelfCheck,
        }
    }
}
