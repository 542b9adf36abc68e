//! The manifest (draft-ietf-suit-manifest-33, section 8.4), and the members that may stand beside it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use coset::cbor::Value;
use whittle_release::Sha256Digest;

use super::cbor::{self, Fields};
use super::command::Sequence;
use super::labels::{MANIFEST_VERSION, common, manifest as label};
use super::text::Text;
use crate::ParseError;

const MANIFEST: &str = "the manifest";
const COMMON: &str = "what sequences have in common";
const COMPONENTS: &str = "the components";

/// Members of at most as many bytes are no shorter as a digest, and SHOULD NOT be severable (section 8.6 of the draft).
const DIGEST_LEN: usize = 36;

/// Name of a component: a path of byte strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentId(pub Vec<Vec<u8>>);

/// What a device shall do, and how it tells whether it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Never falls on a device.
    pub sequence_number: u64,
    /// What commands may name by number.
    pub components: Vec<ComponentId>,
    /// Runs in front of each other sequence.
    pub shared: Sequence,
    /// Where the whole envelope is.
    pub reference_uri: Option<String>,
    /// Checks what is installed.
    pub validate: Option<Sequence>,
    /// Brings it to where it runs.
    pub load: Option<Sequence>,
    /// Runs it.
    pub invoke: Option<Sequence>,
    /// Fetches what is to be installed.
    pub payload_fetch: Option<Member<Sequence>>,
    /// Installs it.
    pub install: Option<Member<Sequence>>,
    /// Says what it is.
    pub text: Option<Member<Text>>,
}

/// A member of the manifest that need not stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member<T> {
    /// It does.
    Inline(T),
    /// It stands in the envelope, and its digest in the manifest.
    Severable(T),
    /// It has been taken away, and its digest is left.
    Severed(Sha256Digest),
}

/// What may be a [`Member`].
pub(super) trait Severable: Sized {
    const WHAT: &'static str;
    fn emit(&self) -> Value;
    fn parse(bytes: &[u8]) -> Result<Self, ParseError>;
}

/// Members beside the manifest, by label.
pub(super) type Severed = BTreeMap<i64, Vec<u8>>;

impl Manifest {
    /// The bytes of the manifest, and of what stands beside it.
    pub(super) fn emit(&self) -> (Vec<u8>, Severed) {
        let mut beside = Severed::new();
        let ids = self.components.iter().map(ComponentId::emit).collect();
        let shared = cbor::map([
            (common::COMPONENTS, Some(Value::Array(ids))),
            (common::SHARED_SEQUENCE, Some(cbor::wrapped(self.shared.emit()))),
        ]);
        let sequence = |sequence: &Sequence| cbor::wrapped(sequence.emit());
        let manifest = cbor::map([
            (label::VERSION, Some(MANIFEST_VERSION.into())),
            (label::SEQUENCE_NUMBER, Some(self.sequence_number.into())),
            (label::COMMON, Some(cbor::wrapped(shared))),
            (label::REFERENCE_URI, self.reference_uri.clone().map(Value::Text)),
            (label::VALIDATE, self.validate.as_ref().map(sequence)),
            (label::LOAD, self.load.as_ref().map(sequence)),
            (label::INVOKE, self.invoke.as_ref().map(sequence)),
            (label::PAYLOAD_FETCH, put(&self.payload_fetch, label::PAYLOAD_FETCH, &mut beside)),
            (label::INSTALL, put(&self.install, label::INSTALL, &mut beside)),
            (label::TEXT, put(&self.text, label::TEXT, &mut beside)),
        ]);
        (cbor::emit(manifest), beside)
    }

    /// Parses a manifest; what stands beside it must be what its digests are of.
    pub(super) fn parse(bytes: &[u8], mut beside: Severed) -> Result<Self, ParseError> {
        let mut fields = Fields::of(MANIFEST, cbor::parse(MANIFEST, bytes)?)?;
        if cbor::unsigned(MANIFEST, &fields.want(label::VERSION)?)? != MANIFEST_VERSION {
            return Err(ParseError::Unexpected { what: MANIFEST, wanted: "version 1" });
        }
        let sequence_number = cbor::unsigned(MANIFEST, &fields.want(label::SEQUENCE_NUMBER)?)?;
        let (components, shared) = parse_common(&fields.want_bytes(label::COMMON)?)?;
        let parsed = Self {
            sequence_number,
            components,
            shared,
            reference_uri: fields.take_text(label::REFERENCE_URI)?,
            validate: take_sequence(&mut fields, label::VALIDATE)?,
            load: take_sequence(&mut fields, label::LOAD)?,
            invoke: take_sequence(&mut fields, label::INVOKE)?,
            payload_fetch: take(&mut fields, label::PAYLOAD_FETCH, &mut beside)?,
            install: take(&mut fields, label::INSTALL, &mut beside)?,
            text: take(&mut fields, label::TEXT, &mut beside)?,
        };
        fields.finish()?;
        match beside.into_keys().next() {
            Some(label) => Err(ParseError::UnknownLabel { what: "the envelope", label }),
            None => Ok(parsed),
        }
    }
}

