//! Commands and their parameters (draft-ietf-suit-manifest-33, sections 8.4.6 to 8.4.10).

use coset::cbor::Value;
use uuid::Uuid;
use whittle_release::Sha256Digest;

use super::cbor::{self, Fields};
use super::labels::{command, parameter, policy};
use crate::ParseError;

const COMMANDS: &str = "a sequence of commands";
const PARAMETERS: &str = "the parameters";

/// Sequences within sequences are read so far down.
const MAX_DEPTH: usize = 4;

/// What a manifest may tell a device to do, most of it with the component that was set last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Goes on only on a device of this vendor.
    CheckVendor,
    /// Goes on only on a device of this class.
    CheckClass,
    /// Goes on only if the component has its digest.
    CheckImage,
    /// Stores what the URI leads to in the component.
    Fetch,
    /// Stores what the source component holds.
    Copy,
    /// Runs the component.
    Invoke,
    /// Chooses the component by its number.
    SetComponent(u32),
    /// Tries one sequence after the other until one goes through.
    TryEach(Vec<Sequence>),
    /// Sets parameters of the component.
    Override(Parameters),
}

/// Commands, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence(pub Vec<Command>);

/// What commands go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Id of the vendor.
    pub vendor_id: Option<Uuid>,
    /// Id of the class.
    pub class_id: Option<Uuid>,
    /// SHA-256 of what the component holds, or shall hold.
    pub image_digest: Option<Sha256Digest>,
    /// Its size in bytes.
    pub image_size: Option<u64>,
    /// Where it is fetched from: a URI, or a reference relative to the envelope's own.
    pub uri: Option<String>,
    /// Number of the component that is copied.
    pub source_component: Option<u32>,
}

impl Sequence {
    pub(super) fn emit(&self) -> Value {
        Value::Array(self.0.iter().flat_map(Command::emit).collect())
    }

    /// Parses the content of the byte string that holds a sequence.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse_within(bytes, MAX_DEPTH)
    }

    fn parse_within(bytes: &[u8], depth: usize) -> Result<Self, ParseError> {
        let below = depth.checked_sub(1).ok_or(ParseError::TooDeep { limit: MAX_DEPTH })?;
        let items = cbor::array(COMMANDS, cbor::parse(COMMANDS, bytes)?)?;
        let mut items = items.into_iter();
        let mut commands = Vec::new();
        while let Some(label) = items.next() {
            let wrong = ParseError::Unexpected { what: COMMANDS, wanted: "an argument" };
            let argument = items.next().ok_or(wrong)?;
            let label = cbor::integer(COMMANDS, &label)?;
            commands.push(Command::parse(label, argument, below)?);
        }
        if commands.is_empty() {
            return Err(ParseError::Unexpected { what: COMMANDS, wanted: "a command" });
        }
        Ok(Self(commands))
    }
}

impl Command {
    /// The label and the argument.
    fn emit(&self) -> [Value; 2] {
        let (label, argument) = match self {
            Self::CheckVendor => (command::VENDOR_IDENTIFIER, policy::CONDITION.into()),
            Self::CheckClass => (command::CLASS_IDENTIFIER, policy::CONDITION.into()),
            Self::CheckImage => (command::IMAGE_MATCH, policy::CONDITION.into()),
            Self::Fetch => (command::FETCH, policy::DIRECTIVE.into()),
            Self::Copy => (command::COPY, policy::DIRECTIVE.into()),
            Self::Invoke => (command::INVOKE, policy::DIRECTIVE.into()),
            Self::SetComponent(number) => (command::SET_COMPONENT_INDEX, (*number).into()),
            Self::TryEach(sequences) => {
                let sequences = sequences.iter().map(|sequence| cbor::wrapped(sequence.emit()));
                (command::TRY_EACH, Value::Array(sequences.collect()))
            }
            Self::Override(parameters) => (command::OVERRIDE_PARAMETERS, parameters.emit()),
        };
        [label.into(), argument]
    }

