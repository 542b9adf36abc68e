use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_publish::Store;
use whittle_publish::gc::{self, Active, Collected, Options, Why};

use super::{TrustArgs, keyring};
use crate::error::Result;
use crate::printer::{Printer, grouped, table};
use crate::time;

/// Remove from a store what no release needs any more.
///
/// The last releases of each product stay, and whatever a channel points to or is named as active; all their packages stay with
/// them, the full images among them. Indexes go first, then what only they named. What cannot be understood, or is signed by
/// another key, ends it before anything is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store: a directory, `file:///path`, or `s3://bucket/prefix`.
    #[arg(value_name = "PLACE")]
    place: String,

    #[command(flatten)]
    trust: TrustArgs,

    /// Public key that counts besides for what is in the store, as after a change of keys; may be given several times.
    #[arg(long = "former-pubkey", value_name = "FILE")]
    former_pubkeys: Vec<PathBuf>,

    /// How many releases of each product stay, 1 or more.
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: usize,

    /// JSON file with releases that stay besides, `{"active": [{"product": "p", "version": "1.2"}, …]}`; instead of the version, the
    /// `sha256` of the image. May be given several times.
    #[arg(long, value_name = "FILE")]
    keep_active: Vec<PathBuf>,

    /// Signed stage of a rollout whose release stays; may be given several times.
    #[arg(long, value_name = "FILE")]
    keep_stage: Vec<PathBuf>,

    /// How old something must be to be removed; what is younger may be about to be published.
    #[arg(long, value_name = "TIME", value_parser = time::parse_length, default_value = "1d")]
    grace: u32,

    /// Only tell what would be removed.
    #[arg(long)]
    dry_run: bool,
}

/// What nobody needs any more in a store.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Outcome {
    /// Whether nothing was removed, only looked at.
    dry_run: bool,
    #[serde(flatten)]
    collected: Collected,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let mut keys = args.trust.keyring()?;
    let mut active = Vec::new();
    for file in &args.keep_active {
        active.extend(Active::read_list(file)?);
    }
    for file in &args.keep_stage {
        active.push(Active::read_stage(file, &keys)?);
    }
    // Not sooner: a stage that is named here is none of the store's.
    keys.0.extend(keyring(&args.former_pubkeys)?.0);
    let options = Options {
        keep: args.keep,
        active,
        grace_s: args.grace.into(),
        dry_run: args.dry_run,
        now_s: time::now_s(),
    };
    let store = Store::open(&args.place, super::variables())?;
    let collected = gc::gc(&store, &keys, &options)?;
    for key in &collected.unknown {
        printer.note(&format!("`{key}` belongs to nothing here; it stays"));
    }
    if collected.unfinished {
        printer.note("it took too long; the rest goes the next time");
    }
    printer.result(&Outcome { dry_run: args.dry_run, collected }, human)
}

fn human(outcome: &Outcome) -> String {
    let collected = &outcome.collected;
    let verb = if outcome.dry_run { "would go" } else { "removed" };
    let stays = collected.kept.iter().map(|kept| {
        let why = match kept.why {
            Why::Channel => "stays: a channel points to it",
            Why::Active => "stays: active",
            Why::Last => "stays: one of the last",
            Why::Young => "stays: young",
        };
        vec![kept.release.product.clone(), kept.release.version.clone(), why.to_owned()]
    });
    let goes = collected.removed.iter();
    let goes = goes.map(|gone| vec![gone.product.clone(), gone.version.clone(), verb.to_owned()]);
    let young = match collected.young {
        0 => String::new(),
        young => format!("; {young} that nothing names are young, and stay"),
    };
    format!(
        "{}\n\n{} objects {verb}, {} bytes{young}",
        table(&["product", "version", ""], stays.chain(goes)),
        collected.objects.len(),
        grouped(collected.bytes)
    )
}
