//! From a release to the manifest that installs it, by the draft's templates (section 7): compatibility check, component download,
//! install, load and trusted invocation.

use std::collections::BTreeMap;

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::is_nfc;
use uuid::Uuid;
use whittle_format::manifest::HardwareRange;
use whittle_format::{Label, index};
use whittle_release::Sha256Digest;

use super::command::{Command, Parameters, Sequence};
use super::manifest::{ComponentId, Manifest, Member};
use super::source;
use super::text::{ComponentText, Text, is_tag};
use super::{class_id, vendor_id};
use crate::{Delivery, Error, Part, Result, uri};

/// Where an image is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Where it is installed.
    #[default]
    InPlace,
    /// In memory, where it is copied before.
    Memory,
}

/// Everything that a manifest is made from.
pub struct Request<'a> {
    /// The release or the bundle.
    pub delivery: &'a Delivery,
    /// What puts manifests in order: above that of all earlier ones for the same devices, and never 0.
    pub sequence_number: u64,
    /// The vendor's domain, of which its id is made.
    pub vendor_domain: &'a str,
    /// What tells classes of devices apart, one of which a device must have; none for the product's name.
    pub classes: &'a [String],
    /// Where a package is fetched from: a URI, or a reference relative to the envelope's own.
    pub uri: &'a dyn Fn(&Payload) -> String,
    /// Where the whole envelope is, for who has one without its text.
    pub reference_uri: Option<String>,
    /// Where images run.
    pub placement: Placement,
    /// The language of the release notes, by RFC 5646.
    pub language: &'a str,
    /// The component that is invoked at last; a release without further components is that by itself.
    pub invoke: Option<Label>,
}

/// A package that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Where its file lies, from the directory of the release or bundle on.
    pub path: String,
    /// Its size in bytes.
    pub size: u32,
    /// Its SHA-256.
    pub digest: Sha256Digest,
}

/// Makes the manifest.
///
/// # Errors
/// [`Error::Unusable`] for a sequence number, a domain, a language, a class or a URI that cannot be one; [`Error::Order`] for a bundle that by itself does not
/// satisfy what it requires, since a manifest cannot ask for the versions that are in the field.
pub fn compose(request: &Request<'_>) -> Result<Manifest> {
    if request.sequence_number == 0 {
        let why = "is 0, which no device takes for later than what it has".to_owned();
        return Err(Error::Unusable { what: "the sequence number", why });
    }
    check_domain(request.vendor_domain)?;
    if !is_tag(request.language) {
        let why = format!("is no tag such as `en` or `zh-Hant`: `{}`", request.language);
        return Err(Error::Unusable { what: "the language", why });
    }
    if let Some(bundle) = request.delivery.bundle() {
        bundle.steps(&BTreeMap::new()).map_err(Error::Order)?;
    }
    let parts = request.delivery.parts();
    let placed: Vec<_> =
        (0..).map(|number| Place::of(number, request.placement)).zip(parts).collect();
    let each = |sequence: fn(&Place, &Part) -> Vec<Command>| {
        Sequence(placed.iter().flat_map(|(place, part)| sequence(place, part)).collect())
    };
    let mut fetch = Vec::new();
    for (place, part) in &placed {
        fetch.extend(fetch_package(place, part, request)?);
    }
    let mut shared = Vec::new();
    for (place, part) in &placed {
        shared.extend(check_device(place, part, request)?);
    }
    Ok(Manifest {
        sequence_number: request.sequence_number,
        components: placed.iter().flat_map(|(place, part)| place.components(part)).collect(),
        shared: Sequence(shared),
        reference_uri: request.reference_uri.clone().map(checked_reference_uri).transpose()?,
        validate: Some(each(check_image)),
        load: (request.placement == Placement::Memory).then(|| each(load)),
        invoke: invoke(&placed, request)?,
        payload_fetch: Some(Member::of(Sequence(fetch))),
        install: Some(Member::of(each(install))),
        text: Some(Member::of(text(&placed, request))),
    })
}

/// The numbers of a release's components.
#[derive(Clone, Copy)]
struct Place {
    /// The installed image.
    image: u32,
    /// What runs now, of which it may be a delta.
    running: u32,
    /// The package, whose copy makes the image.
    package: u32,
    /// Where the image runs, if that is elsewhere.
    memory: Option<u32>,
}

impl Place {
    fn of(part: u32, placement: Placement) -> Self {
        let (of_part, memory) = match placement {
            Placement::InPlace => (3, None),
            Placement::Memory => (4, Some(3)),
        };
        let first = part.saturating_mul(of_part);
        let at = |number: u32| first.saturating_add(number);
        Self { image: at(0), running: at(1), package: at(2), memory: memory.map(at) }
    }

