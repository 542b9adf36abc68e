use std::collections::HashSet;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::index::AttachmentKind;
use whittle_format::manifest::HardwareRange;
use whittle_format::{Label, Share};
use whittle_publish::Store;
use whittle_publish::cache::{DEFAULT_MAX_BYTES, DirectoryCache, SharedCache, TieredCache};
use whittle_release::archive::Archive;
use whittle_release::artifact_cache::{ArtifactCache, NoCache};
use whittle_release::budget::{self, Budgets, Checked};
use whittle_release::build::{
    self, Artifact, AttachedFile, Base, Built, Event, Progress, Report, Request,
};
use whittle_release::files::write_atomically;
use whittle_release::keys::Signer;
use whittle_release::{
    Alternative, CodecChoice, DeviceProfile, Error as ReleaseError, Image, InPlaceRoom, detached,
    directory,
};

use super::attach::tell_wanted;
use super::base::DEFAULT_ARCHIVE;
use super::signing::SignerArgs;
use super::{CodeArgs, CodecArg, InputArgs};
use crate::cache_directory;
use crate::error::{Error, Result};
use crate::out_file::{self, OutFile};
use crate::printer::{Printer, grouped, table};
use crate::time;
use crate::values;

/// How many bases are taken from the archive.
const BASES_FROM_ARCHIVE: usize = 3;

/// Build a signed release: a delta from each base, and the full image as fallback.
///
/// The bases are the last three images of the product in the archive, or those given with `--base`. Every artifact is
/// applied by the device's own code and compared with the target before it is signed. The release directory appears
/// in one step, complete, or not at all.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the product.
    #[arg(long, value_parser = values::label)]
    product: Label,

    /// The new image.
    #[arg(long, value_name = "FILE")]
    target: PathBuf,

    /// Version of the new image.
    #[arg(long, value_name = "VERSION", value_parser = values::label)]
    target_version: Label,

    /// An image that devices run now; may be given several times.
    #[arg(long = "base", value_name = "FILE")]
    bases: Vec<PathBuf>,

    /// Archive to take the last three bases from, where no `--base` is given.
    ///
    /// [default: whittle-bases, if it exists]
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,

    #[command(flatten)]
    signer: SignerArgs,

    /// Directory of the release; it must not exist yet, or be empty.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "emit_tbs",
        conflicts_with = "emit_tbs"
    )]
    out: Option<PathBuf>,

    /// Hardware revisions that the image runs on: one, or a range such as 2-5.
    #[arg(long, value_name = "RANGE", value_parser = values::hardware, default_value = "0-65535")]
    hardware: HardwareRange,

    /// Security counter: devices refuse a package whose counter is below their own.
    #[arg(long, value_name = "N", default_value_t = 0)]
    security_counter: u32,

    /// RAM that the device has for decoding.
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "16M")]
    device_ram: u64,

    /// Capacity of the device's slot; a larger image is refused.
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    slot_size: Option<u64>,

    /// Make deltas for a device with this single slot, which is erased in sectors of so many bytes: the target takes the
    /// room of its base. The slot's last sector is left free, for the image's signed envelope.
    ///
    /// The device's side is not ready for devices in the field yet.
    #[arg(long, value_name = "SIZE", value_parser = values::size, requires = "slot_size")]
    in_place: Option<u64>,

    /// Which codec to use.
    #[arg(long, value_enum, default_value_t = CodecArg::Auto)]
    codec: CodecArg,

    /// Size of the blocks that are authenticated one by one; the device holds one in RAM.
    ///
    /// [default: 4K, or 64K where the device has at least 1M of RAM for decoding]
    #[arg(long, value_name = "SIZE", value_parser = values::block_log2)]
    block_size: Option<u8>,

    #[command(flatten)]
    code: CodeArgs,

    #[command(flatten)]
    input: InputArgs,

    /// Release notes to ship along, hashed in the signed index.
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,

    /// Software bill of materials to ship along, hashed in the signed index.
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,

    /// Threads to use; the result does not depend on it [default: as many as there are cores].
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Bytes that a device with one of the bases may have to fetch.
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Budgets")]
    max_delta_bytes: Option<u64>,

    /// The same as a percentage of the new image, such as 12.5%.
    #[arg(long, value_name = "PERCENT", value_parser = values::share, help_heading = "Budgets")]
    max_ratio: Option<Share>,

    /// RAM that any package may need on the device, for decoding and for the block that is authenticated.
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Budgets")]
    max_patcher_ram: Option<u64>,

    /// Write how budgets were kept to this file, as a table in Markdown; also if they were not.
    #[arg(long, value_name = "FILE", help_heading = "Budgets")]
    budget_markdown: Option<OutFile>,

    /// Where artifacts are kept, so that what was coded once is not coded again: a directory, or a store that machines share, such as
    /// `s3://bucket/prefix`, in front of which the directory stays.
    ///
    /// [default: `whittle/artifacts` in the user's cache directory]
    #[arg(long, value_name = "DIR|URL", conflicts_with = "no_cache")]
    cache: Option<String>,

    /// Code everything, and keep nothing.
    #[arg(long)]
    no_cache: bool,

    /// Build once more, without a cache, and compare every byte with `--out`; what exists there is compared, not replaced.
    #[arg(long, conflicts_with = "emit_tbs")]
    check: bool,
}

