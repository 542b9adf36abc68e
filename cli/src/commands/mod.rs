//! One file per command: its arguments and its `run`.

mod apply;
mod approve;
mod attach;
mod base;
mod build;
mod bundle;
mod calculated;
mod completions;
mod config;
mod demo;
mod diff;
mod documents;
mod explain;
mod export;
mod flags;
mod gc;
mod init;
mod inspect;
mod keygen;
mod keys;
mod man;
mod policy;
mod pubkey;
mod publish;
mod pull;
mod rollout;
mod savings;
mod schema;
mod signing;
mod simulate;
mod stage;
mod verify;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

use whittle_delta::compact::{CodeHint, InstructionSet};
use whittle_format::Label;
use whittle_release::device_id::DeviceId;
use whittle_release::flags::DeviceFacts;
use whittle_release::keys::{Keyring, read_public};
use whittle_release::{Image, InputFormat, InputOptions};

use crate::config::Setting;
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped};
use crate::{values, words};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Keygen(keygen::Args),
    Pubkey(pubkey::Args),
    #[command(subcommand)]
    Base(base::Command),
    Build(Box<build::Args>),
    #[command(subcommand)]
    Bundle(bundle::Command),
    Completions(completions::Args),
    #[command(subcommand)]
    Config(config::Command),
    Attach(attach::Args),
    Approve(approve::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Apply(apply::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Export(Box<export::Args>),
    Publish(publish::Args),
    Pull(pull::Args),
    Gc(gc::Args),
    #[command(subcommand)]
    Flags(flags::Command),
    #[command(subcommand)]
    Keys(keys::Command),
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Rollout(rollout::Command),
    Savings(savings::Args),
    Schema(schema::Args),
    Simulate(simulate::Args),
    #[command(subcommand)]
    Stage(stage::Command),
    Man(man::Args),
}

pub(crate) fn run(
    command: &Command,
    settings: &[Setting],
    profile: Option<&str>,
    printer: &Printer,
) -> Result {
    let whole = <crate::Cli as clap::CommandFactory>::command;
    match command {
        Command::Demo(args) => demo::run(args, printer),
        Command::Init(args) => init::run(args, printer),
        Command::Keygen(args) => keygen::run(args, printer),
        Command::Pubkey(args) => pubkey::run(args, printer),
        Command::Base(command) => base::run(command, printer),
        Command::Build(args) => build::run(args, profile, printer),
        Command::Bundle(command) => bundle::run(command, printer),
        Command::Completions(args) => completions::run(args, whole(), printer),
        Command::Config(command) => config::run(command, settings, printer),
        Command::Attach(args) => attach::run(args, printer),
        Command::Approve(args) => approve::run(args, printer),
        Command::Inspect(args) => inspect::run(args, printer),
        Command::Verify(args) => verify::run(args, printer),
        Command::Apply(args) => apply::run(args, printer),
        Command::Diff(args) => diff::run(args, printer),
        Command::Explain(args) => explain::run(args, printer),
        Command::Export(args) => export::run(args, printer),
        Command::Publish(args) => publish::run(args, printer),
        Command::Pull(args) => pull::run(args, printer),
        Command::Gc(args) => gc::run(args, printer),
        Command::Flags(command) => flags::run(command, printer),
        Command::Keys(command) => keys::run(command, printer),
        Command::Policy(command) => policy::run(command, printer),
        Command::Rollout(command) => rollout::run(command, printer),
        Command::Man(args) => man::run(args, whole(), printer),
        Command::Schema(args) => schema::run(args, printer),
        Command::Savings(args) => savings::run(args, printer),
        Command::Simulate(args) => simulate::run(args, printer),
        Command::Stage(command) => stage::run(command, printer),
    }
}

/// The device that a signed document is asked about.
#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// Id of the device: text, or `hex:` and the digits of its bytes.
    #[arg(long = "device", value_name = "ID")]
    id: DeviceId,

    /// A group that the device is in; may be given several times.
    #[arg(long = "group", value_name = "NAME", value_parser = values::label)]
    groups: Vec<Label>,

    /// The region that the device is in.
    #[arg(long, value_name = "NAME", value_parser = values::label)]
    region: Option<Label>,
}

impl DeviceArgs {
    pub(crate) fn groups(&self) -> Vec<&str> {
        self.groups.iter().map(Label::as_str).collect()
    }

    pub(crate) fn facts<'a>(&'a self, groups: &'a [&'a str]) -> DeviceFacts<'a> {
        let region = self.region.as_ref().map(Label::as_str);
        DeviceFacts { id: self.id.as_bytes(), groups, region }
    }
}

/// What a flag says of each name, of which it may speak once only.
pub(crate) fn once<Name, Value>(flag: &str, said: &[(Name, Value)]) -> Result<BTreeMap<Name, Value>>
where
    Name: Clone + Display + Ord,
    Value: Clone,
{
    let mut all = BTreeMap::new();
    for (name, value) in said {
        if all.insert(name.clone(), value.clone()).is_some() {
            return Err(Error::Usage(format!("`{flag}` speaks of `{name}` twice")));
        }
    }
    Ok(all)
}

