//! The signed envelope: a COSE_Sign1 (RFC 9052) with EdDSA over Ed25519.
//!
//! Only one shape of it is emitted or read, so a device needs no CBOR parser beyond comparing a constant prefix,
//! while any COSE library reads the same bytes:
//!
//! ```text
//! d2                                tag 18, COSE_Sign1
//! 84                                array of 4
//! 4d a2 01 27 04 48 <8 bytes>       protected: {1 (alg): -8 (EdDSA), 4 (kid): key id}, as a 13-byte string
//! a0                                unprotected: {}
//! 40+n | 58 <u8> | 59 <u16 BE>      payload: a byte string in its shortest form
//! …
//! 58 40 <64 bytes>                  signature
//! ```
//!
//! The signature covers the `Sig_structure` of RFC 9052 §4.4 with empty external data, see [`tbs`]. What kind of
//! document it is stands in the payload's magic, so a signature over one kind is never one over another.

use crate::wire::Writer;
use crate::{FormatError, Part};

/// Names a public key: the first 8 bytes of the SHA-256 of its 32 raw bytes.
pub type KeyId = [u8; 8];

/// Length of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

const TAG_AND_ARRAY: &[u8] = &[0xd2, 0x84];
const PROTECTED_BEFORE_KEY_ID: &[u8] = &[0x4d, 0xa2, 0x01, 0x27, 0x04, 0x48];
pub(crate) const UNPROTECTED: &[u8] = &[0xa0];
pub(crate) const SIGNATURE_HEAD: &[u8] = &[0x58, 0x40];
/// What stands in front of the payload's length, with zeros for the key id.
const HEAD: &[u8; HEAD_LEN] = b"\xd2\x84\x4d\xa2\x01\x27\x04\x48\0\0\0\0\0\0\0\0\xa0";
/// `["Signature1", protected, external_aad, payload]` up to the protected header.
const SIG_STRUCTURE_HEAD: &[u8] = b"\x84\x6aSignature1";
pub(crate) const NO_EXTERNAL_AAD: &[u8] = &[0x40];

pub(crate) const KEY_ID_LEN: usize = size_of::<KeyId>();

const KEY_ID_OFFSET: usize = 2 + 6;
const UNPROTECTED_OFFSET: usize = KEY_ID_OFFSET + KEY_ID_LEN;

/// Bytes in front of the payload's length.
const HEAD_LEN: usize = UNPROTECTED_OFFSET + 1;

/// Bytes that [`tbs`] puts around a payload, at most.
pub const TBS_OVERHEAD: usize = 12 + 6 + KEY_ID_LEN + 1 + 3;

/// Bytes that [`emit`] puts around a payload, at most.
pub const OVERHEAD: usize = HEAD_LEN + 3 + 2 + SIGNATURE_LEN;

/// A parsed envelope: untrusted until its signature has been checked over [`Self::tbs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Which key is said to have signed.
    pub key_id: KeyId,
    /// What is said to be signed.
    pub payload: &'a [u8],
    /// The signature over [`Self::tbs`].
    pub signature: &'a [u8; SIGNATURE_LEN],
    /// The protected header and the payload as they are coded.
    coded: [&'a [u8]; 2],
}

