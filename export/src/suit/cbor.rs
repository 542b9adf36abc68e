//! CBOR as the draft wants it: deterministic (RFC 8949, section 4.2.1), with structures within byte strings.

use coset::CborSerializable;
use coset::cbor::Value;
use whittle_release::Sha256Digest;

use super::labels;
use crate::ParseError;

/// The bytes of an item.
pub(super) fn emit(value: Value) -> Vec<u8> {
    // Writing to memory does not fail, and no item of ours is one that CBOR has not.
    value.to_vec().unwrap_or_default()
}

/// The item that these bytes are; other bytes for the same are refused.
pub(super) fn parse(what: &'static str, bytes: &[u8]) -> Result<Value, ParseError> {
    let value = Value::from_slice(bytes).map_err(|_| ParseError::NotCbor { what })?;
    let again = value.clone().to_vec().map_err(|_| ParseError::NotCbor { what })?;
    if again == bytes { Ok(value) } else { Err(ParseError::NotDeterministic { what }) }
}

/// An item within a byte string.
pub(super) fn wrapped(value: Value) -> Value {
    Value::Bytes(emit(value))
}

/// A map of these fields; those that are not there are left out.
pub(super) fn map<const N: usize>(fields: [(i64, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(label, value)| Some((label.into(), value?)));
    Value::Map(fields.collect())
}

/// The digest of bytes that stand within a byte string: with its head, as sections 8.3 and 8.4.12 of the draft have it.
pub(super) fn digest_of(content: &[u8]) -> Sha256Digest {
    Sha256Digest::of(&emit(Value::Bytes(content.to_vec())))
}

/// A SUIT_Digest.
pub(super) fn digest(digest: &Sha256Digest) -> Value {
    Value::Array(vec![labels::SHA_256.into(), Value::Bytes(digest.0.to_vec())])
}

/// Parses a SUIT_Digest of SHA-256.
pub(super) fn parse_digest(what: &'static str, value: Value) -> Result<Sha256Digest, ParseError> {
    let wrong = || ParseError::Unexpected { what, wanted: "a SHA-256 digest" };
    let items = array(what, value)?;
    let [algorithm, Value::Bytes(digest)] = items.as_slice() else { return Err(wrong()) };
    if integer(what, algorithm)? != labels::SHA_256 {
        return Err(wrong());
    }
    digest.as_slice().try_into().map(Sha256Digest).map_err(|_| wrong())
}

pub(super) fn array(what: &'static str, value: Value) -> Result<Vec<Value>, ParseError> {
    value.into_array().map_err(|_| ParseError::Unexpected { what, wanted: "an array" })
}

pub(super) fn bytes(what: &'static str, value: Value) -> Result<Vec<u8>, ParseError> {
    value.into_bytes().map_err(|_| ParseError::Unexpected { what, wanted: "a byte string" })
}

pub(super) fn text(what: &'static str, value: Value) -> Result<String, ParseError> {
    value.into_text().map_err(|_| ParseError::Unexpected { what, wanted: "a text" })
}

pub(super) fn integer(what: &'static str, value: &Value) -> Result<i64, ParseError> {
    let integer = value.as_integer().and_then(|integer| i64::try_from(integer).ok());
    integer.ok_or(ParseError::Unexpected { what, wanted: "an integer" })
}

pub(super) fn unsigned(what: &'static str, value: &Value) -> Result<u64, ParseError> {
    let integer = value.as_integer().and_then(|integer| u64::try_from(integer).ok());
    integer.ok_or(ParseError::Unexpected { what, wanted: "an unsigned integer" })
}

/// A map whose labels are integers, while it is taken apart.
pub(super) struct Fields {
    what: &'static str,
    fields: Vec<(i64, Value)>,
}

impl Fields {
    /// Takes a map; its labels ascend, as they are encoded.
    pub(super) fn of(what: &'static str, value: Value) -> Result<Self, ParseError> {
        let wrong = |_| ParseError::Unexpected { what, wanted: "a map" };
        let entries = value.into_map().map_err(wrong)?;
        let field = |(label, value): (Value, Value)| Ok((integer(what, &label)?, value));
        let fields: Vec<_> = entries.into_iter().map(field).collect::<Result<_, _>>()?;
        // Negative numbers are encoded as larger ones; none of ours is.
        let ascend = fields.windows(2).all(|pair| match pair {
            [(one, _), (next, _)] => {
                (*one < 0, one.unsigned_abs()) < (*next < 0, next.unsigned_abs())
            }
            _ => true,
        });
        if ascend { Ok(Self { what, fields }) } else { Err(ParseError::NotDeterministic { what }) }
    }

    pub(super) fn take(&mut self, label: i64) -> Option<Value> {
        let at = self.fields.iter().position(|(other, _)| *other == label)?;
        Some(self.fields.remove(at).1)
    }

    pub(super) fn want(&mut self, label: i64) -> Result<Value, ParseError> {
        self.take(label).ok_or(ParseError::MissingLabel { what: self.what, label })
    }

    pub(super) fn take_text(&mut self, label: i64) -> Result<Option<String>, ParseError> {
        let what = self.what;
        self.take(label).map(|value| text(what, value)).transpose()
    }

    pub(super) fn want_bytes(&mut self, label: i64) -> Result<Vec<u8>, ParseError> {
        let what = self.what;
        bytes(what, self.want(label)?)
    }

    /// Checks that nothing is left that this reader does not know.
    pub(super) fn finish(self) -> Result<(), ParseError> {
        match self.fields.first() {
            Some((label, _)) => Err(ParseError::UnknownLabel { what: self.what, label: *label }),
            None => Ok(()),
        }
    }
}