/// The variables of the environment that are text: a store finds its credentials there.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The keys that a command trusts.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// Public key to trust, in PEM, minisign's format or 32 bytes; may be given several times.
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
    let keys = files.iter().map(|file| read_public(file)).collect::<Result<_, _>>()?;
    Ok(Keyring(keys))
}

/// What codecs a command line may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CodecArg {
    /// Whatever makes the smallest package.
    Auto,
    /// Structure-aware; from 4K of RAM.
    Compact,
    /// bsdiff-style operations in a zstd frame; the decoder needs a heap.
    Zstd,
    /// Classic BSDIFF40 deltas, for devices that know nothing else.
    Bsdiff,
    /// No compression, no deltas.
    Stored,
}

/// Whose code an image may be said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InstructionSetArg {
    /// Thumb and Thumb-2: Cortex-M.
    Thumb,
    /// 32-bit RISC-V.
    Riscv32,
    /// 64-bit RISC-V.
    Riscv64,
    /// Xtensa, as in the ESP8266 and the ESP32.
    Xtensa,
    /// 64-bit Arm.
    Aarch64,
    /// A32: 32-bit Arm with instructions of four bytes.
    Arm,
    /// None of these: nothing is predicted to move.
    None,
}

impl From<InstructionSetArg> for CodeHint {
    fn from(arg: InstructionSetArg) -> Self {
        Self::Set(match arg {
            InstructionSetArg::Thumb => InstructionSet::Thumb,
            InstructionSetArg::Riscv32 => InstructionSet::Riscv32,
            InstructionSetArg::Riscv64 => InstructionSet::Riscv64,
            InstructionSetArg::Xtensa => InstructionSet::Xtensa,
            InstructionSetArg::Aarch64 => InstructionSet::Aarch64,
            InstructionSetArg::Arm => InstructionSet::Arm,
            InstructionSetArg::None => return Self::Unknown,
        })
    }
}

/// How firmware files are read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Format of the firmware files [default: recognised by what they hold].
    #[arg(long, value_name = "FORMAT", value_parser = values::input_formats())]
    input_format: Option<InputFormat>,

    /// What stands in gaps of files with addresses: what erased flash reads as.
    #[arg(long, value_name = "BYTE", value_parser = values::byte, default_value = "0xff")]
    fill: u8,

    /// Take only what lies at these addresses, of files that have some; END is the first one that is not wanted.
    #[arg(long, value_name = "START-END", value_parser = values::address_range)]
    address_range: Option<Range<u64>>,

    /// Family of chips, of UF2 files that hold several.
    #[arg(long, value_name = "ID", value_parser = values::address)]
    uf2_family: Option<u32>,
}

impl InputArgs {
    /// Reads a firmware file, and tells what should be known of it.
    pub(crate) fn read(&self, path: &Path, printer: &Printer) -> Result<Image> {
        let options = InputOptions {
            format: self.input_format,
            fill: self.fill,
            range: self.address_range.clone(),
            family: self.uf2_family,
        };
        let image = Image::read_firmware(path, &options)?;
        let source = image.source();
        let file = path.display();
        if source.format != InputFormat::Raw {
            let bytes = grouped(image.size().into());
            printer.note(&format!("`{file}`: {bytes} bytes, {}", words::source(source)));
        }
        for note in &source.notes {
            printer.note(&format!("`{file}`: {note}"));
        }
        Ok(image)
    }

    /// Reads the only firmware file of a command.
    pub(crate) fn read_only(&self, path: &Path, printer: &Printer) -> Result<Image> {
        let image = self.read(path, printer)?;
        self.check_heeded(&[&image]).map(|()| image)
    }

    /// Refuses what none of the files that were read has heeded: who says so takes for granted that one does.
    pub(crate) fn check_heeded(&self, images: &[&Image]) -> Result {
        let formats = || images.iter().map(|image| image.source().format);
        if self.address_range.is_some() && !formats().any(InputFormat::has_addresses) {
            let why = "`--address-range` takes nothing here: no firmware file says where its bytes belong";
            return Err(Error::Usage(why.into()));
        }
        if self.uf2_family.is_some() && !formats().any(|format| format == InputFormat::Uf2) {
            let why = "`--uf2-family` chooses nothing here: no firmware file is in UF2";
            return Err(Error::Usage(why.into()));
        }
        Ok(())
    }
}

/// What is said of the images' code, for commands that encode.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct CodeArgs {
    /// Address of the first byte of all images [default: told by their files, or by what they refer to].
    #[arg(long, value_name = "ADDRESS", value_parser = crate::values::address)]
    pub(crate) load_address: Option<u32>,

    /// Whose code all images are [default: told by their files, or found out; raw images of Xtensa and 64-bit RISC-V must be told].
    #[arg(long, value_enum, value_name = "SET")]
    pub(crate) instruction_set: Option<InstructionSetArg>,
}

impl CodeArgs {
    pub(crate) fn hint(&self) -> CodeHint {
        self.instruction_set.map(Into::into).unwrap_or_default()
    }
}
