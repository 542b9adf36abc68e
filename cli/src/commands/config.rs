use schemars::JsonSchema;
use serde::Serialize;

use crate::config::Setting;
use crate::error::Result;
use crate::printer::{Printer, one_line, table};

/// Show what is set by the project's file and the environment.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(ShowArgs),
}

/// List the flags that have a value without the command line.
///
/// The command line wins over the environment, where a flag such as `--device-ram` is `WHITTLE_DEVICE_RAM`, and that over
/// `whittle.toml`, the next one upwards from here. A key there is a flag's name: at the top for every command that has it, in a table
/// such as `[build]` or `[rollout.start]` for one command.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Say where each value comes from.
    #[arg(long)]
    origin: bool,
}

/// What files, variables and flags say in place of defaults.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Shown<'a> {
    /// The settings that are not as by default.
    settings: Vec<Entry<'a>>,
}

/// A flag, and what it is set to.
#[derive(JsonSchema, Serialize)]
struct Entry<'a> {
    /// Command that it is for, its words with spaces between; empty for all commands.
    command: &'a str,
    /// Name of the flag, without dashes.
    flag: &'a str,
    /// Its values, as a command line would have them; empty for a switch that is off.
    values: &'a [String],
    /// Where that comes from: a file with the line, a variable; absent without `--origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

pub(crate) fn run(command: &Command, settings: &[Setting], printer: &Printer) -> Result {
    let Command::Show(args) = command;
    let entry = |setting: &'_ Setting| args.origin.then(|| setting.origin.to_string());
    let shown = Shown {
        settings: settings
            .iter()
            .map(|setting| Entry {
                command: &setting.command,
                flag: &setting.flag,
                values: &setting.values,
                origin: entry(setting),
            })
            .collect(),
    };
    printer.result(&shown, |shown| page(&shown.settings, args.origin))
}

fn page(settings: &[Entry<'_>], with_origin: bool) -> String {
    if settings.is_empty() {
        return "nothing is set\n".to_owned();
    }
    let row = |entry: &Entry<'_>| {
        let command = if entry.command.is_empty() { "(all)" } else { entry.command };
        let mut row = vec![
            command.to_owned(),
            format!("--{}", entry.flag),
            one_line(&entry.values.join(" ")),
        ];
        row.extend(entry.origin.as_deref().map(one_line));
        row
    };
    let header: &[&str] = if with_origin {
        &["command", "flag", "value", "origin"]
    } else {
        &["command", "flag", "value"]
    };
    table(header, settings.iter().map(row))
}
