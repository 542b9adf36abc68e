pub(super) mod build;
pub(super) mod check;
mod language;
pub(super) mod list;
pub(super) mod new;
pub(super) mod plan;
pub(super) mod run;
pub(super) mod show;
pub(super) mod test;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use whittle_policy_host::types::{PolicyInfo, Setting, Value};
use whittle_policy_host::{Cache, ChildCompiler, Host, Limits, Policy, shipped};

use crate::COMPILE;
use crate::cache_directory;
use crate::error::{Error, Result};
use crate::printer::Printer;

/// Try out the rules by which a rollout advances and pauses.
///
/// A policy is a WebAssembly component that imports nothing (`wit/policy.wit`): the file of one, or the name of one that
/// comes with whittle.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    New(new::Args),
    Build(build::Args),
    Check(check::Args),
    Plan(plan::Args),
    Run(run::Args),
    Test(test::Args),
    List(list::Args),
    Show(show::Args),
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::New(args) => new::run(args, printer),
        Command::Build(args) => build::run(args, printer),
        Command::Check(args) => check::run(args, printer),
        Command::Plan(args) => plan::run(args, printer),
        Command::Run(args) => run::run(args, printer),
        Command::Test(args) => test::run(args, printer),
        Command::List(args) => list::run(args, printer),
        Command::Show(args) => show::run(args, printer),
    }
}

/// Which policy, and under which settings.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    /// File of the component, or the name of a policy that comes with whittle.
    policy: String,

    /// A setting that differs from its default, such as `pace=200` or `shares=0.01,0.1,1`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    settings: Vec<(String, String)>,
}

impl PolicyArgs {
    fn load(&self, printer: &Printer) -> Result<Policy> {
        load(&host(printer), &self.policy)
    }

    /// The settings, of the types and in the ranges that the policy says they have.
    fn settings(&self, policy: &Policy) -> Result<Vec<Setting>> {
        let info = policy.info();
        let settings = self.settings.iter().map(|(key, text)| setting(info, key, text));
        let settings = settings.collect::<Result<Vec<_>>>()?;
        let wrong = |violation| Error::Usage(format!("`--set`: {violation}"));
        policy.check_settings(&settings).map_err(wrong)?;
        Ok(settings)
    }
}

/// A host that keeps what it compiles in the user's cache directory.
pub(super) fn host(printer: &Printer) -> Host {
    let cache = cache_directory::find().map(|path| Cache::in_directory(path.join("policies")));
    if let Some(trouble) = cache.as_ref().and_then(Cache::trouble) {
        printer.note(&format!("caution: {trouble}"));
    }
    let host = Host::new(Limits::default(), cache);
    // Where this program cannot be found, as on a system without `/proc`, it compiles here.
    match std::env::current_exe() {
        Ok(program) => host.compiling_in(ChildCompiler::new(program, [COMPILE.into()])),
        Err(_) => host,
    }
}

pub(super) fn load(host: &Host, policy: &str) -> Result<Policy> {
    let component = match shipped::find(policy) {
        Some(shipped) => shipped.component.to_vec(),
        None if policy != "-" && !Path::new(policy).exists() => {
            return Err(Error::NoPolicy(policy.to_owned()));
        }
        None => read(Path::new(policy))?,
    };
    load_bytes(host, policy, &component)
}

/// Loads a component that came from `what`.
fn load_bytes(host: &Host, what: &str, component: &[u8]) -> Result<Policy> {
    host.load(component)
        .map_err(|error| Error::Policy { policy: what.to_owned(), source: Box::new(error) })
}

/// Reads a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let error =
        |source| whittle_release::Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = vec![];
    // One more than is accepted, so that it is found to be too much.
    let limit = MAX_FILE_BYTES + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    if read.map_err(error)? as u64 == limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(bytes)
}

/// The largest file that is read: more than any component or snapshot may have.
const MAX_FILE_BYTES: u64 = 256 << 20;

pub(super) fn read_json<T: DeserializeOwned>(what: &'static str, path: &Path) -> Result<T> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::BadJson {
        what,
        path: path.to_owned(),
        source,
    })
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("wanted KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn setting(info: &PolicyInfo, key: &str, text: &str) -> Result<Setting> {
    let wrong = |wanted| Error::Usage(format!("`--set {key}={text}`: wanted {wanted}"));
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let spec = info.settings.iter().find(|spec| spec.key == key);
    let value = match spec.ok_or_else(|| wrong("a key that `whittle policy show` lists"))?.default {
        Value::Flag(_) => Value::Flag(text.parse().map_err(|_| wrong("true or false"))?),
        Value::Number(_) => Value::Number(number(text).ok_or_else(|| wrong("a number"))?),
        Value::Text(_) => Value::Text(text.to_owned()),
        Value::Numbers(_) => {
            let numbers = text.split(',').map(number).collect::<Option<_>>();
            Value::Numbers(numbers.ok_or_else(|| wrong("numbers with commas between them"))?)
        }
    };
    Ok(Setting { key: key.to_owned(), value })
}

/// Puts settings of the command line in the place of those of a file.
fn apply(settings: &[Setting], of_the_file: &mut Vec<Setting>) {
    of_the_file.retain(|old| settings.iter().all(|new| new.key != old.key));
    of_the_file.extend_from_slice(settings);
}

/// A setting's value as it is written on the command line.
fn shown(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Numbers(numbers) => {
            numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
    }
}
