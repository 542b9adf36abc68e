use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::Label;
use whittle_format::flags::{Flag, Rule, SubjectKind};
use whittle_format::limits::MAX_FLAGS_ENVELOPE_BYTES;
use whittle_release::device_id::DeviceId;
use whittle_release::flags::{self, Decision, FlagsSource, Reason, VerifiedFlags};
use whittle_release::image::hex;
use whittle_release::keys::Keyring;
use whittle_release::percent;

use super::signing::SignerArgs;
use super::{DeviceArgs, TrustArgs};
use crate::error::Result;
use crate::out_file::OutFile;
use crate::printer::{Printer, table};
use crate::schema;
use crate::values;

/// Switch features on devices in the field: by device, group, region and share of the fleet.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Sign(SignArgs),
    Show(ShowArgs),
    Eval(EvalArgs),
}

/// Compile and sign a flags document.
///
/// The JSON is described in `docs/flags.md`. A signed document has at most 1024 bytes. Raise `version` each time:
/// devices refuse what is older than what they have.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// The flags, as JSON.
    source: PathBuf,

    #[command(flatten)]
    signer: SignerArgs,

    /// File of the signed document; it is replaced if it exists.
    #[arg(long, value_name = "FILE")]
    out: OutFile,

    /// Signed document that this one is to follow: its version must be lower.
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
}

/// Show what a signed flags document says.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The signed document.
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,
}

/// Tell each flag's value on a device, and what decided.
///
/// Asks the code that runs on the device.
#[derive(Debug, clap::Args)]
pub(crate) struct EvalArgs {
    /// The signed document.
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    device: DeviceArgs,

    /// Only this flag; may be given several times, also for flags that the document does not list.
    #[arg(long = "flag", value_name = "NAME", value_parser = values::label)]
    flags: Vec<Label>,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::Sign(args) => sign(args, printer),
        Command::Show(args) => show(args, printer),
        Command::Eval(args) => eval(args, printer),
    }
}

/// A flags document that was signed.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Signed {
    /// Path of the signed document.
    file: String,
    /// Name of the product.
    product: String,
    /// Version of the document.
    version: u32,
    /// How many flags it lists.
    flags: usize,
    /// Size of the signed document in bytes.
    bytes: usize,
    /// Most bytes that devices take.
    limit_bytes: usize,
    /// Id of the key that signed it.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
}

fn sign(args: &SignArgs, printer: &Printer) -> Result {
    let signer = args.signer.signer("flags")?;
    let source = FlagsSource::read(&args.source)?;
    let keys = Keyring::of(&*signer);
    if let Some(path) = &args.after {
        let bytes = flags::read(path)?;
        let previous = flags::authenticate(path, &bytes, &keys)?.head;
        flags::check_follows(&source, &previous)?;
        if previous.seed != source.seed() {
            printer.note("note: the seed has changed, so every percentage means other devices now");
        }
    }
    let signed = source.sign(&*signer)?;
    signed.write(&args.out)?;
    let result = Signed {
        file: args.out.display().to_string(),
        product: source.product.to_string(),
        version: source.version,
        flags: source.flags.len(),
        bytes: signed.0.len(),
        limit_bytes: MAX_FLAGS_ENVELOPE_BYTES,
        key_id: keys.ids().map(|id| hex(&id)).collect(),
    };
    printer.result(&result, |signed| {
        format!(
            "{}: {} flags of {}, version {}, {} of {} bytes, signed by key {}",
            signed.file,
            signed.flags,
            signed.product,
            signed.version,
            signed.bytes,
            signed.limit_bytes,
            signed.key_id
        )
    })
}

/// What a signed flags document says.
#[derive(JsonSchema, Serialize)]
pub(crate) struct DocumentView {
    /// Name of the product.
    product: String,
    /// Version of the document.
    version: u32,
    /// Seed of the draw behind percentages.
    #[schemars(regex(pattern = schema::HEX_16_BYTES))]
    seed: String,
    /// Whether every flag is off, whatever its rules say.
    kill: bool,
    /// The flags, in the order of the document.
    flags: Vec<FlagView>,
    /// Id of the key that signed it.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
    /// Size of the signed document in bytes.
    bytes: usize,
}

/// A flag and its rules.
#[derive(JsonSchema, Serialize)]
struct FlagView {
    /// Name of the flag.
    name: String,
    /// Whether it is on where no rule matches.
    default: bool,
    /// Whether it is off, whatever its rules say.
    kill: bool,
    /// Its rules, of which the first that matches decides.
    rules: Vec<RuleView>,
}

/// A rule of a flag.
#[derive(JsonSchema, Serialize)]
struct RuleView {
    /// Whether the flag is on where the rule matches.
    value: bool,
    /// Per cent of the devices, of 100, that the rule is for.
    percent: f64,
    /// Ids of the devices that it is for; empty for any.
    devices: Vec<DeviceId>,
    /// Names of the groups that it is for; empty for any.
    groups: Vec<String>,
    /// Names of the regions that it is for; empty for any.
    regions: Vec<String>,
}

impl DocumentView {
    fn of(flags: &VerifiedFlags<'_>, bytes: usize) -> Self {
        Self {
            product: flags.head.product.to_string(),
            version: flags.head.version,
            seed: hex(&flags.head.seed),
            kill: flags.head.is_killed,
            flags: flags.iter().map(FlagView::of).collect(),
            key_id: hex(&flags.key_id()),
            bytes,
        }
    }
}

