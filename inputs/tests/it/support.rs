//! Where files lie, and what an outcome looks like as a line.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use whittle_inputs::{Error, Input};

/// Files that real tools made.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/inputs")
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

/// The files in a directory, by name.
pub(crate) fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// An error with its causes.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// What was taken, with every note.
pub(crate) fn line(input: &Input) -> String {
    let set = input.instruction_set.map_or("-", |set| set.name());
    let address = input.load_address.map_or("-".to_owned(), |address| format!("{address:#x}"));
    let version = input.version.as_deref().unwrap_or("-");
    let bytes = input.bytes.len();
    let mut text = format!("{} {bytes} bytes at {address}, {set}, {version}", input.format.name());
    for note in &input.notes {
        text += &format!("; {note}");
    }
    text
}
