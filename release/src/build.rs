//! Builds a release: from images to files in memory.

use rayon::prelude::*;
use serde::Serialize;
use whittle_delta::EncodeError;
use whittle_delta::compact::{CodeHint, InstructionSet};
use whittle_format::index::{self, Attachment, AttachmentKind};
use whittle_format::manifest::{BaseRef, HardwareRange, Kind};
use whittle_format::{Label, Manifest, ShortDigest, limits, shorten};
use whittle_patcher_nostd::authenticate;

use crate::artifact_cache::{self, ArtifactCache, CacheKey, NoCache};
use crate::encode::{Alternative, Candidate, Choice, encode, is_possible};
use crate::image::Sha256Digest;
use crate::keys::{Keyring, Signer};
use crate::package::{Package, SignedEnvelope};
use crate::{DeviceProfile, Error, Image, Result, Source, self_check};

/// A delta is shipped only if it saves this much of the full image, in percent, or [`MIN_SAVING_BYTES`].
pub const MIN_SAVING_PERCENT: u64 = 10;

/// A delta that saves as many bytes is shipped however large the image is.
pub const MIN_SAVING_BYTES: u64 = 1024;

/// Name of the signed index in a release directory.
pub const INDEX_FILE: &str = "index.cose";

/// A base and, if it is known, its version.
#[derive(Clone, Debug)]
pub struct Base {
    /// The image.
    pub image: Image,
    /// Its version, for people.
    pub version: Option<String>,
}

/// A file that goes along with the release, hashed in the signed index.
#[derive(Clone, Debug)]
pub struct AttachedFile {
    /// What it is.
    pub kind: AttachmentKind,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Everything that a release is made from.
pub struct Request<'a> {
    /// Which product the target is for.
    pub product: Label,
    /// Version of the target.
    pub target_version: Label,
    /// Hardware revisions that the target runs on.
    pub hardware: HardwareRange,
    /// Security counter of the target.
    pub security_counter: u32,
    /// The new image.
    pub target: Image,
    /// The images that devices run now.
    pub bases: Vec<Base>,
    /// What the devices have.
    pub profile: DeviceProfile,
    /// Release notes, SBOM.
    pub attachments: Vec<AttachedFile>,
    /// Who signs.
    pub signer: &'a dyn Signer,
    /// Threads to use; the result does not depend on it.
    pub threads: usize,
}

/// Told as artifacts get done; called from several threads.
pub type Progress<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// What [`Event::Encoding`] adds up to for each artifact.
pub const ENCODING: u32 = 1000;

/// A step of the build.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An artifact is being encoded.
    Encoding {
        /// Which one.
        what: &'a str,
        /// How much of it is done since the last time, of 1000; a codec that tells nothing adds nothing.
        more: u32,
    },
    /// An artifact is encoded and replayed.
    Done {
        /// Which one.
        what: &'a str,
        /// How many there are.
        of: usize,
        /// Whether it came out of the cache.
        cached: bool,
    },
}

/// A finished release, not yet written anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// File names and contents, the index last.
    pub files: Vec<(String, Vec<u8>)>,
    /// What was built and why.
    pub report: Report,
}

/// What was built and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Name of the product.
    pub product: String,
    /// Version of the target.
    pub target_version: String,
    /// Security counter of every package.
    pub security_counter: u32,
    /// Size of the target in bytes.
    pub target_bytes: u32,
    /// SHA-256 of the target.
    pub target_sha256: Sha256Digest,
    /// What the target's file told.
    pub target_input: Source,
    /// What should not surprise anybody later, each a sentence without its stop.
    pub warnings: Vec<String>,
    /// The packages, the full image last.
    pub artifacts: Vec<Artifact>,
    /// Bases that are served by the full image.
    pub refused: Vec<Refused>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Artifact {
    /// `delta` or `full`.
    pub kind: &'static str,
    /// Name of the codec.
    pub codec: &'static str,
    /// Revision of the encoder.
    pub encoder: u16,
    /// SHA-256 of the base; none for the full image.
    pub base_sha256: Option<Sha256Digest>,
    /// Version of the base, if known.
    pub base_version: Option<String>,
    /// Size of the package file in bytes: all that a device fetches.
    pub download_bytes: u64,
    /// RAM in bytes that the decoder needs at most.
    pub decoder_ram_bytes: u64,
    /// Name of the package file in the release directory.
    pub file: String,
    /// Name of the instruction set that the codec knew, if any.
    pub instruction_set: Option<&'static str>,
    /// What each codec that was tried made of it, the one that is shipped among them.
    pub alternatives: Vec<Alternative>,
}

