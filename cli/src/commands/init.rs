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
    let mut made = Made::default();
    let begun = begin(args, &mut made).inspect_err(|_| made.take_back())?;
    printer.result(&begun, page)
}

fn begin(args: &Args, made: &mut Made) -> Result<Begun> {
    let at = |name: &str| args.directory.join(name);
    made.directory(&args.directory)?;
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
    ignore_secrets(&at(".gitignore"), made)?;
    made.directory(&at(KEYS))?;
    let (private, public) = PrivateKey::generate()?.write_development_pair(&at(KEYS))?;
    made.files.extend([private, public].map(|path| (path, None)));
    for (path, text) in planned {
        made.directory(files::parent(&path))?;
        files::write_atomically(&path, text.as_bytes())?;
        made.files.push((path, None));
    }
    let written = made.files.iter().map(|(path, _)| path.clone()).collect();
    Ok(Begun { product: product.to_string(), written })
}

/// What has been made so far, so that it can be taken back.
#[derive(Default)]
struct Made {
    directories: Vec<PathBuf>,
    /// Each with what was in it before, if it was there.
    files: Vec<(PathBuf, Option<String>)>,
}

impl Made {
    /// Makes a directory, and those above it, that are not there yet.
    fn directory(&mut self, path: &Path) -> Result {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
            .collect();
        for path in missing.into_iter().rev() {
            let io = |source| ReleaseError::Io { action: "create", path: path.to_owned(), source };
            std::fs::create_dir(path).map_err(io)?;
            self.directories.push(path.to_owned());
        }
        Ok(())
    }

    /// Leaves everything as it was, as far as that is possible: who is told of an error will begin again.
    fn take_back(&self) {
        for (path, before) in self.files.iter().rev() {
            let _ = match before {
                Some(text) => files::write_atomically(path, text.as_bytes()).is_ok(),
                None => std::fs::remove_file(path).is_ok(),
            };
        }
        for path in self.directories.iter().rev() {
            // Where somebody else has put something in it, it stays.
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// The name of a directory, if a product can have it.
fn product_of(directory: &Path) -> Option<Label> {
    let whole = directory.canonicalize().unwrap_or_default();
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    name.and_then(|name| name.parse().ok())
}

/// Keeps private keys out of a repository.
fn ignore_secrets(path: &Path, made: &mut Made) -> Result {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(ReleaseError::Io { action: "read", path: path.to_owned(), source }.into());
        }
    };
    let mut text = before.clone().unwrap_or_default();
    let is_missing = |secret: &&str| !text.lines().any(|line| line.trim() == *secret);
    let missing: Vec<_> = SECRETS.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    missing.iter().for_each(|secret| {
        let _ = writeln!(text, "{secret}");
    });
    files::write_atomically(path, text.as_bytes())?;
    made.files.push((path.to_owned(), before));
    Ok(())
}

fn page(begun: &Begun) -> String {
    let mut page = String::new();
    for path in &begun.written {
        let _ = writeln!(page, "wrote {}", path.display());
    }
    page + "\nnext: whittle build --target NEW.bin --target-version 1.0.0 --base OLD.bin --out release\n"
}
