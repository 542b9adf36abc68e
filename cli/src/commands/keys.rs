use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::limits::MAX_KEYS_FILE_BYTES;
use whittle_patcher_nostd::{FactoryKeys, KeySet, Roles, TrustedKey};
use whittle_release::files::{self, DirectoryLock};
use whittle_release::image::hex;
use whittle_release::keys::{KeyId, key_id, read_public, read_public_for_use};
use whittle_release::keys_file::{
    KeyDocument, KeysFile, ROLE_NAMES, parse_id, parse_role, role_names,
};

use super::signing::SignerArgs;
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, table};
use crate::schema;

/// Change whom devices in the field trust: add keys, retire them, revoke them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Sign(SignArgs),
    Rotate(RotateArgs),
    Revoke(RevokeArgs),
    Cosign(CosignArgs),
    Show(ShowArgs),
}

/// Sign a document of keys that is written as JSON.
///
/// The JSON is described in `docs/keys.md`. The result is a keys file of at most 1024 bytes, which devices take with
/// `accept_keys`.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// The keys, as JSON.
    source: PathBuf,

    /// Keys file that the document is to follow; without it, the keys of the firmware sign.
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,

    #[command(flatten)]
    common: CommonArgs,
}

/// Trust further keys, and take in nothing new of others.
#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// Keys file that is to be followed.
    #[arg(long, value_name = "FILE")]
    after: PathBuf,

    /// Public key to trust from now on; may be given several times.
    #[arg(long = "add", value_name = "FILE")]
    added: Vec<PathBuf>,

    /// What the added keys are trusted for, with commas between: `keys`, `packages`, `flags`, `stages`, or `all`.
    #[arg(long, value_name = "ROLES", default_value = "packages,flags,stages", value_parser = roles)]
    roles: Roles,

    /// Key that signs nothing new from now on, by its id or file; images that it has signed and that are installed go on
    /// booting.
    #[arg(long = "retire", value_name = "KEY")]
    retired: Vec<String>,

    /// Key that is not trusted at all from now on; devices whose image it has signed refuse that.
    #[arg(long = "drop", value_name = "KEY")]
    dropped: Vec<String>,

    /// Key that is never trusted again, whatever a later document says; otherwise as `--retire`.
    #[arg(long = "revoke", value_name = "KEY")]
    revoked: Vec<String>,

    /// How many keys must sign the next document [default: as before].
    #[arg(long, value_name = "N")]
    key_threshold: Option<u8>,

    /// How many keys must approve a target [default: as before].
    #[arg(long, value_name = "N")]
    package_threshold: Option<u8>,

    #[command(flatten)]
    common: CommonArgs,
}

/// Never trust a key again, whatever a later document says.
///
/// Images that it has signed and that are installed go on booting, so that no device is lost: `keys rotate --drop` ends that,
/// once devices run others.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Keys to revoke, by their ids or files.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,

    /// Keys file that is to be followed.
    #[arg(long, value_name = "FILE")]
    after: PathBuf,

    #[command(flatten)]
    common: CommonArgs,
}

/// Add a signature to the newest document of a keys file.
#[derive(Debug, clap::Args)]
pub(crate) struct CosignArgs {
    /// The keys file.
    file: PathBuf,

    #[command(flatten)]
    common: CommonArgs,
}

/// Show what a keys file says, and whether devices take it.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The keys file.
    file: PathBuf,

    #[command(flatten)]
    factory: FactoryArgs,
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// The keys file that is made; it is replaced if it exists.
    #[arg(long, value_name = "FILE")]
    out: OutFile,

    #[command(flatten)]
    factory: FactoryArgs,

    /// Trust development keys, too.
    #[arg(long)]
    allow_development: bool,

    #[command(flatten)]
    signer: SignerArgs,
}

/// The keys that firmware comes with and that sign documents of keys.
#[derive(Debug, clap::Args)]
struct FactoryArgs {
    /// Public key that firmware comes with and that signs documents of keys; may be given several times.
    #[arg(long = "factory", value_name = "FILE")]
    factory: Vec<PathBuf>,

    /// How many of them must sign.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "factory")]
    factory_threshold: u8,
}

impl FactoryArgs {
    fn keys(&self) -> Result<Vec<TrustedKey>> {
        let trusted =
            |file: &PathBuf| Ok(TrustedKey { public_key: read_public(file)?, roles: Roles::ALL });
        self.factory.iter().map(trusted).collect()
    }

    fn set<'a>(&self, keys: &'a [TrustedKey]) -> Option<FactoryKeys<'a>> {
        let key_threshold = self.factory_threshold;
        (!keys.is_empty()).then_some(FactoryKeys { keys, key_threshold, package_threshold: 1 })
    }
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    // Whoever signs at the same time adds to what this one has written.
    let _lock = match command {
        Command::Sign(SignArgs { common, .. })
        | Command::Rotate(RotateArgs { common, .. })
        | Command::Revoke(RevokeArgs { common, .. })
        | Command::Cosign(CosignArgs { common, .. }) => {
            Some(DirectoryLock::wait(files::parent(&common.out))?)
        }
        Command::Show(_) => None,
    };
    match command {
        Command::Sign(args) => sign(args, printer),
        Command::Rotate(args) => rotate(args, printer),
        Command::Revoke(args) => revoke(args, printer),
        Command::Cosign(args) => finish(KeysFile::read(&args.file)?, &args.common, printer),
        Command::Show(args) => show(args, printer),
    }
}