    fn components(self, part: &Part) -> impl Iterator<Item = ComponentId> {
        let product = part.release.index().release.product;
        let names =
            ["image", "running", "package"].into_iter().chain(self.memory.map(|_| "memory"));
        names.map(move |name| ComponentId::of(&[product.as_str(), name]))
    }
}

/// The sequence in front of all others: is this device meant? What shall its image be?
fn check_device(place: &Place, part: &Part, request: &Request<'_>) -> Result<Vec<Command>> {
    let vendor = vendor_id(request.vendor_domain);
    let set = Command::SetComponent(place.image);
    let of_image = Parameters { vendor_id: Some(vendor), ..image_parameters(part) };
    let classes = classes(&vendor, part, request)?;
    if let [class] = classes.as_slice() {
        let all = Parameters { class_id: Some(*class), ..of_image };
        return Ok(vec![set, Command::Override(all), Command::CheckVendor, Command::CheckClass]);
    }
    let one = |class: &Uuid| {
        let parameters = Parameters { class_id: Some(*class), ..Parameters::default() };
        Sequence(vec![set.clone(), Command::Override(parameters), Command::CheckClass])
    };
    let any = Command::TryEach(classes.iter().map(one).collect());
    Ok(vec![set.clone(), Command::Override(of_image), Command::CheckVendor, any])
}

fn classes(vendor: &Uuid, part: &Part, request: &Request<'_>) -> Result<Vec<Uuid>> {
    let product = part.release.index().release.product.as_str();
    if request.classes.is_empty() {
        return Ok(vec![class_id(vendor, product)]);
    }
    let unusable = |why: &str| Error::Unusable { what: "the class", why: why.to_owned() };
    let mut ids = Vec::new();
    for class in request.classes {
        let id = class_id(vendor, class);
        if class.is_empty() {
            return Err(unusable("is empty"));
        }
        if ids.contains(&id) {
            return Err(unusable(&format!("`{class}` is there twice")));
        }
        ids.push(id);
    }
    Ok(ids)
}

fn image_parameters(part: &Part) -> Parameters {
    Parameters {
        image_digest: Some(part.target()),
        image_size: Some(part.release.index().release.target_size.into()),
        ..Parameters::default()
    }
}

/// Fetches the delta of the base that runs, else the full image.
fn fetch_package(place: &Place, part: &Part, request: &Request<'_>) -> Result<Vec<Command>> {
    let index = part.release.index();
    let full = vec![Command::SetComponent(place.package), payload(part, &index.full()?, request)?];
    let mut choices = Vec::new();
    for base in &index.bases {
        let package = index.package_for(Sha256Digest(base.digest))?;
        // A base without a delta takes the full image like one that is not listed.
        if package.base.is_some() {
            choices.push(Sequence(if_running(place, base, payload(part, &package, request)?)));
        }
    }
    let set = Command::SetComponent(place.package);
    let mut commands = if choices.is_empty() {
        full
    } else {
        choices.push(Sequence(full));
        vec![set.clone(), Command::TryEach(choices), set]
    };
    commands.extend([Command::Fetch, Command::CheckImage]);
    Ok(commands)
}

fn if_running(place: &Place, base: &index::Base, payload: Command) -> Vec<Command> {
    let is_base = Parameters {
        image_digest: Some(Sha256Digest(base.digest)),
        image_size: Some(base.size.into()),
        ..Parameters::default()
    };
    vec![
        Command::SetComponent(place.running),
        Command::Override(is_base),
        Command::CheckImage,
        Command::SetComponent(place.package),
        payload,
    ]
}

fn payload(part: &Part, package: &index::Package, request: &Request<'_>) -> Result<Command> {
    let path = part.path(&part.release.index().file_name(package));
    let (size, digest) = (package.size, Sha256Digest(package.digest));
    let uri = (request.uri)(&Payload { path, size, digest });
    Ok(Command::Override(Parameters {
        image_digest: Some(digest),
        image_size: Some(size.into()),
        uri: Some(checked_uri(uri)?),
        ..Parameters::default()
    }))
}

fn install(place: &Place, _: &Part) -> Vec<Command> {
    let source = Parameters { source_component: Some(place.package), ..Parameters::default() };
    vec![
        Command::SetComponent(place.image),
        Command::Override(source),
        Command::Copy,
        Command::CheckImage,
    ]
}

fn check_image(place: &Place, _: &Part) -> Vec<Command> {
    vec![Command::SetComponent(place.image), Command::CheckImage]
}

