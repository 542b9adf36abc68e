//! What lies under the command line: `whittle.toml` of the project, and above that the environment.
//!
//! ```toml
//! product = "thermostat"              # for every command that has `--product`
//! pubkey = ["keys/release.pub.pem"]   # relative to this file
//!
//! [build]                             # for `whittle build` alone; `[rollout.start]` for `whittle rollout start`
//! device-ram = "16K"
//! ```
//!
//! A key is a flag's long name, so that there is one list of names, one parser and one help text. Of an environment variable it is
//! the same in capitals: `WHITTLE_DEVICE_RAM`. What a command line leaves out is added to it before it is parsed, so that a flag means the
//! same wherever it comes from, also to those flags that want or exclude it.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id};
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

/// Name of the file.
pub(crate) const FILE: &str = "whittle.toml";

/// What all environment variables begin with.
const PREFIX: &str = "WHITTLE_";

/// Flags that may name a file, but need not.
const MAYBE_PATHS: [&str; 9] =
    ["cache", "drop", "from", "key", "pubkey", "retire", "revoke", "store", "to"];

/// Flags that make no sense as a habit.
const NEVER: [&str; 5] = ["help", "version", "config", "origin", PROFILE];

/// Variables that are read elsewhere.
const OTHER_VARIABLES: [&str; 3] = ["WHITTLE_OPERATOR", PROFILE_VARIABLE, "WHITTLE_STORE"];

/// The table of a file that holds one for each device profile, and the flag that names one.
const PROFILE: &str = "profile";
const PROFILE_VARIABLE: &str = "WHITTLE_PROFILE";

/// What the text of a key begins with, which must not get into a message.
const KEY_TEXT: &str = "-----BEGIN ";

fn variable_of(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

fn flag_of(variable: &str) -> String {
    variable.trim_start_matches(PREFIX).to_lowercase().replace('_', "-")
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, and its line, from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
}

/// Whose word counts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Variable,
    File,
}

impl Origin {
    fn rank(&self) -> Rank {
        match self {
            Self::Variable(_) => Rank::Variable,
            Self::File(..) => Rank::File,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(formatter, "{}:{line}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
        }
    }
}

/// A value that is not given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The command, as `rollout start`; empty for flags of all commands.
    pub(crate) command: String,
    /// The flag, without its dashes.
    pub(crate) flag: String,
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

impl Setting {
    /// It and where it comes from, in a line.
    pub(crate) fn told(&self) -> String {
        format!("`--{}` is `{}`, says {}", self.flag, self.shown().join(" "), self.origin)
    }

    /// The values without what nobody else shall read: passwords in addresses, and the words that a signer's program gets.
    pub(crate) fn shown(&self) -> Vec<String> {
        let shown = |value: &String| match self.flag.as_str() {
            "signer-cmd" => match value.split_once(' ') {
                Some((program, _)) => format!("{program} …"),
                None => value.clone(),
            },
            _ => without_login(value),
        };
        self.values.iter().map(shown).collect()
    }
}

/// An address without the name and password that may stand in it, and without what is asked for behind it.
fn without_login(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(_, host)| format!("…@{host}"));
    let path = path.split_once('?').map_or(path.to_owned(), |(path, _)| format!("{path}?…"));
    format!("{scheme}://{host}{path}")
}

/// Whether some text is that of a key, which must not get into a message.
pub(crate) fn is_key(text: &str) -> bool {
    text.contains(KEY_TEXT)
}

/// A command of a command line, with its place among the others, and what the line has for it.
type Level<'c> = (String, &'c Command, &'c ArgMatches);

/// A setting that may be added, its rank, and the flag that it is of.
type Wanted<'c> = (Rank, &'c Command, &'c Arg, Setting);

/// The file and the environment.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    file: Option<File>,
    /// By name.
    variables: BTreeMap<String, String>,
    /// Name of the device profile whose tables count before the others.
    profile: Option<String>,
    cautions: Vec<String>,
}

