//! What the file of an image tells besides its bytes.

use serde::{Serialize, Serializer};
use whittle_delta::compact::InstructionSet;
use whittle_inputs::{Format, Input};

/// Where an image comes from, and what its file told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// Format of the file.
    #[serde(serialize_with = "name_of_format")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub format: Format,
    /// Address of the first byte, if it was told.
    pub load_address: Option<u64>,
    /// Whose code it is, if that was told.
    #[serde(serialize_with = "name_of_set")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub instruction_set: Option<InstructionSet>,
    /// Version in the file, if there is one.
    pub version: Option<String>,
    /// What people should know of the file, each a sentence without its stop.
    pub notes: Vec<String>,
}

impl Source {
    pub(crate) fn of(input: &Input) -> Self {
        Self {
            format: input.format,
            load_address: input.load_address,
            instruction_set: input.instruction_set,
            version: input.version.clone(),
            notes: input.notes.iter().map(ToString::to_string).collect(),
        }
    }

    /// The address as the codec has it, which wraps at 32 bits.
    #[must_use]
    pub fn short_load_address(&self) -> Option<u32> {
        self.load_address.and_then(|address| u32::try_from(address & u64::from(u32::MAX)).ok())
    }
}

impl Default for Source {
    /// Bytes of which nothing else is known.
    fn default() -> Self {
        Self {
            format: Format::Raw,
            load_address: None,
            instruction_set: None,
            version: None,
            notes: Vec::new(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants references")]
fn name_of_format<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.name())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants references")]
fn name_of_set<S: Serializer>(
    set: &Option<InstructionSet>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    set.map(InstructionSet::name).serialize(serializer)
}
