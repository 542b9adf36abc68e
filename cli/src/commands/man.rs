use std::path::{Path, PathBuf};

use clap::Command;
use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::{Error as ReleaseError, files};

use crate::error::{Error, Result};
use crate::printer::Printer;

/// Write manual pages: one for whittle, and one for each command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory to write them to, such as `~/.local/share/man/man1`.
    #[arg(long, value_name = "DIR", required_unless_present = "reference")]
    out: Option<PathBuf>,

    /// Print all commands as one page of Markdown instead.
    #[arg(long, conflicts_with = "out")]
    reference: bool,
}

/// Manual pages that were written, or the page that was asked for.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Written {
    /// Paths of the pages, in their order; none with `--reference`.
    pages: Vec<PathBuf>,
    /// All commands as one page of Markdown, with `--reference`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

pub(crate) fn run(args: &Args, whole: Command, printer: &Printer) -> Result {
    match &args.out {
        Some(directory) => write_pages(directory, whole, printer),
        None => {
            let page = reference(whole);
            if !printer.is_json() {
                return printer.stdout(&page);
            }
            let written = Written { pages: vec![], reference: Some(page) };
            printer.result(&written, |_| String::new())
        }
    }
}

fn write_pages(directory: &Path, mut whole: Command, printer: &Printer) -> Result {
    let io = |source| ReleaseError::Io { action: "write", path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(io)?;
    // So that flags of all commands stand with each of them.
    whole.build();
    let mut pages = vec![];
    for (name, command) in all(whole) {
        let name = name.replace(' ', "-");
        let path = directory.join(format!("{name}.1"));
        let mut page = vec![];
        clap_mangen::Man::new(command.name(name)).render(&mut page).map_err(io)?;
        files::write_atomically(&path, &page).map_err(Error::from)?;
        pages.push(path);
    }
    pages.sort();
    printer.result(&Written { pages, reference: None }, |written| {
        format!("{} pages in `{}`\n", written.pages.len(), directory.display())
    })
}

/// The commands with their names, each before those below it.
fn all(whole: Command) -> Vec<(String, Command)> {
    let mut all = vec![];
    let mut left = vec![(whole.get_name().to_owned(), whole)];
    while let Some((name, command)) = left.pop() {
        let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        let below = below.map(|sub| (format!("{name} {}", sub.get_name()), sub.clone()));
        left.extend(below.collect::<Vec<_>>().into_iter().rev());
        all.push((name, command));
    }
    all
}

/// All commands as a page of Markdown, the same at any terminal.
fn reference(whole: Command) -> String {
    const WIDTH: usize = 110;
    let mut page = "# Commands\n\n`whittle man --reference` prints this page. Flags of all commands are told once, with `whittle`.\n"
        .to_owned();
    let of_all: Vec<_> = whole.get_arguments().map(|arg| arg.get_id().clone()).collect();
    for (place, (name, command)) in all(whole).into_iter().enumerate() {
        // They are told with the first command.
        let hidden = if place == 0 { &[][..] } else { &of_all };
        let mut command = command.disable_help_subcommand(true);
        for arg in hidden {
            if command.get_arguments().any(|own| own.get_id() == arg) {
                command = command.mut_arg(arg, |arg| arg.hide(true));
            }
        }
        let mut command = command.disable_help_flag(place > 0).bin_name(&name).term_width(WIDTH);
        let help = command.render_long_help().to_string();
        let lines: Vec<_> = help.lines().map(str::trim_end).collect();
        page += &format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    page
}
