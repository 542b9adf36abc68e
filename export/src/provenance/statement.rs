//! The statement: in-toto's frame, and SLSA's provenance in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whittle_release::Sha256Digest;
use whittle_release::bundle::BUNDLE_FILE;

use crate::{Delivery, Error, ParseError, Part, Result, uri};

/// Type of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Type of its predicate.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// Type of the build: what `docs/export.md` says of parameters and dependencies.
pub const BUILD_TYPE: &str = "urn:whittle:release:v1";

const STATEMENT: &str = "the statement";

/// A claim about files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    statement_type: String,
    /// Which files: all of the release.
    pub subject: Vec<Resource>,
    predicate_type: String,
    /// Where they come from.
    pub predicate: Predicate,
}

/// A file, an image or a source, by its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Where a file lies in the release, or what an image is there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it comes from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests, by algorithm.
    pub digest: BTreeMap<String, String>,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// SLSA's provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What was done with what.
    pub build_definition: BuildDefinition,
    /// Who says that they did it.
    pub run_details: RunDetails,
}

/// What was done with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// Which kind of build: [`BUILD_TYPE`].
    pub build_type: String,
    /// What was asked for.
    pub external_parameters: ExternalParameters,
    /// What the tool chose by itself.
    pub internal_parameters: InternalParameters,
    /// What it was built from: of each release the target and the bases, then the sources that the caller names.
    pub resolved_dependencies: Vec<Resource>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalParameters {
    /// Name of the product, of a device if it is a bundle.
    pub product: String,
    /// Its version.
    pub version: String,
    /// The releases, in the order in which they are installed.
    pub components: Vec<ComponentParameters>,
}

/// What was asked for of one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentParameters {
    /// Name of the product.
    pub product: String,
    /// Version of the target.
    pub version: String,
    /// Lowest hardware revision.
    pub hardware_min: u16,
    /// Highest hardware revision.
    pub hardware_max: u16,
    /// Security counter of the target.
    pub security_counter: u32,
}

/// What the tool chose by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalParameters {
    /// How each package is coded.
    pub packages: Vec<PackageParameters>,
}

/// How a package is coded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageParameters {
    /// Its file.
    pub file: String,
    /// `full` or `delta`.
    pub kind: String,
    /// How it is coded.
    pub codec: String,
    /// Revision of the encoder.
    pub encoder: u16,
    /// SHA-256 of the image that a delta is applied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha256: Option<Sha256Digest>,
}

/// Who says that they built it, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetails {
    /// Who.
    pub builder: Builder,
    /// Which run.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// Who builds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// A URI that stands for the platform, and all that is trusted with it.
    pub id: String,
    /// Versions of what it consists of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// Which run of the builder it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// What the builder calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// When it began, such as `2026-11-26T12:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_on: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<String>,
}

/// What only the caller can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Who built the release.
    pub builder: Builder,
    /// In which run.
    pub metadata: Metadata,
    /// What the images were made of, each with a digest.
    pub sources: Vec<Resource>,
}

impl Statement {
    /// States where a release or a bundle comes from.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a builder that is no URI, for times of another form or order, for words that are none, and for a source
    /// without a digest that can be one.
    pub fn of(delivery: &Delivery, run: &Run) -> Result<Self> {
        check(run)?;
        let parts = delivery.parts();
        let bundle = delivery.bundle().map(|bundle| {
            let (bytes, digest) = bundle.list_file();
            file(BUNDLE_FILE.to_owned(), bytes, &digest)
        });
        let images = parts.iter().flat_map(images);
        Ok(Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject: bundle.into_iter().chain(parts.iter().flat_map(files)).collect(),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.to_owned(),
                    external_parameters: ExternalParameters {
                        product: delivery.product().to_string(),
                        version: delivery.version().to_string(),
                        components: parts.iter().map(component).collect(),
                    },
                    internal_parameters: InternalParameters {
                        packages: parts.iter().flat_map(packages).collect(),
                    },
                    resolved_dependencies: images.chain(run.sources.iter().cloned()).collect(),
                },
                run_details: RunDetails {
                    builder: run.builder.clone(),
                    metadata: run.metadata.clone(),
                },
            },
        })
    }

    /// The statement as JSON on one line.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        // Strings and numbers are always JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses a statement that [`Self::emit`] has emitted.
    ///
    /// # Errors
    /// [`ParseError`] for another type of statement, predicate or build, and for fields that are missing; further ones are nobody's
    /// concern, as in-toto wants it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let parsed: Self = serde_json::from_slice(bytes)
            .map_err(|error| ParseError::NotJson { what: STATEMENT, why: error.to_string() })?;
        let types = [
            (parsed.statement_type.as_str(), STATEMENT_TYPE),
            (parsed.predicate_type.as_str(), PREDICATE_TYPE),
            (parsed.predicate.build_definition.build_type.as_str(), BUILD_TYPE),
        ];
        let wrong = types.iter().find(|(found, wanted)| found != wanted).map(|(_, wanted)| *wanted);
        match wrong {
            Some(wanted) => Err(ParseError::Unexpected { what: STATEMENT, wanted }),
            None => Ok(parsed),
        }
    }
}

