//! Releases that are signed elsewhere: what is to be signed goes out as files, and signatures come back as files.
//!
//! ```text
//! release.json        which packages belong together, and the public key that is to sign them
//! <file>.unsigned     a package, with zeros for its signature; an attachment, as it is
//! <file>.tbs          what is to be signed: Ed25519 over the whole file
//! <file>.sig          the signature, put here by whoever signs
//! index.cose.tbs      the same for the index, once the packages are signed: it lists what their files hash to
//! ```
//!
//! Ed25519 knows one signature of a key over a message, so that a release is the same, byte for byte, as if the key had been
//! at hand. Nothing in the directory is trusted: a signature that does not fit what was put down is refused.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use whittle_format::Manifest;
use whittle_format::envelope::Envelope;
use whittle_format::index::{self, AttachmentKind};

use crate::build::{
    AttachedFile, INDEX_FILE, Parts, Unsigned, UnsignedPackage, attachment_file_name,
    package_file_name,
};
use crate::image::{Sha256Digest, from_hex, hex};
use crate::keys::{DetachedSigner, Keyring, PublicKey, key_id};
use crate::package::{Package, SignedEnvelope};
use crate::{Error, Result, directory, files};

/// Name of the file that tells what belongs together.
pub const PLAN_FILE: &str = "release.json";