/// Checks that a table of a file may have this setting, and that it is of a type that the flag can have: a switch is on or off, and
/// nothing else is.
fn check_flag(
    commands: &Command,
    place: &str,
    name: &str,
    value: &DeValue<'_>,
) -> Result<(), String> {
    let flags = command_at(commands, place).map(|command| flags(command, name)).unwrap_or_default();
    let (is_boolean, has_boolean) = (matches!(value, DeValue::Boolean(_)), has_boolean(value));
    let suits = |arg: &&Arg| if is_switch(arg) { is_boolean } else { !has_boolean };
    match flags.first() {
        None if place.is_empty() => Err(format!("no command has `--{name}`")),
        None => Err(format!("`{place}` has no `--{name}`")),
        Some(_) if flags.iter().any(suits) => Ok(()),
        Some(flag) if is_switch(flag) => {
            Err(format!("`{name}` is a switch: `true` or `false` is wanted, without quotes"))
        }
        Some(_) => Err(format!("`{name}` is no switch: `true` and `false` mean nothing to it")),
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn has_boolean(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Array(list) => list.iter().any(|value| has_boolean(value.get_ref())),
        value => matches!(value, DeValue::Boolean(_)),
    }
}

/// The values of a file by table and key.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Names of device profiles.
    profiles: BTreeSet<String>,
    values: BTreeMap<(String, String), Written>,
}

#[derive(Debug)]
struct Written {
    line: usize,
    values: Vec<String>,
}

