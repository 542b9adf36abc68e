//! Devices of several components: which releases belong together, in which order they are installed, and what must be there before.
//!
//! ```text
//! hub-7/
//!   bundle.cose       the signed list
//!   hub-boot/         a release directory for each component, named by its product
//!   hub-app/
//!   hub-radio/
//! ```
//!
//! Each component is a release of its own, which devices check as ever. The bundle says what its packages cannot: that this boot
//! loader, this application and this radio were released together. A device that is cut off halfway goes on with [`VerifiedBundle::steps`]
//! from what it has by then.

use std::collections::BTreeMap;
use std::path::Path;

use whittle_format::bundle::{self, Bundle};
use whittle_format::limits::MAX_BUNDLE_ENVELOPE_BYTES;
use whittle_format::{FormatError, Label};

pub use whittle_format::bundle::Version;

use crate::directory::{VerifiedRelease, verified_payload};
use crate::keys::{Keyring, Signer};
use crate::{Culprit, Error, Result, Sha256Digest, SignedEnvelope, files};

/// Name of the signed list in the directory of a bundle.
pub const BUNDLE_FILE: &str = "bundle.cose";

/// Everything that a bundle is made from.
pub struct Request<'a> {
    /// Which product the whole is.
    pub product: Label,
    /// Version of the whole.
    pub version: Label,
    /// The components in the order in which they are installed.
    pub components: &'a [VerifiedRelease],
    /// What must be there before one of them is installed.
    pub requirements: &'a [Requirement],
    /// Who signs.
    pub signer: &'a dyn Signer,
}

/// What must be there before a component is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Product of the component.
    pub component: Label,
    /// Product of the component that it requires.
    pub required: Label,
    /// Lowest version of that one; a released one.
    pub at_least: Version,
}

/// Signs the list of releases that have been built and verified.
///
/// # Errors
/// [`Error::Refused`] if a component is there twice, a requirement names none, or the bundle does not satisfy it; what the signer returns.
pub fn sign(request: &Request<'_>) -> Result<SignedEnvelope> {
    let components: Vec<_> = request.components.iter().map(component).collect();
    check_products(&components)?;
    let numbered = |requirement| number(requirement, &components);
    let requirements: Vec<_> = request.requirements.iter().map(numbered).collect::<Result<_>>()?;
    let mut payload = vec![0; MAX_BUNDLE_ENVELOPE_BYTES];
    let len =
        bundle::emit(&request.product, &request.version, &components, &requirements, &mut payload)
            .map_err(Error::format("the bundle"))?;
    SignedEnvelope::sign(&payload[..len], request.signer)
}

fn component(release: &VerifiedRelease) -> bundle::Component {
    let (index_size, index_digest) = release.index_file();
    let of = &release.index().release;
    bundle::Component {
        product: of.product,
        version: of.target_version,
        target_digest: of.target_digest,
        index_size,
        index_digest: index_digest.0,
    }
}

fn check_products(components: &[bundle::Component]) -> Result<()> {
    let is_again = |(number, component): &(usize, &bundle::Component)| {
        components.iter().take(*number).any(|other| other.product == component.product)
    };
    match components.iter().enumerate().find(is_again) {
        Some((_, component)) => {
            Err(refused(format!("component `{}` is there twice", component.product)))
        }
        None => Ok(()),
    }
}

/// A requirement with the numbers of its components; one that the bundle does not satisfy is refused in words.
fn number(
    requirement: &Requirement,
    components: &[bundle::Component],
) -> Result<bundle::Requirement> {
    let Requirement { component, required, at_least } = requirement;
    let position = |product: &Label| {
        let position = components.iter().position(|component| component.product == *product);
        let position = position.and_then(|position| u8::try_from(position).ok());
        position.ok_or_else(|| refused(format!("there is no component `{product}`")))
    };
    let numbered = bundle::Requirement {
        component: position(component)?,
        required: position(required)?,
        at_least: *at_least,
    };
    if component == required {
        return Err(refused(format!("component `{component}` requires itself")));
    }
    if !at_least.is_final {
        return Err(refused(format!(
            "version `{at_least}` comes before a release, which cannot be required"
        )));
    }
    let brought = components[usize::from(numbered.required)].version;
    match Version::of(&brought) {
        None => Err(refused(format!(
            "`{required}` has the version `{brought}`, which cannot be compared with {at_least}: three numbers are wanted"
        ))),
        Some(version) if version < *at_least => Err(refused(format!(
            "`{component}` requires `{required}` {at_least} or later, the bundle brings {brought}"
        ))),
        Some(_) => Ok(numbered),
    }
}

fn refused(why: String) -> Error {
    Error::Refused { what: "the bundle".to_owned(), why, culprit: Culprit::BadInput }
}

/// What has to be done with a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is there already, in this version.
    Keep(Label),
    /// It is to be installed from its release.
    Install(Label),
}

