//! The command line: the only crate that prints, reads the environment or the terminal, and picks an exit code.
//!
//! One file per command under `commands`, holding its arguments and its `run`. Results go to standard output, talk to
//! standard error.

mod cache_directory;
mod commands;
mod config;
mod error;
mod exit;
mod printer;
mod time;
mod values;
mod words;

pub use exit::Exit;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser};

use commands::Command;
use config::{Layers, Setting};
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

    /// File with what flags are otherwise, in place of `whittle.toml` here or above.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

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
    let (printer, result) = match configured() {
        Ok((commands, settings)) => {
            let cli = parsed(commands, &settings);
            let printer = Printer::new(cli.format, cli.quiet);
            let result = commands::run(&cli.command, &settings, &printer);
            (printer, result)
        }
        Err(error) => {
            // Who asks for help shall have it.
            if let Err(help) = Cli::command().try_get_matches()
                && !help.use_stderr()
            {
                help.exit();
            }
            (Printer::new(Format::Human, false), Err(error))
        }
    };
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            printer.error(&error);
            error.exit().into()
        }
    }
}

/// The commands, with what the project's file and the environment say as their defaults.
fn configured() -> error::Result<(clap::Command, Vec<Setting>)> {
    let commands = Cli::command();
    let here = std::env::current_dir().unwrap_or_default();
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let layers = Layers::read(named_file().as_deref(), &here, variables, &commands)?;
    Ok(layers.apply(commands))
}

/// The file that the command line names: it must be known before that is parsed.
fn named_file() -> Option<PathBuf> {
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

/// Parses the command line; where it is not one, says so and ends the process.
fn parsed(commands: clap::Command, settings: &[Setting]) -> Cli {
    let failed = |error: clap::Error| -> ! {
        let wrong = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
        let flag = wrong.split(' ').next().unwrap_or_default().trim_start_matches('-');
        let is_default =
            error.kind() == ErrorKind::ValueValidation || error.kind() == ErrorKind::InvalidValue;
        let _ = error.print();
        if let Some(setting) = settings.iter().find(|setting| is_default && setting.flag == flag) {
            eprintln!(
                "hint: unless the command line gives it, `--{flag}` is what {} says",
                setting.origin
            );
        }
        std::process::exit(error.exit_code());
    };
    let matches = commands.try_get_matches().unwrap_or_else(|error| failed(error));
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| failed(error))
}