impl Layers {
    /// Reads the file that is named, or else the project's, and takes the variables that are ours, of which one may name the profile.
    ///
    /// # Errors
    /// If a file cannot be read, is no TOML, or has a key that no command has, or if a variable holds a key itself; then nothing is
    /// taken for granted.
    pub(crate) fn read(
        named: Option<&Path>,
        profile: Option<String>,
        here: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
        commands: &Command,
    ) -> Result<Self> {
        let mut cautions = vec![];
        let found = if named.is_some() { None } else { find(here) };
        let found = found.map(|path| Ok::<_, Error>((belongs_to_us(&path)?, path))).transpose()?;
        if let Some((false, path)) = &found {
            let path = path.display();
            cautions.push(format!("`{path}` belongs to somebody else and counts for nothing; name it with `--config` if you trust it"));
        }
        let ours = found.and_then(|(is_ours, path)| is_ours.then_some(path));
        let path = named.map(Path::to_owned).or(ours);
        let file = path.map(|path| File::read(&path, commands)).transpose()?;
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            (!value.is_empty()).then_some((name, value))
        };
        let text = |(name, value): (String, OsString)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Error::Usage(format!("the value of `{name}` is not UTF-8"))),
        };
        let variables: BTreeMap<_, _> =
            variables.filter_map(ours).map(text).collect::<Result<_>>()?;
        for (name, value) in &variables {
            if is_key(value) {
                return Err(Error::HoldsKey(name.clone()));
            }
            let is_known = OTHER_VARIABLES.contains(&name.as_str())
                || !flags(commands, &flag_of(name)).is_empty();
            if !is_known {
                cautions.push(format!("`{name}` is no flag of any command"));
            }
        }
        let profile = profile.or_else(|| variables.get(PROFILE_VARIABLE).cloned());
        if let Some(name) = &profile {
            let is_there = file.as_ref().is_some_and(|file| file.profiles.contains(name));
            if !is_there {
                let profiles =
                    file.map(|file| file.profiles.into_iter().collect()).unwrap_or_default();
                return Err(Error::NoProfile { name: name.clone(), profiles });
            }
        }
        Ok(Self { file, variables, profile, cautions })
    }

    /// Name of the device profile that was chosen, if any.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// What has been passed over, and might surprise.
    pub(crate) fn cautions(&self) -> &[String] {
        &self.cautions
    }

    /// All that is set, by command.
    pub(crate) fn settings(&self, commands: &Command) -> Vec<Setting> {
        let mut found = vec![];
        let mut left = vec![(String::new(), commands)];
        while let Some((place, command)) = left.pop() {
            found.extend(command.get_arguments().filter_map(|arg| self.setting(&place, arg)));
            let below = command.get_subcommands();
            left.extend(below.map(|sub| (join(&place, sub.get_name()), sub)));
        }
        found.sort_by(|one, other| (&one.command, &one.flag).cmp(&(&other.command, &other.flag)));
        found
    }

    /// A command line with what it leaves out, and which settings those are: nothing that it gives itself, and nothing that
    /// contradicts what it gives, or what the environment gives if it is of the file.
    ///
    /// # Errors
    /// If two settings of the same file, or two variables, contradict each other, or a switch is neither on nor off.
    pub(crate) fn complete(
        &self,
        line: &[OsString],
        commands: &Command,
    ) -> Result<(Vec<OsString>, Vec<Setting>)> {
        let lenient = commands.clone().ignore_errors(true).try_get_matches_from(line);
        // Help, and what is no command line at all, is not ours.
        let Ok(matches) = lenient else { return Ok((line.to_vec(), vec![])) };
        let (mut matches, mut command, mut place) = (&matches, commands, String::new());
        let mut levels = vec![(place.clone(), command, matches)];
        while let Some((name, inner)) = matches.subcommand() {
            let Some(sub) = command.find_subcommand(name) else { break };
            place = join(&place, name);
            (matches, command) = (inner, sub);
            levels.push((place.clone(), command, matches));
        }
        let (wanted, given) = self.wanted(&levels);
        let mut taken: Vec<(&Command, &Arg, Setting)> = vec![];
        let mut added = vec![];
        for (rank, command, arg, setting) in wanted {
            // A switch that is off excludes nothing.
            let Some(words) = words(arg, &setting)? else { continue };
            if given.iter().any(|(above, other)| contradict(command, arg, above, other)) {
                continue;
            }
            let against = |(above, other, taken): &&(&Command, &Arg, Setting)| {
                contradict(command, arg, above, other) && taken.origin.rank() == rank
            };
            if let Some((_, _, other)) = taken.iter().find(against) {
                return Err(Error::Contradiction(
                    [setting, other.clone()].map(|setting| (setting.flag, setting.origin)),
                ));
            }
            if !taken.iter().any(|(above, other, _)| contradict(command, arg, above, other)) {
                added.extend(words);
                taken.push((command, arg, setting));
            }
        }
        let end = line.iter().position(|word| word == "--").unwrap_or(line.len());
        let (front, rest) = line.split_at(end);
        let line = front.iter().cloned().chain(added).chain(rest.iter().cloned()).collect();
        Ok((line, taken.into_iter().map(|(_, _, setting)| setting).collect()))
    }

    /// What is set of the flags that a command line does not give, the highest rank first, and the flags that it gives.
    fn wanted<'c>(&self, levels: &[Level<'c>]) -> (Vec<Wanted<'c>>, Vec<(&'c Command, &'c Arg)>) {
        let (mut wanted, mut given) = (vec![], vec![]);
        for (place, command, _) in levels {
            for arg in command.get_arguments() {
                let id = arg.get_id().as_str();
                let is_given = |matches: &ArgMatches| {
                    let known = matches.try_contains_id(id).is_ok();
                    known && matches.value_source(id) == Some(ValueSource::CommandLine)
                };
                // Flags of all commands may stand anywhere.
                if levels.iter().any(|(_, _, matches)| is_given(matches)) {
                    given.push((*command, arg));
                } else if let Some(setting) = self.setting(place, arg) {
                    wanted.push((setting.origin.rank(), *command, arg, setting));
                }
            }
        }
        wanted.sort_by_key(|(rank, ..)| *rank);
        (wanted, given)
    }

    /// What a flag is set to; none if it is not.
    fn setting(&self, place: &str, arg: &Arg) -> Option<Setting> {
        let flag = arg.get_long().filter(|flag| !NEVER.contains(flag))?;
        let setting = |values, origin| Setting {
            command: place.to_owned(),
            flag: flag.to_owned(),
            values,
            origin,
        };
        let variable = variable_of(flag);
        if let Some(value) = self.variables.get(&variable) {
            return Some(setting(vec![value.clone()], Origin::Variable(variable)));
        }
        let file = self.file.as_ref()?;
        let of_profile = self
            .profile
            .iter()
            .flat_map(|name| tables(place).map(move |table| join(&join(PROFILE, name), &table)));
        let mut all = of_profile.chain(tables(place));
        let written =
            all.find_map(|table| file.values.get(&(table.trim_end().to_owned(), flag.to_owned())))?;
        let values = written.values.iter().map(|value| file.relative(arg, value));
        Some(setting(values.collect(), Origin::File(file.path.clone(), written.line)))
    }
}

