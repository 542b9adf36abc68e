use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::{Label, Seed, Share, Stage, shorten};
use whittle_release::device_id::DeviceId;
use whittle_release::image::hex;
use whittle_release::keys::Keyring;
use whittle_release::stage::{self, Draw, Gate, place};
use whittle_release::{Sha256Digest, flags, percent};

use super::signing::SignerArgs;
use super::{DeviceArgs, InputArgs, TrustArgs};
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, grouped};
use crate::schema;
use crate::values;

/// Open a rollout to a share of the fleet; devices tell by themselves whether they are in.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Sign(Box<SignArgs>),
    Check(CheckArgs),
}

/// Sign a stage of a rollout.
///
/// The first stage names the target and gets a new random seed; each further one names its predecessor with `--after`
/// and keeps both. Within a rollout neither number nor share may fall.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// Share of the fleet that may take the target by now, such as 5%; at most four decimals.
    #[arg(long, value_name = "PERCENT", value_parser = values::share)]
    share: Share,

    #[command(flatten)]
    signer: SignerArgs,

    /// File of the signed stage; it is replaced if it exists.
    #[arg(long, value_name = "FILE")]
    out: OutFile,

    /// Signed stage that this one is to follow; product, target and seed are taken from it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["product", "target_version", "target", "target_sha256", "seed"])]
    after: Option<PathBuf>,

    /// Number of the stage [default: 1, or the one after `--after`].
    #[arg(long, value_name = "N")]
    stage: Option<u32>,

    /// Name of the product.
    #[arg(long, value_parser = values::label, required_unless_present = "after")]
    product: Option<Label>,

    /// Version of the target.
    #[arg(long, value_name = "VERSION", value_parser = values::label, required_unless_present = "after")]
    target_version: Option<Label>,

    /// The target image.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["after", "target_sha256"])]
    target: Option<PathBuf>,

    /// SHA-256 of the target image, instead of the image.
    #[arg(long, value_name = "DIGEST", conflicts_with = "target")]
    target_sha256: Option<Sha256Digest>,

    /// Seed of the rollout, 32 hexadecimal digits [default: random; with `--emit-tbs` it must be said].
    #[arg(long, value_name = "SEED", value_parser = values::seed)]
    seed: Option<Seed>,

    #[command(flatten)]
    input: InputArgs,
}

/// Tell whether a device is within a signed stage.
///
/// Asks the code that runs on the device. A device that is not in is a result, not an error: the exit code is 0.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The signed stage.
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    device: DeviceArgs,

    /// Signed flags that hold the rollout's gate, which must be open for the device, too: what `rollout` publishes beside the stage.
    #[arg(long, value_name = "FILE")]
    flags: Option<PathBuf>,

    /// Signed stage that the device has accepted before: what falls behind it is refused.
    #[arg(long, value_name = "FILE")]
    accepted: Option<PathBuf>,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::Sign(args) => sign(args, printer),
        Command::Check(args) => check(args, printer),
    }
}

/// A stage of a rollout.
#[derive(JsonSchema, Serialize)]
struct StageView {
    /// Name of the product.
    product: String,
    /// Version of the target.
    target_version: String,
    /// First 16 bytes of the target's SHA-256.
    #[schemars(regex(pattern = schema::HEX_16_BYTES))]
    target_sha256_prefix: String,
    /// Seed of the draw, the same in all stages of a rollout.
    #[schemars(regex(pattern = schema::HEX_16_BYTES))]
    seed: String,
    /// Number of the stage, from 1.
    stage: u32,
    /// Per cent of the fleet, of 100, that may take the target.
    percent: f64,
    /// Id of the key that signed it.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
}

impl StageView {
    fn of(stage: &Stage, key_id: String) -> Self {
        Self {
            product: stage.product.to_string(),
            target_version: stage.target_version.to_string(),
            target_sha256_prefix: hex(&stage.target_digest),
            seed: hex(&stage.seed),
            stage: stage.number,
            percent: percent::number(stage.share),
            key_id,
        }
    }
}

/// A stage that was signed.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Signed {
    /// Path of the signed stage.
    file: String,
    /// Size of the signed stage in bytes.
    bytes: usize,
    #[serde(flatten)]
    stage: StageView,
}