/// A release that was built, and what each device fetches.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Outcome<'a> {
    /// Path of the release directory.
    out: String,
    /// Whether a rebuild gave the same bytes; absent without `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reproducible: Option<bool>,
    /// How budgets were kept; absent if none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    budgets: Option<&'a Checked>,
    #[serde(flatten)]
    report: &'a Report,
}

/// The room of a single slot: all of its sectors but the last.
fn in_place(args: &Args) -> Result<Option<InPlaceRoom>> {
    let (Some(sector), Some(slot)) = (args.in_place, args.slot_size) else { return Ok(None) };
    let sectors = slot.checked_div(sector).unwrap_or(0).saturating_sub(1);
    let (sector_bytes, sectors) = (u32::try_from(sector), u16::try_from(sectors));
    match (sector_bytes, sectors) {
        (Ok(sector_bytes), Ok(sectors)) if InPlaceRoom::is_possible(sector_bytes, sectors) => {
            Ok(Some(InPlaceRoom { sector_bytes, sectors }))
        }
        _ => Err(Error::Usage(format!(
            "`--in-place {sector}` does not cut a slot of {slot} bytes into \
             sectors: a power of two from 64 on is wanted, and 65536 sectors at most"
        ))),
    }
}

/// Refuses places for other things where the release is to be, which must be empty until all of it is there.
fn refuse_places_within(args: &Args) -> Result {
    let directory = args.out.as_ref().or(args.signer.emit_tbs.as_ref());
    let directory = directory.map(|directory| out_file::place(directory));
    let cache = args.cache.as_deref().filter(|cache| !cache.contains("://")).map(Path::new);
    let table = args.budget_markdown.as_deref();
    let all = [("--cache", cache), ("--budget-markdown", table)];
    for (flag, path) in all.into_iter().filter_map(|(flag, path)| Some((flag, path?))) {
        if directory.as_ref().is_some_and(|within| out_file::place(path).starts_with(within)) {
            let (flag, path) = (flag.to_owned(), path.to_owned());
            let what = "where the release is to be".to_owned();
            return Err(Error::Overwrites { flag, path, what });
        }
    }
    Ok(())
}

pub(crate) fn run(args: &Args, profile: Option<&str>, printer: &Printer) -> Result {
    refuse_places_within(args)?;
    let signer = args.signer.signer("release")?;
    let request = request(args, &*signer, printer)?;
    let Some(out) = &args.out else { return emit_tbs(args, profile, &request, printer) };
    let compare_only = args.check && directory::check_free(out).is_err() && out.is_dir();
    if !compare_only {
        directory::check_free(out)?;
    }
    refuse_overfull_slot(args, profile, &request)?;
    // What is compared with what is there must be made for that.
    let cache = if compare_only { Cache::None } else { Cache::open(args)? };
    let built = with_progress(&request, printer, |request, progress| {
        build::build_with_cache(request, cache.as_dyn(), progress)
    })?;
    if let Some(trouble) = cache.trouble() {
        printer.note(&trouble);
    }
    // Nothing is written of a release that takes more than it may.
    let checked = check_budgets(args, profile, &request.profile, &built.report)?;
    if compare_only {
        directory::compare(out, &built.files)?;
    } else if args.check {
        check_again(&request, &built, printer)?;
        directory::write(out, &built.files)?;
    } else {
        directory::write(out, &built.files)?;
    }
    tell(&built.report, printer);
    let outcome = Outcome {
        out: out.display().to_string(),
        reproducible: args.check.then_some(true),
        budgets: checked.as_ref(),
        report: &built.report,
    };
    printer.result(&outcome, human)
}

