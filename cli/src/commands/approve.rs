use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::approval::SignedApproval;
use whittle_release::directory::VerifiedRelease;
use whittle_release::files::{self, DirectoryLock};
use whittle_release::image::{Sha256Digest, hex};

use super::TrustArgs;
use super::signing::SignerArgs;
use crate::error::{Error, Result};
use crate::printer::Printer;
use crate::schema;

/// Approve the target of a release, for devices that want more than one key to do so.
///
/// The release is verified first. Whoever approves should have built the same image from the same sources: an approval
/// covers every package that leads to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The release directory.
    release: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// File of the approval; if it is there already, a signature is added.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,

    #[command(flatten)]
    signer: SignerArgs,
}

/// An approval of a release, with the signatures that it has by now.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Approved {
    /// Path of the approval.
    file: String,
    /// Name of the product.
    product: String,
    /// Version of the target.
    target_version: String,
    /// SHA-256 of the target image.
    target_sha256: Sha256Digest,
    /// Ids of the keys that have signed it.
    #[schemars(inner(regex(pattern = schema::HEX_8_BYTES)))]
    signed_by: Vec<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let keyring = args.trust.keyring()?;
    let release = VerifiedRelease::open(&args.release, &keyring)?;
    release.verify_files()?;
    let index = release.index();
    let new = SignedApproval::of(index)?;
    // Whoever approves at the same time adds to what this one has written.
    let _lock = DirectoryLock::wait(files::parent(&args.to))?;
    let mut approval = if args.to.exists() { SignedApproval::read(&args.to)? } else { new.clone() };
    if approval.approval != new.approval {
        return Err(Error::Usage(format!("`{}` approves another target", args.to.display())));
    }
    approval.check(&keyring.0)?;
    approval.sign(&*args.signer.joint_signer("approval")?)?;
    approval.write(&args.to)?;
    let approved = Approved {
        file: args.to.display().to_string(),
        product: index.release.product.to_string(),
        target_version: index.release.target_version.to_string(),
        target_sha256: Sha256Digest(index.release.target_digest),
        signed_by: approval.signers().map(|id| hex(&id)).collect(),
    };
    printer.result(&approved, |approved| {
        format!(
            "{}: {} {}, target {}, approved by {}",
            approved.file,
            approved.product,
            approved.target_version,
            approved.target_sha256.short(),
            approved.signed_by.join(", ")
        )
    })
}