impl<'a> Envelope<'a> {
    /// Parses the envelope at the front of `bytes` and returns what follows it.
    ///
    /// # Errors
    /// [`FormatError::NotAnEnvelope`] for any other shape, [`FormatError::Truncated`] if the bytes end too early.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FormatError> {
        let Head { payload_offset, payload_end } = Head::parse(bytes)?;
        let part = |from, to| bytes.get(from..to).ok_or(FormatError::Truncated);
        let payload = part(payload_offset, payload_end)?;
        let behind = part(payload_end, bytes.len())?;
        expect(behind, SIGNATURE_HEAD)?;
        let behind = behind.get(SIGNATURE_HEAD.len()..).ok_or(FormatError::Truncated)?;
        let (signature, rest) = behind.split_first_chunk().ok_or(FormatError::Truncated)?;
        let key_id = part(KEY_ID_OFFSET, UNPROTECTED_OFFSET)?;
        let key_id = key_id.first_chunk().copied().ok_or(FormatError::Truncated)?;
        let protected = part(TAG_AND_ARRAY.len(), UNPROTECTED_OFFSET)?;
        let coded = [protected, part(HEAD_LEN, payload_end)?];
        Ok((Self { key_id, payload, signature, coded }, rest))
    }

    /// How many bytes from the front of `bytes` an envelope takes: `None` if more bytes are needed to tell.
    ///
    /// # Errors
    /// [`FormatError::NotAnEnvelope`] as soon as one byte tells that this is no envelope.
    pub fn length(bytes: &[u8]) -> Result<Option<usize>, FormatError> {
        match Head::parse(bytes) {
            Ok(head) => {
                let behind = SIGNATURE_HEAD.len().saturating_add(SIGNATURE_LEN);
                Ok(Some(head.payload_end.saturating_add(behind)))
            }
            Err(FormatError::Truncated) => Ok(None),
            Err(wrong) => Err(wrong),
        }
    }

    /// Emits the bytes that are said to be signed into `out` and returns their length: those of [`tbs`].
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`]; [`TBS_OVERHEAD`] more than the payload is always enough.
    pub fn tbs(&self, out: &mut [u8]) -> Result<usize, FormatError> {
        let [protected, payload] = self.coded;
        let mut writer = Writer::new(out);
        for part in [SIG_STRUCTURE_HEAD, protected, NO_EXTERNAL_AAD, payload] {
            writer.put(part)?;
        }
        Ok(writer.len())
    }
}

/// Emits the envelope into `out` and returns its length.
///
/// # Errors
/// [`FormatError::BufferTooSmall`]; [`OVERHEAD`] more than the payload is always enough.
pub fn emit(
    key_id: &KeyId,
    payload: &[u8],
    signature: &[u8; SIGNATURE_LEN],
    out: &mut [u8],
) -> Result<usize, FormatError> {
    let mut writer = Writer::new(out);
    writer.put(TAG_AND_ARRAY)?;
    put_protected(&mut writer, key_id)?;
    writer.put(UNPROTECTED)?;
    put_payload(&mut writer, payload)?;
    writer.put(SIGNATURE_HEAD)?;
    writer.put(signature)?;
    Ok(writer.len())
}

/// Emits the bytes to be signed (RFC 9052 §4.4 `Sig_structure`) into `out` and returns their length.
///
/// # Errors
/// [`FormatError::BufferTooSmall`]; [`TBS_OVERHEAD`] more than the payload is always enough.
pub fn tbs(key_id: &KeyId, payload: &[u8], out: &mut [u8]) -> Result<usize, FormatError> {
    let mut writer = Writer::new(out);
    writer.put(SIG_STRUCTURE_HEAD)?;
    put_protected(&mut writer, key_id)?;
    writer.put(NO_EXTERNAL_AAD)?;
    put_payload(&mut writer, payload)?;
    Ok(writer.len())
}

/// How many bytes an envelope around a payload takes.
#[must_use]
pub const fn encoded_len(payload_len: usize) -> usize {
    let head = match payload_len {
        0..=23 => 1,
        24..=255 => 2,
        _ => 3,
    };
    HEAD_LEN
        .saturating_add(head)
        .saturating_add(payload_len)
        .saturating_add(SIGNATURE_HEAD.len())
        .saturating_add(SIGNATURE_LEN)
}

pub(crate) fn put_protected(writer: &mut Writer<'_>, key_id: &KeyId) -> Result<(), FormatError> {
    writer.put(PROTECTED_BEFORE_KEY_ID)?;
    writer.put(key_id)
}

/// Emits a CBOR byte string in its shortest form (RFC 8949 §4.2.1).
pub(crate) fn put_payload(writer: &mut Writer<'_>, payload: &[u8]) -> Result<(), FormatError> {
    let too_long = FormatError::OutOfRange { field: Part::PayloadLength };
    let len = u16::try_from(payload.len()).map_err(|_| too_long)?;
    let [high, low] = len.to_be_bytes();
    match (high, low) {
        (0, 0..=23) => writer.put(&[0x40 | low])?,
        (0, _) => writer.put(&[0x58, low])?,
        _ => writer.put(&[0x59, high, low])?,
    }
    writer.put(payload)
}

/// Where the payload lies.
struct Head {
    payload_offset: usize,
    payload_end: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        for (at, (byte, wanted)) in bytes.iter().zip(HEAD).enumerate() {
            let is_free = (KEY_ID_OFFSET..UNPROTECTED_OFFSET).contains(&at);
            if byte != wanted && !is_free {
                return Err(FormatError::NotAnEnvelope);
            }
        }
        let (payload_offset, payload_end) = payload_range(bytes, HEAD_LEN)?;
        Ok(Self { payload_offset, payload_end })
    }
}

/// Where the payload begins and ends whose length is coded at `at`.
#[inline]
pub(crate) fn payload_range(bytes: &[u8], at: usize) -> Result<(usize, usize), FormatError> {
    let (len_bytes, payload_len) = match *bytes.get(at..).unwrap_or_default() {
        [] | [0x58] | [0x59] | [0x59, 1..=u8::MAX] => return Err(FormatError::Truncated),
        [short @ 0x40..=0x57, ..] => (1, usize::from(short & 0x1f)),
        [0x58, len @ 24..=u8::MAX, ..] => (2, usize::from(len)),
        [0x59, high @ 1..=u8::MAX, low, ..] => (3, usize::from(u16::from_be_bytes([high, low]))),
        // Another length than the shortest one says the same.
        _ => return Err(FormatError::NotAnEnvelope),
    };
    let payload_offset = at.saturating_add(len_bytes);
    Ok((payload_offset, payload_offset.saturating_add(payload_len)))
}

/// The payload in what is to be signed, the bytes of [`tbs`]; `None` if these are other bytes.
#[must_use]
pub fn payload_of_tbs(message: &[u8]) -> Option<&[u8]> {
    if !message.starts_with(SIG_STRUCTURE_HEAD) {
        return None;
    }
    let (from, to) = payload_range(message, TBS_OVERHEAD.saturating_sub(3)).ok()?;
    message.get(from..to).filter(|_| to == message.len())
}

/// Compares as many bytes as there are: a differing byte outranks missing ones, so that junk is recognised at once.
pub(crate) fn expect(bytes: &[u8], wanted: &[u8]) -> Result<(), FormatError> {
    let is_so = bytes.iter().zip(wanted).all(|(byte, wanted)| byte == wanted);
    if is_so { Ok(()) } else { Err(FormatError::NotAnEnvelope) }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn emitted(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; payload.len() + OVERHEAD];
        let len = emit(b"key-id-8", payload, &[7; SIGNATURE_LEN], &mut out).expect("room");
        out.truncate(len);
        out
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(payload in proptest::collection::vec(any::<u8>(), 0..600), tail in any::<[u8; 5]>()) {
            let mut bytes = emitted(&payload);
            prop_assert_eq!(Envelope::length(&bytes), Ok(Some(bytes.len())));
            prop_assert_eq!(encoded_len(payload.len()), bytes.len());
            for cut in 0..bytes.len() {
                prop_assert!(matches!(Envelope::parse(&bytes[..cut]), Err(FormatError::Truncated)), "cut {}", cut);
            }
            bytes.extend(tail);
            let (envelope, rest) = Envelope::parse(&bytes).expect("own bytes");
            prop_assert_eq!(envelope.payload, &payload);
            prop_assert_eq!(&envelope.key_id, b"key-id-8");
            prop_assert_eq!(rest, tail);
            let (mut out, mut again) = ([0; 700], [0; 700]);
            let len = tbs(b"key-id-8", &payload, &mut out).expect("room");
            prop_assert_eq!(envelope.tbs(&mut again), Ok(len));
            prop_assert_eq!(payload_of_tbs(&out[..len]), Some(&payload[..]));
            prop_assert_eq!(out, again);
        }

        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Envelope::parse(&bytes);
        }
    }

    #[test]
    fn a_length_that_is_not_in_its_shortest_form_is_refused() {
        let mut bytes = emitted(&[1; 30]);
        bytes[HEAD_LEN + 1] = 23;
        assert_eq!(Envelope::parse(&bytes), Err(FormatError::NotAnEnvelope));
    }
}
