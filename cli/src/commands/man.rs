use std::path::PathBuf;

use clap::Command;
use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::{Error as ReleaseError, files};

use crate::error::Result;
use crate::printer::Printer;

/// Write manual pages: one for whittle, and one for each command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory to write them to, such as `~/.local/share/man/man1`.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Manual pages that were written.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Written {
    /// Paths of the pages, in their order.
    pages: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, mut whole: Command, printer: &Printer) -> Result {
    let io = |source| ReleaseError::Io { action: "write", path: args.out.clone(), source };
    std::fs::create_dir_all(&args.out).map_err(io)?;
    // So that flags of all commands stand with each of them.
    whole.build();
    let mut pages = vec![];
    let mut left = vec![(whole.get_name().to_owned(), whole)];
    while let Some((name, command)) = left.pop() {
        let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        left.extend(below.map(|sub| (format!("{name}-{}", sub.get_name()), sub.clone())));
        let path = args.out.join(format!("{name}.1"));
        let mut page = vec![];
        clap_mangen::Man::new(command.name(name)).render(&mut page).map_err(io)?;
        files::write_atomically(&path, &page)?;
        pages.push(path);
    }
    pages.sort();
    printer.result(&Written { pages }, |written| {
        format!("{} pages in `{}`\n", written.pages.len(), args.out.display())
    })
}
