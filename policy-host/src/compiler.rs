//! Compiling in a process of its own, which may not take more than its share of time and memory.
//!
//! ```text
//! parent ── component ──▶ child: limits itself, surveys, compiles
//!        ◀── compiled ───
//! ```
//!
//! The [survey](crate::survey) refuses what is known to be too much for a compiler. What nobody has thought of ends the child, by its
//! limits or by its stack, and is an error in the parent.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::LoadError;
use crate::{Host, Limits};

/// Processor time of a compilation in seconds; an interpreter for Python takes 14.
const CPU_S: u64 = 90;

/// Memory of a compilation in bytes; an interpreter for Python takes 0.5 GB.
const DATA_BYTES: u64 = 2 << 30;

/// How much of what a child says is kept, in bytes.
const MAX_WORDS: usize = 2000;

/// A command that runs [`serve`].
#[derive(Clone, Debug)]
pub struct ChildCompiler {
    program: PathBuf,
    args: Vec<OsString>,
}

impl ChildCompiler {
    /// Names the program, and the arguments with which it calls [`serve`] and does nothing else.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = OsString>) -> Self {
        Self { program: program.into(), args: args.into_iter().collect() }
    }

    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
        let output = self.run(bytes).map_err(|error| LoadError::NotCompiled {
            why: format!("`{}` cannot be run: {error}", self.program.display()),
        })?;
        let words = words(&output.stderr);
        match output.status.code() {
            Some(0) => {}
            Some(_) if !words.is_empty() => {
                return Err(LoadError::Invalid(wasmtime::Error::msg(words)));
            }
            _ => return Err(LoadError::NotCompiled { why: ended(output.status) }),
        }
        // SAFETY: `deserialize` demands bytes that wasmtime itself serialised, unchanged. They come from `serve` in the program that
        // whoever made this host has named, through a pipe that nobody else has.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, &output.stdout) };
        component.map_err(|error| LoadError::NotCompiled { why: error.to_string() })
    }

    fn run(&self, bytes: &[u8]) -> io::Result<Output> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A child that ends before it has read all says why itself.
                stdin.map(|mut stdin| stdin.write_all(bytes))
            });
            child.wait_with_output()
        })
    }
}

/// What is told of a child that did not end by itself.
fn ended(status: ExitStatus) -> String {
    let gib = DATA_BYTES >> 30;
    format!(
        "it takes more than {CPU_S} s of a processor, {gib} GiB of memory, or all of the stack ({status})"
    )
}

fn words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.trim().chars().take(MAX_WORDS).collect()
}

/// The child: reads a component from standard input, and writes what was compiled of it to standard output.
///
/// Limits the processor time and the memory of this process first, where the system can do so.
///
/// # Errors
/// What is to be said on standard error, with another exit code than 0.
pub fn serve() -> Result<(), String> {
    limit_this_process();
    let host = Host::new(Limits::default(), None);
    let mut bytes = vec![];
    // The parent has checked its size.
    io::stdin().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let compiled = host.compile_here(&bytes).and_then(|component| component.serialize());
    let compiled = compiled.map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&compiled).map_err(|error| error.to_string())
}

#[cfg(unix)]
fn limit_this_process() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limits = [(Resource::Cpu, CPU_S), (Resource::Data, DATA_BYTES), (Resource::Core, 0)];
    for (resource, most) in limits {
        // A system that does not know one still has the others.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

#[cfg(not(unix))]
fn limit_this_process() {}