/// A base for which no delta is shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refused {
    /// SHA-256 of the base.
    pub base_sha256: Sha256Digest,
    /// Version of the base, if known.
    pub base_version: Option<String>,
    /// Bytes that the delta's package would have taken; none if the device could not have decoded it.
    pub delta_bytes: Option<u64>,
    /// Bytes that the full image's package takes.
    pub full_bytes: u64,
    /// Why, in a sentence.
    pub reason: String,
}

/// Builds, replays and signs a release.
///
/// # Errors
/// Any [`Error`]; nothing has been written then.
pub fn build(request: &Request<'_>, progress: Progress<'_>) -> Result<Built> {
    build_with_cache(request, &NoCache, progress)
}

/// The same, where artifacts that were made before come from a cache; they are replayed as any other, unless
/// [`ArtifactCache::was_replayed`] says that they were.
///
/// # Errors
/// As [`build`].
pub fn build_with_cache(
    request: &Request<'_>,
    cache: &dyn ArtifactCache,
    progress: Progress<'_>,
) -> Result<Built> {
    prepare(request, cache, progress)?.sign(request.signer)
}

/// The same without a signature: nobody is asked to sign.
///
/// # Errors
/// Any [`Error`].
pub fn prepare(
    request: &Request<'_>,
    cache: &dyn ArtifactCache,
    progress: Progress<'_>,
) -> Result<Unsigned> {
    check(request)?;
    let jobs: Vec<Option<&Base>> = request.bases.iter().map(Some).chain([None]).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(request.threads.min(jobs.len())).build();
    let pool = pool.map_err(|error| {
        Error::Usage(format!("cannot start {} threads: {error}", request.threads))
    })?;
    let mut made = pool.install(|| {
        let make = |base: &Option<&Base>| make(request, *base, jobs.len(), cache, progress);
        jobs.par_iter().map(make).collect::<Result<Vec<_>>>()
    })?;
    let Some(Outcome::Made(full)) = made.pop() else {
        return Err(Error::Usage("the full image cannot be encoded with this codec".to_owned()));
    };
    Ok(assemble(request, made, *full))
}

/// A release that wants nothing but signatures.
pub struct Unsigned {
    pub(crate) parts: Parts,
    report: Report,
}

/// What the files of a release are made of.
pub(crate) struct Parts {
    pub(crate) bases: Vec<index::Base>,
    /// The full image's last.
    pub(crate) packages: Vec<UnsignedPackage>,
    pub(crate) attachments: Vec<AttachedFile>,
}

/// A package, its place in the index, and the name of its file.
pub(crate) struct UnsignedPackage {
    pub(crate) file: String,
    pub(crate) base: Option<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) package: Package,
}

/// Signs the payload of one file, whose name it is told.
pub(crate) type SignFile<'a> = &'a dyn Fn(&str, &[u8]) -> Result<SignedEnvelope>;

impl Unsigned {
    /// What was built and why.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Signs every package and the index.
    ///
    /// # Errors
    /// What the signer returns; [`Error::SelfCheck`] if its signatures do not count.
    pub fn sign(self, signer: &dyn Signer) -> Result<Built> {
        let keys = Keyring::of(signer);
        let sign = |_: &str, payload: &[u8]| SignedEnvelope::sign(payload, signer);
        Ok(Built { files: self.parts.files(&keys, &sign)?, report: self.report })
    }
}

impl Parts {
    /// The files of the release, the index last.
    pub(crate) fn files(
        &self,
        keys: &Keyring,
        sign: SignFile<'_>,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let (mut files, mut listed) = (Vec::new(), Vec::new());
        for UnsignedPackage { file, base, manifest, package } in &self.packages {
            let bytes = package.behind(sign(file, package.manifest())?);
            let mut block = vec![0; 1 << manifest.block_log2];
            authenticate(&bytes, keys, &mut block)
                .map_err(|error| Error::SelfCheck { what: file.clone(), why: error.to_string() })?;
            listed.push(index_entry(manifest, &bytes, *base));
            files.push((file.clone(), bytes));
        }
        for file in &self.attachments {
            files.push((attachment_file_name(file.kind).to_owned(), file.bytes.clone()));
        }
        let index = self.index(&listed)?;
        files.push((INDEX_FILE.to_owned(), sign(INDEX_FILE, &index)?.0));
        Ok(files)
    }

