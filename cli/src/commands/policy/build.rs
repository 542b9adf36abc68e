use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;
use wit_component::ComponentEncoder;

use crate::error::{Error, Result};
use crate::printer::{Printer, grouped};

/// Make a policy of a Rust package, or of a core module in any language.
///
/// The package is compiled by `cargo`, which needs `rustup target add wasm32-unknown-unknown`. Nothing is written that is
/// not a policy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the package, or file of a core module that holds its WIT, as `wit-bindgen` has it do.
    #[arg(default_value = ".")]
    source: PathBuf,

    /// File of the component; it is replaced if it exists.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const TARGET: &str = "wasm32-unknown-unknown";

#[derive(Serialize)]
struct Built {
    file: String,
    policy: String,
    version: String,
    sha256: String,
    bytes: usize,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let module = if args.source.is_dir() { compile(&args.source)? } else { args.source.clone() };
    let component = componentise(&module)?;
    let what = args.source.display().to_string();
    let policy = super::load_bytes(&super::host(), &what, &component)?;
    let error =
        |source| whittle_release::Error::Io { action: "write", path: args.out.clone(), source };
    fs::write(&args.out, &component).map_err(error)?;
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

/// Compiles a package, and tells where its core module is.
fn compile(package: &Path) -> Result<PathBuf> {
    let build = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(package)
        .stderr(Stdio::inherit())
        .output();
    let error = |source| whittle_release::Error::Io {
        action: "run `cargo` in",
        path: package.to_owned(),
        source,
    };
    let build = build.map_err(error)?;
    if !build.status.success() {
        return Err(Error::NotBuilt(package.to_owned(), "`cargo build` failed".to_owned()));
    }
    module_of(&build.stdout).ok_or_else(|| {
        let reason = "it has no library with `crate-type = [\"cdylib\"]`";
        Error::NotBuilt(package.to_owned(), reason.to_owned())
    })
}

/// The last core module that cargo says it has made: that of the package itself, after those it depends on.
fn module_of(messages: &[u8]) -> Option<PathBuf> {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<serde_json::Value>();
    let files = messages.filter_map(Result::ok).filter_map(|message| {
        let files = message.get("filenames")?.as_array()?.clone();
        files.into_iter().find_map(|file| {
            file.as_str().filter(|file| file.ends_with(".wasm")).map(PathBuf::from)
        })
    });
    files.last()
}

fn componentise(module: &Path) -> Result<Vec<u8>> {
    let bytes = super::read(module)?;
    let encoded = ComponentEncoder::default().validate(true).module(&bytes);
    encoded
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Error::NotBuilt(module.to_owned(), format!("{error:#}")))
}
