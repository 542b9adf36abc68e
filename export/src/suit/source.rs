//! What a manifest was made from, as JSON: the text `suit-text-manifest-json-source`, by whose digest the manifest holds the hashes
//! of what SUIT itself has no place for, such as release notes and SBOMs.

use serde::Serialize;
use whittle_format::index::AttachmentKind;
use whittle_release::Sha256Digest;
use whittle_release::directory::ListedFile;

use super::compose::Request;
use crate::Part;

const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Source<'a> {
    schema: u32,
    product: &'a str,
    version: &'a str,
    vendor_domain: &'a str,
    components: Vec<Component<'a>>,
}

#[derive(Serialize)]
struct Component<'a> {
    product: &'a str,
    version: &'a str,
    security_counter: u32,
    hardware_min: u16,
    hardware_max: u16,
    target: Bytes,
    bases: Vec<Bytes>,
    index: File,
    packages: Vec<Package>,
    attachments: Vec<Attachment>,
}

#[derive(Serialize)]
struct Bytes {
    bytes: u32,
    sha256: Sha256Digest,
}

#[derive(Serialize)]
struct File {
    path: String,
    #[serde(flatten)]
    content: Bytes,
}

#[derive(Serialize)]
struct Package {
    kind: &'static str,
    codec: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_sha256: Option<Sha256Digest>,
    #[serde(flatten)]
    file: File,
}

#[derive(Serialize)]
struct Attachment {
    kind: &'static str,
    #[serde(flatten)]
    file: File,
}

/// Describes everything that the indexes list.
pub(super) fn describe(request: &Request<'_>) -> String {
    let delivery = request.delivery;
    let source = Source {
        schema: SCHEMA,
        product: delivery.product().as_str(),
        version: delivery.version().as_str(),
        vendor_domain: request.vendor_domain,
        components: delivery.parts().iter().map(component).collect(),
    };
    // Strings and numbers are always JSON.
    serde_json::to_string(&source).unwrap_or_default()
}

fn component(part: &Part) -> Component<'_> {
    let index = part.release.index();
    let of = &index.release;
    let (bytes, sha256) = part.release.index_file();
    let files = index.files();
    let packages = index.packages.iter().zip(&files).map(|(package, file)| Package {
        kind: if package.base.is_some() { "delta" } else { "full" },
        codec: package.codec.name(),
        base_sha256: package
            .base
            .and_then(|number| index.bases.get(usize::from(number)))
            .map(|base| Sha256Digest(base.digest)),
        file: listed(part, file),
    });
    let attachments = part.attachments().map(|(kind, file)| Attachment {
        kind: match kind {
            AttachmentKind::Notes => "notes",
            _ => "sbom",
        },
        file: listed(part, &file),
    });
    Component {
        product: of.product.as_str(),
        version: of.target_version.as_str(),
        security_counter: of.security_counter,
        hardware_min: of.hardware.min,
        hardware_max: of.hardware.max,
        target: Bytes { bytes: of.target_size, sha256: part.target() },
        bases: index
            .bases
            .iter()
            .map(|base| Bytes { bytes: base.size, sha256: Sha256Digest(base.digest) })
            .collect(),
        index: File {
            path: part.path(whittle_release::build::INDEX_FILE),
            content: Bytes { bytes, sha256 },
        },
        packages: packages.collect(),
        attachments: attachments.collect(),
    }
}

fn listed(part: &Part, file: &ListedFile) -> File {
    let content = Bytes { bytes: file.size, sha256: file.digest };
    File { path: part.path(&file.name), content }
}