/// Builds everything but the signatures.
fn emit_tbs(
    args: &Args,
    profile: Option<&str>,
    request: &Request<'_>,
    printer: &Printer,
) -> Result {
    let Some(directory) = &args.signer.emit_tbs else {
        return Err(Error::Usage("`--out` is wanted".to_owned()));
    };
    directory::check_free(directory)?;
    refuse_overfull_slot(args, profile, request)?;
    let cache = Cache::open(args)?;
    let unsigned = with_progress(request, printer, |request, progress| {
        build::prepare(request, cache.as_dyn(), progress)
    })?;
    if let Some(trouble) = cache.trouble() {
        printer.note(&trouble);
    }
    check_budgets(args, profile, &request.profile, unsigned.report())?;
    tell(unsigned.report(), printer);
    tell_wanted(&detached::emit(&unsigned, args.signer.public_key()?, directory)?, printer)
}

/// What each codec made of it.
fn compared(alternatives: &[Alternative]) -> String {
    let one = |made: &Alternative| {
        let how = [made.instruction_set, made.memory_class].into_iter().flatten();
        let how: String = how.map(|how| format!(" {how}")).collect();
        format!("{}{how} {} bytes", made.codec, grouped(made.payload_bytes))
    };
    alternatives.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Tells what should not surprise anybody later, and what else was tried.
fn tell(report: &Report, printer: &Printer) {
    report.warnings.iter().for_each(|warning| printer.note(warning));
    for Artifact { file, alternatives, .. } in &report.artifacts {
        printer.detail(|| format!("`{file}` is the smallest of: {}", compared(alternatives)));
    }
    explain_refusals(report, printer);
}

fn request<'a>(args: &Args, signer: &'a dyn Signer, printer: &Printer) -> Result<Request<'a>> {
    let target = args.input.read(&args.target, printer)?;
    let bases = bases(args, &target, printer)?;
    // What is archived was read by another command.
    let given = bases.iter().filter(|_| !args.bases.is_empty()).map(|base| &base.image);
    args.input.check_heeded(&given.chain([&target]).collect::<Vec<_>>())?;
    Ok(Request {
        product: args.product,
        target_version: args.target_version,
        hardware: args.hardware,
        security_counter: args.security_counter,
        target,
        bases,
        profile: DeviceProfile {
            decoder_ram_bytes: args.device_ram,
            slot_bytes: args.slot_size,
            codec: args.codec.into(),
            fixed_block_log2: args.block_size,
            load_address: args.code.load_address,
            code: args.code.hint(),
            in_place: in_place(args)?,
        },
        attachments: attachments(args)?,
        signer,
        threads: args
            .jobs
            .or(std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get),
    })
}

/// Holds the release against its budgets, if there are any, and tells everybody who wants to know.
fn check_budgets(
    args: &Args,
    name: Option<&str>,
    profile: &DeviceProfile,
    report: &Report,
) -> Result<Option<Checked>> {
    let Args { max_delta_bytes, max_ratio, max_patcher_ram, budget_markdown, .. } = args;
    let is_wanted = max_delta_bytes.or(*max_patcher_ram).is_some() || max_ratio.is_some();
    if !is_wanted && budget_markdown.is_none() {
        return Ok(None);
    }
    let budgets = Budgets {
        profile: name.map(str::to_owned),
        max_delta_bytes: *max_delta_bytes,
        max_ratio: *max_ratio,
        slot_size: args.slot_size,
        max_patcher_ram: *max_patcher_ram,
    };
    let checked = budget::check(report, profile, &budgets);
    tell_budgets(args, &checked)?;
    checked.enforce()?;
    Ok(Some(checked))
}

