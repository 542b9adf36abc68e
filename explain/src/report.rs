//! What an explanation says.

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::stamp::StampKind;

/// Why a delta is as big as it is. Sizes that are fractions come of bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Size of the base in bytes.
    pub base_bytes: u64,
    /// Size of the target in bytes.
    pub target_bytes: u64,
    /// Size of the payload in bytes.
    pub payload_bytes: u64,
    /// Name of the memory class that it was made for.
    pub memory_class: String,
    /// Whose code the images were taken for.
    pub instruction_set: Option<String>,
    /// Revision of the encoder.
    pub encoder: u16,
    /// What the coder told; together the payload.
    pub how: How,
    /// The same by kind of change, the largest first.
    pub kinds: Vec<KindCost>,
    /// The same by section, the largest first; what is in none has no name. Empty if no program is known.
    pub sections: Vec<SectionCost>,
    /// Functions and constants, the largest first. Empty if no program is known.
    pub symbols: Vec<SymbolCost>,
    /// Functions and constants that cost something and are not listed, and what they cost together.
    pub more_symbols: (usize, f64),
    /// The target in stretches of equal length.
    pub regions: Vec<RegionCost>,
    /// Stretches in which costs lie close together, the largest first.
    pub runs: Vec<RunCost>,
    /// Build stamps that cost something, the largest first.
    pub stamps: Vec<StampCost>,
    /// What would make it smaller, the largest saving first.
    pub advice: Vec<Advice>,
}

/// Bytes by what the coder told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct How {
    /// Memory class, instruction set, where the images lie.
    pub header: f64,
    /// How addresses have moved.
    pub address_map: f64,
    /// Where copies begin, and that literals do.
    pub starts: f64,
    /// That bytes are as predicted.
    pub hits: f64,
    /// That they are not, and what they are.
    pub misses: f64,
    /// Bytes that nothing predicts.
    pub literals: f64,
    /// What the end takes: whole bytes; nothing where trailing zeros are left out, which all other figures then share.
    pub end: f64,
}

/// What a kind of change costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KindCost {
    /// Which kind.
    pub kind: Kind,
    /// Bytes of the payload.
    pub bytes: f64,
    /// The same of 100.
    pub percent: f64,
}

/// What a section costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SectionCost {
    /// Its name; none for what is in no section.
    pub name: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Size of the base's section with its name, in bytes.
    pub base_size: Option<u64>,
    /// How far its address has moved, in bytes.
    pub moved_by: Option<i64>,
    /// Bytes of the payload.
    pub bytes: f64,
    /// The same of 100.
    pub percent: f64,
    /// The kind that costs most of it.
    pub kind: Kind,
}

/// What has become of a function or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Nothing.
    Same,
    /// Its place, or addresses in it.
    Moved,
    /// Its bytes.
    Changed,
    /// The base does not have it.
    New,
}

impl Change {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Moved => "moved",
            Self::Changed => "changed",
            Self::New => "new",
        }
    }
}

/// What a function or a constant costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SymbolCost {
    /// Its name as people write it.
    pub name: String,
    /// Its section.
    pub section: String,
    /// Whether it is a function.
    pub is_code: bool,
    /// What has become of it.
    pub change: Change,
    /// Its size in bytes.
    pub size: u64,
    /// Its size in the base, in bytes.
    pub base_size: Option<u64>,
    /// How far its address has moved, in bytes.
    pub moved_by: Option<i64>,
    /// Bytes of the payload.
    pub bytes: f64,
    /// The same of 100.
    pub percent: f64,
    /// What of them tells where copies begin.
    pub starts: f64,
    /// What of them tells bytes that are not as predicted, or not predicted.
    pub misses: f64,
}

/// What a stretch of the target costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegionCost {
    /// Offset of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Bytes of the payload.
    pub bytes: f64,
    /// The kind that costs most of it.
    pub kind: Kind,
}

/// A stretch in which costs lie close together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunCost {
    /// Offset of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Address of its first byte, if it is known.
    pub address: Option<u64>,
    /// The function or constant, or else the section, in which it begins.
    pub inside: Option<String>,
    /// Bytes of the payload.
    pub bytes: f64,
    /// The same of 100.
    pub percent: f64,
    /// The kind that costs most of it.
    pub kind: Kind,
}

/// What a build stamp costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StampCost {
    /// What it is.
    pub kind: StampKind,
    /// Offset of its first byte.
    pub offset: u64,
    /// What it says: text, or hexadecimal digits.
    pub value: String,
    /// Bytes of the payload.
    pub bytes: f64,
}

/// How a saving is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// A target without it was encoded.
    Measured,
    /// What is spent on it now; less can be saved, never more.
    UpperBound,
}

/// What would make the delta smaller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Advice {
    /// A short name, for scripts.
    pub id: String,
    /// What to do, in a few words.
    pub title: String,
    /// Why, and how.
    pub detail: String,
    /// Bytes of the payload that it saves.
    pub saving_bytes: f64,
    /// How that is known.
    pub basis: Basis,
}
