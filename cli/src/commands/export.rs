use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use schemars::JsonSchema;
use serde::Serialize;
use whittle_export::provenance::{self, Builder, Metadata, Resource, Run, Statement};
use whittle_export::suit::{
    self, Algorithm, Envelope, Payload, Placement, Request, VerifiedEnvelope,
};
use whittle_export::{BaseUri, Delivery, Part};
use whittle_format::Label;
use whittle_format::index::AttachmentKind;
use whittle_format::manifest::HardwareRange;
use whittle_publish::layout::object_key;
use whittle_release::files::write_atomically;
use whittle_release::image::hex;
use whittle_release::keys::Keyring;

use super::inspect::hardware;
use super::signing::SignerArgs;
use super::{TrustArgs, once};
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, grouped};
use crate::schema::{HEX_8_BYTES, HEX_32_BYTES};
use crate::{time, values};

/// Say what a release is in the words of others: a SUIT envelope, or an in-toto statement with SLSA provenance.
///
/// The release, or the bundle, is verified first, every byte of it. What is made of it is signed with Ed25519, read back and written in
/// one step; a file that stood there is replaced. The same release and arguments give the same bytes.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["suit", "slsa"]).required(true))]
pub(crate) struct Args {
    /// Directory of a release or a bundle.
    directory: PathBuf,

    /// File of the SUIT envelope.
    #[arg(long, value_name = "FILE", requires_all = ["vendor_domain", "sequence_number"], conflicts_with = "slsa")]
    suit: Option<OutFile>,

    /// File of the in-toto statement with SLSA provenance, in a DSSE envelope.
    #[arg(long, value_name = "FILE", requires = "builder_id")]
    slsa: Option<OutFile>,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    suit_args: SuitArgs,

    #[command(flatten)]
    slsa_args: SlsaArgs,

    #[command(flatten)]
    signer: SignerArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "SUIT")]
struct SuitArgs {
    /// The vendor's domain as people read it, such as `example.com`: the vendor's id is made of it.
    #[arg(long, value_name = "DOMAIN", conflicts_with = "slsa")]
    vendor_domain: Option<String>,

    /// What puts manifests in order, above that of every earlier one for the same devices: the number of the release, or the
    /// seconds from 1970 of the commit that it was built from.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "slsa")]
    sequence_number: Option<u64>,

    /// What tells a class of devices from the vendor's other ones, such as `thermostat rev 2`; devices must be of one of them
    /// [default: the product's name].
    #[arg(long = "class", value_name = "TEXT", conflicts_with = "slsa")]
    classes: Vec<String>,

    /// Below what the packages lie, such as `https://updates.example.com/2.4.1` [default: nothing, so that they are
    /// looked for beside the envelope].
    #[arg(long, value_name = "URI", value_parser = base_uri, conflicts_with = "slsa")]
    base_uri: Option<BaseUri>,

    /// Name packages as `publish` does, by their SHA-256.
    #[arg(long, conflicts_with = "slsa")]
    published: bool,

    /// Where the whole envelope is, for who gets it without its text.
    #[arg(long, value_name = "URI", conflicts_with = "slsa")]
    reference_uri: Option<String>,

    /// Language of the release notes, a tag such as `en` or `zh-Hant`.
    #[arg(long, value_name = "TAG", default_value = "en", conflicts_with = "slsa")]
    language: String,

    /// Images are copied to memory before they run.
    #[arg(long, conflicts_with = "slsa")]
    load: bool,

    /// The component of a bundle that runs at last, by its product's name.
    #[arg(long, value_name = "NAME", value_parser = values::label, conflicts_with = "slsa")]
    invoke: Option<Label>,

    /// Leave out what only people read; its digest stays.
    #[arg(long, conflicts_with = "slsa")]
    without_text: bool,

    /// What COSE calls the signature.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = AlgorithmArg::Eddsa, conflicts_with = "slsa")]
    cose_algorithm: AlgorithmArg,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "SLSA")]
struct SlsaArgs {
    /// URI that stands for who built the release.
    #[arg(long, value_name = "URI", conflicts_with = "suit")]
    builder_id: Option<String>,

    /// Version of something that the builder consists of, such as `runner=2.311.0`; may be given several times.
    #[arg(long = "builder-version", value_name = "NAME=VERSION", value_parser = named, conflicts_with = "suit")]
    builder_versions: Vec<(String, String)>,

    /// What the builder calls the run.
    #[arg(long, value_name = "ID", conflicts_with = "suit")]
    invocation_id: Option<String>,

