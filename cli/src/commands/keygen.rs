use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::image::hex;
use whittle_release::keys::{KeyFormat, Keyring, Passphrase, PrivateKey};

use super::signing::{PassphraseArgs, prompt};
use crate::error::{Error, Result};
use crate::printer::Printer;
use crate::schema;

/// Make an Ed25519 key pair for signing releases.
///
/// Writes `release.key.pem` (PKCS#8, readable by its owner alone) and `release.pub.pem` (SubjectPublicKeyInfo), or
/// `release.key` and `release.pub` as minisign has them. An existing key is never overwritten. Without a passphrase the
/// private key is not encrypted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory for the two files; it is created if need be.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// How the files are written.
    #[arg(long, value_enum, default_value_t = FormatArg::Pkcs8, value_name = "FORMAT")]
    key_format: FormatArg,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    /// Ask for the passphrase at the terminal.
    #[arg(long, conflicts_with_all = ["passphrase_env", "passphrase_file"])]
    passphrase_prompt: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    /// PEM that OpenSSL and imgtool read, too.
    Pkcs8,
    /// As minisign and rsign2 have them.
    Minisign,
}

/// A pair of keys that was made. The private key itself is never printed.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Generated {
    /// Path of the private key.
    private_key: String,
    /// Path of the public key.
    public_key: String,
    /// Id of the key.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
    /// Whether the private key is behind a passphrase.
    encrypted: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let passphrase = passphrase(args)?;
    let format = match args.key_format {
        FormatArg::Pkcs8 => KeyFormat::Pkcs8,
        FormatArg::Minisign => KeyFormat::Minisign,
    };
    let key = PrivateKey::generate()?;
    let (private_key, public_key) = key.write_pair_as(format, passphrase.as_ref(), &args.out)?;
    let key_id = Keyring::of(&key).ids().map(|id| hex(&id)).collect();
    let [private_key, public_key] =
        [private_key, public_key].map(|path| path.display().to_string());
    let encrypted = passphrase.is_some();
    printer.result(&Generated { private_key, public_key, key_id, encrypted }, |made| {
        format!(
            "private key  {}\npublic key   {}\nkey id       {}",
            made.private_key, made.public_key, made.key_id
        )
    })?;
    printer.note("Keep the private key out of the repository; devices and `whittle verify` need the public key only.");
    Ok(())
}

fn passphrase(args: &Args) -> Result<Option<Passphrase>> {
    let passphrase =
        if args.passphrase_prompt { Some(ask_twice()?) } else { args.passphrase.given()? };
    match passphrase {
        Some(passphrase) if passphrase.is_empty() => {
            Err(Error::Usage("the passphrase is empty".to_owned()))
        }
        other => Ok(other),
    }
}

fn ask_twice() -> Result<Passphrase> {
    let no_terminal = || Error::Usage("there is no terminal to ask at".to_owned());
    let first = prompt("passphrase: ").ok_or_else(no_terminal)?;
    let second = prompt("once more: ").ok_or_else(no_terminal)?;
    if first == second {
        Ok(first)
    } else {
        Err(Error::Usage("the two passphrases differ".to_owned()))
    }
}
