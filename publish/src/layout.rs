//! Where everything lies in a store, written once.
//!
//! ```text
//! by-sha256/<2 digits>/<64 digits>                packages and attachments by their content; never changed
//! products/<product>/releases/<version>.cose      the signed index of a release; never changed
//! products/<product>/channels/<channel>.cose      the same bytes: the release that devices of a channel shall have
//! products/<product>/approvals/<version>.cose     who approves the release, where devices want several who do
//! products/<product>/keys.bin                     which keys count, for devices that learn new ones
//! products/<product>/{stage,flags,way-back-stage}.bin  what a rollout says to devices, where it is driven without a server
//! artifacts/<2 digits>/<64 digits>                encoded artifacts that builds share, where a store is also their cache
//! busy/…                                          who is at work, see `busy.rs`
//! ```
//!
//! Products, versions and channels are labels: they have no slash, and begin with neither a dot nor a hyphen, so no name can
//! stand for another place, and files that begin with a dot are nobody's but the store's.

use whittle_format::Label;
use whittle_release::Sha256Digest;

pub(crate) const OBJECTS: &str = "by-sha256/";
pub(crate) const PRODUCTS: &str = "products/";
pub(crate) const ARTIFACTS: &str = "artifacts/";
pub(crate) const BUSY: &str = "busy/";

/// Whether a key is one of a store's own.
#[must_use]
pub fn is_key(key: &str) -> bool {
    [OBJECTS, PRODUCTS, BUSY].iter().any(|prefix| key.starts_with(prefix))
}

const INDEX_SUFFIX: &str = ".cose";
const RELEASES: &str = "releases";
const CHANNELS: &str = "channels";
const APPROVALS: &str = "approvals";
const KEYS_FILE: &str = "keys.bin";

/// The key of a package or an attachment.
#[must_use]
pub fn object_key(digest: &Sha256Digest) -> String {
    sharded(OBJECTS, &digest.to_string())
}

/// The key of a release's index.
#[must_use]
pub fn release_key(product: &Label, version: &Label) -> String {
    format!("{PRODUCTS}{product}/{RELEASES}/{version}{INDEX_SUFFIX}")
}

/// The key of the index that a channel points devices to.
#[must_use]
pub fn channel_key(product: &Label, channel: &Label) -> String {
    format!("{PRODUCTS}{product}/{CHANNELS}/{channel}{INDEX_SUFFIX}")
}

/// The key of the approval of a release.
#[must_use]
pub fn approval_key(product: &Label, version: &Label) -> String {
    format!("{PRODUCTS}{product}/{APPROVALS}/{version}{INDEX_SUFFIX}")
}

/// The key of the keys file of a product.
#[must_use]
pub fn keys_key(product: &Label) -> String {
    format!("{PRODUCTS}{product}/{KEYS_FILE}")
}

/// The key of an encoded artifact; `name` has 64 digits.
pub(crate) fn artifact_key(name: &str) -> String {
    sharded(ARTIFACTS, name)
}

fn sharded(under: &str, digits: &str) -> String {
    let shard: String = digits.chars().take(2).collect();
    format!("{under}{shard}/{digits}")
}

/// The digest that an object's key names; none if it is no such key.
pub(crate) fn parse_object(key: &str) -> Option<Sha256Digest> {
    let digest: Sha256Digest = key.strip_prefix(OBJECTS)?.split_once('/')?.1.parse().ok()?;
    (object_key(&digest) == key).then_some(digest)
}

/// What a product has besides its indexes and approvals, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProductFile {
    /// Names a release that devices have, or shall have.
    Stage,
    /// Names none, and stays: flags and keys.
    Other,
}

/// The file of a product that a key names; none if it names none.
pub(crate) fn parse_product_file(key: &str) -> Option<ProductFile> {
    let (product, file) = key.strip_prefix(PRODUCTS)?.split_once('/')?;
    product.parse::<Label>().ok()?;
    match file {
        "stage.bin" | "way-back-stage.bin" => Some(ProductFile::Stage),
        "flags.bin" | KEYS_FILE => Some(ProductFile::Other),
        _ => None,
    }
}

/// An index by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexPlace {
    Release { product: Label, version: Label },
    Channel { product: Label, channel: Label },
}

/// The place that a key names; none if no index belongs there.
pub(crate) fn parse_index(key: &str) -> Option<IndexPlace> {
    let mut parts = key.strip_prefix(PRODUCTS)?.split('/');
    let (product, kind, file) = (parts.next()?, parts.next()?, parts.next()?);
    let name: Label = file.strip_suffix(INDEX_SUFFIX)?.parse().ok()?;
    let product = product.parse().ok()?;
    match (kind, parts.next()) {
        (RELEASES, None) => Some(IndexPlace::Release { product, version: name }),
        (CHANNELS, None) => Some(IndexPlace::Channel { product, channel: name }),
        _ => None,
    }
}

/// The product and the version of which an approval with this key is; none if none belongs there.
pub(crate) fn parse_approval(key: &str) -> Option<(Label, Label)> {
    let (product, rest) = key.strip_prefix(PRODUCTS)?.split_once('/')?;
    let version = rest.strip_prefix(APPROVALS)?.strip_prefix('/')?.strip_suffix(INDEX_SUFFIX)?;
    Some((product.parse().ok()?, version.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let label = |text: &str| text.parse::<Label>().expect("a label");
        let (product, version) = (label("index.cose"), label("1.0.cose"));
        let place = parse_index(&release_key(&product, &version));
        assert_eq!(place, Some(IndexPlace::Release { product, version }));
        let place = parse_index(&channel_key(&product, &version));
        assert_eq!(place, Some(IndexPlace::Channel { product, channel: version }));
        assert_eq!(parse_index(&approval_key(&product, &version)), None);
        assert_eq!(parse_approval(&approval_key(&product, &version)), Some((product, version)));
        assert_eq!(parse_approval(&release_key(&product, &version)), None);
        assert_eq!(parse_product_file(&keys_key(&product)), Some(ProductFile::Other));
        for other in
            ["products/p/releases/1.cose/x", "products/p/1.cose", "products/p/x/1.cose", "p"]
        {
            assert_eq!(parse_index(other), None, "{other}");
        }
        let digest = Sha256Digest::of(b"x");
        let key = object_key(&digest);
        assert_eq!(parse_object(&key), Some(digest));
        assert_eq!(parse_object(&key.replacen("by-sha256/", "by-sha256/0", 1)), None);
        assert_eq!(parse_object(&key.to_uppercase()), None);
    }
}