/// Refuses a target that is larger than its slot before there is a release to hold against any budget, and tells everybody.
fn refuse_overfull_slot(args: &Args, profile: Option<&str>, request: &Request<'_>) -> Result {
    let (got, slot) = (request.target.size().into(), request.profile.slot_bytes);
    let overfull = Checked::overfull_slot(profile, got, slot);
    let (Some(slot), Some(checked)) = (slot, overfull) else { return Ok(()) };
    tell_budgets(args, &checked)?;
    let error = ReleaseError::SlotTooSmall { got, slot };
    Err(Error::OverfullSlot { error, checked: Box::new(checked) })
}

/// Writes the table of budgets, and annotations where GitHub reads them.
fn tell_budgets(args: &Args, checked: &Checked) -> Result {
    if let Some(path) = &args.budget_markdown {
        write_atomically(path, checked.markdown().as_bytes())?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        for line in checked.github_annotations() {
            // They are for GitHub, which reads standard error, too; `--quiet` is about talk to people.
            let _ = writeln!(io::stderr(), "{}", line.replace(char::is_control, " "));
        }
    }
    Ok(())
}

/// Where artifacts are kept.
enum Cache {
    None,
    Near(DirectoryCache),
    Tiered(Box<TieredCache>),
}

impl Cache {
    fn open(args: &Args) -> Result<Self> {
        let near = |directory: PathBuf| DirectoryCache::new(&directory, DEFAULT_MAX_BYTES);
        let usual = || cache_directory::find().map(|directory| near(directory.join("artifacts")));
        match &args.cache {
            _ if args.no_cache => Ok(Self::None),
            None => Ok(usual().map_or(Self::None, Self::Near)),
            Some(place) if !place.contains("://") => Ok(Self::Near(near(PathBuf::from(place)))),
            Some(place) => {
                let far = SharedCache::new(Store::open(place, super::variables())?);
                Ok(Self::Tiered(Box::new(TieredCache { near: usual(), far })))
            }
        }
    }

    fn as_dyn(&self) -> &dyn ArtifactCache {
        match self {
            Self::None => &NoCache,
            Self::Near(cache) => cache,
            Self::Tiered(cache) => &**cache,
        }
    }

    fn trouble(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Near(cache) => cache.trouble(),
            Self::Tiered(cache) => cache.trouble(),
        }
    }
}

/// Builds a second time with one thread, which must not matter, and without a cache.
fn check_again(request: &Request<'_>, built: &Built, printer: &Printer) -> Result {
    printer.note("building once more to compare");
    let again = build::build(
        &Request {
            threads: 1,
            attachments: request.attachments.clone(),
            bases: request.bases.clone(),
            target: request.target.clone(),
            ..*request
        },
        &|_| {},
    )?;
    let differs = built.files.iter().zip(&again.files).find(|(a, b)| a != b);
    match differs {
        Some(((name, _), _)) => {
            Err(ReleaseError::NotReproducible(format!("`{name}` has other bytes")).into())
        }
        None => Ok(()),
    }
}

fn with_progress<T>(
    request: &Request<'_>,
    printer: &Printer,
    build: impl FnOnce(&Request<'_>, Progress<'_>) -> Result<T, ReleaseError>,
) -> Result<T> {
    let total = request.bases.len() as u64 + 1;
    let bar = indicatif::ProgressBar::new(total * u64::from(build::ENCODING));
    bar.set_style(style());
    if !printer.shows_progress() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let started = Instant::now();
    let built = build(request, &|event| match event {
        Event::Encoding { what, more } => {
            bar.set_message(what.to_owned());
            bar.inc(more.into());
        }
        Event::Done { what, cached, .. } => {
            let how = if cached { "found in the cache" } else { "encoded, and replayed" };
            let at = time::milliseconds(started.elapsed());
            printer.detail(|| format!("{what}: {how}, after {at}"));
        }
    });
    bar.finish_and_clear();
    Ok(built?)
}

