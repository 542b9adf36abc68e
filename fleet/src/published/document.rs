//! The flags document as JSON: the product's own source, and what is published of it.

use std::path::Path;

use serde_json::{Map, Value, json};
use whittle_format::envelope::Envelope;
use whittle_format::flags::{Flag, Flags, Head, Rule, SubjectKind};
use whittle_format::{Label, Share};
use whittle_release::device_id::DeviceId;
use whittle_release::flags::{self, FlagsSource};
use whittle_release::image::hex;
use whittle_release::keys::{Keyring, Signer};
use whittle_release::{Error, SignedEnvelope, percent};

use super::exists;
use super::flags::{MORE_TELEMETRY, set};
use crate::DriverError;
use crate::files::read_at_most;

/// A flags document that is to be published.
pub(super) struct Source {
    /// What stands in the product's source besides flags.
    rest: Map<String, Value>,
    version: u32,
    /// The product's own flags, as its source has them.
    pub(super) own: Vec<Value>,
    /// The flags as they are to be.
    pub(super) flags: Vec<Value>,
}

impl Source {
    /// Reads the product's own flags, if it has any.
    pub(super) fn read(path: Option<&Path>, product: Label) -> Result<Self, DriverError> {
        let Some(path) = path else {
            let mut rest = Map::new();
            rest.insert("product".into(), product.to_string().into());
            return Ok(Self { rest, version: 0, own: vec![], flags: vec![] });
        };
        let limit = flags::MAX_SOURCE_BYTES;
        let too_large =
            || DriverError::Document(Error::FileTooLarge { path: path.to_owned(), limit });
        let bytes = read_at_most(path, limit)?.ok_or_else(too_large)?;
        // Read by the rules of the format first, so that what is wrong is named with its place.
        let source = FlagsSource::parse(&path.display().to_string(), &bytes)
            .map_err(DriverError::Document)?;
        if source.product != product {
            let (got, wanted) = (source.product, product);
            let [got, wanted] = [got, wanted].map(|product| format!("of product `{product}`"));
            return Err(DriverError::OtherDocument { path: path.to_owned(), got, wanted });
        }
        let json = |source| Error::Json { what: format!("`{}`", path.display()), source };
        let mut rest: Map<String, Value> =
            serde_json::from_slice(&bytes).map_err(json).map_err(DriverError::Document)?;
        let flags = rest.remove("flags").and_then(|flags| flags.as_array().cloned());
        let own = flags.unwrap_or_default();
        Ok(Self { rest, version: source.version, flags: own.clone(), own })
    }

    /// The product's own flags as they stand in what is published, with all that rollouts have ordered, but for what is of the moment.
    pub(super) fn of_published(published: &Published, gate: &str) -> Self {
        let Head { product, version, seed, is_killed } = published.head;
        let mut rest = Map::new();
        rest.insert("product".into(), product.to_string().into());
        rest.insert("seed".into(), hex(&seed).into());
        rest.insert("kill".into(), is_killed.into());
        // Authentic, so it is a document.
        let flags = Flags::parse(&published.payload).ok();
        let flags = flags.iter().flat_map(Flags::iter);
        let lasting = flags.filter(|flag| ![gate, MORE_TELEMETRY].contains(&flag.name.as_str()));
        let own: Vec<_> = lasting.map(|flag| flag_source(&flag)).collect();
        Self { rest, version, flags: own.clone(), own }
    }

    /// Signs the document with a gate, with a version above the published one; none if it is published already.
    ///
    /// # Errors
    /// [`Error::FlagsTooLarge`], or another error of the format or the signer.
    pub(super) fn follow(
        &self,
        published: Option<&Published>,
        gate: &Value,
        signer: &dyn Signer,
    ) -> Result<Option<SignedEnvelope>, Error> {
        if let Some(published) =
            published.filter(|published| published.head.version >= self.version)
        {
            let same = self.compile(published.head.version, gate)?;
            if same.compile()? == published.payload {
                return Ok(None);
            }
            let next = published.head.version.saturating_add(1);
            let source = self.compile(next, gate)?;
            flags::check_follows(&source, &published.head)?;
            return source.sign(signer).map(Some);
        }
        self.compile(self.version, gate)?.sign(signer).map(Some)
    }

    fn compile(&self, version: u32, gate: &Value) -> Result<FlagsSource, Error> {
        let mut document = self.rest.clone();
        let mut flags = self.flags.clone();
        set(&mut flags, gate.clone());
        document.insert("version".into(), version.into());
        document.insert("flags".into(), flags.into());
        FlagsSource::parse("flags", Value::from(document).to_string().as_bytes())
    }
}

/// A flag as its source has it.
fn flag_source(flag: &Flag<'_>) -> Value {
    let rules: Vec<_> = flag.rules.clone().map(|rule| rule_source(&rule)).collect();
    json!({
        "name": flag.name.to_string(), "default": flag.default, "kill": flag.is_killed, "rules": rules
    })
}

/// A rule as [`Who::rule`](super::flags) writes it, so that what is ordered once more is found.
fn rule_source(rule: &Rule<'_>) -> Value {
    let mut source = Map::new();
    source.insert("value".into(), rule.value.into());
    for (kind, field) in [
        (SubjectKind::Device, "devices"),
        (SubjectKind::Group, "groups"),
        (SubjectKind::Region, "regions"),
    ] {
        let named = rule.subjects.clone().filter(|subject| subject.kind == kind);
        let names: Vec<String> =
            named.map(|subject| DeviceId::from_bytes(subject.name).into()).collect();
        if !names.is_empty() {
            source.insert(field.into(), names.into());
        }
    }
    if rule.share != Share::ALL || source.len() == 1 {
        source.insert("percent".into(), percent::number(rule.share).into());
    }
    source.into()
}

/// The flags document that devices see now.
pub(super) struct Published {
    head: Head,
    payload: Vec<u8>,
}

impl Published {
    /// Reads what is published, if anything is.
    pub(super) fn read(
        path: &Path,
        signer: &dyn Signer,
        product: Label,
    ) -> Result<Option<Self>, DriverError> {
        if !exists(path)? {
            return Ok(None);
        }
        let bytes = flags::read(path).map_err(DriverError::Document)?;
        let keys = Keyring::of(signer);
        let verified = flags::authenticate(path, &bytes, &keys).map_err(DriverError::Document)?;
        let head = verified.head;
        if head.product != product {
            let [got, wanted] =
                [head.product, product].map(|product| format!("of product `{product}`"));
            return Err(DriverError::OtherDocument { path: path.to_owned(), got, wanted });
        }
        // Authentic, so it is an envelope.
        let payload = Envelope::parse(&bytes).map(|(envelope, _)| envelope.payload.to_vec());
        Ok(Some(Self { head, payload: payload.unwrap_or_default() }))
    }

    /// The same as something that has gone: another document follows, and be it alike.
    pub(super) fn gone(self) -> Self {
        Self { payload: vec![], ..self }
    }
}