/// Whether one of two flags excludes the other.
fn contradict(command: &Command, arg: &Arg, other_command: &Command, other: &Arg) -> bool {
    let excludes = |command: &Command, arg: &Arg, id: &Id| {
        command.get_arg_conflicts_with(arg).iter().any(|conflict| conflict.get_id() == id)
    };
    command.get_name() == other_command.get_name()
        && (excludes(command, arg, other.get_id()) || excludes(command, other, arg.get_id()))
}

/// A setting as it stands on a command line; none if it is a switch that is off.
fn words(arg: &Arg, setting: &Setting) -> Result<Option<Vec<OsString>>> {
    let flag = format!("--{}", setting.flag);
    if !is_switch(arg) {
        let word = |value: &String| format!("{flag}={value}").into();
        return Ok(Some(setting.values.iter().map(word).collect()));
    }
    match setting.values.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["true" | "1" | "yes" | "on"] => Ok(Some(vec![flag.into()])),
        ["false" | "0" | "no" | "off"] => Ok(None),
        _ => Err(Error::BadSwitch { flag: setting.flag.clone(), origin: setting.origin.clone() }),
    }
}

/// The tables that a command looks into: its own, those of the commands that it belongs to, and the top of the file.
fn tables(place: &str) -> impl Iterator<Item = String> {
    let mut next = Some(place.to_owned());
    std::iter::from_fn(move || {
        let table = next.take()?;
        next = (!table.is_empty())
            .then(|| table.rsplit_once(' ').map_or("", |(above, _)| above).to_owned());
        Some(table)
    })
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place} {name}") }
}

/// The name of the profile that a table belongs to, and its place without that.
fn split_profile(place: &str) -> (Option<&str>, &str) {
    let Some(rest) = place.strip_prefix(PROFILE).and_then(|rest| rest.strip_prefix(' ')) else {
        return (None, place);
    };
    let (name, place) = rest.split_once(' ').unwrap_or((rest, ""));
    (Some(name), place)
}

/// The file here, or the next one upwards within the repository, if this is one; whatever has its name, which may be no file.
fn find(here: &Path) -> Option<PathBuf> {
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    if is_there(&here.join(FILE)) {
        return Some(PathBuf::from(FILE));
    }
    let root = here.ancestors().find(|directory| directory.join(".git").exists())?;
    let within = here.ancestors().take_while(|directory| directory.starts_with(root));
    within.map(|directory| directory.join(FILE)).find(is_there)
}