/// A component as a verified bundle lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the bundle says of it.
    pub component: bundle::Component,
    /// Its release.
    pub release: VerifiedRelease,
}

/// A bundle that a trusted key signed, with its releases, each of which is the listed one.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    product: Label,
    version: Label,
    components: Vec<Listed>,
    requirements: Vec<bundle::Requirement>,
    list_file: (u32, Sha256Digest),
}

impl VerifiedBundle {
    /// Reads the list, checks its signature, and opens the release of each component.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`], [`Error::Package`] for a signature that does not count, or [`Error::NotTheListedFile`] for
    /// a release that is another one.
    pub fn open(directory: &Path, keys: &Keyring) -> Result<Self> {
        let path = directory.join(BUNDLE_FILE);
        let bytes = files::read_document(&path, MAX_BUNDLE_ENVELOPE_BYTES)?;
        let payload = verified_payload(BUNDLE_FILE, &bytes, keys)?;
        let bundle = Bundle::parse(payload).map_err(Error::format(format!("`{BUNDLE_FILE}`")))?;
        let open = |component: bundle::Component| {
            let name = component.product.as_str();
            let release = VerifiedRelease::open(&directory.join(name), keys)?;
            check_listed(&component, &release)?;
            Ok(Listed { component, release })
        };
        Ok(Self {
            product: bundle.product,
            version: bundle.version,
            components: bundle.components.iter().map(open).collect::<Result<_>>()?,
            requirements: bundle.requirements.iter().collect(),
            list_file: (u32::try_from(bytes.len()).unwrap_or(u32::MAX), Sha256Digest::of(&bytes)),
        })
    }

    /// Which product the whole is.
    #[must_use]
    pub fn product(&self) -> &Label {
        &self.product
    }

    /// Version of the whole.
    #[must_use]
    pub fn version(&self) -> &Label {
        &self.version
    }

    /// Size and SHA-256 of the file of the list.
    #[must_use]
    pub fn list_file(&self) -> (u32, Sha256Digest) {
        self.list_file
    }

    /// The components in the order in which they are installed.
    #[must_use]
    pub fn components(&self) -> &[Listed] {
        &self.components
    }

    /// What brings a device with these versions to the bundle, by product and in order.
    ///
    /// A component that the device does not have is installed like any other, but satisfies no requirement before.
    ///
    /// # Errors
    /// [`Error::NotYet`] if a component may not be installed on what is there by then; nothing has to be done before, since the steps
    /// in front of it do not help.
    pub fn steps(&self, installed: &BTreeMap<Label, Label>) -> Result<Vec<Step>> {
        let mut there = installed.clone();
        let mut steps = Vec::new();
        for (number, listed) in self.components.iter().enumerate() {
            let bundle::Component { product, version, .. } = listed.component;
            if there.get(&product) == Some(&version) {
                steps.push(Step::Keep(product));
                continue;
            }
            let of_this =
                |requirement: &&bundle::Requirement| usize::from(requirement.component) == number;
            let mut requirements = self.requirements.iter().filter(of_this);
            requirements.try_for_each(|requirement| self.check(&product, requirement, &there))?;
            there.insert(product, version);
            steps.push(Step::Install(product));
        }
        Ok(steps)
    }

    fn check(
        &self,
        component: &Label,
        requirement: &bundle::Requirement,
        there: &BTreeMap<Label, Label>,
    ) -> Result<()> {
        let Some(required) = self.components.get(usize::from(requirement.required)) else {
            return Err(Error::format("the bundle")(FormatError::Truncated));
        };
        let required = required.component.product;
        let at_least = requirement.at_least;
        let found = there.get(&required);
        if found.and_then(Version::of).is_some_and(|version| version >= at_least) {
            return Ok(());
        }
        Err(Error::NotYet {
            component: component.to_string(),
            required: required.to_string(),
            at_least: at_least.to_string(),
            found: found.map_or("none".to_owned(), Label::to_string),
        })
    }
}

/// A release that was signed by a trusted key may still be another one than the bundle was tested with.
fn check_listed(component: &bundle::Component, release: &VerifiedRelease) -> Result<()> {
    let of = &release.index().release;
    let file = || format!("{}/{}", component.product, crate::build::INDEX_FILE);
    let is_listed =
        release.index_file() == (component.index_size, Sha256Digest(component.index_digest));
    if !is_listed {
        return Err(Error::NotTheListedFile { file: file() });
    }
    let equal = [
        ("product", of.product == component.product),
        ("target version", of.target_version == component.version),
        ("target digest", of.target_digest == component.target_digest),
    ];
    match equal.into_iter().find(|(_, equal)| !equal) {
        Some((field, _)) => Err(Error::IndexContradiction { file: file(), field }),
        None => Ok(()),
    }
}
