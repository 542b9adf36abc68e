//! One file per command: its arguments and its `run`.

mod apply;
mod base;
mod build;
mod demo;
mod diff;
mod inspect;
mod keygen;
mod pubkey;
mod verify;

use std::path::PathBuf;

use whittle_release::keys::{self, Keyring};

use crate::error::Result;
use crate::printer::Printer;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Keygen(keygen::Args),
    Pubkey(pubkey::Args),
    #[command(subcommand)]
    Base(base::Command),
    Build(build::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Apply(apply::Args),
    Diff(diff::Args),
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::Demo(args) => demo::run(args, printer),
        Command::Keygen(args) => keygen::run(args, printer),
        Command::Pubkey(args) => pubkey::run(args, printer),
        Command::Base(command) => base::run(command, printer),
        Command::Build(args) => build::run(args, printer),
        Command::Inspect(args) => inspect::run(args, printer),
        Command::Verify(args) => verify::run(args, printer),
        Command::Apply(args) => apply::run(args, printer),
        Command::Diff(args) => diff::run(args, printer),
    }
}

/// The keys that a command trusts.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// Public key to trust, in PEM; may be given several times.
    #[arg(long = "pubkey", value_name = "FILE", required = true)]
    pub(crate) pubkeys: Vec<PathBuf>,
}

impl TrustArgs {
    pub(crate) fn keyring(&self) -> Result<Keyring> {
        keyring(&self.pubkeys)
    }
}

/// Reads the public keys of these files.
pub(crate) fn keyring(files: &[PathBuf]) -> Result<Keyring> {
    let keys = files.iter().map(|file| keys::read_public(file)).collect::<Result<_, _>>()?;
    Ok(Keyring(keys))
}

/// What codecs a command line may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CodecArg {
    /// Whatever makes the smallest package.
    Auto,
    /// Structure-aware, for microcontrollers: from 32K of RAM.
    Compact,
    /// bsdiff-style operations in a zstd frame; the decoder needs a heap.
    Zstd,
    /// Classic BSDIFF40 deltas, for devices that know nothing else.
    Bsdiff,
    /// No compression, no deltas.
    Stored,
}
