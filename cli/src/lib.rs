//! The command line: the only crate that prints, reads the environment or the terminal, and picks an exit code.
//!
//! One file per command under `commands`, holding its arguments and its `run`. Results go to standard output, talk to
//! standard error.

mod cache_directory;
mod commands;
mod error;
mod exit;
mod printer;
mod time;
mod values;
mod words;

pub use exit::Exit;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;
use printer::{Format, Printer};

/// Signed delta updates for firmware: build, verify and apply.
#[derive(Debug, Parser)]
#[command(name = "whittle", version, max_term_width = 110, after_help = exit::HELP)]
struct Cli {
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// Say nothing on standard error but errors.
    #[arg(long, short, global = true)]
    quiet: bool,

    #[command(subcommand)]
    command: Command,
}

/// The argument by which this program compiles a policy for another one of its kind, and nobody else.
pub(crate) const COMPILE: &str = "compile-policy-for-parent";

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // Policies run on the stack of their caller, which must not be smaller than what they are allowed.
    const STACK_BYTES: usize = 8 << 20;
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // It has said why.
        Ok(Err(_)) => Exit::Internal.into(),
        Err(_) => run(),
    }
}

fn run() -> ExitCode {
    if std::env::args_os().skip(1).eq([COMPILE]) {
        return match whittle_policy_host::serve_compiler() {
            Ok(()) => Exit::Ok.into(),
            Err(why) => {
                eprintln!("{why}");
                Exit::BadInput.into()
            }
        };
    }
    let cli = Cli::parse();
    let printer = Printer::new(cli.format, cli.quiet);
    match commands::run(&cli.command, &printer) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            printer.error(&error);
            error.exit().into()
        }
    }
}
