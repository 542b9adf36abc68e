use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// The contract, for tools that read it.
pub(super) const CONTRACT: &str = include_str!("../../../../wit/policy.wit");

/// What the world of the contract is called.
pub(super) const WORLD: &str = "rollout-policy";

const RUST_TARGET: &str = "wasm32-unknown-unknown";

/// A language that policies are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    /// Compiled by `cargo`; small and quick.
    Rust,
    /// Run by QuickJS, which is part of the component.
    Js,
    /// Run by CPython, which is part of the component.
    Python,
    /// Compiled by `clang`, without a C library; smallest.
    C,
}

/// What a language's tool has made.
pub(super) enum Made {
    /// A core module in a file.
    Module(PathBuf),
    /// A component in a file.
    Component(PathBuf),
}

impl Language {
    /// Tells the language by the file that a policy in it must have.
    pub(super) fn of(directory: &Path) -> Result<Self> {
        const MARKS: [(&str, Language); 4] = [
            ("Cargo.toml", Language::Rust),
            ("policy.js", Language::Js),
            ("policy.py", Language::Python),
            ("policy.c", Language::C),
        ];
        let mark = MARKS.iter().find(|(file, _)| directory.join(file).is_file());
        mark.map(|(_, language)| *language).ok_or_else(|| {
            let wanted = "it has none of `Cargo.toml`, `policy.js`, `policy.py` and `policy.c`";
            Error::NotBuilt(directory.to_owned(), wanted.to_owned())
        })
    }

    /// Has the sources compiled. What tools write themselves goes into `room`, but for cargo's `target`.
    pub(super) fn compile(self, directory: &Path, room: &Path) -> Result<Made> {
        match self {
            Self::Rust => cargo(directory).map(Made::Module),
            Self::Js => componentize_qjs(directory, room).map(Made::Component),
            Self::Python => componentize_py(directory, room).map(Made::Component),
            Self::C => clang(directory, room).map(Made::Module),
        }
    }
}

fn cargo(package: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--target", RUST_TARGET])
        .arg("--message-format=json-render-diagnostics");
    let messages = run(package, vec![cargo], "install Rust: https://rustup.rs")?;
    module_of(&messages).ok_or_else(|| {
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

fn componentize_qjs(directory: &Path, room: &Path) -> Result<PathBuf> {
    let out = room.join("policy.wasm");
    let shim = if cfg!(windows) { "componentize-qjs.cmd" } else { "componentize-qjs" };
    let tools = [directory.join("node_modules/.bin").join(shim), PathBuf::from(shim)];
    let commands = tools.map(|tool| {
        let mut command = Command::new(tool);
        // WASI's functions become traps: a policy that asks for the time or for chance ends there and then.
        command
            .arg("--wit")
            .arg(contract(directory, room))
            .args(["--js", "policy.js", "--world", WORLD, "--sync", "--stub-wasi", "--opt-size"])
            .arg("--output")
            .arg(&out);
        command
    });
    run(directory, commands.into(), "run `npm install` in the policy's directory")?;
    Ok(out)
}

fn componentize_py(directory: &Path, room: &Path) -> Result<PathBuf> {
    let out = room.join("policy.wasm");
    let programs = if cfg!(windows) { ".venv/Scripts" } else { ".venv/bin" };
    let tools =
        [directory.join(programs).join("componentize-py"), PathBuf::from("componentize-py")];
    let commands = tools.map(|tool| {
        let mut command = Command::new(tool);
        command
            .arg("--wit-path")
            .arg(contract(directory, room))
            .args(["--world", WORLD, "componentize", "--stub-wasi", "policy", "--output"])
            .arg(&out);
        command
    });
    let install = "run `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt` in the policy's directory";
    run(directory, commands.into(), install)?;
    Ok(out)
}

fn clang(directory: &Path, room: &Path) -> Result<PathBuf> {
    /// Debian names its compilers by their versions.
    const VERSIONS: std::ops::RangeInclusive<u32> = 14..=24;
    let out = room.join("policy.wasm");
    let sources = c_sources(directory)?;
    let versions = VERSIONS.rev().map(|version| format!("clang-{version}"));
    let commands = std::iter::once("clang".to_owned()).chain(versions).map(|tool| {
        let mut command = Command::new(tool);
        command
            .args(["--target=wasm32-unknown-unknown", "-mbulk-memory", "-ffreestanding", "-Oz"])
            .args(["-Wall", "-Wextra", "-nostdlib", "-nostdlibinc", "-I.", "-Iruntime"])
            .args(["-Wl,--no-entry", "-Wl,--strip-all", "-o"])
            .arg(&out)
            .args(&sources);
        command
    });
    let install = "install `clang` and `lld`, of version 14 or later";
    run(directory, commands.collect(), install)?;
    Ok(out)
}

/// The C files of a policy, seen from its directory.
fn c_sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for place in ["", "bindings", "runtime"] {
        let path = directory.join(place);
        let Ok(entries) = path.read_dir() else { continue };
        for entry in entries {
            let name = entry.map_err(|source| io_error("read", &path, source))?.file_name();
            let source = Path::new(place).join(name);
            if source.extension().is_some_and(|extension| extension == "c") {
                sources.push(source);
            }
        }
    }
    sources.sort();
    Ok(sources)
}

/// Where the contract lies: in the policy's own directory, else in `room`.
fn contract(directory: &Path, room: &Path) -> PathBuf {
    let own = directory.join("wit");
    if own.is_dir() { own } else { room.join("wit") }
}

/// Runs the first of these commands whose program exists, and returns what it wrote to its standard output; what it says is
/// passed on.
fn run(directory: &Path, commands: Vec<Command>, install: &'static str) -> Result<Vec<u8>> {
    let mut missing = None;
    for mut command in commands {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let tool = program.to_string_lossy().into_owned();
        match command.current_dir(directory).stderr(Stdio::inherit()).output() {
            Ok(done) if done.status.success() => return Ok(done.stdout),
            Ok(_) => {
                return Err(Error::NotBuilt(directory.to_owned(), format!("`{tool}` failed")));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing.get_or_insert(tool);
            }
            Err(error) => return Err(io_error("run a compiler in", directory, error)),
        }
    }
    Err(Error::NoTool { tool: missing.unwrap_or_default(), install })
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    whittle_release::Error::Io { action, path: path.to_owned(), source }.into()
}
