//! The kinds of change that bits are spent on.

use serde::{Deserialize, Serialize};

/// What bits are spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Code of which only addresses have changed, or its place.
    MovedCode,
    /// Code that was edited, or compiled to something else.
    ChangedCode,
    /// Code that the base does not have.
    NewCode,
    /// Data that stands elsewhere, or of which only addresses have changed.
    MovedData,
    /// Data that was edited.
    ChangedData,
    /// Data that the base does not have.
    NewData,
    /// Tables of addresses that have changed because what they refer to has moved.
    Pointers,
    /// Dates, commits, build ids, versions, signatures.
    BuildStamp,
    /// Filler between what counts.
    Padding,
    /// Compressed or encrypted stretches.
    Noise,
    /// Telling that nothing has changed.
    Unchanged,
    /// Telling how addresses have moved.
    AddressMap,
    /// What every payload begins and ends with.
    Frame,
}

impl Kind {
    /// All of them, as reports list them.
    pub const ALL: [Self; 13] = [
        Self::MovedCode,
        Self::ChangedCode,
        Self::NewCode,
        Self::MovedData,
        Self::ChangedData,
        Self::NewData,
        Self::Pointers,
        Self::BuildStamp,
        Self::Padding,
        Self::Noise,
        Self::Unchanged,
        Self::AddressMap,
        Self::Frame,
    ];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MovedCode => "moved code",
            Self::ChangedCode => "changed code",
            Self::NewCode => "new code",
            Self::MovedData => "moved data",
            Self::ChangedData => "changed data",
            Self::NewData => "new data",
            Self::Pointers => "pointers",
            Self::BuildStamp => "build stamp",
            Self::Padding => "padding",
            Self::Noise => "compressed or encrypted",
            Self::Unchanged => "unchanged",
            Self::AddressMap => "address map",
            Self::Frame => "header and end",
        }
    }

    /// Its number among [`ALL`](Self::ALL).
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or(0)
    }

    pub(crate) fn moved(is_code: bool) -> Self {
        if is_code { Self::MovedCode } else { Self::MovedData }
    }

    pub(crate) fn changed(is_code: bool) -> Self {
        if is_code { Self::ChangedCode } else { Self::ChangedData }
    }

    pub(crate) fn new(is_code: bool) -> Self {
        if is_code { Self::NewCode } else { Self::NewData }
    }
}
