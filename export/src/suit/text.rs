//! What a manifest says to people (draft-ietf-suit-manifest-33, section 8.4.4).

use std::collections::BTreeMap;

use coset::cbor::Value;

use super::cbor::{self, Fields};
use super::labels::{component_text, text};
use super::manifest::ComponentId;
use crate::ParseError;

const TEXT: &str = "the text";

/// Texts in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The language, such as `en` or `de-AT`: a tag of RFC 5646.
    pub language: String,
    /// What the manifest is.
    pub manifest_description: Option<String>,
    /// What is new: the release notes.
    pub update_description: Option<String>,
    /// What the manifest was made from, as JSON.
    pub json_source: Option<String>,
    /// What there is to say of components.
    pub components: BTreeMap<ComponentId, ComponentText>,
}

/// What there is to say of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentText {
    /// Name of the model.
    pub model_name: Option<String>,
    /// The domain that the vendor's id is made of.
    pub vendor_domain: Option<String>,
    /// What the id of the class is made of.
    pub model_info: Option<String>,
    /// What the component is.
    pub description: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

impl Text {
    pub(super) fn emit(&self) -> Value {
        let texts = cbor::map([
            (text::MANIFEST_DESCRIPTION, self.manifest_description.clone().map(Value::Text)),
            (text::UPDATE_DESCRIPTION, self.update_description.clone().map(Value::Text)),
            (text::JSON_SOURCE, self.json_source.clone().map(Value::Text)),
        ]);
        let mut entries = texts.into_map().unwrap_or_default();
        // Arrays come behind integers, as they are encoded.
        entries.extend(self.components.iter().map(|(id, text)| (id.emit(), text.emit())));
        Value::Map(vec![(Value::Text(self.language.clone()), Value::Map(entries))])
    }

    /// Parses the content of the byte string that holds the text.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let wrong = |wanted| ParseError::Unexpected { what: TEXT, wanted };
        let languages = cbor::parse(TEXT, bytes)?.into_map().map_err(|_| wrong("a map"))?;
        let [(language, entries)] =
            <[_; 1]>::try_from(languages).map_err(|_| wrong("one language"))?;
        let language = cbor::text(TEXT, language)?;
        if !is_tag(&language) {
            return Err(wrong("the tag of a language"));
        }
        let entries = entries.into_map().map_err(|_| wrong("a map"))?;
        let (texts, of_components): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(label, _)| label.is_integer());
        let mut fields = Fields::of(TEXT, Value::Map(texts))?;
        let mut parsed = Self {
            language,
            manifest_description: fields.take_text(text::MANIFEST_DESCRIPTION)?,
            update_description: fields.take_text(text::UPDATE_DESCRIPTION)?,
            json_source: fields.take_text(text::JSON_SOURCE)?,
            components: BTreeMap::new(),
        };
        fields.finish()?;
        for (id, text) in of_components {
            parsed.components.insert(ComponentId::parse(id)?, ComponentText::parse(text)?);
        }
        // The order of the entries, and that none is there twice.
        if cbor::emit(parsed.emit()) == bytes {
            Ok(parsed)
        } else {
            Err(ParseError::NotDeterministic { what: TEXT })
        }
    }
}

impl ComponentText {
    fn emit(&self) -> Value {
        cbor::map([
            (component_text::MODEL_NAME, self.model_name.clone().map(Value::Text)),
            (component_text::VENDOR_DOMAIN, self.vendor_domain.clone().map(Value::Text)),
            (component_text::MODEL_INFO, self.model_info.clone().map(Value::Text)),
            (component_text::DESCRIPTION, self.description.clone().map(Value::Text)),
            (component_text::VERSION, self.version.clone().map(Value::Text)),
        ])
    }

    fn parse(value: Value) -> Result<Self, ParseError> {
        let mut fields = Fields::of(TEXT, value)?;
        let parsed = Self {
            model_name: fields.take_text(component_text::MODEL_NAME)?,
            vendor_domain: fields.take_text(component_text::VENDOR_DOMAIN)?,
            model_info: fields.take_text(component_text::MODEL_INFO)?,
            description: fields.take_text(component_text::DESCRIPTION)?,
            version: fields.take_text(component_text::VERSION)?,
        };
        fields.finish()?;
        Ok(parsed)
    }
}

/// The draft's pattern: `[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*`.
pub(super) fn is_tag(language: &str) -> bool {
    let mut parts = language.split('-');
    let is_short = |part: &str| (1..=8).contains(&part.len());
    parts.next().is_some_and(|first| {
        is_short(first) && first.bytes().all(|letter| letter.is_ascii_alphabetic())
    }) && parts.all(|part| is_short(part) && part.bytes().all(|sign| sign.is_ascii_alphanumeric()))
}
