//! What goes where: results to standard output, talk to standard error.

use std::error::Error as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{ContentArrangement, Table, presets};
use schemars::JsonSchema;
use serde::Serialize;
pub(crate) use whittle_explain::text::grouped;
use whittle_release::budget::Checked;

use crate::error::{Error, Result};
use crate::schema::Printed;
use crate::words;

/// Version of every JSON document on standard output; raised when a field changes its meaning or goes.
pub(crate) const SCHEMA: u32 = 1;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON document on one line, with a `schema` number.
    Json,
}

/// How much is said on the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talk {
    /// Errors alone.
    Quiet,
    /// What one should know.
    Normal,
    /// How it came about, too.
    Verbose,
}

#[derive(Debug)]
pub(crate) struct Printer {
    format: Format,
    talk: Talk,
    /// Whether standard output has something already.
    has_printed: AtomicBool,
}

/// Why there is no result, in place of one.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Failure {
    /// What went wrong.
    error: String,
    /// Why, the nearest cause first.
    causes: Vec<String>,
    /// What may help; none if nothing is known.
    hint: Option<String>,
    /// Where `build` has exceeded budgets, how each was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    budgets: Option<Checked>,
    /// The code with which the command ends.
    #[schemars(range(min = 1, max = 9))]
    exit_code: u8,
}

// Without a description, it has that of its result.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a, T> {
    /// Version of all documents; raised when a field changes its meaning or goes.
    #[schemars(extend("const" = SCHEMA))]
    schema: u32,
    #[serde(flatten)]
    result: &'a T,
}

impl Printer {
    pub(crate) fn new(format: Format, talk: Talk) -> Self {
        Self { format, talk, has_printed: AtomicBool::new(false) }
    }

    /// Writes a result: as JSON, or as the text that `human` makes of it.
    pub(crate) fn result<T: Printed>(
        &self,
        result: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result {
        let text = match self.format {
            Format::Human => harmless(&human(result)),
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

    /// Whether nothing is to be said besides results and errors.
    pub(crate) fn is_quiet(&self) -> bool {
        self.talk == Talk::Quiet
    }

    /// Clears the terminal, for a page that takes the place of the one before.
    pub(crate) fn clear(&self) -> Result {
        self.bytes(b"\x1b[H\x1b[2J")
    }

    /// Writes raw bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result {
        self.has_printed.store(true, Ordering::Relaxed);
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Stdout(error)),
            _ => Ok(()),
        }
    }

    /// Says something on the side.
    pub(crate) fn note(&self, text: &str) {
        if self.talk >= Talk::Normal {
            let _ = writeln!(io::stderr(), "{}", harmless(text));
        }
    }

    /// Says how something came about, to those who asked for it.
    pub(crate) fn detail(&self, text: impl FnOnce() -> String) {
        if self.talk == Talk::Verbose {
            self.note(&text());
        }
    }

    /// Whether a progress bar has somebody to look at it.
    pub(crate) fn shows_progress(&self) -> bool {
        self.talk >= Talk::Normal && io::stderr().is_terminal()
    }

    /// Says what went wrong; where JSON is wanted and nothing has been printed, as JSON on standard output, too.
    pub(crate) fn error(&self, error: &Error) {
        if self.is_json() && !self.has_printed.load(Ordering::Relaxed) {
            let failure = Failure {
                error: words::plain(&error.to_string()),
                causes: causes(error).collect(),
                hint: error.hint(),
                budgets: error.budgets(),
                exit_code: error.exit() as u8,
            };
            // Standard error says the same, and is what is left if this cannot be written.
            let _ = self.result(&failure, |_| String::new());
        }
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "error: {}", indented(&words::plain(&error.to_string())));
        for cause in causes(error) {
            let _ = writeln!(stderr, "  caused by: {}", indented(&cause));
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(stderr, "hint: {hint}");
        }
    }
}

/// Why an error came about, the nearest cause first.
fn causes(error: &Error) -> impl Iterator<Item = String> {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.map(|cause| words::plain(&cause.to_string()))
}

/// Text from files, policies and servers must not move the cursor, or turn the direction of writing: such letters are shown by
/// their numbers.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (letter.is_control() && !matches!(letter, '\n' | '\t')) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The same where only the first line begins at the margin, so that no text can pass for a line of ours.
fn indented(text: &str) -> String {
    harmless(text).replace('\n', "\n    ")
}

/// Somebody else's sentence on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(['\n', '\r', '\t']).map(str::trim).collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_stays_where_it_is() {
        let nasty = "a\u{1b}[2Jb\u{9b}c\u{202e}d\re\u{0}\tä\nf";
        let shown = "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{d}e\\u{0}\tä\nf";
        assert_eq!(harmless(nasty), shown);
        assert_eq!(indented("refused\nhint: run this"), "refused\n    hint: run this");
        assert_eq!(one_line("a \n b\tc"), "a b c");
    }
}