    /// When the run began: seconds from 1970, or a time such as 2026-11-26T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time::parse, conflicts_with = "suit")]
    started_on: Option<u64>,

    /// When it ended.
    #[arg(long, value_name = "TIME", value_parser = time::parse, conflicts_with = "suit")]
    finished_on: Option<u64>,

    /// What the images were made of, with its digest, such as `git+https://example.com/firmware@gitCommit:1f0c…`; may be given
    /// several times.
    #[arg(long = "source", value_name = "URI@ALGORITHM:DIGEST", value_parser = source, conflicts_with = "suit")]
    sources: Vec<Resource>,
}

/// Names of Ed25519 in COSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum AlgorithmArg {
    /// EdDSA, -8: what all libraries know.
    Eddsa,
    /// Ed25519, -19, of RFC 9864.
    Ed25519,
}

impl From<AlgorithmArg> for Algorithm {
    fn from(arg: AlgorithmArg) -> Self {
        match arg {
            AlgorithmArg::Eddsa => Self::EdDsa,
            AlgorithmArg::Ed25519 => Self::Ed25519,
        }
    }
}

/// What both forms have in common.
#[derive(JsonSchema, Serialize)]
struct Exported {
    /// The file that was written.
    file: String,
    /// Its size in bytes.
    bytes: usize,
    /// Name of the product, or of the bundle's.
    product: String,
    /// Version of the release or the bundle.
    version: String,
    /// Id of the key that signed: the first 8 bytes of the SHA-256 of its public half.
    #[schemars(regex(pattern = HEX_8_BYTES))]
    key_id: String,
}

/// A SUIT envelope that was written.
#[derive(JsonSchema, Serialize)]
pub(crate) struct SuitView {
    #[serde(flatten)]
    exported: Exported,
    /// The manifest's sequence number, by which a device tells later manifests from earlier ones.
    sequence_number: u64,
    /// The vendor's id, a UUID of version 5.
    vendor_id: String,
    /// How many components the manifest installs.
    components: usize,
}

/// An in-toto statement that was written.
#[derive(JsonSchema, Serialize)]
pub(crate) struct SlsaView {
    #[serde(flatten)]
    exported: Exported,
    /// What the statement is about.
    subjects: Vec<Subject>,
}

#[derive(JsonSchema, Serialize)]
struct Subject {
    /// Its name.
    name: String,
    /// SHA-256 of it; none if the statement names no such digest.
    #[schemars(regex(pattern = HEX_32_BYTES))]
    sha256: Option<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let delivery = Delivery::open(&args.directory, &args.trust.keyring()?)?;
    if args.signer.is_development()? {
        printer.note("caution: it is a development key that signs; who trusts it trusts whoever has the project");
    }
    match (&args.suit, &args.slsa) {
        (Some(file), _) => export_suit(file, &delivery, args, printer),
        (None, Some(file)) => export_slsa(file, &delivery, args, printer),
        (None, None) => Err(missing("--suit` or `--slsa")),
    }
}

impl Exported {
    /// Writes a file that has been verified.
    fn write(file: &Path, bytes: &[u8], delivery: &Delivery, keys: &Keyring) -> Result<Self> {
        write_atomically(file, bytes)?;
        Ok(Self {
            file: file.display().to_string(),
            bytes: bytes.len(),
            product: delivery.product().to_string(),
            version: delivery.version().to_string(),
            key_id: keys.ids().map(|id| hex(&id)).collect(),
        })
    }

    fn line(&self, what: &str, details: &str) -> String {
        let Self { file, bytes, product, version, key_id } = self;
        let bytes = grouped(*bytes as u64);
        format!(
            "{file}: {what} of {product} {version}, {details}, {bytes} bytes, signed by key {key_id}"
        )
    }
}

