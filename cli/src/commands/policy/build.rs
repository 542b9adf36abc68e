use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::files::write_atomically;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};
use wit_parser::Resolve;

use super::language::{CONTRACT, Language, Made, WORLD};
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, grouped};
use crate::schema;

/// Make a policy of its sources, or of a core module.
///
/// The language is told by the file that is there: `Cargo.toml`, `policy.js`, `policy.py` or `policy.c`; its compiler does the
/// work, and `whittle policy new` writes sources to begin with. Nothing is written that is not a policy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the sources, or file of a core module that exports what the contract says.
    #[arg(default_value = ".")]
    source: PathBuf,

    /// File of the component; an earlier one is replaced.
    #[arg(long, value_name = "FILE")]
    out: OutFile,
}

/// A policy that was built.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Built {
    /// Path of the component.
    file: String,
    /// Name of the policy.
    policy: String,
    /// Version of the policy.
    version: String,
    /// SHA-256 of the component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    sha256: String,
    /// Size of the component in bytes.
    bytes: usize,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    refuse_source(&args.out)?;
    let component =
        if args.source.is_dir() { build(&args.source)? } else { componentise(&args.source)? };
    let what = args.source.display().to_string();
    let policy = super::load_bytes(&super::host(printer), &what, &component)?;
    write_atomically(&args.out, &component)?;
    let built = Built {
        file: args.out.display().to_string(),
        policy: policy.info().name.clone(),
        version: policy.info().version.clone(),
        sha256: policy.digest().to_string(),
        bytes: component.len(),
    };
    printer.result(&built, |built| {
        let bytes = grouped(built.bytes as u64);
        format!("{}: {} {}, {bytes} bytes", built.file, built.policy, built.version)
    })
}

/// An earlier component may be replaced, but nothing that could be a source of this one.
fn refuse_source(out: &Path) -> Result {
    if !out.is_file() {
        return Ok(());
    }
    let file = fs::File::open(out).map_err(|error| io_error("read", out, error))?;
    let mut magic = Vec::new();
    file.take(4).read_to_end(&mut magic).map_err(|error| io_error("read", out, error))?;
    if magic.is_empty() || magic == *b"\0asm" {
        return Ok(());
    }
    let (path, what) = (out.to_path_buf(), "a file that is no WebAssembly".to_owned());
    Err(Error::Overwrites { flag: "--out".to_owned(), path, what })
}

fn build(directory: &Path) -> Result<Vec<u8>> {
    let language = Language::of(directory)?;
    let directory = directory.canonicalize().map_err(|error| io_error("read", directory, error))?;
    let room =
        tempfile::tempdir().map_err(|error| io_error("write", &std::env::temp_dir(), error))?;
    let wit = room.path().join("wit");
    fs::create_dir(&wit)
        .and_then(|()| fs::write(wit.join("policy.wit"), CONTRACT))
        .map_err(|error| io_error("write", &wit, error))?;
    match language.compile(&directory, room.path())? {
        Made::Module(module) => componentise(&module),
        Made::Component(component) => super::read(&component),
    }
}

/// Makes a component of a core module. If the module does not say what its types are, they are those of the contract.
fn componentise(module: &Path) -> Result<Vec<u8>> {
    let not_built = |reason| Error::NotBuilt(module.to_owned(), reason);
    let mut bytes = super::read(module)?;
    let typed = metadata::decode(&bytes).map_err(|error| not_built(format!("{error:#}")))?;
    if typed.0.is_none() {
        add_types(&mut bytes).map_err(not_built)?;
    }
    let encoded = ComponentEncoder::default().validate(true).module(&bytes);
    encoded
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| not_built(format!("{error:#}")))
}

fn add_types(module: &mut Vec<u8>) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", CONTRACT).map_err(|error| format!("{error:#}"))?;
    let world =
        resolve.select_world(&[package], Some(WORLD)).map_err(|error| format!("{error:#}"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| format!("{error:#}"))
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    whittle_release::Error::Io { action, path: path.to_owned(), source }.into()
}