    /// The payload of the index, which lists the packages as they are signed.
    fn index(&self, packages: &[index::Package]) -> Result<Vec<u8>> {
        let what = || Error::format("the index");
        let no_full = || Error::Usage("there is no full image".to_owned());
        let manifest = self.packages.last().ok_or_else(no_full)?.manifest;
        let release = index::Release {
            product: manifest.product,
            target_version: manifest.target_version,
            hardware: manifest.hardware,
            security_counter: manifest.security_counter,
            target_size: manifest.target_size,
            target_digest: manifest.target_digest,
        };
        let attachments: Vec<_> = self.attachments.iter().map(attachment).collect();
        let mut payload = vec![0; limits::MAX_INDEX_ENVELOPE_BYTES];
        let len = index::emit(&release, &self.bases, packages, &attachments, &mut payload)
            .map_err(what())?;
        payload.truncate(len);
        Ok(payload)
    }
}

/// A package and its description.
struct Made {
    package: Package,
    /// Without the size and the root of the payload, which only the package knows.
    manifest: Manifest,
    instruction_set: Option<&'static str>,
    tried: Vec<Alternative>,
}

enum Outcome {
    Made(Box<Made>),
    Refused { delta_bytes: Option<u64>, reason: String },
}

impl Outcome {
    fn refused(reason: String) -> Self {
        Self::Refused { delta_bytes: None, reason }
    }
}

fn check(request: &Request<'_>) -> Result<()> {
    let (size, slot) = (u64::from(request.target.size()), request.profile.slot_bytes);
    if let Some(slot) = slot.filter(|slot| size > *slot) {
        return Err(Error::SlotTooSmall { got: size, slot });
    }
    let is_empty = |base: &Base| base.image.size() == 0;
    if size == 0 || request.bases.iter().any(is_empty) {
        return Err(Error::EmptyImage(if size == 0 { "target" } else { "base" }));
    }
    if request.bases.len() > limits::MAX_BASES {
        return Err(Error::Usage(format!(
            "{} bases are too many, {} at most",
            request.bases.len(),
            limits::MAX_BASES
        )));
    }
    if request.profile.code == CodeHint::Find {
        request.bases.iter().try_for_each(|base| check_instruction_set(base, &request.target))?;
    }
    Ok(())
}

/// A base for another processor was never on a device that the target is for.
fn check_instruction_set(base: &Base, target: &Image) -> Result<()> {
    let [got, wanted] = [&base.image, target].map(|image| image.source().instruction_set);
    match (got, wanted) {
        (Some(got), Some(wanted)) if got != wanted => {
            let (got, wanted) = (got.name(), wanted.name());
            Err(Error::OtherInstructionSet { base: name(base), got, wanted })
        }
        _ => Ok(()),
    }
}

fn warnings(request: &Request<'_>) -> Vec<String> {
    let elsewhere = |base: &Base| {
        let [got, wanted] = [&base.image, &request.target].map(|image| image.source().load_address);
        let (got, wanted) = got.zip(wanted).filter(|(got, wanted)| got != wanted)?;
        Some(format!(
            "base {} lies at {got:#x}, the target at {wanted:#x}: right only for devices that run images from several slots",
            name(base)
        ))
    };
    match request.profile.load_address {
        Some(_) => Vec::new(),
        None => request.bases.iter().filter_map(elsewhere).collect(),
    }
}

/// Encodes an artifact or takes it out of the cache, and replays it.
fn make(
    request: &Request<'_>,
    base: Option<&Base>,
    of: usize,
    cache: &dyn ArtifactCache,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let what = base.map_or("full image".to_owned(), |base| format!("delta from {}", name(base)));
    let image = base.map(|base| &base.image);
    let told = std::cell::Cell::new(0);
    let report = |done: u32| {
        progress(Event::Encoding { what: &what, more: done.saturating_sub(told.replace(done)) });
    };
    let key = CacheKey::of(image, &request.target, &request.profile);
    // Whatever is wrong with what a cache holds, coding anew mends it.
    let found =
        cache.load(&key).and_then(|entry| kept(request, &what, image, (cache, &key), &entry));
    let cached = found.is_some();
    let outcome = match found {
        Some(made) => Outcome::Made(made),
        None => code(request, &what, image, (cache, &key), &report)?,
    };
    if let Outcome::Made(_) = outcome {
        progress(Event::Encoding { what: &what, more: ENCODING.saturating_sub(told.get()) });
        progress(Event::Done { what: &what, of, cached });
    }
    Ok(outcome)
}