/// Whether a file is this user's or the system's: others' would choose keys and programs for us. What is no file is refused.
fn belongs_to_us(path: &Path) -> Result<bool> {
    let data = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !data.is_file() {
        return Err(whittle_release::Error::NotAFile(path.to_owned()).into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        const ROOT: u32 = 0;
        let us = rustix::process::geteuid().as_raw();
        Ok([ROOT, us].contains(&data.uid()))
    }
    #[cfg(not(unix))]
    {
        Ok(true)
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    whittle_release::Error::Io { action: "read", path: path.to_owned(), source }.into()
}

impl File {
    fn read(path: &Path, commands: &Command) -> Result<Self> {
        const MOST_BYTES: u64 = 1 << 20;
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(path);
        let read = opened.and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|source| unreadable(path, source))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Error::TooLarge { path: path.to_owned(), limit: MOST_BYTES });
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = bytes.iter().take(error.valid_up_to());
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            Error::BadConfig { path: path.to_owned(), line, why: "it is not UTF-8".to_owned() }
        })?;
        Self::parse(path, text, commands)
    }

    fn parse(path: &Path, text: &str, commands: &Command) -> Result<Self> {
        let bad = |line, why: String| Error::BadConfig { path: path.to_owned(), line, why };
        let line_at =
            |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        if path.parent().is_some_and(|directory| directory.to_str().is_none()) {
            return Err(bad(
                1,
                "the name of its directory is not UTF-8, and paths are relative to it".to_owned(),
            ));
        }
        let table = DeTable::parse(text).map_err(|error| {
            let line = line_at(error.span().map_or(0, |span| span.start));
            bad(line, error.message().to_owned())
        })?;
        let mut values = BTreeMap::new();
        let mut profiles = BTreeSet::new();
        let mut left = vec![(String::new(), table.into_inner())];
        while let Some((table_place, table)) = left.pop() {
            let (profile, place) = split_profile(&table_place);
            for (key, value) in table {
                let (line, name) = (line_at(key.span().start), key.into_inner().into_owned());
                if let DeValue::Table(inner) = value.get_ref() {
                    if table_place == PROFILE {
                        if name.is_empty() || name.contains(char::is_whitespace) {
                            return Err(bad(line, format!("`{name}` is no name of a profile")));
                        }
                        profiles.insert(name.clone());
                    } else if (profile, place, name.as_str()) != (None, "", PROFILE) {
                        let place = join(place, &name);
                        let found = command_at(commands, &place);
                        found.ok_or_else(|| bad(line, format!("there is no command `{place}`")))?;
                    }
                    left.push((join(&table_place, &name), inner.clone()));
                    continue;
                }
                if table_place == PROFILE {
                    return Err(bad(line, format!("`{name}` is no table of a profile's settings")));
                }
                check_flag(commands, place, &name, value.get_ref())
                    .map_err(|why| bad(line, why))?;
                let texts = texts(value.get_ref());
                let no_value =
                    || format!("`{name}` is no text, number, `true`, `false` or list of them");
                let texts = texts.ok_or_else(|| bad(line, no_value()))?;
                if texts.iter().any(|text| is_key(text)) {
                    let holder = format!("{}:{line}", path.display());
                    return Err(Error::HoldsKey(holder));
                }
                values.insert((table_place.clone(), name), Written { line, values: texts });
            }
        }
        Ok(Self { path: path.to_owned(), profiles, values })
    }

    /// A path of the file, as seen from where the program runs.
    fn relative(&self, arg: &Arg, value: &str) -> String {
        let is_other = value.contains("://") || value.starts_with("env:") || value == "-";
        let flag = arg.get_long().unwrap_or_default();
        if is_other || !(is_path(arg) || MAYBE_PATHS.contains(&flag)) {
            return value.to_owned();
        }
        let directory = self.path.parent().unwrap_or(Path::new(""));
        directory.join(value).to_string_lossy().into_owned()
    }
}

/// Checks the text of a file against these commands.
///
/// # Errors
/// What reading a file with this text would end in.
pub(crate) fn check(text: &str, commands: &Command) -> Result<()> {
    File::parse(Path::new(FILE), text, commands).map(|_| ())
}

fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == ValueParser::path_buf().type_id()
        || arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

fn command_at<'a>(commands: &'a Command, place: &str) -> Option<&'a Command> {
    let mut names = place.split(' ').filter(|name| !name.is_empty());
    names.try_fold(commands, |command, name| command.find_subcommand(name))
}

