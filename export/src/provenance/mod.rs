//! Where a release comes from: an in-toto Statement v1 with SLSA provenance v1, signed in a DSSE envelope.
//!
//! ```text
//! {"payloadType":"application/vnd.in-toto+json","payload":base64,"signatures":[{"keyid":…,"sig":base64}]}
//!    └▶ {"_type":"https://in-toto.io/Statement/v1",
//!        "subject":[every file of the release with its SHA-256],
//!        "predicateType":"https://slsa.dev/provenance/v1",
//!        "predicate":{"buildDefinition":{what it was built from},"runDetails":{who says that they built it}}}
//! ```
//!
//! What a release was built from stands in its signed index. Who built it, and when, only the caller can tell.

mod dsse;
mod statement;

pub use dsse::{DsseEnvelope, DsseSignature, MAX_DSSE_BYTES, pre_authentication};
pub use statement::{
    BUILD_TYPE, BuildDefinition, Builder, ComponentParameters, ExternalParameters,
    InternalParameters, Metadata, PREDICATE_TYPE, PackageParameters, Predicate, Resource, Run,
    RunDetails, STATEMENT_TYPE, Statement,
};

use whittle_release::keys::{Keyring, Signer};

use crate::{Error, Result};

/// Media type of a statement, which is signed with it.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Signs a statement.
///
/// # Errors
/// What the signer returns.
pub fn sign(statement: &Statement, signer: &dyn Signer) -> Result<DsseEnvelope> {
    DsseEnvelope::sign(PAYLOAD_TYPE, statement.emit(), signer)
}

/// Parses an envelope, checks that one of these keys signed it, and parses the statement in it.
///
/// # Errors
/// [`Error::Statement`], [`Error::UnknownKey`] or [`Error::BadSignature`].
pub fn authenticate(bytes: &[u8], keys: &Keyring) -> Result<Statement> {
    let envelope = DsseEnvelope::parse(bytes).map_err(Error::Statement)?;
    let payload = envelope.verified_payload(PAYLOAD_TYPE, keys)?;
    Statement::parse(payload).map_err(Error::Statement)
}