impl FlagView {
    fn of(flag: Flag<'_>) -> Self {
        Self {
            name: flag.name.to_string(),
            default: flag.default,
            kill: flag.is_killed,
            rules: flag.rules.map(|rule| RuleView::of(&rule)).collect(),
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let default = if self.kill { "off (killed)" } else { on_off(self.default) };
        let mut rows = vec![vec![self.name.clone(), default.to_owned()]];
        for (rule, number) in self.rules.iter().zip(1..) {
            let row = [format!("  {number}."), on_off(rule.value).to_owned(), rule.for_whom()];
            rows.push(row.into());
        }
        rows
    }
}

impl RuleView {
    fn of(rule: &Rule<'_>) -> Self {
        let named = |wanted| {
            let subjects = rule.subjects.clone().filter(move |subject| subject.kind == wanted);
            subjects.map(|subject| DeviceId::from_bytes(subject.name))
        };
        Self {
            value: rule.value,
            percent: percent::number(rule.share),
            devices: named(SubjectKind::Device).collect(),
            groups: named(SubjectKind::Group).map(String::from).collect(),
            regions: named(SubjectKind::Region).map(String::from).collect(),
        }
    }

    fn for_whom(&self) -> String {
        let devices: Vec<String> = self.devices.iter().map(ToString::to_string).collect();
        let named = [("device", &devices), ("group", &self.groups), ("region", &self.regions)];
        let named = named.into_iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<String> =
            named.map(|(kind, names)| format!("{kind} {}", names.join(" or "))).collect();
        if self.percent < 100.0 || parts.is_empty() {
            parts.push(format!("{} %", self.percent));
        }
        parts.join(", ")
    }
}

fn show(args: &ShowArgs, printer: &Printer) -> Result {
    let bytes = flags::read(&args.file)?;
    let flags = flags::authenticate(&args.file, &bytes, &args.trust.keyring()?)?;
    printer.result(&DocumentView::of(&flags, bytes.len()), |view| {
        let kill = if view.kill { "KILLED: every flag is off\n" } else { "" };
        format!(
            "VERIFIED, signed by key {}\n{} · version {} · seed {} · {} of {} bytes\n{kill}\n{}",
            view.key_id,
            view.product,
            view.version,
            view.seed,
            view.bytes,
            MAX_FLAGS_ENVELOPE_BYTES,
            table(&["flag", "value", "for"], view.flags.iter().flat_map(FlagView::rows)),
        )
    })
}

/// What flags are on a device.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Evaluation {
    /// Name of the product.
    product: String,
    /// Version of the document.
    version: u32,
    /// Id of the device.
    device: DeviceId,
    /// The flags that were asked for, or all.
    flags: Vec<ValueView>,
}

/// A flag on a device.
#[derive(JsonSchema, Serialize)]
struct ValueView {
    /// Name of the flag.
    name: String,
    /// Whether it is on; `null` if the document does not list the flag: the firmware's own default holds.
    value: Option<bool>,
    /// What decided: a kill switch of the document or the flag, a rule, the default; or `unlisted`.
    #[schemars(extend("enum" = ["document-kill", "flag-kill", "rule", "default", "unlisted"]))]
    decided_by: &'static str,
    /// Number of the rule, from 1; absent if no rule decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
}

impl ValueView {
    fn of(name: &Label, decision: Option<Decision>) -> Self {
        let (decided_by, rule) = match decision.map(|decision| decision.reason) {
            None => ("unlisted", None),
            Some(Reason::DocumentKilled) => ("document-kill", None),
            Some(Reason::FlagKilled) => ("flag-kill", None),
            Some(Reason::Rule(number)) => ("rule", Some(number + 1)),
            Some(Reason::Default) => ("default", None),
        };
        let value = decision.map(|decision| decision.is_on);
        Self { name: name.to_string(), value, decided_by, rule }
    }

    fn row(&self) -> Vec<String> {
        let value = self.value.map_or("the firmware's default", on_off);
        let by = match (self.decided_by, self.rule) {
            ("unlisted", _) => "not listed".to_owned(),
            (by, Some(number)) => format!("{by} {number}"),
            (by, None) => by.replace('-', " "),
        };
        vec![self.name.clone(), value.to_owned(), by]
    }
}

fn eval(args: &EvalArgs, printer: &Printer) -> Result {
    let bytes = flags::read(&args.file)?;
    let flags = flags::authenticate(&args.file, &bytes, &args.trust.keyring()?)?;
    let groups = args.device.groups();
    let device = args.device.facts(&groups);
    let names = match args.flags.as_slice() {
        [] => flags.iter().map(|flag| flag.name).collect(),
        chosen => chosen.to_vec(),
    };
    let values = names.iter().map(|name| ValueView::of(name, flags.decide(name.as_str(), &device)));
    let evaluation = Evaluation {
        product: flags.head.product.to_string(),
        version: flags.version(),
        device: args.device.id.clone(),
        flags: values.collect(),
    };
    printer.result(&evaluation, |evaluation| {
        table(&["flag", "value", "decided by"], evaluation.flags.iter().map(ValueView::row))
    })
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}
