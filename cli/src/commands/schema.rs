use schemars::JsonSchema;
use serde::Serialize;

use super::documents::DOCUMENTS;
use crate::error::{Error, Result};
use crate::printer::{Printer, table};
use crate::schema::Document;

/// Show what a document of `--format json` holds, as JSON Schema (2020-12).
///
/// Without a name, lists the documents and the commands that print them. `docs/json.md` tells what scripts may rely on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the document.
    name: Option<String>,
}

/// Documents that commands print.
#[derive(JsonSchema, Serialize)]
pub(crate) struct List {
    /// The documents, by their names.
    documents: Vec<Listed>,
}

/// A document.
#[derive(JsonSchema, Serialize)]
struct Listed {
    /// Name of the document.
    name: &'static str,
    /// Commands that print it, each with spaces between its words; empty for what any of them may print.
    commands: &'static [&'static str],
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    if let Some(name) = &args.name {
        let known = DOCUMENTS.iter().find(|document| document.name == *name);
        let unknown = || Error::Usage(format!("no document `{name}`; `whittle schema` lists them"));
        return printer.stdout(&known.ok_or_else(unknown)?.schema()?);
    }
    let listed = |&Document { name, commands, .. }: &Document| Listed { name, commands };
    printer.result(&List { documents: DOCUMENTS.iter().map(listed).collect() }, |list| {
        let rows = list.documents.iter().map(|document| {
            let commands = document.commands.join(", ");
            let commands = if commands.is_empty() { "any".to_owned() } else { commands };
            vec![document.name.to_owned(), commands]
        });
        table(&["document", "printed by"], rows)
    })
}
