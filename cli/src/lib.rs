//! The command line: the only crate that prints, reads the environment or the terminal, and picks an exit code.
//!
//! One file per command under `commands`, holding its arguments and its `run`. Results go to standard output, talk to
//! standard error.

mod cache_directory;
mod commands;
mod config;
mod error;
mod exit;
mod out_file;
mod printer;
mod schema;
mod time;
mod values;
mod words;

pub use exit::Exit;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, FromArgMatches, Parser};

use commands::Command;
use config::{Layers, Setting};
use printer::{Format, Printer, Talk};

/// Signed delta updates for firmware: build, verify and apply.
#[derive(Debug, Parser)]
#[command(name = "whittle", version, max_term_width = 110, after_help = exit::HELP)]
struct Cli {
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// Say nothing on standard error but errors.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Say on standard error, too, where settings come from, what each step did and how long it took.
    #[arg(long, short, global = true)]
    verbose: bool,

    /// File with what flags are otherwise, in place of `whittle.toml` here or above.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Device profile: what the tables `[profile.NAME]` of `whittle.toml` say counts before its others [default: `WHITTLE_PROFILE`].
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,

    #[command(subcommand)]
    command: Command,
}

impl Cli {
    fn talk(&self) -> Talk {
        match (self.quiet, self.verbose) {
            (true, _) => Talk::Quiet,
            (false, false) => Talk::Normal,
            (false, true) => Talk::Verbose,
        }
    }
}

/// The argument by which this program compiles a policy for another one of its kind, and nobody else.
pub(crate) const COMPILE: &str = "compile-policy-for-parent";

/// Checks the text of a `whittle.toml`, as every command does before anything else.
///
/// # Errors
/// What is wrong, beginning with `line ` and its number.
pub fn check_config(text: &str) -> Result<(), String> {
    match config::check(text, &Cli::command()) {
        Err(error::Error::BadConfig { line, why, .. }) => Err(format!("line {line}: {why}")),
        other => other.map_err(|error| error.to_string()),
    }
}

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
        Ok(Configured { line, settings, taken, profile, cautions }) => {
            let (cli, checked) = parsed(line, &taken);
            let printer = Printer::new(cli.format, cli.talk());
            let started = Instant::now();
            taken.iter().for_each(|setting| printer.detail(|| setting.told()));
            cautions.iter().for_each(|caution| printer.note(&format!("caution: {caution}")));
            let result = checked.and_then(|()| {
                commands::run(&cli.command, &settings, profile.as_deref(), &printer)
            });
            printer.detail(|| format!("took {}", time::milliseconds(started.elapsed())));
            (printer, result)
        }
        Err(error) => {
            // Who asks for help shall have it.
            if let Err(help) = Cli::command().try_get_matches()
                && !help.use_stderr()
            {
                show_help(&help);
            }
            (Printer::new(wanted_format(), Talk::Normal), Err(error))
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

/// A command line, and what the project's file and the environment say.
struct Configured {
    /// With what is added to it.
    line: Vec<OsString>,
    /// All that they say.
    settings: Vec<Setting>,
    /// What of that was added.
    taken: Vec<Setting>,
    /// Name of the device profile that was chosen.
    profile: Option<String>,
    cautions: Vec<String>,
}

fn configured() -> error::Result<Configured> {
    let commands = Cli::command();
    let here = std::env::current_dir().unwrap_or_default();
    let profile = value_of("--profile").and_then(|name| name.into_string().ok());
    let variables = std::env::vars_os();
    let layers = Layers::read(named_file().as_deref(), profile, &here, variables, &commands)?;
    let given: Vec<_> = std::env::args_os().collect();
    // What the parser says of an argument shows it.
    if let Some(place) = given.iter().position(|word| config::is_key(&word.to_string_lossy())) {
        return Err(error::Error::HoldsKey(format!("argument {place}")));
    }
    let (line, taken) = layers.complete(&given, &commands)?;
    let settings = layers.settings(&commands);
    let (profile, cautions) = (layers.profile().map(str::to_owned), layers.cautions().to_vec());
    Ok(Configured { line, settings, taken, profile, cautions })
}

/// The file that the command line names: it must be known before that is parsed.
fn named_file() -> Option<PathBuf> {
    value_of("--config").map(PathBuf::from)
}

/// How results are wanted, where the command line cannot be parsed yet.
fn wanted_format() -> Format {
    let is_json = value_of("--format").is_some_and(|format| format == "json");
    if is_json { Format::Json } else { Format::Human }
}

/// What a flag of all commands is given, before the command line is parsed.
fn value_of(flag: &str) -> Option<OsString> {
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        if word == flag {
            return words.next();
        }
        let value = word.to_str().and_then(|word| word.strip_prefix(flag)?.strip_prefix('='));
        if let Some(value) = value {
            return Some(value.into());
        }
    }
    None
}

/// Shows the help, or the version, that was asked for, and ends the process.
fn show_help(help: &clap::Error) -> ! {
    let printed = help.print().and_then(|()| std::io::stdout().flush());
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let error = error::Error::Stdout(error);
            Printer::new(Format::Human, Talk::Normal).error(&error);
            std::process::exit(error.exit() as i32)
        }
        _ => std::process::exit(help.exit_code()),
    }
}

/// Parses a command line, and checks what it would have written; where it is none, says so, with where its parts come from, and ends
/// the process.
fn parsed(line: Vec<OsString>, taken: &[Setting]) -> (Cli, error::Result) {
    let failed = |error: clap::Error| -> ! {
        if !error.use_stderr() {
            show_help(&error);
        }
        let _ = error.print();
        let told = error.to_string();
        let is_named = |setting: &&Setting| {
            let flag = format!("--{}", setting.flag);
            told.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == flag)
        };
        for Setting { flag, origin, .. } in taken.iter().filter(is_named) {
            eprintln!("hint: `--{flag}` is what {origin} says");
        }
        std::process::exit(error.exit_code())
    };
    let command = Cli::command();
    let matches = command.clone().try_get_matches_from(line).unwrap_or_else(|error| failed(error));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| failed(error));
    (cli, out_file::check(&matches, &command))
}