/// What an entry of a cache holds; none if it does not lead to the target on such a device.
fn kept(
    request: &Request<'_>,
    what: &str,
    base: Option<&Image>,
    (cache, key): (&dyn ArtifactCache, &CacheKey),
    entry: &[u8],
) -> Option<Box<Made>> {
    let choice = artifact_cache::parse(key, entry)?;
    let is_possible = is_possible(&choice.best, base, &request.target, &request.profile);
    is_possible.then_some(())?;
    if cache.was_replayed(key, entry) {
        return finish(request, base, choice).ok();
    }
    let made = finish_and_replay(request, what, base, choice).ok()?;
    cache.note_replayed(key, entry);
    Some(made)
}

/// Encodes an artifact, and keeps it once it has proved right.
fn code(
    request: &Request<'_>,
    what: &str,
    base: Option<&Image>,
    (cache, key): (&dyn ArtifactCache, &CacheKey),
    report: &dyn Fn(u32),
) -> Result<Outcome> {
    let choice = match encode(base, &request.target, &request.profile, report) {
        Ok(Some(choice)) => choice,
        Ok(None) => return Ok(Outcome::refused("the codec makes no deltas".to_owned())),
        Err(Error::Encode {
            source:
                source @ (EncodeError::Memory { .. }
                | EncodeError::TooLarge { .. }
                | EncodeError::NoRoom),
            ..
        }) if base.is_some() => return Ok(Outcome::refused(source.to_string())),
        Err(error) => return Err(error),
    };
    let entry = artifact_cache::emit(key, &choice);
    let made = finish_and_replay(request, what, base, choice)?;
    if let Some(entry) = entry {
        cache.store(key, &entry);
        cache.note_replayed(key, &entry);
    }
    Ok(Outcome::Made(made))
}

/// Packs what an encoder made, and replays it.
fn finish_and_replay(
    request: &Request<'_>,
    what: &str,
    base: Option<&Image>,
    choice: Choice,
) -> Result<Box<Made>> {
    let made = finish(request, base, choice)?;
    self_check::replay(what, &made.package, &made.manifest, base, &request.target)?;
    Ok(made)
}

/// Packs what an encoder made.
fn finish(request: &Request<'_>, base: Option<&Image>, choice: Choice) -> Result<Box<Made>> {
    let candidate = choice.best;
    let manifest = manifest(request, base, &candidate);
    let package = Package::new(manifest, &candidate.encoded.payload)?;
    let instruction_set = candidate.encoded.instruction_set.map(InstructionSet::name);
    Ok(Box::new(Made { package, manifest, instruction_set, tried: choice.tried }))
}

fn manifest(request: &Request<'_>, base: Option<&Image>, candidate: &Candidate) -> Manifest {
    Manifest {
        product: request.product,
        target_version: request.target_version,
        hardware: request.hardware,
        security_counter: request.security_counter,
        target_size: request.target.size(),
        target_digest: request.target.digest().0,
        kind: base.map_or(Kind::Full, |base| {
            Kind::Delta(BaseRef { size: base.size(), digest: shorten(&base.digest().0) })
        }),
        codec: candidate.codec,
        encoder: candidate.encoded.encoder,
        memory_class: candidate.memory_class(),
        block_log2: request.profile.block_log2(),
        payload_size: 0,
        root: ShortDigest::default(),
    }
}