fn load(place: &Place, part: &Part) -> Vec<Command> {
    let Some(memory) = place.memory else { return Vec::new() };
    let parameters = Parameters { source_component: Some(place.image), ..image_parameters(part) };
    vec![
        Command::SetComponent(memory),
        Command::Override(parameters),
        Command::Copy,
        Command::CheckImage,
    ]
}

fn invoke(placed: &[(Place, &Part)], request: &Request<'_>) -> Result<Option<Sequence>> {
    let place = match (&request.invoke, placed) {
        (Some(product), _) => {
            let is_it =
                |(_, part): &&(Place, &Part)| part.release.index().release.product == *product;
            let missing = || Error::Unusable {
                what: "what is to be invoked",
                why: format!("is no component: `{product}`"),
            };
            &placed.iter().find(is_it).ok_or_else(missing)?.0
        }
        (None, [(only, _)]) => only,
        // Which of several begins is known to the device alone.
        (None, _) => return Ok(None),
    };
    let component = place.memory.unwrap_or(place.image);
    Ok(Some(Sequence(vec![Command::SetComponent(component), Command::Invoke])))
}

fn text(placed: &[(Place, &Part)], request: &Request<'_>) -> Text {
    let delivery = request.delivery;
    let components = placed.iter().filter_map(|(place, part)| {
        let of = &part.release.index().release;
        let classes = if request.classes.is_empty() {
            of.product.to_string()
        } else {
            request.classes.join(", ")
        };
        let text = ComponentText {
            model_name: Some(of.product.to_string()),
            vendor_domain: Some(request.vendor_domain.to_owned()),
            model_info: Some(classes),
            description: Some(hardware(of.hardware)),
            version: Some(of.target_version.to_string()),
        };
        place.components(part).next().map(|id| (id, text))
    });
    Text {
        language: request.language.to_owned(),
        manifest_description: Some(format!("{} {}", delivery.product(), delivery.version())),
        update_description: notes(delivery.parts()),
        json_source: Some(source::describe(request)),
        components: components.collect(),
    }
}

fn hardware(range: HardwareRange) -> String {
    if range == HardwareRange::ANY {
        return "all hardware revisions".to_owned();
    }
    format!("hardware revisions {} to {}", range.min, range.max)
}

/// The release notes; those of several releases each under a line that says whose they are.
fn notes(parts: &[Part]) -> Option<String> {
    if let [part] = parts {
        return part.notes.clone();
    }
    let with_name = |part: &Part| {
        let of = &part.release.index().release;
        part.notes.as_ref().map(|notes| format!("{} {}\n\n{notes}", of.product, of.target_version))
    };
    let all: Vec<_> = parts.iter().filter_map(with_name).collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

/// Longest label of a domain, and longest domain. Of other letters than those of ASCII, DNS itself counts more.
const MAX_LABEL_SIGNS: usize = 63;
const MAX_DOMAIN_SIGNS: usize = 253;

/// A domain as people read it: labels of letters, digits and hyphens.
///
/// The vendor's id is made of these very bytes, so that of all ways to write a domain one counts: small letters in Unicode's
/// normal form C, and no Punycode, as the draft wants the native name in UTF-8.
fn check_domain(domain: &str) -> Result<()> {
    let refused = |why: &str| {
        let why = format!("{why}: `{domain}`");
        Err(Error::Unusable { what: "the vendor's domain", why })
    };
    let labels = || domain.split('.');
    if labels().any(|label| label.starts_with("xn--")) {
        return refused("is in Punycode, but the vendor's id is made of it as people read it");
    }
    let has_length = |text: &str, most| (1..=most).contains(&text.chars().count());
    let is_label = |label: &str| {
        has_length(label, MAX_LABEL_SIGNS)
            && label.chars().all(is_sign)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address =
        labels().next_back().is_none_or(|last| last.bytes().all(|sign| sign.is_ascii_digit()));
    let is_domain = has_length(domain, MAX_DOMAIN_SIGNS) && domain.contains('.') && !is_address;
    if is_domain && labels().all(is_label) && is_nfc(domain) {
        Ok(())
    } else {
        refused("is not one such as `example.com` or `b\u{fc}cher.example`, in small letters")
    }
}

fn is_sign(sign: char) -> bool {
    let is_small = || sign.to_lowercase().eq([sign]);
    sign == '-' || (sign.is_alphanumeric() || is_combining_mark(sign)) && is_small()
}

fn checked_uri(uri: String) -> Result<String> {
    uri::check_reference("the URI", &uri).map(|()| uri)
}

/// Who has the envelope from anywhere must find the whole one.
fn checked_reference_uri(uri: String) -> Result<String> {
    uri::check_absolute("the reference URI", &uri).map(|()| uri)
}