fn sign(args: &SignArgs, printer: &Printer) -> Result {
    let document = KeyDocument::read(&args.source, args.common.allow_development)?;
    match &args.after {
        Some(path) => follow(KeysFile::read(path)?, document, &args.common, printer),
        None => finish(KeysFile::new(document)?, &args.common, printer),
    }
}

fn rotate(args: &RotateArgs, printer: &Printer) -> Result {
    let file = KeysFile::read(&args.after)?;
    let mut document = next(&file)?;
    let gone = [&args.retired, &args.revoked, &args.dropped].into_iter().flatten();
    let gone = gone.map(|text| id(text)).collect::<Result<Vec<_>>>()?;
    for added in &args.added {
        let key = read_public_for_use(added, args.common.allow_development)?;
        if gone.contains(&key_id(&key)) {
            let why = format!("`{}` is both added and taken away", added.display());
            return Err(Error::Usage(why));
        }
        document.trust(key, args.roles);
    }
    for retired in &args.retired {
        document.retire(id(retired)?)?;
    }
    for revoked in &args.revoked {
        revoke_one(&mut document, id(revoked)?, printer);
    }
    for dropped in &args.dropped {
        document.forget(id(dropped)?)?;
    }
    let head = &mut document.head;
    head.key_threshold = args.key_threshold.unwrap_or(head.key_threshold);
    head.package_threshold = args.package_threshold.unwrap_or(head.package_threshold);
    if document == next(&file)? {
        return Err(Error::Usage("nothing would change: name keys or thresholds".to_owned()));
    }
    follow(file, document, &args.common, printer)
}

fn revoke(args: &RevokeArgs, printer: &Printer) -> Result {
    let file = KeysFile::read(&args.after)?;
    let mut document = next(&file)?;
    for key in &args.keys {
        revoke_one(&mut document, id(key)?, printer);
    }
    follow(file, document, &args.common, printer)
}

fn revoke_one(document: &mut KeyDocument, id: KeyId, printer: &Printer) {
    if !document.revoke(id) {
        printer.note(&format!("key {} was not trusted; from now on, it never is again", hex(&id)));
    }
}

/// The newest document with the next version.
fn next(file: &KeysFile) -> Result<KeyDocument> {
    let mut document = file.newest().clone();
    let version = document.head.version.checked_add(1);
    let full = || Error::Usage("there is no version above this one".to_owned());
    document.head.version = version.ok_or_else(full)?;
    Ok(document)
}

/// A key by its id, or by its file.
fn id(text: &str) -> Result<KeyId> {
    match parse_id(text) {
        Ok(id) => Ok(id),
        Err(_) => Ok(key_id(&read_public(Path::new(text))?)),
    }
}

fn roles(text: &str) -> Result<Roles, String> {
    let mut roles = Roles::NONE;
    for name in text.split(',') {
        let role = parse_role(name.trim()).ok_or_else(|| {
            let known = ROLE_NAMES.map(|(name, _)| name).join("`, `");
            format!("`{name}` is no role: `{known}` and `all` are")
        })?;
        roles = roles.and(role);
    }
    Ok(roles)
}

fn follow(file: KeysFile, document: KeyDocument, args: &CommonArgs, printer: &Printer) -> Result {
    let keys = args.factory.keys()?;
    let origin = args.factory.set(&keys).map(|factory| KeySet::new(&factory));
    finish(file.then(document, origin.as_ref())?, args, printer)
}

/// Signs the newest document and writes the file.
fn finish(mut file: KeysFile, args: &CommonArgs, printer: &Printer) -> Result {
    let keys = args.factory.keys()?;
    let origin = args.factory.set(&keys).map(|factory| KeySet::new(&factory));
    file.check(origin.as_ref())?;
    file.sign(&*args.signer.joint_signer("keys")?)?;
    file.check(origin.as_ref())?;
    file.write(&args.out)?;
    let view = FileView::of(&args.out, &file, origin.as_ref(), None)?;
    printer.result(&view, FileView::line)?;
    if let (signatures, Some(wanted)) = (view.signatures, view.signatures_wanted)
        && signatures < usize::from(wanted)
    {
        printer.note(&format!(
            "{} more signatures are wanted before devices take it: `whittle keys cosign`",
            usize::from(wanted) - signatures
        ));
    }
    match file.changes_that_fit(origin.as_ref()) {
        0 => printer.note("no other change of those who sign fits this file any more"),
        1 => printer
            .note("one more change of those who sign fits this file: keep it for a revocation"),
        _ => {}
    }
    Ok(())
}

