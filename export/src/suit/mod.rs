//! SUIT envelopes: the information model of RFC 9124 in the CBOR of draft-ietf-suit-manifest-33.
//!
//! ```text
//! 107({                                        tag of an envelope
//!   2: << [ << digest of 3 >>,                 authentication: SHA-256 of the manifest,
//!           << 18([alg + kid, {}, nil, sig]) >> ] >>,   and COSE_Sign1 over it
//!   3: << {                                    manifest
//!     1: 1, 2: sequence number,
//!     3: << { 2: components,                   for each release: its image, what runs now, the package
//!             4: << vendor? class? digest and size of the image >> } >>,
//!     7: << image? >>, 8: << copy to memory >>, 9: << invoke >>,
//!     16: digest, 20: digest or << … >>, 23: digest
//!   } >>,
//!   16: << is this base running? its delta; else the next one; else the full image; fetch, package? >>,
//!   20: << copy the package to the image, image? >>,
//!   23: << notes, versions, and hashes of everything, as JSON >>
//! })
//! ```
//!
//! The draft knows no deltas. So what is fetched is a package, whole and by its own digest, and what makes an image of it is the
//! copy from the component that holds packages: a processor hands it to the patcher, which checks it once more in its own terms.
//! Whatever the base was, the image has the digest that the manifest names.
//!
//! Numbers stand in `labels`, each kind of thing has its parser beside its emitter, and only the bytes that would be emitted are read.

mod cbor;
mod command;
mod compose;
mod envelope;
mod labels;
mod manifest;
mod signature;
mod source;
mod text;

pub use command::{Command, Parameters, Sequence};
pub use compose::{Payload, Placement, Request, compose};
pub use envelope::{Envelope, MAX_ENVELOPE_BYTES, VerifiedEnvelope};
pub use manifest::{ComponentId, Manifest, Member};
pub use signature::{Algorithm, Signature};
pub use text::{ComponentText, Text};
pub use uuid::Uuid;

/// The id of a vendor: UUID 5 of its domain's name (draft-ietf-suit-manifest-33, "Constructing UUIDs").
#[must_use]
pub fn vendor_id(domain: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, domain.as_bytes())
}

/// The id of a class of devices: UUID 5 of what tells it from the vendor's other ones.
#[must_use]
pub fn class_id(vendor: &Uuid, class: &str) -> Uuid {
    Uuid::new_v5(vendor, class.as_bytes())
}