/// Drops deltas that do not pay, and names the files.
fn assemble(request: &Request<'_>, deltas: Vec<Outcome>, full: Made) -> Unsigned {
    let full_bytes = full.package.file_bytes();
    let (mut packages, mut artifacts, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut ship = |made: Made, base: Option<(u8, &Base)>| {
        let digest = base.map(|(_, base)| base.image.digest());
        let file = package_file_name(&request.product, &request.target_version, digest);
        artifacts.push(artifact(&made, base.map(|(_, base)| base), file.clone()));
        let Made { package, manifest, .. } = made;
        let base = base.map(|(number, _)| number);
        packages.push(UnsignedPackage { file, base, manifest, package });
    };
    for (number, (outcome, base)) in deltas.into_iter().zip(&request.bases).enumerate() {
        let (delta_bytes, reason) = match outcome {
            Outcome::Made(made) => {
                let bytes = made.package.file_bytes();
                if pays(bytes, full_bytes) {
                    ship(*made, Some((u8::try_from(number).unwrap_or(u8::MAX), base)));
                    continue;
                }
                (Some(bytes), not_clearly_smaller(bytes, full_bytes))
            }
            Outcome::Refused { delta_bytes, reason } => (delta_bytes, reason),
        };
        let (base_sha256, base_version) = (base.image.digest(), base.version.clone());
        refused.push(Refused { base_sha256, base_version, delta_bytes, full_bytes, reason });
    }
    ship(full, None);
    let report = Report {
        product: request.product.to_string(),
        target_version: request.target_version.to_string(),
        security_counter: request.security_counter,
        target_bytes: request.target.size(),
        target_sha256: request.target.digest(),
        target_input: request.target.source().clone(),
        warnings: warnings(request),
        artifacts,
        refused,
    };
    let listed =
        |base: &Base| index::Base { size: base.image.size(), digest: base.image.digest().0 };
    let bases = request.bases.iter().map(listed).collect();
    let parts = Parts { bases, packages, attachments: request.attachments.clone() };
    Unsigned { parts, report }
}

fn index_entry(manifest: &Manifest, file: &[u8], base: Option<u8>) -> index::Package {
    index::Package {
        base,
        codec: manifest.codec,
        memory_class: manifest.memory_class,
        block_log2: manifest.block_log2,
        encoder: manifest.encoder,
        size: u32::try_from(file.len()).unwrap_or(u32::MAX),
        digest: Sha256Digest::of(file).0,
    }
}

fn artifact(made: &Made, base: Option<&Base>, file: String) -> Artifact {
    Artifact {
        kind: made.manifest.kind.name(),
        codec: made.manifest.codec.name(),
        encoder: made.manifest.encoder,
        base_sha256: base.map(|base| base.image.digest()),
        base_version: base.and_then(|base| base.version.clone()),
        download_bytes: made.package.file_bytes(),
        decoder_ram_bytes: made.manifest.decoder_ram_bytes().into(),
        file,
        instruction_set: made.instruction_set,
        alternatives: made.tried.clone(),
    }
}

fn attachment(file: &AttachedFile) -> Attachment {
    let size = u32::try_from(file.bytes.len()).unwrap_or(u32::MAX);
    Attachment { kind: file.kind, size, digest: Sha256Digest::of(&file.bytes).0 }
}

fn pays(delta_bytes: u64, full_bytes: u64) -> bool {
    let wanted = (full_bytes * MIN_SAVING_PERCENT).div_ceil(100).min(MIN_SAVING_BYTES);
    delta_bytes + wanted <= full_bytes
}

fn not_clearly_smaller(delta_bytes: u64, full_bytes: u64) -> String {
    format!(
        "a delta of {delta_bytes} bytes saves less than {MIN_SAVING_PERCENT} % and less than {MIN_SAVING_BYTES} bytes \
         of the full image's {full_bytes}"
    )
}

fn name(base: &Base) -> String {
    base.version.clone().unwrap_or_else(|| base.image.digest().short())
}

/// How many digits of a base's SHA-256 its package's name carries: enough that no two bases share them.
const NAME_DIGITS: usize = 16;

/// The name of a package file; `base` is that of a delta.
#[must_use]
pub fn package_file_name(product: &Label, version: &Label, base: Option<Sha256Digest>) -> String {
    match base {
        Some(base) => format!("{product}-{version}-from-{base:.NAME_DIGITS$}.pkg"),
        None => format!("{product}-{version}-full.pkg"),
    }
}

/// The name of an attachment in a release directory.
#[must_use]
pub fn attachment_file_name(kind: AttachmentKind) -> &'static str {
    match kind {
        AttachmentKind::Notes => "release-notes.md",
        _ => "sbom.json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_pays_from_ten_percent_or_a_kibibyte_on() {
        assert!(pays(900, 1000));
        assert!(!pays(901, 1000));
        assert!(pays(499_000, 500_024) && !pays(499_001, 500_024));
    }
}
