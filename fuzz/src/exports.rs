//! What others read, and what comes back from them: SUIT envelopes, and statements in DSSE envelopes.

use whittle_export::provenance::{DsseEnvelope, Statement};
use whittle_export::suit::Envelope;
use whittle_release::Sha256Digest;

/// Any envelope is refused, or comes out of its parts as the same bytes, also without its text.
///
/// What begins with an `m` is a manifest, around which an envelope with the right digest is put: few changes of a whole envelope get past that.
///
/// # Panics
/// If it is not.
pub fn suit_envelope(data: &[u8]) {
    let around = data.strip_prefix(b"m").map(envelope_around);
    let bytes = around.as_deref().unwrap_or(data);
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    assert_eq!(envelope.emit(), bytes);
    let bare = envelope.without_text();
    assert_eq!(Envelope::parse(&bare.emit()), Ok(bare));
}

/// An envelope that nobody has signed: `107({2: << [<< [-16, digest] >>] >>, 3: manifest})`.
fn envelope_around(manifest: &[u8]) -> Vec<u8> {
    let manifest = byte_string(manifest);
    let digest = [&[0x82, 0x2f, 0x58, 0x20][..], &Sha256Digest::of(&manifest).0].concat();
    let authentication = [&[0x81][..], &byte_string(&digest)].concat();
    [&[0xd8, 0x6b, 0xa2, 0x02][..], &byte_string(&authentication), &[0x03], &manifest].concat()
}

/// The shortest head that fits, and the bytes.
fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let [_, _, high, low] = len.to_be_bytes();
    let head = match len {
        0..=23 => vec![0x40 | low],
        24..=0xff => vec![0x58, low],
        0x100..=0xffff => vec![0x59, high, low],
        _ => [&[0x5a][..], &len.to_be_bytes()].concat(),
    };
    [head, bytes.to_vec()].concat()
}

/// Any envelope is refused, or comes back from its own bytes, and so does any statement.
///
/// # Panics
/// If it does not.
pub fn provenance_statement(data: &[u8]) {
    if let Ok(envelope) = DsseEnvelope::parse(data) {
        assert_eq!(DsseEnvelope::parse(&envelope.emit()), Ok(envelope));
    }
    if let Ok(statement) = Statement::parse(data) {
        assert_eq!(Statement::parse(&statement.emit()), Ok(statement));
    }
}
