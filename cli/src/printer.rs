//! What goes where: results to standard output, talk to standard error.

use std::error::Error as _;
use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::error::{Error, Result};

/// Version of every JSON document on standard output; raised when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON document on one line, with a `schema` number.
    Json,
}

#[derive(Debug)]
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
}

#[derive(Serialize)]
struct Document<'a, T> {
    schema: u32,
    #[serde(flatten)]
    result: &'a T,
}

impl Printer {
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// Writes a result: as JSON, or as the text that `human` makes of it.
    pub(crate) fn result<T: Serialize>(
        &self,
        result: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result {
        let text = match self.format {
            Format::Human => human(result),
            Format::Json => serde_json::to_string(&Document { schema: SCHEMA, result })?,
        };
        self.stdout(&text)
    }

    /// Writes bytes that are the result whatever the format is, such as a key.
    pub(crate) fn stdout(&self, text: &str) -> Result {
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        self.bytes(format!("{text}{newline}").as_bytes())
    }

    /// Whether results are wanted as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes raw bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Stdout(error)),
            _ => Ok(()),
        }
    }

    /// Says something on the side.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Whether a progress bar has somebody to look at it.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub(crate) fn error(&self, error: &Error) {
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = writeln!(stderr, "  caused by: {error}");
            cause = error.source();
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(stderr, "hint: {hint}");
        }
    }
}

/// A table without frames: readable in a terminal, a log and a pull request.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// A number with thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
