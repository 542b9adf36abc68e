//! Files that a command makes, which must not take the place of what it reads, nor of a part of a release.

use std::ffi::{OsStr, OsString};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command};
use whittle_release::build::INDEX_FILE;
use whittle_release::bundle::BUNDLE_FILE;
use whittle_release::{directory, files};

use crate::error::{Error, Result};

/// Where a command writes a file of its own making. A file of an earlier run is replaced.
#[derive(Clone, Debug)]
pub(crate) struct OutFile(PathBuf);

impl From<OsString> for OutFile {
    fn from(path: OsString) -> Self {
        Self(path.into())
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
    for (place, (flag, out)) in given.outputs.iter().enumerate() {
        let Ok(there) = out.canonicalize() else { continue };
        let refused =
            |what| Err(Error::Overwrites { flag: flag.clone(), path: out.to_path_buf(), what });
        let other_outputs = given.outputs.iter().skip(place + 1);
        let others = other_outputs.map(|(flag, out)| (flag, out.to_path_buf()));
        let read = given.others.iter().map(|(flag, path)| (flag, path.clone()));
        for (other, path) in read.chain(others) {
            if there.is_file() && path.canonicalize().is_ok_and(|path| path == there) {
                return refused(format!("what `{other}` names"));
            }
        }
        if is_part_of_release(&there) {
            return refused("a part of a release".to_owned());
        }
    }
    Ok(())
}

/// The arguments of a command by their flags.
#[derive(Default)]
struct Given {
    outputs: Vec<(String, OutFile)>,
    /// What may name a file that is read.
    others: Vec<(String, PathBuf)>,
}

impl Given {
    fn collect(&mut self, line: &ArgMatches, command: &Command) {
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            if let Ok(Some(outputs)) = line.try_get_many::<OutFile>(id) {
                self.outputs.extend(outputs.map(|out| (shown(arg), out.clone())));
            } else if let Ok(Some(raw)) = line.try_get_raw(id) {
                let paths = raw.flat_map(named_files);
                self.others.extend(paths.map(|path| (shown(arg), path)));
            }
        }
        if let Some((name, line)) = line.subcommand()
            && let Some(command) = command.find_subcommand(name)
        {
            self.collect(line, command);
        }
    }
}

/// What an argument may mean where it names a file: itself, or what stands behind `name=` or `file://`.
fn named_files(value: &OsStr) -> Vec<PathBuf> {
    let text = value.to_str().unwrap_or_default();
    let behind = text.split_once('=').map(|(_, path)| path);
    let named = [behind, text.strip_prefix("file://")];
    std::iter::once(value.into()).chain(named.into_iter().flatten().map(PathBuf::from)).collect()
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
        _ => directory::read_unverified(directory)
            .is_ok_and(|index| index.files().iter().any(|listed| listed.name == name)),
    }
}