impl Metadata {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn files(part: &Part) -> impl Iterator<Item = Resource> {
    part.files()
        .into_iter()
        .map(|listed| file(part.path(&listed.name), listed.size, &listed.digest))
}

fn file(name: String, bytes: u32, digest: &Sha256Digest) -> Resource {
    let annotations = BTreeMap::from([("bytes".to_owned(), bytes.to_string())]);
    Resource { name, uri: None, digest: sha256(digest), annotations }
}

/// The images that a release was built from, the target first.
fn images(part: &Part) -> impl Iterator<Item = Resource> {
    let index = part.release.index();
    let target = ("target", index.release.target_size, part.target());
    let base = |base: &whittle_format::index::Base| ("base", base.size, Sha256Digest(base.digest));
    let images = std::iter::once(target).chain(index.bases.iter().map(base));
    images.map(|(name, bytes, digest)| {
        let mut image = file(name.to_owned(), bytes, &digest);
        image.annotations.insert("product".to_owned(), index.release.product.to_string());
        image
    })
}

fn sha256(digest: &Sha256Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digest.to_string())])
}

fn component(part: &Part) -> ComponentParameters {
    let of = &part.release.index().release;
    ComponentParameters {
        product: of.product.to_string(),
        version: of.target_version.to_string(),
        hardware_min: of.hardware.min,
        hardware_max: of.hardware.max,
        security_counter: of.security_counter,
    }
}

fn packages(part: &Part) -> impl Iterator<Item = PackageParameters> {
    let index = part.release.index();
    index.packages.iter().map(|package| {
        let base = package.base.and_then(|number| index.bases.get(usize::from(number)));
        PackageParameters {
            file: part.path(&index.file_name(package)),
            kind: if package.base.is_some() { "delta" } else { "full" }.to_owned(),
            codec: package.codec.name().to_owned(),
            encoder: package.encoder,
            base_sha256: base.map(|base| Sha256Digest(base.digest)),
        }
    })
}

fn check(run: &Run) -> Result<()> {
    uri::check_absolute("the builder's id", &run.builder.id)?;
    for (name, version) in &run.builder.version {
        check_words("the builder's version", name)?;
        check_words("the builder's version", version)?;
    }
    check_metadata(&run.metadata)?;
    run.sources.iter().try_for_each(check_source)
}

fn check_metadata(metadata: &Metadata) -> Result<()> {
    let Metadata { invocation_id, started_on, finished_on } = metadata;
    if let Some(id) = invocation_id {
        check_words("the run's id", id)?;
    }
    if let Some(time) = [started_on, finished_on].into_iter().flatten().find(|time| !is_time(time))
    {
        let why = format!("is not one such as `2026-11-26T12:00:00Z`: `{time}`");
        return Err(Error::Unusable { what: "the time", why });
    }
    // In this form, the earlier one is the smaller text, too.
    match (started_on, finished_on) {
        (Some(start), Some(end)) if end < start => {
            let why = format!("ended on {end}, before it began, on {start}");
            Err(Error::Unusable { what: "the run", why })
        }
        _ => Ok(()),
    }
}

/// Checks something that people read and programs compare.
fn check_words(what: &'static str, text: &str) -> Result<()> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        let why = format!("is empty, or more than a line: {text:?}");
        return Err(Error::Unusable { what, why });
    }
    Ok(())
}

fn check_source(source: &Resource) -> Result<()> {
    source.uri.as_ref().map_or(Ok(()), |uri| uri::check_absolute("the source", uri))?;
    let name = source.uri.as_deref().unwrap_or(&source.name);
    let unusable = |why| Err(Error::Unusable { what: "the source", why });
    if source.digest.is_empty() {
        return unusable(format!("has no digest: `{name}`"));
    }
    let wrong = source.digest.iter().find(|(algorithm, digest)| !is_digest(algorithm, digest));
    match wrong {
        Some((algorithm, digest)) => {
            unusable(format!("has a digest that is none of {algorithm}: `{digest}` of `{name}`"))
        }
        None => Ok(()),
    }
}

/// Whether digits may be a digest by this algorithm; names are those of in-toto's `DigestSet`, of which not all are known here.
fn is_digest(algorithm: &str, digest: &str) -> bool {
    let is_hex = digest.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let is_long_enough = match algorithm {
        "md5" => digest.len() == 32,
        "sha1" => digest.len() == 40,
        // Of a repository with SHA-1, or with SHA-256.
        "gitCommit" | "gitTree" | "gitBlob" | "gitTag" => matches!(digest.len(), 40 | 64),
        "sha224" | "sha3_224" => digest.len() == 56,
        "sha256" | "sha3_256" | "sha512_256" => digest.len() == 64,
        "sha384" | "sha3_384" => digest.len() == 96,
        "sha512" | "sha3_512" => digest.len() == 128,
        _ => !digest.is_empty() && digest.len().is_multiple_of(2),
    };
    is_hex && is_long_enough
}

/// RFC 3339 in UTC with seconds, as in-toto has it.
fn is_time(text: &str) -> bool {
    let pattern = b"0000-00-00T00:00:00Z";
    text.len() == pattern.len()
        && text.bytes().zip(pattern).all(|(sign, wanted)| match wanted {
            b'0' => sign.is_ascii_digit(),
            wanted => sign == *wanted,
        })
}
