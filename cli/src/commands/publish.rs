use std::num::NonZeroUsize;
use std::path::PathBuf;

use whittle_format::Label;
use whittle_publish::publish::{self, Event, Options, Published, PublishedRelease};
use whittle_publish::{ReleaseKeys, Store};

use crate::error::Result;
use crate::printer::{Printer, grouped};
use crate::values;

/// Publish release directories to a directory or an object store, from which devices fetch them.
///
/// Packages go first, under their SHA-256, and are never changed; the small signed index that names them goes last, in one step. What
/// is there already is not sent again, so that an interrupted run goes on. Several releases may be given; the channel gets the
/// newest of each product.
///
/// Credentials and address of an object store come from the usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
/// AWS_ENDPOINT_URL and so on; AWS_ALLOW_HTTP=true lets it be used without TLS.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Release directories, as `build` made them.
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<PathBuf>,

    /// Where to: a directory, `file:///path`, or `s3://bucket/prefix`.
    #[arg(long, value_name = "PLACE")]
    to: String,

    /// Public key that the releases must be signed by, in PEM, minisign's format or 32 bytes; may be given several times. Development
    /// keys are refused.
    #[arg(long = "pubkey", value_name = "FILE", required = true)]
    pubkeys: Vec<PathBuf>,

    /// Public key that counts besides, but only for what is published already, as after a change of keys; may be given several times.
    #[arg(long = "former-pubkey", value_name = "FILE")]
    former_pubkeys: Vec<PathBuf>,

    /// Channel that shall have the release.
    #[arg(long, value_name = "NAME", value_parser = values::label, default_value = "stable")]
    channel: Label,

    /// Objects to send at a time.
    #[arg(long, short, value_name = "N", default_value = "8")]
    jobs: NonZeroUsize,

    /// Take the channel back to an older version or a lower security counter.
    #[arg(long)]
    allow_older: bool,

    /// Keys file that devices of the product shall find beside their channels, in `products/<product>/keys.bin`.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Read what is there already and compare it; otherwise sizes are compared.
    #[arg(long)]
    read_back: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let keys = ReleaseKeys::read(&args.pubkeys)?.with_former(&args.former_pubkeys)?;
    let store = Store::open(&args.to, super::variables())?;
    let options = Options {
        channel: args.channel,
        threads: args.jobs.get(),
        allow_older: args.allow_older,
        keys_file: args.keys.clone(),
        read_back: args.read_back,
    };
    let bar = indicatif::ProgressBar::new(0);
    bar.set_style(style());
    if !printer.shows_progress() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let published =
        publish::publish(&store, &args.releases, &keys, &options, &|event| match event {
            Event::Begin { objects } => bar.set_length(objects as u64),
            Event::Object { digest, bytes, uploaded } => {
                bar.inc(1);
                let what = if uploaded { "sent" } else { "was there" };
                printer
                    .detail(|| format!("object {digest}, {} bytes: {what}", grouped(bytes.into())));
            }
        });
    bar.finish_and_clear();
    printer.result(&published?, human)
}

fn style() -> indicatif::ProgressStyle {
    let template = "[{elapsed}] {bar:32} {pos} of {len} objects";
    indicatif::ProgressStyle::with_template(template)
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar())
}

fn human(published: &Published) -> String {
    let releases = published.releases.iter().map(release).collect::<Vec<_>>().join("\n");
    format!(
        "{releases}\n\n{} of {} objects sent, {} bytes",
        published.uploaded,
        published.objects,
        grouped(published.uploaded_bytes)
    )
}

fn release(release: &PublishedRelease) -> String {
    let PublishedRelease { product, version, .. } = release;
    let channel = match (&release.channel, &release.replaces) {
        _ if release.was_there => "was published already".to_owned(),
        (None, _) => "published".to_owned(),
        (Some(channel), None) => format!("published in `{channel}`"),
        (Some(channel), Some(before)) => format!("published in `{channel}`, which had {before}"),
    };
    format!("{product} {version} {channel}")
}