fn export_suit(file: &Path, delivery: &Delivery, args: &Args, printer: &Printer) -> Result {
    let of = &args.suit_args;
    let vendor_domain = of.vendor_domain.as_deref().ok_or_else(|| missing("--vendor-domain"))?;
    let sequence_number = of.sequence_number.ok_or_else(|| missing("--sequence-number"))?;
    let signer = args.signer.signer("suit")?;
    let uri = |payload: &Payload| {
        let name = if of.published { object_key(&payload.digest) } else { payload.path.clone() };
        of.base_uri.as_ref().map(|base| base.join(&name)).unwrap_or(name)
    };
    let manifest = suit::compose(&Request {
        delivery,
        sequence_number,
        vendor_domain,
        classes: &of.classes,
        uri: &uri,
        reference_uri: of.reference_uri.clone(),
        language: &of.language,
        placement: if of.load { Placement::Memory } else { Placement::InPlace },
        invoke: of.invoke,
    })?;
    let envelope = Envelope::sign(manifest, of.cose_algorithm.into(), &*signer)?;
    let envelope = if of.without_text { envelope.without_text() } else { envelope };
    let (bytes, keys) = (envelope.emit(), Keyring::of(&*signer));
    let verified = VerifiedEnvelope::authenticate(&bytes, &keys)?;
    let view = SuitView {
        exported: Exported::write(file, &bytes, delivery, &keys)?,
        sequence_number: verified.manifest().sequence_number,
        vendor_id: suit::vendor_id(vendor_domain).to_string(),
        components: verified.manifest().components.len(),
    };
    if of.classes.is_empty() {
        tell_hardware(delivery, printer);
    }
    for part in delivery.parts().iter().filter(|part| lacks_notes(part)) {
        let product = part.release.index().release.product;
        printer.note(&format!(
            "note: the notes of `{product}` are too long or no text, so they are not in the envelope"
        ));
    }
    printer.result(&view, |view| {
        let (number, components) = (view.sequence_number, view.components);
        let details = format!("sequence number {number}, {components} components");
        view.exported.line("SUIT envelope", &details)
    })
}

/// Tells what the envelope has no words for.
fn tell_hardware(delivery: &Delivery, printer: &Printer) {
    for part in delivery.parts() {
        let of = &part.release.index().release;
        if of.hardware != HardwareRange::ANY {
            printer.note(&format!(
                "caution: `{}` is for hardware revisions {}, which SUIT has no condition for: tell such devices by a `--class` of their own",
                of.product,
                hardware(of.hardware)
            ));
        }
    }
}

fn lacks_notes(part: &Part) -> bool {
    let has_some = part.attachments().any(|(kind, _)| kind == AttachmentKind::Notes);
    has_some && part.notes.is_none()
}

fn export_slsa(file: &Path, delivery: &Delivery, args: &Args, printer: &Printer) -> Result {
    let of = &args.slsa_args;
    let id = of.builder_id.clone().ok_or_else(|| missing("--builder-id"))?;
    let signer = args.signer.signer("slsa")?;
    let run = Run {
        builder: Builder { id, version: once("--builder-version", &of.builder_versions)? },
        metadata: Metadata {
            invocation_id: of.invocation_id.clone(),
            started_on: of.started_on.map(time::rfc3339).transpose()?,
            finished_on: of.finished_on.map(time::rfc3339).transpose()?,
        },
        sources: of.sources.clone(),
    };
    let statement = Statement::of(delivery, &run)?;
    let (bytes, keys) = (provenance::sign(&statement, &*signer)?.emit(), Keyring::of(&*signer));
    let subjects = provenance::authenticate(&bytes, &keys)?.subject.into_iter();
    let subject = |subject: Resource| Subject {
        sha256: subject.digest.get("sha256").cloned(),
        name: subject.name,
    };
    let view = SlsaView {
        exported: Exported::write(file, &bytes, delivery, &keys)?,
        subjects: subjects.map(subject).collect(),
    };
    printer.result(&view, |view| {
        view.exported.line("SLSA provenance", &format!("{} files", view.subjects.len()))
    })
}

fn missing(flag: &str) -> Error {
    Error::Usage(format!("`{flag}` is wanted"))
}

fn base_uri(text: &str) -> Result<BaseUri, String> {
    BaseUri::new(text).map_err(|error| error.to_string())
}

fn named(text: &str) -> Result<(String, String), String> {
    let wanted = "wanted NAME=VERSION";
    let (name, version) = text.split_once('=').ok_or(wanted)?;
    if name.is_empty() || version.is_empty() {
        return Err(wanted.to_owned());
    }
    Ok((name.to_owned(), version.to_owned()))
}

fn source(text: &str) -> Result<Resource, String> {
    let wanted =
        "wanted URI@ALGORITHM:DIGEST, such as git+https://example.com/firmware@gitCommit:1f0c…";
    let (uri, digest) = text.rsplit_once('@').ok_or(wanted)?;
    let (algorithm, digest) = digest.split_once(':').ok_or(wanted)?;
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'_')
    };
    if uri.is_empty() || !is_name(digest) || !is_name(algorithm) {
        return Err(wanted.to_owned());
    }
    let digest = BTreeMap::from([(algorithm.to_owned(), digest.to_ascii_lowercase())]);
    Ok(Resource { uri: Some(uri.to_owned()), digest, ..Resource::default() })
}
