use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::Label;
use whittle_release::bundle::{self, BUNDLE_FILE, Requirement, Step, VerifiedBundle, Version};
use whittle_release::directory::VerifiedRelease;

use super::signing::SignerArgs;
use super::{TrustArgs, once};
use crate::error::{Error, Result};
use crate::printer::{Printer, table};
use crate::values;

/// Releases that make up a device of several components, such as boot loader, application and radio.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Sign(Box<SignArgs>),
    Verify(VerifyArgs),
    Steps(StepsArgs),
}

/// Sign which releases belong together, in which order they are installed, and what must be there before.
///
/// Each component is a release of its own, in a directory that has the name of its product. Devices check it as ever; the bundle is for
/// what drives the order.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// Directory with the components' release directories; `bundle.cose` is written there.
    directory: PathBuf,

    /// Name of the device that they make up.
    #[arg(long, value_parser = values::label)]
    product: Label,

    /// Version of the whole.
    #[arg(long, value_name = "VERSION", value_parser = values::label)]
    bundle_version: Label,

    /// A component, by its product's name; in the order of installation.
    #[arg(long = "component", value_name = "NAME", value_parser = values::label, required = true)]
    components: Vec<Label>,

    /// What must be there before a component is installed, such as `hub-app:hub-boot@1.4.0`: that version, or a later one.
    #[arg(long = "requires", value_name = "COMPONENT:REQUIRED@VERSION", value_parser = requirement)]
    requirements: Vec<Requirement>,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    signer: SignerArgs,
}

/// Verify a bundle and the indexes of its releases.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Directory of the bundle.
    directory: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,
}

/// Tell what is to be installed on a device, in which order.
///
/// A device that was cut off halfway goes on from what it has by then.
#[derive(Debug, clap::Args)]
pub(crate) struct StepsArgs {
    /// Directory of the bundle.
    directory: PathBuf,

    /// A component that the device has, and its version, such as `hub-boot=1.4.0`.
    #[arg(long = "installed", value_name = "NAME=VERSION", value_parser = installed)]
    installed: Vec<(Label, Label)>,

    #[command(flatten)]
    trust: TrustArgs,
}

/// Releases that belong together.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Bundle {
    /// Name of the device that the components make up.
    product: String,
    /// Version of the whole.
    version: String,
    /// The components, in the order of installation.
    components: Vec<Component>,
}

/// A component of a bundle.
#[derive(JsonSchema, Serialize)]
struct Component {
    /// Name of its product.
    name: String,
    /// Version of its release.
    version: String,
}

/// What is to be installed on a device.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Steps {
    /// The components, in the order of installation.
    steps: Vec<StepReport>,
}

/// A component, and what is to be done with it.
#[derive(JsonSchema, Serialize)]
struct StepReport {
    /// Name of its product.
    component: String,
    /// Whether it is to be installed; else the device has it already.
    install: bool,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::Sign(args) => sign(args, printer),
        Command::Verify(args) => verify(args, printer),
        Command::Steps(args) => steps(args, printer),
    }
}

fn sign(args: &SignArgs, printer: &Printer) -> Result {
    let keys = args.trust.keyring()?;
    let open = |name: &Label| VerifiedRelease::open(&args.directory.join(name.as_str()), &keys);
    let components = args.components.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let signer = args.signer.signer("bundle")?;
    let signed = bundle::sign(&bundle::Request {
        product: args.product,
        version: args.bundle_version,
        components: &components,
        requirements: &args.requirements,
        signer: &*signer,
    })?;
    signed.write(&args.directory.join(BUNDLE_FILE))?;
    let of = |release: &VerifiedRelease| {
        let of = &release.index().release;
        Component { name: of.product.to_string(), version: of.target_version.to_string() }
    };
    let shown = Bundle {
        product: args.product.to_string(),
        version: args.bundle_version.to_string(),
        components: components.iter().map(of).collect(),
    };
    printer.result(&shown, page)
}

fn verify(args: &VerifyArgs, printer: &Printer) -> Result {
    let bundle = VerifiedBundle::open(&args.directory, &args.trust.keyring()?)?;
    let components = bundle.components().iter().map(|listed| Component {
        name: listed.component.product.to_string(),
        version: listed.component.version.to_string(),
    });
    let shown = Bundle {
        product: bundle.product().to_string(),
        version: bundle.version().to_string(),
        components: components.collect(),
    };
    printer.result(&shown, page)
}

fn steps(args: &StepsArgs, printer: &Printer) -> Result {
    let bundle = VerifiedBundle::open(&args.directory, &args.trust.keyring()?)?;
    let installed = once("--installed", &args.installed)?;
    let has = |name: &Label| bundle.components().iter().any(|has| has.component.product == *name);
    if let Some(name) = installed.keys().find(|name| !has(name)) {
        let names = bundle.components().iter().map(|has| format!("`{}`", has.component.product));
        let names = names.collect::<Vec<_>>().join(", ");
        let why = format!("`--installed`: the bundle has no component `{name}`, only {names}");
        return Err(Error::Usage(why));
    }
    let steps = bundle.steps(&installed)?.into_iter().map(|step| match step {
        Step::Keep(component) => StepReport { component: component.to_string(), install: false },
        Step::Install(component) => StepReport { component: component.to_string(), install: true },
    });
    let steps = Steps { steps: steps.collect() };
    printer.result(&steps, |steps| {
        let row = |step: &StepReport| {
            vec![step.component.clone(), if step.install { "install" } else { "keep" }.to_owned()]
        };
        table(&["component", "step"], steps.steps.iter().map(row))
    })
}

fn page(bundle: &Bundle) -> String {
    let row = |component: &Component| vec![component.name.clone(), component.version.clone()];
    let rows = table(&["component", "version"], bundle.components.iter().map(row));
    format!("{} {}\n{rows}\n", bundle.product, bundle.version)
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let parts = text.split_once(':').and_then(|(component, rest)| {
        let (required, version) = rest.split_once('@')?;
        Some((component, required, version))
    });
    let (component, required, version) = parts.ok_or("wanted COMPONENT:REQUIRED@VERSION")?;
    let at_least = Version::of(&values::label(version)?);
    let at_least = at_least.ok_or("wanted a version of three numbers, such as 1.4.0")?;
    Ok(Requirement {
        component: values::label(component)?,
        required: values::label(required)?,
        at_least,
    })
}

fn installed(text: &str) -> Result<(Label, Label), String> {
    let (name, version) = text.split_once('=').ok_or("wanted NAME=VERSION")?;
    Ok((values::label(name)?, values::label(version)?))
}
