use std::path::PathBuf;

use serde::Serialize;
use whittle_release::image::hex;
use whittle_release::keys::{Keyring, PrivateKey};

use crate::error::Result;
use crate::printer::Printer;

/// Make an Ed25519 key pair for signing releases.
///
/// Writes `release.key.pem` (PKCS#8, readable by its owner alone) and `release.pub.pem` (SubjectPublicKeyInfo). An
/// existing key is never overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory for the two files; it is created if need be.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Generated {
    private_key: String,
    public_key: String,
    key_id: String,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let key = PrivateKey::generate()?;
    let (private_key, public_key) = key.write_pair(&args.out)?;
    let key_id = Keyring::of(&key).ids().map(|id| hex(&id)).collect();
    let [private_key, public_key] =
        [private_key, public_key].map(|path| path.display().to_string());
    printer.result(&Generated { private_key, public_key, key_id }, |made| {
        format!(
            "private key  {}\npublic key   {}\nkey id       {}",
            made.private_key, made.public_key, made.key_id
        )
    })?;
    printer.note("Keep the private key out of the repository; devices and `whittle verify` need the public key only.");
    Ok(())
}