fn parse_common(bytes: &[u8]) -> Result<(Vec<ComponentId>, Sequence), ParseError> {
    let mut fields = Fields::of(COMMON, cbor::parse(COMMON, bytes)?)?;
    let ids = cbor::array(COMPONENTS, fields.want(common::COMPONENTS)?)?;
    let components: Vec<_> = ids.into_iter().map(ComponentId::parse).collect::<Result<_, _>>()?;
    let shared = Sequence::parse(&fields.want_bytes(common::SHARED_SEQUENCE)?)?;
    fields.finish()?;
    if components.is_empty() {
        return Err(ParseError::Unexpected { what: COMPONENTS, wanted: "a component" });
    }
    Ok((components, shared))
}

fn take_sequence(fields: &mut Fields, label: i64) -> Result<Option<Sequence>, ParseError> {
    let bytes = fields.take(label).map(|value| cbor::bytes(MANIFEST, value)).transpose()?;
    bytes.map(|bytes| Sequence::parse(&bytes)).transpose()
}

impl<T> Member<T> {
    /// What it is, unless it has been taken away.
    pub fn content(&self) -> Option<&T> {
        match self {
            Self::Inline(content) | Self::Severable(content) => Some(content),
            Self::Severed(_) => None,
        }
    }
}

#[allow(private_bounds, reason = "what may be a member is the draft's to say")]
impl<T: Severable> Member<T> {
    /// Puts it where the draft wants it: beside the manifest if it is longer than its digest.
    pub fn of(content: T) -> Self {
        if cbor::emit(content.emit()).len() > DIGEST_LEN {
            Self::Severable(content)
        } else {
            Self::Inline(content)
        }
    }

    /// Takes it away; one that stands in the manifest stays.
    #[must_use]
    pub fn sever(self) -> Self {
        match self {
            Self::Severable(content) => Self::Severed(cbor::digest_of(&cbor::emit(content.emit()))),
            other => other,
        }
    }
}

/// What stands in the manifest for a member; its content may go beside it.
fn put<T: Severable>(
    member: &Option<Member<T>>,
    label: i64,
    beside: &mut Severed,
) -> Option<Value> {
    Some(match member.as_ref()? {
        Member::Inline(content) => cbor::wrapped(content.emit()),
        Member::Severed(digest) => cbor::digest(digest),
        Member::Severable(content) => {
            let bytes = cbor::emit(content.emit());
            let digest = cbor::digest(&cbor::digest_of(&bytes));
            beside.insert(label, bytes);
            digest
        }
    })
}

fn take<T: Severable>(
    fields: &mut Fields,
    label: i64,
    beside: &mut Severed,
) -> Result<Option<Member<T>>, ParseError> {
    let Some(value) = fields.take(label) else { return Ok(None) };
    if let Value::Bytes(bytes) = value {
        return T::parse(&bytes).map(Member::Inline).map(Some);
    }
    let digest = cbor::parse_digest(T::WHAT, value)?;
    let Some(bytes) = beside.remove(&label) else { return Ok(Some(Member::Severed(digest))) };
    if cbor::digest_of(&bytes) != digest {
        return Err(ParseError::DigestMismatch { what: T::WHAT });
    }
    T::parse(&bytes).map(Member::Severable).map(Some)
}

impl Severable for Sequence {
    const WHAT: &'static str = "a sequence of commands";
    fn emit(&self) -> Value {
        self.emit()
    }
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse(bytes)
    }
}

impl Severable for Text {
    const WHAT: &'static str = "the text";
    fn emit(&self) -> Value {
        self.emit()
    }
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse(bytes)
    }
}

impl ComponentId {
    /// A path of names.
    #[must_use]
    pub fn of(path: &[&str]) -> Self {
        Self(path.iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    pub(super) fn emit(&self) -> Value {
        Value::Array(self.0.iter().cloned().map(Value::Bytes).collect())
    }

    pub(super) fn parse(value: Value) -> Result<Self, ParseError> {
        let names = cbor::array(COMPONENTS, value)?.into_iter();
        names.map(|name| cbor::bytes(COMPONENTS, name)).collect::<Result<_, _>>().map(Self)
    }
}

/// In the order of their bytes as they are encoded, where lengths come first.
impl Ord for ComponentId {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |id: &Self| -> (usize, Vec<(usize, Vec<u8>)>) {
            (id.0.len(), id.0.iter().map(|name| (name.len(), name.clone())).collect())
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for ComponentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