/// The flags of this name that a command has, and those below it.
fn flags<'c>(command: &'c Command, name: &str) -> Vec<&'c Arg> {
    if NEVER.contains(&name) {
        return vec![];
    }
    let own = command.get_arguments().filter(|arg| arg.get_long() == Some(name));
    own.chain(command.get_subcommands().flat_map(|sub| flags(sub, name))).collect()
}

/// The texts that a value has on a command line; none if it has none.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(list) => {
            let parts =
                list.iter().map(|value| texts(value.get_ref()).filter(|parts| parts.len() == 1));
            parts.collect::<Option<Vec<_>>>().map(|parts| parts.concat())
        }
        DeValue::String(text) => Some(vec![text.to_string()]),
        DeValue::Integer(number) => Some(vec![number.as_str().to_owned()]),
        DeValue::Float(number) => Some(vec![number.as_str().to_owned()]),
        DeValue::Boolean(yes) => Some(vec![yes.to_string()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::value_parser;

    fn commands() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name);
        let path = |name| flag(name).value_parser(value_parser!(PathBuf));
        Command::new("whittle")
            .arg(flag("format").default_value("human").global(true))
            .subcommand(
                Command::new("build")
                    .arg(flag("product").required(true))
                    .arg(path("base").action(ArgAction::Append))
                    .arg(flag("key"))
                    .arg(flag("signer").requires("signer-key").conflicts_with("key"))
                    .arg(flag("signer-key"))
                    .arg(flag("check").action(ArgAction::SetTrue)),
            )
            .subcommand(
                Command::new("rollout").subcommand(Command::new("start").arg(flag("product"))),
            )
    }

    /// Parses a command line in a directory with this file and these variables.
    fn parsed(
        text: &str,
        variables: &[(&str, &str)],
        line: &[&str],
    ) -> Result<(ArgMatches, Vec<Setting>), String> {
        let room = tempfile::tempdir().expect("there is room");
        let path = room.path().join(FILE);
        std::fs::write(&path, text).expect("it can be written");
        let variables =
            variables.iter().map(|(name, value)| (OsString::from(*name), OsString::from(*value)));
        let layers = Layers::read(Some(&path), None, room.path(), variables, &commands());
        let layers = layers
            .map_err(|error| error.to_string().replace(&room.path().display().to_string(), "."))?;
        let line: Vec<_> = ["whittle"].iter().chain(line).map(OsString::from).collect();
        let commands = commands();
        let completed = layers.complete(&line, &commands).map_err(|error| error.to_string());
        let (line, settings) =
            completed.map_err(|error| error.replace(&room.path().display().to_string(), "."))?;
        Ok((commands.try_get_matches_from(line).map_err(|error| error.to_string())?, settings))
    }

    fn product(matches: &ArgMatches) -> Option<&String> {
        let mut matches = matches;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        matches.get_one("product")
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let file = "product = \"of the file\"\n[rollout.start]\nproduct = \"of the table\"\n";
        let variable = [("WHITTLE_PRODUCT", "of the variable"), ("WHITTLE_KEY", "")];
        let of = |variables: &[_], line: &[&str]| {
            let (matches, _) = parsed(file, variables, line).expect("it parses");
            product(&matches).cloned()
        };
        assert_eq!(of(&[], &["build"]).as_deref(), Some("of the file"));
        assert_eq!(of(&[], &["rollout", "start"]).as_deref(), Some("of the table"));
        assert_eq!(of(&variable, &["rollout", "start"]).as_deref(), Some("of the variable"));
        assert_eq!(of(&variable, &["build", "--product", "mine"]).as_deref(), Some("mine"));
        let missing = parsed("", &[], &["build"]).expect_err("nothing says which product");
        assert!(missing.contains("--product"), "{missing}");
    }

    #[test]
    fn what_contradicts_a_stronger_word_is_left_out_and_what_is_wanted_is_there() {
        let file = "[build]\nproduct = 1\nkey = \"a\"\nsigner-key = \"b\"\n";
        let of = |variables: &[_], line: &[&str]| {
            let (matches, _) = parsed(file, variables, line).expect("it parses");
            let (_, build) = matches.subcommand().expect("a command");
            ["key", "signer", "signer-key"].map(|flag| build.get_one::<String>(flag).is_some())
        };
        assert_eq!(of(&[], &["build"]), [true, false, true]);
        assert_eq!(of(&[], &["build", "--signer", "c"]), [false, true, true]);
        assert_eq!(of(&[("WHITTLE_SIGNER", "c")], &["build"]), [false, true, true]);
        assert_eq!(of(&[("WHITTLE_SIGNER", "c")], &["build", "--key", "d"]), [true, false, true]);
    }

    #[test]
    fn values_of_all_kinds_reach_their_flags() {
        let file = "[build]\nbase = [\"a.bin\", \"/b.bin\"]\nkey = \"env:KEY\"\ncheck = true\nproduct = 7\n";
        let (matches, settings) = parsed(file, &[], &["build"]).expect("it parses");
        let (_, build) = matches.subcommand().expect("a command");
        let bases: Vec<_> = build.get_many::<PathBuf>("base").expect("two").collect();
        assert!(
            bases[0].is_absolute() && bases[0].ends_with("a.bin"),
            "relative to the file: {bases:?}"
        );
        assert_eq!(bases[1], Path::new("/b.bin"));
        assert_eq!(build.get_one::<String>("key").map(String::as_str), Some("env:KEY"));
        assert!(build.get_flag("check"));
        assert_eq!(product(&matches).map(String::as_str), Some("7"));
        let lines: Vec<_> =
            settings.iter().map(|setting| (setting.flag.as_str(), &setting.origin)).collect();
        let is_there = |flag, at| {
            lines.iter().any(|(name, origin)| {
                *name == flag && matches!(origin, Origin::File(_, line) if *line == at)
            })
        };
        assert!(is_there("base", 2) && is_there("product", 5), "{lines:?}");
    }

    #[test]
    fn what_no_command_has_is_named_with_its_line() {
        let cases = [
            ("product = 1\nprodct = 2\n", "`./whittle.toml`, line 2: no command has `--prodct`"),
            ("[build]\nformat = 1\n", "`./whittle.toml`, line 2: `build` has no `--format`"),
            ("\n[biuld]\n", "`./whittle.toml`, line 2: there is no command `biuld`"),
            (
                "product = 1979-05-27\n",
                "`./whittle.toml`, line 1: `product` is no text, number, `true`, `false` or list of them",
            ),
            ("help = true\n", "`./whittle.toml`, line 1: no command has `--help`"),
        ];
        for (file, why) in cases {
            assert_eq!(parsed(file, &[], &["build"]).expect_err("refused"), why);
        }
        let broken = parsed("a = \n", &[], &[]).expect_err("no TOML");
        assert!(broken.starts_with("`./whittle.toml`, line 1: "), "{broken}");
    }

    #[test]
    fn a_switch_is_on_or_off_and_nothing_else() {
        let is_on = |file: &str, value: &str| {
            let parsed =
                parsed(&format!("product = 1\n{file}"), &[("WHITTLE_CHECK", value)], &["build"])?;
            Ok::<_, String>(parsed.0.subcommand().is_some_and(|(_, build)| build.get_flag("check")))
        };
        assert_eq!(
            ["1", "yes", "true", "on"].map(|value| is_on("", value)),
            [const { Ok(true) }; 4]
        );
        assert_eq!(
            ["0", "no", "false", "off"].map(|value| is_on("", value)),
            [const { Ok(false) }; 4]
        );
        assert_eq!(
            is_on("", "2"),
            Err("`--check` is neither `true` nor `false` in WHITTLE_CHECK".to_owned())
        );
        assert_eq!(
            is_on("[build]\ncheck = \"so\"\n", ""),
            Err("`./whittle.toml`, line 3: `check` is a switch: `true` or `false` is wanted, without quotes".to_owned())
        );
        assert_eq!(is_on("[build]\ncheck = true\n", ""), Ok(true));
        for wrong in ["\"yes\"", "1", "[true]", "[]"] {
            let told = is_on(&format!("[build]\ncheck = {wrong}\n"), "").expect_err("refused");
            assert!(told.contains("`check` is a switch"), "{wrong}: {told}");
        }
        for wrong in ["true", "[\"a\", false]"] {
            let told = is_on(&format!("[build]\nkey = {wrong}\n"), "").expect_err("refused");
            assert!(told.contains("`key` is no switch"), "{wrong}: {told}");
        }
    }

    /// What has the name of the file and cannot be read is not passed over.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused() {
        let room = tempfile::tempdir().expect("there is room");
        let read = || {
            let found = find(room.path()).map(|_| room.path().join(FILE));
            let Some(path) = found else { return Ok(None) };
            belongs_to_us(&path)?;
            File::read(&path, &commands()).map(Some)
        };
        let path = room.path().join(FILE);
        assert!(read().is_ok_and(|file| file.is_none()));
        std::fs::create_dir(&path).expect("there is room");
        let directory = read().expect_err("a directory");
        assert!(directory.to_string().ends_with("is not a regular file"), "{directory}");
        std::fs::remove_dir(&path).expect("it is empty");
        std::os::unix::fs::symlink("nowhere", &path).expect("links are known");
        let dangling = read().expect_err("it leads nowhere");
        assert!(dangling.to_string().starts_with("cannot read"), "{dangling}");
        std::fs::remove_file(&path).expect("it is a link");
        std::fs::write(&path, b"product = 1\nkey = \"\xff\"\n").expect("there is room");
        let no_text = read().expect_err("no text");
        assert!(no_text.to_string().ends_with("line 2: it is not UTF-8"), "{no_text}");
        assert_eq!(no_text.exit(), crate::exit::Exit::BadInput);
    }

    #[test]
    fn what_contradicts_itself_is_told_and_what_is_a_key_is_not_shown() {
        let file = "product = 1\nkey = \"a\"\nsigner = \"b\"\nsigner-key = \"c\"\n";
        let told = parsed(file, &[], &["build"]).expect_err("two that exclude each other");
        assert!(
            told.contains("`--key` of ./whittle.toml:2")
                && told.contains("`--signer` of ./whittle.toml:3"),
            "{told}"
        );
        let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n";
        let told = parsed("", &[("WHITTLE_KEY", key)], &["build"]).expect_err("no name");
        assert!(!told.contains("MC4CAQ") && told.contains("WHITTLE_KEY"), "{told}");
        let variables = [(OsString::from("WHITTLE_CHEKC"), OsString::from("1"))].into_iter();
        let layers =
            Layers::read(None, None, Path::new("/"), variables, &commands()).expect("reads");
        assert_eq!(layers.cautions(), ["`WHITTLE_CHEKC` is no flag of any command"]);
    }

    #[test]
    fn a_file_is_found_upwards_as_far_as_the_repository_goes() {
        let room = tempfile::tempdir().expect("there is room");
        let (inner, outside) = (room.path().join("repository/a/b"), room.path().join("c"));
        for directory in [&inner, &outside, &room.path().join("repository/.git")] {
            std::fs::create_dir_all(directory).expect("there is room");
        }
        let write = |path: &str| std::fs::write(room.path().join(path), "").expect("there is room");
        write(FILE);
        assert_eq!(find(&inner), None, "it is not of the repository");
        assert_eq!(find(&outside), None, "there is no repository");
        assert_eq!(find(room.path()), Some(PathBuf::from(FILE)));
        write("repository/whittle.toml");
        assert_eq!(find(&inner), Some(room.path().join("repository").join(FILE)));
    }
}
