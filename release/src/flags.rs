//! Flags documents: JSON in, a signed envelope of at most 1024 bytes out.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer, de};
use whittle_format::envelope::OVERHEAD;
use whittle_format::flags::{self, Head, NewFlag, NewRule, Subject, SubjectKind};
use whittle_format::limits::MAX_FLAGS_ENVELOPE_BYTES;
use whittle_format::{Label, Seed, Share, shorten};
pub use whittle_patcher_nostd::{Decision, DeviceFacts, Reason, VerifiedFlags};

use crate::device_id::DeviceId;
use crate::image::{Sha256Digest, from_hex};
use crate::keys::{Keyring, Signer};
use crate::{Error, Result, SignedEnvelope, files, percent};

/// Largest source, in bytes: far more than what compiles into a document.
pub const MAX_SOURCE_BYTES: u64 = 1 << 20;

/// A flags document as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagsSource {
    /// Which product the flags are for.
    #[serde(deserialize_with = "label")]
    pub product: Label,
    /// Never falls on a device.
    pub version: u32,
    /// Salts every draw; by default the first half of the SHA-256 of the product's name, so that it stays.
    #[serde(default, deserialize_with = "seed")]
    seed: Option<Seed>,
    /// Turns every flag off.
    #[serde(default)]
    pub kill: bool,
    /// The flags, in the order of their names.
    #[serde(deserialize_with = "flags_by_name")]
    pub flags: Vec<FlagSource>,
}

/// A flag as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagSource {
    /// Its name.
    #[serde(deserialize_with = "label")]
    pub name: Label,
    /// Its value where no rule matches.
    pub default: bool,
    /// Turns it off, whatever its rules say.
    #[serde(default)]
    pub kill: bool,
    /// The first that matches decides.
    #[serde(default)]
    pub rules: Vec<RuleSource>,
}

/// A rule as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RuleFields")]
pub struct RuleSource {
    /// Whether the flag is on for whom it matches.
    pub value: bool,
    /// Only so many of them.
    pub share: Share,
    devices: Vec<DeviceId>,
    groups: Vec<Name>,
    regions: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    value: bool,
    #[serde(default, deserialize_with = "share")]
    percent: Option<Share>,
    #[serde(default)]
    devices: Option<Vec<DeviceId>>,
    #[serde(default)]
    groups: Option<Vec<Name>>,
    #[serde(default)]
    regions: Option<Vec<Name>>,
}

/// The name of a group or region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
struct Name(#[serde(deserialize_with = "label")] Label);

impl TryFrom<RuleFields> for RuleSource {
    type Error = String;

    fn try_from(fields: RuleFields) -> Result<Self, String> {
        let RuleFields { value, percent, devices, groups, regions } = fields;
        if percent.is_none() && devices.is_none() && groups.is_none() && regions.is_none() {
            return Err(
                "a rule needs `devices`, `groups`, `regions` or `percent`; for everybody there is `default`".into(),
            );
        }
        Ok(Self {
            value,
            share: percent.unwrap_or(Share::ALL),
            devices: distinct("devices", devices)?,
            groups: distinct("groups", groups)?,
            regions: distinct("regions", regions)?,
        })
    }
}

/// An empty list could mean nobody or everybody, so there is none.
fn distinct<T: Ord + Clone>(field: &str, names: Option<Vec<T>>) -> Result<Vec<T>, String> {
    let Some(names) = names else { return Ok(Vec::new()) };
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    match (names.len(), sorted.len()) {
        (0, _) => Err(format!("`{field}` is empty: leave it out to mean everybody")),
        (given, different) if given != different => Err(format!("`{field}` names one twice")),
        _ => Ok(names),
    }
}

impl RuleSource {
    fn subjects(&self) -> Vec<Subject<'_>> {
        let devices = self.devices.iter().map(|id| (SubjectKind::Device, id.as_bytes()));
        let groups = self.groups.iter().map(|name| (SubjectKind::Group, name.0.as_bytes()));
        let regions = self.regions.iter().map(|name| (SubjectKind::Region, name.0.as_bytes()));
        devices.chain(groups).chain(regions).map(|(kind, name)| Subject { kind, name }).collect()
    }
}

