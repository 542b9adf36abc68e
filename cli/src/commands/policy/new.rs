use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::language::{CONTRACT, Language};
use crate::error::{Error, Result};
use crate::printer::Printer;

/// Write the sources of a policy to begin with.
///
/// They make a whole policy that pauses on crashes, with cases to test it on. All that it is built from is in the directory,
/// but for the language's own tools.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The language to write it in.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,

    /// Directory to write to, which is made; one that has anything in it is refused. The policy gets its name.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// A path in the new directory, and the text of the file.
type File = (&'static str, &'static str);

/// The text of a file of `examples/policies`.
macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../../examples/policies/", $path))
    };
}

/// A file of the SDK, and where it goes.
macro_rules! sdk {
    ($name:literal) => {
        (
            concat!("vendor/whittle-policy/src/", $name, ".rs"),
            include_str!(concat!("../../../../policies/sdk/src/", $name, ".rs")),
        )
    };
}

/// A case to test the policy on.
macro_rules! case {
    ($name:literal) => {
        (
            concat!("cases/", $name, ".json"),
            include_str!(concat!("../../../../examples/policies/cases/", $name, ".json")),
        )
    };
}

/// What every policy gets.
const COMMON: [File; 12] = [
    ("wit/policy.wit", CONTRACT),
    (".gitignore", "/.venv/\n/node_modules/\n/target/\n/policy.wasm\n__pycache__/\n"),
    case!("crashes.snapshot"),
    case!("crashes.verdict"),
    case!("healthy.snapshot"),
    case!("healthy.verdict"),
    case!("no-data.snapshot"),
    case!("no-data.verdict"),
    case!("paused.snapshot"),
    case!("paused.verdict"),
    case!("too-early.snapshot"),
    case!("too-early.verdict"),
];

/// The SDK is not in a registry, so a policy carries it.
const RUST: [File; 19] = [
    ("Cargo.toml", example!("rust/manifest.toml")),
    // Of all policies here: cargo takes out of it what this one does not need.
    ("Cargo.lock", include_str!("../../../../policies/Cargo.lock")),
    ("src/lib.rs", example!("rust/src/lib.rs")),
    ("vendor/whittle-policy/Cargo.toml", example!("rust/sdk.toml")),
    sdk!("check"),
    sdk!("contract"),
    sdk!("figure"),
    sdk!("flow"),
    sdk!("heap"),
    sdk!("info"),
    sdk!("lib"),
    sdk!("measure"),
    sdk!("plan"),
    sdk!("reason"),
    sdk!("settings"),
    sdk!("statistics"),
    sdk!("testing"),
    sdk!("time"),
    sdk!("trigger"),
];

const JS: [File; 2] =
    [("policy.js", example!("js/policy.js")), ("package.json", example!("js/package.json"))];

const PYTHON: [File; 2] = [
    ("policy.py", example!("python/policy.py")),
    ("requirements.txt", example!("python/requirements.txt")),
];

const C: [File; 6] = [
    ("policy.c", example!("c/policy.c")),
    ("bindings/rollout_policy.c", example!("c/bindings/rollout_policy.c")),
    ("bindings/rollout_policy.h", example!("c/bindings/rollout_policy.h")),
    ("runtime/runtime.c", example!("c/runtime/runtime.c")),
    ("runtime/stdlib.h", example!("c/runtime/stdlib.h")),
    ("runtime/string.h", example!("c/runtime/string.h")),
];

/// What the policy is called in the examples.
const EXAMPLE_NAME: &str = "first-policy";

/// Sources of a policy to begin with.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Written {
    /// Path of the directory that was made.
    directory: String,
    /// Name of the policy.
    policy: String,
    /// How many files were written.
    files: usize,
    /// Shell commands to run now, in this order.
    next: Vec<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let directory = &args.directory;
    let (own, install): (&[File], _) = match args.lang {
        Language::Rust => (&RUST, "rustup target add wasm32-unknown-unknown"),
        Language::Js => (&JS, "npm install"),
        Language::Python => {
            (&PYTHON, "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt")
        }
        Language::C => (&C, "clang --version    # 14 or later, with lld"),
    };
    fs::create_dir_all(directory).map_err(|error| io_error("make", directory, error))?;
    let mut entries = directory.read_dir().map_err(|error| io_error("read", directory, error))?;
    if entries.next().is_some() {
        return Err(Error::Usage(format!("`{}` is not empty", directory.display())));
    }
    let name = name_of(directory)?;
    let mut files = 0;
    for (path, text) in COMMON.iter().chain(own) {
        write(&directory.join(path), &text.replace(EXAMPLE_NAME, &name))?;
        files += 1;
    }
    let next = [
        &format!("cd {}", for_a_shell(&directory.display().to_string())),
        install,
        "whittle policy build . --out policy.wasm",
        "whittle policy check policy.wasm",
        "whittle policy test policy.wasm cases",
    ];
    let next = next.map(str::to_owned).to_vec();
    let written = Written { directory: directory.display().to_string(), policy: name, files, next };
    printer.result(&written, |written| {
        let next: Vec<_> = written.next.iter().map(|line| format!("  {line}")).collect();
        format!("{}: the policy `{}`\n\n{}", written.directory, written.policy, next.join("\n"))
    })
}

/// A path as a shell takes it for one word.
fn for_a_shell(path: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%".contains(letter);
    if !path.is_empty() && !path.starts_with('-') && path.chars().all(plain) {
        return path.to_owned();
    }
    let dashes = if path.starts_with('-') { "-- " } else { "" };
    format!("{dashes}'{}'", path.replace('\'', r"'\''"))
}

/// What a policy in this directory is called: 1 to 64 bytes of `a-z`, `0-9` and `-`, as packages are in all languages.
fn name_of(directory: &Path) -> Result<String> {
    const LONGEST: usize = 40;
    let directory = directory.canonicalize().map_err(|error| io_error("read", directory, error))?;
    let name = directory.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = name.chars().map(plain).take(LONGEST).collect();
    // One dash for any number of other letters.
    let words: Vec<_> = name.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    let stands_alone =
        name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && name != "whittle-policy";
    Ok(if stands_alone { name } else { format!("policy-{name}").trim_matches('-').to_owned() })
}

fn write(path: &Path, text: &str) -> Result {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|error| io_error("make", parent, error))?;
    fs::write(path, text).map_err(|error| io_error("write", path, error))
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    whittle_release::Error::Io { action, path: path.to_owned(), source }.into()
}