fn show(args: &ShowArgs, printer: &Printer) -> Result {
    let file = KeysFile::read(&args.file)?;
    let keys = args.factory.keys()?;
    let factory = args.factory.set(&keys);
    if let Some(factory) = &factory {
        file.follow(&args.file, factory)?;
    }
    let origin = factory.map(|factory| KeySet::new(&factory));
    let view = FileView::of(&args.file, &file, origin.as_ref(), Some(factory.is_some()))?;
    printer.result(&view, |view| {
        let trust = match view.verified {
            Some(true) => "VERIFIED: devices with these keys take it",
            _ => "UNVERIFIED: name the keys of the firmware with `--factory`",
        };
        let documents = view.documents.iter().map(|document| {
            let signers = document.signed_by.join(", ");
            vec![document.version.to_string(), document.keys.to_string(), signers]
        });
        let rows = view.keys.iter().map(|key| vec![key.key_id.clone(), key.roles.join(", ")]);
        let revoked = view.revoked.iter().map(|id| vec![id.clone(), "REVOKED".to_owned()]);
        format!(
            "{trust}\n{}\n\n{}\n\n{}",
            view.line(),
            table(&["version", "keys", "signed by"], documents),
            table(&["key", "trusted for"], rows.chain(revoked)),
        )
    })
}

/// A keys file: whom devices trust once they have taken it.
#[derive(JsonSchema, Serialize)]
pub(crate) struct FileView {
    /// Path of the keys file.
    file: String,
    /// Whether it leads from the firmware's keys to these; absent if nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// Name of the product.
    product: String,
    /// Version of its newest document.
    version: u32,
    /// How many keys must sign the next document.
    key_threshold: u8,
    /// How many keys must approve a target.
    package_threshold: u8,
    /// The keys that devices trust.
    keys: Vec<KeyView>,
    /// Ids of keys that are never trusted again.
    #[schemars(inner(regex(pattern = schema::HEX_8_BYTES)))]
    revoked: Vec<String>,
    /// Its documents, the oldest first.
    documents: Vec<DocumentView>,
    /// How many signatures of its newest document count.
    signatures: usize,
    /// How many are wanted; absent if the firmware's keys sign, and are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures_wanted: Option<u8>,
    /// Size of the file in bytes.
    bytes: usize,
    /// Most bytes that devices take.
    limit_bytes: usize,
}

/// A key, and what it is trusted for.
#[derive(JsonSchema, Serialize)]
struct KeyView {
    /// Id of the key.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
    /// The 32 raw bytes in hexadecimal digits.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    public_key: String,
    /// What it is trusted for.
    roles: Vec<&'static str>,
}

/// A document of keys.
#[derive(JsonSchema, Serialize)]
struct DocumentView {
    /// Its version.
    version: u32,
    /// How many keys it lists.
    keys: usize,
    /// Ids of the keys that have signed it.
    #[schemars(inner(regex(pattern = schema::HEX_8_BYTES)))]
    signed_by: Vec<String>,
}

impl FileView {
    fn of(
        path: &Path,
        file: &KeysFile,
        origin: Option<&KeySet>,
        verified: Option<bool>,
    ) -> Result<Self> {
        let newest = file.newest();
        let documents = file.documents().map(|(document, signers)| DocumentView {
            version: document.head.version,
            keys: document.keys.len(),
            signed_by: signers.iter().map(|id| hex(id)).collect(),
        });
        let documents: Vec<_> = documents.collect();
        let all = documents.last().map_or(0, |newest| newest.signed_by.len());
        let counted = file.signatures(origin);
        let key = |key: &TrustedKey| KeyView {
            key_id: hex(&key_id(&key.public_key)),
            public_key: hex(&key.public_key),
            roles: role_names(key.roles).collect(),
        };
        Ok(Self {
            file: path.display().to_string(),
            verified,
            product: newest.head.product.to_string(),
            version: newest.head.version,
            key_threshold: newest.head.key_threshold,
            package_threshold: newest.head.package_threshold,
            keys: newest.keys.iter().map(key).collect(),
            revoked: newest.revoked.iter().map(|id| hex(id)).collect(),
            documents,
            signatures: counted.map_or(all, |(signatures, _)| signatures),
            signatures_wanted: counted.map(|(_, wanted)| wanted),
            bytes: file.emit()?.len(),
            limit_bytes: MAX_KEYS_FILE_BYTES,
        })
    }

    fn line(&self) -> String {
        let wanted = self.signatures_wanted.map_or(String::new(), |wanted| format!(" of {wanted}"));
        format!(
            "{}: {} keys of {}, version {}, {} revoked, {}{wanted} signatures, {} of {} bytes",
            self.file,
            self.keys.len(),
            self.product,
            self.version,
            self.revoked.len(),
            self.signatures,
            self.bytes,
            self.limit_bytes
        )
    }
}
