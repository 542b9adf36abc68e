//! Files that a command makes, which must not take the place of what it reads, nor of a part of a release.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use clap::builder::{MapValueParser, PathBufValueParser, TypedValueParser, ValueParserFactory};
use clap::{Arg, ArgMatches, Command};
use whittle_release::approval::APPROVAL_FILE;
use whittle_release::build::INDEX_FILE;
use whittle_release::bundle::BUNDLE_FILE;
use whittle_release::{archive, directory, files};

use crate::config;
use crate::error::{Error, Result};

/// Where a command writes a file of its own making. A file of an earlier run is replaced.
#[derive(Clone, Debug)]
pub(crate) struct OutFile(PathBuf);

impl ValueParserFactory for OutFile {
    type Parser = MapValueParser<PathBufValueParser, fn(PathBuf) -> Self>;

    fn value_parser() -> Self::Parser {
        PathBufValueParser::new().map(Self)
    }
}

impl Deref for OutFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// Checks all the files that a command line would have written, before the command begins.
///
/// # Errors
/// [`Error::Overwrites`].
pub(crate) fn check(line: &ArgMatches, command: &Command) -> Result<()> {
    let mut given = Given::default();
    given.collect(line, command);
    for (number, (flag, out)) in given.outputs.iter().enumerate() {
        let there = place(out);
        let refused =
            |what| Err(Error::Overwrites { flag: flag.clone(), path: out.to_path_buf(), what });
        let other_outputs = given.outputs.iter().skip(number + 1);
        let others = other_outputs.map(|(flag, out)| (flag, out.to_path_buf()));
        let read = given.others.iter().map(|(flag, path)| (flag, path.clone()));
        for (other, path) in read.chain(others) {
            if place(&path) == there && (there.is_file() || !there.exists()) {
                return refused(format!("what `{other}` names"));
            }
        }
        if is_part_of_release(&there) {
            return refused("a part of a release".to_owned());
        }
        if archive::is_part(&there) {
            return refused("a part of an archive of bases".to_owned());
        }
        if there.file_name().is_some_and(|name| name == config::FILE) {
            return refused("settings".to_owned());
        }
    }
    Ok(())
}

/// Where a path leads, also if it is not there yet.
pub(crate) fn place(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let above = above.canonicalize().ok()?;
        Some(if rest.as_os_str().is_empty() { above } else { above.join(rest) })
    });
    found.unwrap_or_else(|| path.to_owned())
}

/// The arguments of a command by their flags.
#[derive(Default)]
struct Given {
    outputs: Vec<(String, OutFile)>,
    /// Paths that are read.
    others: Vec<(String, PathBuf)>,
}

impl Given {
    fn collect(&mut self, line: &ArgMatches, command: &Command) {
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            if let Ok(Some(outputs)) = line.try_get_many::<OutFile>(id) {
                self.outputs.extend(outputs.map(|out| (shown(arg), out.clone())));
            } else if let Ok(Some(paths)) = line.try_get_many::<PathBuf>(id)
                && !REPLACEABLE.contains(&id)
            {
                self.others.extend(paths.map(|path| (shown(arg), path.clone())));
            } else if let Ok(Some(names)) = line.try_get_many::<String>(id)
                && names_file(arg)
            {
                self.others.extend(names.map(|name| (shown(arg), PathBuf::from(name))));
            }
        }
        if let Some((name, line)) = line.subcommand()
            && let Some(command) = command.find_subcommand(name)
        {
            self.collect(line, command);
        }
    }
}

/// Signed documents whose place the next one may take: one that it follows, and one that it adds a signature to.
const REPLACEABLE: [&str; 2] = ["after", "file"];

/// Whether an argument that is text names a file, unless it names something else.
fn names_file(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| ["KEY", "POLICY"].contains(&name.as_str()))
}

fn shown(arg: &Arg) -> String {
    match arg.get_long() {
        Some(long) => format!("--{long}"),
        None => format!("<{}>", arg.get_id().as_str().to_uppercase()),
    }
}

/// Whether a release, or a bundle, would not be whole any more without this file.
fn is_part_of_release(file: &Path) -> bool {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return false };
    let directory = files::parent(file);
    match name {
        INDEX_FILE | BUNDLE_FILE => true,
        // No index lists it, and others have signed it.
        APPROVAL_FILE => directory.join(INDEX_FILE).exists(),
        _ => directory::read_unverified(directory)
            .is_ok_and(|index| index.files().iter().any(|listed| listed.name == name)),
    }
}