    fn parse(label: i64, argument: Value, depth: usize) -> Result<Self, ParseError> {
        let (parsed, wanted) = match label {
            command::VENDOR_IDENTIFIER => (Self::CheckVendor, policy::CONDITION),
            command::CLASS_IDENTIFIER => (Self::CheckClass, policy::CONDITION),
            command::IMAGE_MATCH => (Self::CheckImage, policy::CONDITION),
            command::FETCH => (Self::Fetch, policy::DIRECTIVE),
            command::COPY => (Self::Copy, policy::DIRECTIVE),
            command::INVOKE => (Self::Invoke, policy::DIRECTIVE),
            command::SET_COMPONENT_INDEX => return component(&argument).map(Self::SetComponent),
            command::TRY_EACH => return Self::parse_try_each(argument, depth),
            command::OVERRIDE_PARAMETERS => return Parameters::parse(argument).map(Self::Override),
            label => return Err(ParseError::UnknownLabel { what: COMMANDS, label }),
        };
        if cbor::unsigned(COMMANDS, &argument)? == wanted {
            return Ok(parsed);
        }
        Err(ParseError::Unexpected { what: COMMANDS, wanted: "the usual reporting policy" })
    }

    fn parse_try_each(argument: Value, depth: usize) -> Result<Self, ParseError> {
        let sequences = cbor::array(COMMANDS, argument)?
            .into_iter()
            .map(|sequence| Sequence::parse_within(&cbor::bytes(COMMANDS, sequence)?, depth));
        let sequences: Vec<_> = sequences.collect::<Result<_, _>>()?;
        // One alone would be no choice.
        if sequences.len() < 2 {
            return Err(ParseError::Unexpected { what: COMMANDS, wanted: "two to be tried" });
        }
        Ok(Self::TryEach(sequences))
    }
}

impl Parameters {
    fn emit(&self) -> Value {
        let id = |id: &Uuid| Value::Bytes(id.as_bytes().to_vec());
        let digest = |digest| cbor::wrapped(cbor::digest(digest));
        cbor::map([
            (parameter::VENDOR_ID, self.vendor_id.as_ref().map(id)),
            (parameter::CLASS_ID, self.class_id.as_ref().map(id)),
            (parameter::IMAGE_DIGEST, self.image_digest.as_ref().map(digest)),
            (parameter::IMAGE_SIZE, self.image_size.map(Value::from)),
            (parameter::URI, self.uri.clone().map(Value::Text)),
            (parameter::SOURCE_COMPONENT, self.source_component.map(Value::from)),
        ])
    }

    fn parse(value: Value) -> Result<Self, ParseError> {
        let mut fields = Fields::of(PARAMETERS, value)?;
        let digest = |value| {
            let bytes = cbor::bytes(PARAMETERS, value)?;
            cbor::parse_digest(PARAMETERS, cbor::parse(PARAMETERS, &bytes)?)
        };
        let parsed = Self {
            vendor_id: fields.take(parameter::VENDOR_ID).map(id).transpose()?,
            class_id: fields.take(parameter::CLASS_ID).map(id).transpose()?,
            image_digest: fields.take(parameter::IMAGE_DIGEST).map(digest).transpose()?,
            image_size: fields
                .take(parameter::IMAGE_SIZE)
                .map(|size| cbor::unsigned(PARAMETERS, &size))
                .transpose()?,
            uri: fields.take_text(parameter::URI)?,
            source_component: fields
                .take(parameter::SOURCE_COMPONENT)
                .map(|number| component(&number))
                .transpose()?,
        };
        fields.finish()?;
        if parsed == Self::default() {
            return Err(ParseError::Unexpected { what: PARAMETERS, wanted: "a parameter" });
        }
        Ok(parsed)
    }
}

fn id(value: Value) -> Result<Uuid, ParseError> {
    let wrong = |_| ParseError::Unexpected { what: PARAMETERS, wanted: "a UUID" };
    Uuid::from_slice(&cbor::bytes(PARAMETERS, value)?).map_err(wrong)
}

fn component(value: &Value) -> Result<u32, ParseError> {
    let wrong = |_| ParseError::Unexpected { what: COMMANDS, wanted: "the number of a component" };
    u32::try_from(cbor::unsigned(COMMANDS, value)?).map_err(wrong)
}