fn style() -> indicatif::ProgressStyle {
    let template = "[{elapsed}] {bar:32} {percent} % {msg}";
    indicatif::ProgressStyle::with_template(template)
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar())
}

fn bases(args: &Args, target: &Image, printer: &Printer) -> Result<Vec<Base>> {
    let mut bases = Vec::new();
    for path in &args.bases {
        bases.push(Base { image: args.input.read(path, printer)?, version: None });
    }
    if args.bases.is_empty() {
        let directory = args.archive.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_ARCHIVE));
        let archive = Archive::at(&directory);
        if args.archive.is_some() {
            archive.check_exists()?;
        }
        for entry in archive.latest(&args.product, BASES_FROM_ARCHIVE, target.digest())? {
            bases.push(Base { image: archive.read(&entry)?, version: Some(entry.version) });
        }
        printer.note(&match bases.len() {
            0 => format!(
                "no base of `{}` in `{}`: full image only",
                args.product,
                directory.display()
            ),
            1 => format!("1 base from `{}`", directory.display()),
            count => format!("{count} bases from `{}`", directory.display()),
        });
    }
    let mut seen = HashSet::new();
    bases.retain(|base| {
        let new = seen.insert(base.image.digest());
        if !new {
            printer.note(&format!("base {} was given twice", base.image.digest().short()));
        }
        new
    });
    Ok(bases)
}

fn attachments(args: &Args) -> Result<Vec<AttachedFile>> {
    let files = [(AttachmentKind::Notes, &args.notes), (AttachmentKind::Sbom, &args.sbom)];
    let mut attached = Vec::new();
    for (kind, path) in files {
        if let Some(path) = path {
            // An attachment has an image's size limit.
            attached.push(AttachedFile { kind, bytes: Image::read(path)?.bytes().to_vec() });
        }
    }
    Ok(attached)
}

fn explain_refusals(report: &Report, printer: &Printer) {
    for refused in &report.refused {
        let base = refused.base_version.clone().unwrap_or_else(|| refused.base_sha256.short());
        printer.note(&format!("base {base} is served by the full image: {}", refused.reason));
    }
}

fn human(outcome: &Outcome<'_>) -> String {
    let report = outcome.report;
    format!(
        "{} {} ({} bytes, sha-256 {})\n\n{}\n\nin {}{}{}",
        report.product,
        report.target_version,
        grouped(report.target_bytes.into()),
        report.target_sha256.short(),
        artifact_table(report),
        outcome.out,
        if outcome.reproducible == Some(true) { "; a rebuild gave the same bytes" } else { "" },
        outcome.budgets.map(|kept| budgets_kept(kept.checks.len())).unwrap_or_default(),
    )
}

fn budgets_kept(count: usize) -> String {
    match count {
        1 => "; the budget is kept".to_owned(),
        count => format!("; all {count} budgets are kept"),
    }
}

/// The packages of a release, with what a device fetches.
pub(crate) fn artifact_table(report: &Report) -> String {
    let row = |artifact: &Artifact| {
        let base = artifact.base_sha256.map_or("-".to_owned(), |digest| digest.short());
        vec![
            artifact.kind.to_owned(),
            artifact.base_version.clone().unwrap_or(base),
            artifact
                .instruction_set
                .map_or(artifact.codec.to_owned(), |set| format!("{} ({set})", artifact.codec)),
            grouped(artifact.download_bytes),
            percent(artifact.download_bytes, report.target_bytes.into()),
            grouped(artifact.decoder_ram_bytes),
            artifact.file.clone(),
        ]
    };
    let header = ["kind", "base", "codec", "download", "of image", "decoder RAM", "file"];
    table(&header, report.artifacts.iter().map(row))
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = (part * 1000 + whole / 2) / whole;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

impl From<CodecArg> for CodecChoice {
    fn from(codec: CodecArg) -> Self {
        match codec {
            CodecArg::Auto => Self::Auto,
            CodecArg::Compact => Self::Compact,
            CodecArg::Zstd => Self::Zstd,
            CodecArg::Bsdiff => Self::Bsdiff,
            CodecArg::Stored => Self::Stored,
        }
    }
}
