//! Every number of a SUIT envelope, in one table: those of draft-ietf-suit-manifest-33, section 11 ("IANA Considerations") and its
//! CDDL, of RFC 9052 for COSE and of RFC 9054 for digests.

/// Tag of an envelope.
pub(super) const ENVELOPE_TAG: u64 = 107;

/// "SUIT Envelope Elements". Those that may be severed have the same labels in the manifest.
pub(super) mod envelope {
    pub(in super::super) const AUTHENTICATION: i64 = 2;
    pub(in super::super) const MANIFEST: i64 = 3;
}

/// "SUIT Manifest Elements".
pub(super) mod manifest {
    pub(in super::super) const VERSION: i64 = 1;
    pub(in super::super) const SEQUENCE_NUMBER: i64 = 2;
    pub(in super::super) const COMMON: i64 = 3;
    pub(in super::super) const REFERENCE_URI: i64 = 4;
    pub(in super::super) const VALIDATE: i64 = 7;
    pub(in super::super) const LOAD: i64 = 8;
    pub(in super::super) const INVOKE: i64 = 9;
    pub(in super::super) const PAYLOAD_FETCH: i64 = 16;
    pub(in super::super) const INSTALL: i64 = 20;
    pub(in super::super) const TEXT: i64 = 23;
}

/// The encoding's version (`suit-manifest-version`).
pub(super) const MANIFEST_VERSION: u64 = 1;

/// "SUIT Common Elements".
pub(super) mod common {
    pub(in super::super) const COMPONENTS: i64 = 2;
    pub(in super::super) const SHARED_SEQUENCE: i64 = 4;
}

/// "SUIT Commands".
pub(super) mod command {
    pub(in super::super) const VENDOR_IDENTIFIER: i64 = 1;
    pub(in super::super) const CLASS_IDENTIFIER: i64 = 2;
    pub(in super::super) const IMAGE_MATCH: i64 = 3;
    pub(in super::super) const SET_COMPONENT_INDEX: i64 = 12;
    pub(in super::super) const TRY_EACH: i64 = 15;
    pub(in super::super) const OVERRIDE_PARAMETERS: i64 = 20;
    pub(in super::super) const FETCH: i64 = 21;
    pub(in super::super) const COPY: i64 = 22;
    pub(in super::super) const INVOKE: i64 = 23;
}

/// Reporting policies: bit 0 records success, 1 failure; 2 and 3 add what the system was like then. The draft's own choice for its
/// examples: conditions tell all, directives tell their failure.
pub(super) mod policy {
    pub(in super::super) const CONDITION: u64 = 0b1111;
    pub(in super::super) const DIRECTIVE: u64 = 0b0010;
}

/// "SUIT Parameters".
pub(super) mod parameter {
    pub(in super::super) const VENDOR_ID: i64 = 1;
    pub(in super::super) const CLASS_ID: i64 = 2;
    pub(in super::super) const IMAGE_DIGEST: i64 = 3;
    pub(in super::super) const IMAGE_SIZE: i64 = 14;
    pub(in super::super) const URI: i64 = 21;
    pub(in super::super) const SOURCE_COMPONENT: i64 = 22;
}

/// "SUIT Text Values".
pub(super) mod text {
    pub(in super::super) const MANIFEST_DESCRIPTION: i64 = 1;
    pub(in super::super) const UPDATE_DESCRIPTION: i64 = 2;
    pub(in super::super) const JSON_SOURCE: i64 = 3;
}

/// "SUIT Component Text Values".
pub(super) mod component_text {
    pub(in super::super) const MODEL_NAME: i64 = 2;
    pub(in super::super) const VENDOR_DOMAIN: i64 = 3;
    pub(in super::super) const MODEL_INFO: i64 = 4;
    pub(in super::super) const DESCRIPTION: i64 = 5;
    pub(in super::super) const VERSION: i64 = 6;
}

/// SHA-256 among COSE's algorithms (RFC 9054).
pub(super) const SHA_256: i64 = -16;
