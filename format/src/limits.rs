//! Every bound that a reader may rely on, with its unit.
//!
//! A declared number is compared with its limit here before anything is made room for.

/// Largest image, in bytes (1 GiB).
pub const MAX_IMAGE_BYTES: u32 = 1 << 30;

/// Largest encoded payload, in bytes: a coder may expand, but never by more than this.
pub const MAX_PAYLOAD_BYTES: u32 = MAX_IMAGE_BYTES + (1 << 20);

/// Longest product name or version, in bytes.
pub const MAX_LABEL_BYTES: usize = 32;

/// Longest manifest envelope, in bytes: a device keeps one buffer of this size.
pub const MAX_MANIFEST_ENVELOPE_BYTES: usize = 256;

/// Longest index envelope, in bytes.
pub const MAX_INDEX_ENVELOPE_BYTES: usize = 32 * 1024;

/// Smallest block, as a power of two (64 bytes).
pub const MIN_BLOCK_LOG2: u8 = 6;

/// Largest block, as a power of two (64 KiB).
pub const MAX_BLOCK_LOG2: u8 = 16;

/// Largest decoder memory class, as a power of two (256 MiB).
pub const MAX_MEMORY_CLASS: u8 = 28;

/// Most packages that one release index lists.
pub const MAX_PACKAGES: usize = 64;

/// Most bases that one release index lists.
pub const MAX_BASES: usize = 64;

/// Most attachments (release notes, SBOM) that one release index lists.
pub const MAX_ATTACHMENTS: usize = 8;

/// Longest bundle envelope, in bytes.
pub const MAX_BUNDLE_ENVELOPE_BYTES: usize = 4096;

/// Most components that one bundle lists.
pub const MAX_COMPONENTS: usize = 16;

/// Most requirements that one bundle lists.
pub const MAX_REQUIREMENTS: usize = 64;

/// Longest flags envelope, in bytes: a device keeps one in its journal.
pub const MAX_FLAGS_ENVELOPE_BYTES: usize = 1024;

/// Longest stage envelope, in bytes.
pub const MAX_STAGE_ENVELOPE_BYTES: usize = 256;

/// Longest device id that a rule of a flag can name, in bytes.
pub const MAX_DEVICE_ID_BYTES: usize = 64;

/// Most keys that a device trusts at a time, and most signatures of one document.
pub const MAX_KEYS: usize = 8;

/// Most key ids that a document of keys revokes.
pub const MAX_REVOKED: usize = 16;

/// Longest keys file, in bytes: a device keeps one in its journal.
pub const MAX_KEYS_FILE_BYTES: usize = 1024;

/// Longest approval with its signatures, in bytes: a device keeps one in its journal.
pub const MAX_APPROVAL_ENVELOPE_BYTES: usize = 800;