const SCHEMA: u32 = 1;
const MAX_PLAN_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    schema: u32,
    public_key: String,
    key_id: String,
    bases: Vec<PlannedBase>,
    packages: Vec<PlannedPackage>,
    attachments: Vec<PlannedAttachment>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannedBase {
    size: u32,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannedPackage {
    file: String,
    /// Number of its base; none for the full image.
    base: Option<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannedAttachment {
    file: String,
}

/// How far a release has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// Its files, the index last.
    Complete(Vec<(String, Vec<u8>)>),
    /// These files are to be signed next.
    Wanted(Vec<PathBuf>),
}

/// Puts a release down to be signed, in a directory that does not exist yet or is empty; returns what is to be signed first.
///
/// # Errors
/// As [`directory::write`].
pub fn emit(unsigned: &Unsigned, key: PublicKey, out: &Path) -> Result<Vec<PathBuf>> {
    let mut contents = Vec::new();
    for package in &unsigned.parts.packages {
        contents.push((unsigned_file(&package.file), package.package.unsigned()?));
    }
    for file in &unsigned.parts.attachments {
        contents.push((unsigned_file(attachment_file_name(file.kind)), file.bytes.clone()));
    }
    let plan = serde_json::to_vec_pretty(&plan(&unsigned.parts, &key));
    let plan = plan.map_err(Error::json(format!("`{PLAN_FILE}`")))?;
    contents.push((PLAN_FILE.to_owned(), plan));
    directory::write(out, &contents)?;
    match attach(out)? {
        Attached::Wanted(files) => Ok(files),
        Attached::Complete(_) => Ok(Vec::new()),
    }
}

fn plan(unsigned: &Parts, key: &PublicKey) -> Plan {
    let base = |base: &index::Base| PlannedBase { size: base.size, sha256: hex(&base.digest) };
    let package = |package: &UnsignedPackage| PlannedPackage {
        file: package.file.clone(),
        base: package.base,
    };
    let attachment = |file: &AttachedFile| PlannedAttachment {
        file: attachment_file_name(file.kind).to_owned(),
    };
    Plan {
        schema: SCHEMA,
        public_key: hex(key),
        key_id: hex(&key_id(key)),
        bases: unsigned.bases.iter().map(base).collect(),
        packages: unsigned.packages.iter().map(package).collect(),
        attachments: unsigned.attachments.iter().map(attachment).collect(),
    }
}

/// Takes the signatures that are there, and finishes the release or tells what is to be signed next.
///
/// # Errors
/// [`Error::WrongSignature`]; [`Error::Io`], [`Error::Json`], [`Error::Format`] or [`Error::BadPlan`] for a directory that is
/// not as [`emit`] left it.
pub fn attach(directory: &Path) -> Result<Attached> {
    let (unsigned, key) = read(directory)?;
    let signer = |file: &str| DetachedSigner::new(directory, file, key);
    let sign = |file: &str, payload: &[u8]| SignedEnvelope::sign(payload, &signer(file));
    let mut wanted = Vec::new();
    for package in &unsigned.packages {
        match sign(&package.file, package.package.manifest()) {
            Err(Error::SignatureWanted(file)) => wanted.push(file),
            other => _ = other?,
        }
    }
    if !wanted.is_empty() {
        return Ok(Attached::Wanted(wanted));
    }
    match unsigned.files(&Keyring(vec![key]), &sign) {
        Err(Error::SignatureWanted(file)) => Ok(Attached::Wanted(vec![file])),
        other => other.map(Attached::Complete),
    }
}

fn read(directory: &Path) -> Result<(Parts, PublicKey)> {
    let plan = read_plan(directory)?;
    let wrong =
        |what: &str| Error::BadPlan { path: directory.join(PLAN_FILE), what: what.to_owned() };
    if plan.schema != SCHEMA {
        return Err(wrong("schema"));
    }
    let key: PublicKey = from_hex(&plan.public_key).ok_or_else(|| wrong("public_key"))?;
    if from_hex(&plan.key_id) != Some(key_id(&key)) {
        return Err(wrong("key_id"));
    }
    let bases = plan.bases.iter().map(|base| {
        let digest = from_hex(&base.sha256).ok_or_else(|| wrong("bases"))?;
        Ok(index::Base { size: base.size, digest })
    });
    let bases: Vec<_> = bases.collect::<Result<_>>()?;
    let mut packages = Vec::new();
    for planned in &plan.packages {
        let package = read_package(directory, planned, &bases)?;
        packages.push(package.ok_or_else(|| wrong("packages"))?);
    }
    if packages.last().is_none_or(|package: &UnsignedPackage| package.base.is_some()) {
        return Err(wrong("packages"));
    }
    let mut attachments = Vec::new();
    for planned in &plan.attachments {
        let kinds = [AttachmentKind::Notes, AttachmentKind::Sbom];
        let kind = kinds.into_iter().find(|kind| attachment_file_name(*kind) == planned.file);
        let kind = kind.ok_or_else(|| wrong("attachments"))?;
        let bytes = directory::read_package_file(&directory.join(unsigned_file(&planned.file)))?;
        attachments.push(AttachedFile { kind, bytes });
    }
    Ok((Parts { bases, packages, attachments }, key))
}

fn read_plan(directory: &Path) -> Result<Plan> {
    let path = directory.join(PLAN_FILE);
    let too_large = || Error::FileTooLarge { path: path.clone(), limit: MAX_PLAN_BYTES };
    let json = files::read_at_most(&path, MAX_PLAN_BYTES)?.ok_or_else(too_large)?;
    serde_json::from_slice(&json).map_err(Error::json(format!("`{}`", path.display())))
}

/// Reads a package; `None` if its name is not the one that it must have.
fn read_package(
    directory: &Path,
    planned: &PlannedPackage,
    bases: &[index::Base],
) -> Result<Option<UnsignedPackage>> {
    // A name with a path in it must not be opened, and none that we make has one.
    if planned.file.contains(['/', '\\']) || planned.file == INDEX_FILE {
        return Ok(None);
    }
    let bytes = directory::read_package_file(&directory.join(unsigned_file(&planned.file)))?;
    let what = || format!("`{}`", unsigned_file(&planned.file));
    let (envelope, blocks) = Envelope::parse(&bytes).map_err(Error::format(what()))?;
    let manifest = Manifest::parse(envelope.payload).map_err(Error::format(what()))?;
    let base = match planned.base {
        None => None,
        Some(number) => match bases.get(usize::from(number)) {
            Some(base) => Some(Sha256Digest(base.digest)),
            None => return Ok(None),
        },
    };
    let name = package_file_name(&manifest.product, &manifest.target_version, base);
    let package = Package::from_parts(envelope.payload, blocks);
    let fits = name == planned.file && manifest.base().is_some() == base.is_some();
    let file = planned.file.clone();
    Ok(fits.then_some(UnsignedPackage { file, base: planned.base, manifest, package }))
}

fn unsigned_file(file: &str) -> String {
    format!("{file}.unsigned")
}