fn sign(args: &SignArgs, printer: &Printer) -> Result {
    if args.signer.emit_tbs.is_some() && args.after.is_none() && args.seed.is_none() {
        // A random one would be another one when the signature has come back.
        return Err(Error::Usage(
            "the first stage of a rollout that is signed elsewhere needs `--seed`".into(),
        ));
    }
    let signer = args.signer.signer("stage")?;
    let keys = Keyring::of(&*signer);
    let stage = match &args.after {
        Some(path) => {
            let previous = *stage::read(path, &keys)?;
            let following = || previous.number.checked_add(1).ok_or_else(last_stage);
            let number = args.stage.map_or_else(following, Ok)?;
            let next = Stage { number, share: args.share, ..previous };
            stage::check_follows(&args.out, &next, &previous)?;
            next
        }
        None => first_stage(args, printer)?,
    };
    let signed = stage::sign(&stage, &*signer)?;
    signed.write(&args.out)?;
    let key_id = keys.ids().map(|id| hex(&id)).collect();
    let result = Signed {
        file: args.out.display().to_string(),
        bytes: signed.0.len(),
        stage: StageView::of(&stage, key_id),
    };
    printer.result(&result, |signed| {
        let view = &signed.stage;
        format!(
            "{}: stage {} of {} {}, {} % of the fleet, seed {}, {} bytes, signed by key {}",
            signed.file,
            view.stage,
            view.product,
            view.target_version,
            view.percent,
            view.seed,
            signed.bytes,
            view.key_id
        )
    })
}

fn last_stage() -> Error {
    Error::Usage("there is no stage above this one: begin a new rollout".into())
}

fn first_stage(args: &SignArgs, printer: &Printer) -> Result<Stage> {
    let missing = || Error::Usage("the first stage needs a product, a version and a target".into());
    let target = match (&args.target, args.target_sha256) {
        (Some(path), _) => args.input.read_only(path, printer)?.digest(),
        (None, Some(digest)) => digest,
        (None, None) => return Err(missing()),
    };
    Ok(Stage {
        product: args.product.ok_or_else(missing)?,
        target_version: args.target_version.ok_or_else(missing)?,
        target_digest: shorten(&target.0),
        seed: args.seed.map_or_else(stage::new_seed, Ok)?,
        number: args.stage.unwrap_or(1),
        share: args.share,
    })
}

/// Whether a device is within a stage.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Checked {
    /// Whether it may take the target.
    eligible: bool,
    /// Whether the rollout's gate is open for the device; absent if no flags were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<bool>,
    /// Id of the device.
    device: DeviceId,
    /// Place of the device in the draw, from 0 to 999 999.
    place: u32,
    #[serde(flatten)]
    stage: StageView,
}

fn check(args: &CheckArgs, printer: &Printer) -> Result {
    let keys = args.trust.keyring()?;
    let stage = stage::read(&args.file, &keys)?;
    if let Some(path) = &args.accepted {
        stage::check_follows(&args.file, &stage, &*stage::read(path, &keys)?)?;
    }
    let groups = args.device.groups();
    let device = args.device.facts(&groups);
    let gate = args.flags.as_ref().map(|path| {
        let bytes = flags::read(path)?;
        let flags = flags::authenticate(path, &bytes, &keys)?;
        Ok::<_, Error>(flags.is_on(Gate::of(&stage.seed).name(), &device).unwrap_or(false))
    });
    let gate = gate.transpose()?;
    let checked = Checked {
        eligible: stage.includes(device.id) && gate != Some(false),
        gate,
        device: args.device.id.clone(),
        place: place(Draw::Rollout, &stage.seed, device.id),
        stage: StageView::of(&stage, hex(&stage.key_id())),
    };
    let covered = stage.share.ppm();
    printer.result(&checked, |checked| {
        let StageView { product, target_version, stage, percent, .. } = &checked.stage;
        let gate = match checked.gate {
            None => "",
            Some(true) => "; the gate is open for it",
            Some(false) => "; the gate is closed for it",
        };
        format!(
            "{}: `{}` has place {}; stage {stage} of {product} {target_version} covers the places below {} ({percent} %){gate}",
            if checked.eligible { "in" } else { "not in" },
            checked.device,
            grouped(checked.place.into()),
            grouped(covered.into()),
        )
    })
}
