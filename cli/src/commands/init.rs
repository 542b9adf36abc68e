use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::Label;
use whittle_release::keys::PrivateKey;
use whittle_release::{Error as ReleaseError, files};

use crate::config;
use crate::error::{Error, Result};
use crate::printer::Printer;
use crate::values;

/// Begin to use whittle in a project: write `whittle.toml` and a development key, and what a CI service needs.
///
/// The key is marked: `whittle publish` refuses what it signs, so that nothing of it reaches devices in the field. Nothing that exists
/// is overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the project.
    #[arg(default_value = ".")]
    directory: PathBuf,

    /// Name of the product [default: that of the directory].
    #[arg(long, value_parser = values::label)]
    product: Option<Label>,

    /// Write what makes releases on this service, too.
    #[arg(long, value_enum)]
    ci: Option<Service>,
}

/// A service that runs pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Service {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

impl Service {
    /// Where its file lies, and what is in it.
    fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Github => {
                (".github/workflows/firmware.yml", include_str!("../../templates/github.yml"))
            }
            Self::Gitlab => (".gitlab-ci.yml", include_str!("../../templates/gitlab.yml")),
        }
    }
}

/// Where the keys lie.
const KEYS: &str = "keys";

/// What must not be committed: private keys in PEM, and in minisign's format.
const SECRETS: [&str; 2] = ["keys/*.key.pem", "keys/*.key"];

/// A project that begins to use whittle.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Begun {
    /// Name of the product.
    product: String,
    /// Paths of the files that were written, in that order.
    written: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let at = |name: &str| args.directory.join(name);
    let io = |source| ReleaseError::Io { action: "write", path: args.directory.clone(), source };
    std::fs::create_dir_all(&args.directory).map_err(io)?;
    let product = args.product.or_else(|| product_of(&args.directory)).ok_or_else(|| {
        Error::Usage(
            "name the product with `--product`: the directory's name cannot be one".to_owned(),
        )
    })?;
    let text = include_str!("../../templates/whittle.toml").replace("@PRODUCT@", product.as_str());
    let mut planned = vec![(at(config::FILE), text)];
    if let Some((name, text)) = args.ci.map(Service::file) {
        planned.push((at(name), text.to_owned()));
    }
    if let Some((path, _)) = planned.iter().find(|(path, _)| path.exists()) {
        return Err(Error::Usage(format!("`{}` exists already", path.display())));
    }
    // First of all, so that no private key is ever committed by mistake.
    let mut written: Vec<_> = ignore_secrets(&at(".gitignore"))?.into_iter().collect();
    let (private, public) = PrivateKey::generate()?.write_development_pair(&at(KEYS))?;
    written.extend([private, public]);
    for (path, text) in planned {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
        files::write_atomically(&path, text.as_bytes())?;
        written.push(path);
    }
    let begun = Begun { product: product.to_string(), written };
    printer.result(&begun, page)
}

/// The name of a directory, if a product can have it.
fn product_of(directory: &Path) -> Option<Label> {
    let whole = directory.canonicalize().unwrap_or_default();
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    name.and_then(|name| name.parse().ok())
}

/// Keeps private keys out of a repository.
fn ignore_secrets(path: &Path) -> Result<Option<PathBuf>> {
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(ReleaseError::Io { action: "read", path: path.to_owned(), source }.into());
        }
    };
    let is_missing = |secret: &&str| !text.lines().any(|line| line.trim() == *secret);
    let missing: Vec<_> = SECRETS.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    missing.iter().for_each(|secret| {
        let _ = writeln!(text, "{secret}");
    });
    files::write_atomically(path, text.as_bytes())?;
    Ok(Some(path.to_owned()))
}

fn page(begun: &Begun) -> String {
    let mut page = String::new();
    for path in &begun.written {
        let _ = writeln!(page, "wrote {}", path.display());
    }
    page + "\nnext: whittle build --target NEW.bin --target-version 1.0.0 --base OLD.bin --out release\n"
}
