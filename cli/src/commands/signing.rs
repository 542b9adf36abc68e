//! Who signs, for every command that does: a key, a command, or somebody elsewhere.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use whittle_release::Error as ReleaseError;
use whittle_release::development_key;
use whittle_release::image::hex;
use whittle_release::keys::{
    self, CommandSigner, DetachedSigner, KeySource, Passphrase, PrivateKey, PublicKey, Signer,
    key_id,
};

use crate::error::{Error, Result};

/// The private key of a command that signs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SignerArgs {
    /// Private key to sign with, in PKCS#8 PEM or minisign's format: a file, or `env:` and the name of a variable that
    /// holds the text of one.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["signer_cmd", "emit_tbs"])]
    key: Option<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    /// Command that signs: it gets on its standard input what is to be signed, and writes the 64 bytes of an Ed25519
    /// signature, raw, in hexadecimal digits or in base64. No shell is involved.
    #[arg(long, value_name = "COMMAND", requires = "signer_pubkey", conflicts_with = "emit_tbs")]
    signer_cmd: Option<String>,

    /// Seconds that the command may take for each signature.
    #[arg(long, value_name = "SECONDS", default_value_t = keys::DEFAULT_TIMEOUT.as_secs())]
    signer_timeout: u64,

    /// Write what is to be signed into this directory, for a key that is elsewhere. Where signatures have come back, the
    /// same command takes them; a release is finished by `attach`.
    #[arg(long, value_name = "DIR", requires = "signer_pubkey")]
    pub(crate) emit_tbs: Option<PathBuf>,

    /// Public key of the signer, which every signature is checked with.
    #[arg(long, value_name = "FILE")]
    signer_pubkey: Option<PathBuf>,
}

impl SignerArgs {
    /// Who signs; `name` is what files are called that are signed elsewhere.
    pub(crate) fn signer(&self, name: &str) -> Result<Box<dyn Signer>> {
        if let Some(key) = &self.key {
            return Ok(Box::new(read_key(key, &self.passphrase)?));
        }
        if let Some(command) = &self.signer_cmd {
            let timeout = Duration::from_secs(self.signer_timeout);
            return Ok(Box::new(CommandSigner::new(command, self.public_key()?, timeout)?));
        }
        match &self.emit_tbs {
            Some(directory) => {
                std::fs::create_dir_all(directory).map_err(|source| ReleaseError::Io {
                    action: "create",
                    path: directory.clone(),
                    source,
                })?;
                Ok(Box::new(DetachedSigner::new(directory, name, self.public_key()?)))
            }
            None => Err(Error::Usage(
                "nobody signs: `--key`, `--signer-cmd` or `--emit-tbs` is wanted".to_owned(),
            )),
        }
    }

    /// Who signs besides others: files that are signed elsewhere have the key's id in their names.
    pub(crate) fn joint_signer(&self, name: &str) -> Result<Box<dyn Signer>> {
        match &self.emit_tbs {
            Some(_) => self.signer(&format!("{name}-{}", hex(&key_id(&self.public_key()?)))),
            None => self.signer(name),
        }
    }

    /// Whether it is a development key that signs, as far as that can be told.
    pub(crate) fn is_development(&self) -> Result<bool> {
        let file = match self.key.as_deref().map(KeySource::of).transpose()? {
            Some(KeySource::Variable(name)) => {
                return Ok(development_key::is_marked(&variable(name)?));
            }
            Some(KeySource::File(file)) => Some(file),
            None => self.signer_pubkey.as_deref(),
        };
        // A pipe can be read once only: by who signs.
        let file = file.filter(|file| file.is_file());
        Ok(file.map(keys::is_development_file).transpose()?.unwrap_or(false))
    }

    /// The public key of a signer that is elsewhere.
    pub(crate) fn public_key(&self) -> Result<PublicKey> {
        match &self.signer_pubkey {
            Some(file) => Ok(keys::read_public(file)?),
            None => Err(Error::Usage("`--signer-pubkey` is wanted".to_owned())),
        }
    }
}

/// Where a passphrase comes from; never from the command line itself, which everybody on the machine can read.
#[derive(Debug, clap::Args)]
pub(crate) struct PassphraseArgs {
    /// Variable of the environment that holds the key's passphrase.
    #[arg(long, value_name = "NAME", conflicts_with = "passphrase_file")]
    passphrase_env: Option<String>,

    /// File whose first line is the key's passphrase.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase that was given by other means than the terminal.
    pub(crate) fn given(&self) -> Result<Option<Passphrase>, ReleaseError> {
        if let Some(name) = &self.passphrase_env {
            return Ok(Some(Passphrase::new(&variable(name)?)));
        }
        self.passphrase_file.as_deref().map(Passphrase::read).transpose()
    }
}

fn read_key(key: &Path, passphrase: &PassphraseArgs) -> Result<PrivateKey> {
    let mut ask = |name: &Path| match passphrase.given()? {
        Some(passphrase) => Ok(passphrase),
        None => prompt(&format!("passphrase of `{}`: ", name.display()))
            .ok_or_else(|| ReleaseError::PassphraseWanted(name.to_owned())),
    };
    Ok(match KeySource::of(key)? {
        KeySource::Variable(name) => PrivateKey::parse(key, &variable(name)?, &mut ask)?,
        KeySource::File(path) => PrivateKey::read_with(path, &mut ask)?,
    })
}

/// Asks at the terminal, which does not show what is typed; `None` without one.
pub(crate) fn prompt(text: &str) -> Option<Passphrase> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let typed = zeroize::Zeroizing::new(rpassword::prompt_password(text).ok()?);
    Some(Passphrase::new(&typed))
}

/// The value of a variable, which no error shows.
fn variable(name: &str) -> Result<zeroize::Zeroizing<String>, ReleaseError> {
    keys::check_variable(name)?;
    let unset = |_| ReleaseError::Usage(format!("the variable `{name}` is not set, or is no text"));
    std::env::var(name).map(zeroize::Zeroizing::new).map_err(unset)
}