impl FlagsSource {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`] or [`Error::Json`].
    pub fn read(path: &Path) -> Result<Self> {
        let too_large = || Error::FileTooLarge { path: path.to_owned(), limit: MAX_SOURCE_BYTES };
        let json = files::read_at_most(path, MAX_SOURCE_BYTES)?.ok_or_else(too_large)?;
        Self::parse(&path.display().to_string(), &json)
    }

    /// Parses JSON; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Json`], with line and column; unknown fields are errors.
    pub fn parse(what: &str, json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(Error::json(format!("`{what}`")))
    }

    /// The seed of the draws.
    #[must_use]
    pub fn seed(&self) -> Seed {
        let from_name = || shorten(&Sha256Digest::of(self.product.as_bytes()).0);
        self.seed.unwrap_or_else(from_name)
    }

    /// Compiles the document to the payload that is to be signed.
    ///
    /// # Errors
    /// [`Error::FlagsTooLarge`], or [`Error::Format`] for too many rules or names.
    pub fn compile(&self) -> Result<Vec<u8>> {
        let head = Head {
            product: self.product,
            version: self.version,
            seed: self.seed(),
            is_killed: self.kill,
        };
        let subjects: Vec<Vec<Vec<Subject<'_>>>> = self
            .flags
            .iter()
            .map(|flag| flag.rules.iter().map(RuleSource::subjects).collect())
            .collect();
        let rules: Vec<Vec<NewRule<'_>>> = self
            .flags
            .iter()
            .zip(&subjects)
            .map(|(flag, subjects)| new_rules(&flag.rules, subjects))
            .collect();
        let flags = self.flags.iter().zip(&rules);
        let flags: Vec<NewFlag<'_>> = flags
            .map(|(flag, rules)| NewFlag {
                name: flag.name,
                default: flag.default,
                is_killed: flag.kill,
                rules,
            })
            .collect();
        check_len(&head, &flags)?;
        let mut payload = vec![0; flags::MAX_LEN];
        let len = flags::emit(&head, &flags, &mut payload)
            .map_err(Error::format("the flags to be signed"))?;
        payload.truncate(len);
        Ok(payload)
    }

    /// Compiles and signs the document.
    ///
    /// # Errors
    /// As [`Self::compile`], or what the signer returns.
    pub fn sign(&self, signer: &dyn Signer) -> Result<SignedEnvelope> {
        SignedEnvelope::sign(&self.compile()?, signer)
    }
}

/// Checks that devices which hold the previous document would take the new one for a newer one.
///
/// # Errors
/// [`Error::ProductChanged`] or [`Error::VersionNotAbove`].
pub fn check_follows(source: &FlagsSource, previous: &Head) -> Result<()> {
    if source.product != previous.product {
        let [got, previous] = [source.product, previous.product].map(|label| label.to_string());
        return Err(Error::ProductChanged { got, previous });
    }
    if source.version <= previous.version {
        return Err(Error::VersionNotAbove { got: source.version, previous: previous.version });
    }
    Ok(())
}

fn new_rules<'a>(rules: &[RuleSource], subjects: &'a [Vec<Subject<'a>>]) -> Vec<NewRule<'a>> {
    let rules = rules.iter().zip(subjects);
    rules
        .map(|(rule, subjects)| NewRule { value: rule.value, share: rule.share, subjects })
        .collect()
}

/// Says by how much a document is too long, and which rule to shorten.
fn check_len(head: &Head, flags: &[NewFlag<'_>]) -> Result<()> {
    let got = flags::encoded_len(head, flags) + OVERHEAD;
    if got <= MAX_FLAGS_ENVELOPE_BYTES {
        return Ok(());
    }
    let rules = flags.iter().flat_map(|flag| {
        let rules = flag.rules.iter().zip(1..);
        rules.map(|(rule, number)| LongestRule {
            flag: flag.name.to_string(),
            number,
            bytes: rule.encoded_len(),
        })
    });
    let longest = rules.max_by_key(|rule| rule.bytes);
    Err(Error::FlagsTooLarge { got, limit: MAX_FLAGS_ENVELOPE_BYTES, longest })
}

/// The rule of a document that takes most of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongestRule {
    /// Name of its flag.
    pub flag: String,
    /// Its number in the flag, from 1.
    pub number: usize,
    /// How many bytes it takes.
    pub bytes: usize,
}

impl fmt::Display for LongestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} of `{}` takes most, {} bytes", self.number, self.flag, self.bytes)
    }
}

/// Reads the file of a signed document.
///
/// # Errors
/// [`Error::Io`], or [`Error::FileTooLarge`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_document(path, MAX_FLAGS_ENVELOPE_BYTES)
}

/// Checks that a trusted key signed a document; `what` names it in errors.
///
/// # Errors
/// [`Error::Document`].
pub fn authenticate<'a>(what: &Path, bytes: &'a [u8], keys: &Keyring) -> Result<VerifiedFlags<'a>> {
    VerifiedFlags::authenticate(bytes, keys).map_err(Error::document(what, bytes))
}

fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Seed>, D::Error> {
    let text = String::deserialize(deserializer)?;
    from_hex(&text).map(Some).ok_or_else(|| de::Error::custom("a seed has 32 hexadecimal digits"))
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Share>, D::Error> {
    // The shortest text that gives this number back is what stands in the file, but for trailing zeros.
    let text = f64::deserialize(deserializer)?.to_string();
    percent::parse(&text).map(Some).map_err(de::Error::custom)
}

fn flags_by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FlagSource>, D::Error> {
    let mut flags = Vec::<FlagSource>::deserialize(deserializer)?;
    flags.sort_by_key(|flag| flag.name.as_bytes().to_vec());
    match flags.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => {
            Err(de::Error::custom(format_args!("the flag `{}` is there twice", pair[0].name)))
        }
        None => Ok(flags),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn with_rules(rules: &str) -> Result<Vec<u8>> {
        let json = format!(
            r#"{{"product": "p", "version": 1, "flags": [{{"name": "f", "default": false, "rules": [{rules}]}}]}}"#
        );
        FlagsSource::parse("flags.json", json.as_bytes())?.compile()
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        let cases = [
            ("{\n  \"product\": \"p\"\n}", "missing field `version` at line 3 column 1"),
            ("{\"product\": \"p\",\n\"versoin\": 3}", "unknown field `versoin`"),
            ("{\"product\": \"a b\"}", "a name must be 1 to 32 characters"),
            ("{\"product\": \"p\", \"version\": -1}", "invalid value: integer `-1`"),
            ("{\"seed\": \"abc\"}", "a seed has 32 hexadecimal digits at line 1 column 15"),
            (
                r#"{"flags": [{"name": "f", "default": true}, {"name": "f", "default": true}]}"#,
                "the flag `f` is there twice",
            ),
            ("", "EOF while parsing a value at line 1 column 0"),
        ];
        for (json, words) in cases {
            let error = FlagsSource::parse("flags.json", json.as_bytes()).expect_err(json);
            let cause = error.source().expect("a cause").to_string();
            assert!(cause.contains(words) && cause.contains(" at line "), "{json}: {cause}");
        }
    }

    #[test]
    fn rules_that_could_mean_two_things_are_refused() {
        let cases = [
            (r#"{"value": true}"#, "a rule needs"),
            (r#"{"value": true, "groups": []}"#, "`groups` is empty"),
            (r#"{"value": true, "groups": ["a", "a"]}"#, "`groups` names one twice"),
            (r#"{"percent": 5}"#, "missing field `value`"),
            (r#"{"value": true, "percent": 100.5}"#, "no percentage"),
            (r#"{"value": true, "percent": 0.00001}"#, "no percentage"),
            (r#"{"value": true, "percent": -5}"#, "no percentage"),
            (r#"{"value": true, "percent": 5, "percent": 6}"#, "duplicate field"),
            (r#"{"value": true, "devices": [""]}"#, "bytes, this one has 0"),
            (r#"{"value": true, "devices": ["hex:0"]}"#, "hexadecimal digits"),
            (r#"{"value": true, "regions": ["E U"]}"#, "a name must be"),
            (r#"{"value": true, "regions": "EU"}"#, "expected a sequence"),
        ];
        for (rule, words) in cases {
            let error = with_rules(rule).expect_err(rule);
            let cause = error.source().expect("a cause").to_string();
            assert!(
                cause.contains(words) && cause.contains(" at line 1 column "),
                "{rule}: {cause}"
            );
        }
    }

    #[test]
    fn a_document_that_is_too_long_says_what_to_shorten() {
        let ids: Vec<String> = (0..70).map(|n| format!(r#""TH-2026-{n:04}""#)).collect();
        let rules = format!(
            r#"{{"value": true, "percent": 5}}, {{"value": true, "devices": [{}]}}"#,
            ids.join(", ")
        );
        let error = with_rules(&rules).expect_err("too long");
        let words = "flags document of 1038 bytes is 14 above the limit of 1024; rule 2 of `f` takes most, 915 bytes";
        assert_eq!(error.to_string(), words);
    }

    #[test]
    fn the_seed_stays_from_version_to_version() {
        let source = |version: u32| {
            let json = format!(r#"{{"product": "thermostat", "version": {version}, "flags": []}}"#);
            FlagsSource::parse("flags.json", json.as_bytes()).expect("valid")
        };
        assert_eq!(source(1).seed(), source(2).seed());
    }
}
