//! What both calculators print and write.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_calculators::presets::Preset;
use whittle_calculators::{BadInput, Start, Table, page};
use whittle_release::files;

use crate::error::{Error, Result};
use crate::printer::{Printer, table};
use crate::schema::Printed;

/// Inputs by their names.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Presets<'a, Inputs> {
    /// The presets of the calculator.
    presets: &'a [Preset<Inputs>],
}

/// Lists the presets of a calculator.
pub(super) fn list<Inputs>(presets: &[Preset<Inputs>], printer: &Printer) -> Result
where
    for<'a> Presets<'a, Inputs>: Printed,
{
    printer.result(&Presets { presets }, |listed| {
        let row = |preset: &Preset<Inputs>| vec![preset.name.to_owned(), preset.about.to_owned()];
        table(&["preset", ""], listed.presets.iter().map(row))
    })
}

/// The preset of that name; without a name the first one, of which is said that it fills in what no flag says.
pub(super) fn preset<Inputs>(
    presets: Vec<Preset<Inputs>>,
    name: Option<&str>,
    printer: &Printer,
) -> Result<Inputs> {
    let mut presets = presets.into_iter();
    let found = match name {
        Some(name) => presets.find(|preset| preset.name == name),
        None => presets.next().inspect(|preset| {
            printer.note(&format!("what no flag says is that of `--preset {}`", preset.name));
        }),
    };
    let found = found.ok_or_else(|| {
        Error::Usage(format!("no preset `{}`; `--list` shows them", name.unwrap_or_default()))
    })?;
    Ok(found.inputs)
}

/// Takes what a flag says.
pub(super) fn take<T: Clone>(flag: Option<&T>, input: &mut T) {
    if let Some(said) = flag {
        input.clone_from(said);
    }
}

/// Tables with their titles, one after the other.
pub(super) fn human(tables: Vec<Table>) -> String {
    let text = tables
        .into_iter()
        .map(|part| format!("{}\n\n{}\n", part.title, table(&part.header, part.rows)));
    text.collect::<Vec<_>>().join("\n")
}

/// Writes the page, if a file for it is named.
pub(super) fn write_page(file: Option<&Path>, start: &Start) -> Result {
    let Some(path) = file else { return Ok(()) };
    Ok(files::write_atomically(path, page(start).as_bytes())?)
}

/// Flags are named like inputs, with `-` for `_`.
pub(super) fn bad(error: &BadInput) -> Error {
    Error::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that is there stays whole until the new one is, and what is no file is no place for one.
    #[test]
    fn pages_take_their_place_whole() {
        let room = tempfile::TempDir::new().expect("there is room");
        let start = Start::Savings(whittle_calculators::presets::savings().remove(0).inputs);
        let (path, other) = (room.path().join("page.html"), room.path().join("other.html"));
        std::fs::write(&path, "old").expect("there is room");
        // The old page under another name: one that is written into would change here, too.
        std::fs::hard_link(&path, &other).expect("links are known");
        write_page(Some(&path), &start).expect("it is written");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), page(&start));
        assert_eq!(std::fs::read_to_string(&other).expect("it is there"), "old");
        assert!(write_page(Some(room.path()), &start).is_err(), "a directory");
        assert!(write_page(None, &start).is_ok());
    }
}
