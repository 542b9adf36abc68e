//! The envelope of documents that several keys sign together: a COSE_Sign (RFC 9052) with EdDSA over Ed25519.
//!
//! As of the envelope with one signature, only one shape is emitted or read:
//!
//! ```text
//! d8 62                             tag 98, COSE_Sign
//! 84                                array of 4
//! 40 a0                             protected: empty, unprotected: {}
//! 40+n | 58 <u8> | 59 <u16 BE>      payload: a byte string in its shortest form
//! …
//! 80+n                              array of n signatures, 1 to 8, in ascending order of their key ids; each of them:
//!     83                            array of 3
//!     4d a2 01 27 04 48 <8 bytes>   protected: {1 (alg): -8 (EdDSA), 4 (kid): key id}, as a 13-byte string
//!     a0                            unprotected: {}
//!     58 40 <64 bytes>              signature
//! ```
//!
//! Each signature covers the `Sig_structure` of RFC 9052 §4.4 with its own protected header and empty external data, see
//! [`tbs`]. How many of them count, and how many must, is decided by the crates that hold keys.

use crate::envelope::{
    KEY_ID_LEN, KeyId, NO_EXTERNAL_AAD, SIGNATURE_HEAD, SIGNATURE_LEN, UNPROTECTED, expect,
    payload_range, put_payload, put_protected,
};
use crate::limits::MAX_KEYS;
use crate::wire::{Reader, Writer};
use crate::{FormatError, Part};

const HEAD: &[u8] = &[0xd8, 0x62, 0x84, 0x40, 0xa0];
const SIGNATURES_HEAD: u8 = 0x80;
const SIGNATURE_ARRAY: &[u8] = &[0x83];
const PROTECTED: &[u8] = &[0x4d, 0xa2, 0x01, 0x27, 0x04, 0x48];
/// `["Signature", body_protected, sign_protected, external_aad, payload]` up to the signature's protected header.
const SIG_STRUCTURE_HEAD: &[u8] = b"\x85\x69Signature\x40";

const KEY_ID_OFFSET: usize = 1 + 6;
const SIGNATURE_OFFSET: usize = KEY_ID_OFFSET + KEY_ID_LEN + 1 + 2;

/// Bytes that each signature takes.
pub const ENTRY_LEN: usize = SIGNATURE_OFFSET + SIGNATURE_LEN;

/// Bytes that [`emit`] puts around a payload besides the signatures, at most.
pub const OVERHEAD: usize = HEAD.len() + 3 + 1;

/// Bytes that [`tbs`] puts around a payload, at most.
pub const TBS_OVERHEAD: usize = SIG_STRUCTURE_HEAD.len() + 6 + KEY_ID_LEN + 1 + 3;

/// A signature and the key that is said to have made it.
pub type Signature = (KeyId, [u8; SIGNATURE_LEN]);

/// A parsed envelope: untrusted until enough of its signatures have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JointEnvelope<'a> {
    /// What is said to be signed.
    pub payload: &'a [u8],
    /// The payload as it is coded.
    coded: &'a [u8],
    entries: &'a [u8],
}

impl<'a> JointEnvelope<'a> {
    /// Parses the envelope at the front of `bytes` and returns what follows it.
    ///
    /// # Errors
    /// [`FormatError::NotAnEnvelope`] for any other shape, [`FormatError::Contradiction`] for signatures that are not in order,
    /// [`FormatError::Truncated`] if the bytes end too early.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FormatError> {
        expect(bytes, HEAD)?;
        let (payload_offset, payload_end) = payload_range(bytes, HEAD.len())?;
        let part = |from, to| bytes.get(from..to).ok_or(FormatError::Truncated);
        let payload = part(payload_offset, payload_end)?;
        let coded = part(HEAD.len(), payload_end)?;
        let behind = part(payload_end, bytes.len())?;
        let (count, behind) = behind.split_first().ok_or(FormatError::Truncated)?;
        let count = usize::from(count.wrapping_sub(SIGNATURES_HEAD));
        if count == 0 || count > MAX_KEYS {
            return Err(FormatError::NotAnEnvelope);
        }
        let mut reader = Reader::new(behind, 0);
        let entries = reader.take(count.saturating_mul(ENTRY_LEN))?;
        entries.chunks(ENTRY_LEN).try_for_each(check_entry)?;
        let envelope = Self { payload, coded, entries };
        if !envelope.signatures().is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(FormatError::Contradiction { field: Part::Signatures });
        }
        Ok((envelope, behind.get(entries.len()..).unwrap_or_default()))
    }

    /// The signatures, in ascending order of their key ids.
    pub fn signatures(&self) -> impl Iterator<Item = (KeyId, &'a [u8; SIGNATURE_LEN])> + use<'a> {
        self.entries.chunks(ENTRY_LEN).filter_map(|entry| {
            let key_id = entry.get(KEY_ID_OFFSET..)?.first_chunk()?;
            Some((*key_id, entry.get(SIGNATURE_OFFSET..)?.first_chunk()?))
        })
    }

    /// Emits the bytes that the key with this id is said to have signed, those of [`tbs`], into `out` and returns their length.
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`]; [`TBS_OVERHEAD`] more than the payload is always enough.
    pub fn tbs(&self, key_id: &KeyId, out: &mut [u8]) -> Result<usize, FormatError> {
        let mut writer = Writer::new(out);
        put_tbs_head(&mut writer, key_id)?;
        writer.put(self.coded)?;
        Ok(writer.len())
    }
}

fn check_entry(entry: &[u8]) -> Result<(), FormatError> {
    let parts = [
        (0, SIGNATURE_ARRAY),
        (1, PROTECTED),
        (KEY_ID_OFFSET.saturating_add(KEY_ID_LEN), UNPROTECTED),
        (SIGNATURE_OFFSET.saturating_sub(2), SIGNATURE_HEAD),
    ];
    parts
        .iter()
        .try_for_each(|(offset, wanted)| expect(entry.get(*offset..).unwrap_or_default(), wanted))
}

/// Emits the envelope into `out` and returns its length.
///
/// # Errors
/// [`FormatError::OutOfRange`] for no signature or too many, [`FormatError::Contradiction`] for signatures that are not in
/// strictly ascending order of their key ids, or [`FormatError::BufferTooSmall`].
pub fn emit(
    payload: &[u8],
    signatures: &[Signature],
    out: &mut [u8],
) -> Result<usize, FormatError> {
    let field = Part::Signatures;
    let count = u8::try_from(signatures.len()).map_err(|_| FormatError::OutOfRange { field })?;
    if count == 0 || usize::from(count) > MAX_KEYS {
        return Err(FormatError::OutOfRange { field });
    }
    if !signatures.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(FormatError::Contradiction { field });
    }
    let mut writer = Writer::new(out);
    writer.put(HEAD)?;
    put_payload(&mut writer, payload)?;
    writer.put(&[SIGNATURES_HEAD | count])?;
    for (key_id, signature) in signatures {
        writer.put(SIGNATURE_ARRAY)?;
        put_protected(&mut writer, key_id)?;
        writer.put(UNPROTECTED)?;
        writer.put(SIGNATURE_HEAD)?;
        writer.put(signature)?;
    }
    Ok(writer.len())
}

/// Emits what the key with this id is to sign (RFC 9052 §4.4 `Sig_structure`) into `out` and returns its length.
///
/// # Errors
/// [`FormatError::BufferTooSmall`]; [`TBS_OVERHEAD`] more than the payload is always enough.
pub fn tbs(key_id: &KeyId, payload: &[u8], out: &mut [u8]) -> Result<usize, FormatError> {
    let mut writer = Writer::new(out);
    put_tbs_head(&mut writer, key_id)?;
    put_payload(&mut writer, payload)?;
    Ok(writer.len())
}

fn put_tbs_head(writer: &mut Writer<'_>, key_id: &KeyId) -> Result<(), FormatError> {
    writer.put(SIG_STRUCTURE_HEAD)?;
    put_protected(writer, key_id)?;
    writer.put(NO_EXTERNAL_AAD)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn emitted(payload: &[u8], signatures: &[Signature]) -> Vec<u8> {
        let mut out = vec![0; payload.len() + OVERHEAD + signatures.len() * ENTRY_LEN];
        let len = emit(payload, signatures, &mut out).expect("room");
        out.truncate(len);
        out
    }

    fn signatures(count: usize) -> Vec<Signature> {
        (1..=u8::MAX).take(count).map(|n| ([n; KEY_ID_LEN], [n; SIGNATURE_LEN])).collect()
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(
            payload in proptest::collection::vec(any::<u8>(), 0..400),
            count in 1..=MAX_KEYS,
            tail in any::<[u8; 3]>(),
        ) {
            let signatures = signatures(count);
            let mut bytes = emitted(&payload, &signatures);
            for cut in 0..bytes.len() {
                prop_assert!(matches!(JointEnvelope::parse(&bytes[..cut]), Err(FormatError::Truncated)), "cut {}", cut);
            }
            bytes.extend(tail);
            let (envelope, rest) = JointEnvelope::parse(&bytes).expect("own bytes");
            prop_assert_eq!(envelope.payload, &payload);
            prop_assert_eq!(rest, tail);
            let parsed: Vec<_> = envelope.signatures().map(|(id, signature)| (id, *signature)).collect();
            prop_assert_eq!(parsed, signatures);
            let (mut out, mut again) = ([0; 500], [0; 500]);
            let len = tbs(b"key-id-8", &payload, &mut out).expect("room");
            prop_assert_eq!(envelope.tbs(b"key-id-8", &mut again), Ok(len));
            prop_assert_eq!(out, again);
        }

        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = JointEnvelope::parse(&bytes);
        }

        #[test]
        fn one_document_has_one_encoding(at in 0usize..200, bit in 0..8u32) {
            let mut bytes = emitted(b"payload", &signatures(2));
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok((envelope, [])) = JointEnvelope::parse(&bytes) {
                let signatures: Vec<_> = envelope.signatures().map(|(id, signature)| (id, *signature)).collect();
                prop_assert_eq!(emitted(envelope.payload, &signatures), bytes);
            }
        }
    }

    #[test]
    fn a_key_signs_once_and_in_its_place() {
        let [a, b] = [([1; 8], [1; 64]), ([2; 8], [2; 64])];
        let mut out = [0; 300];
        let error = FormatError::Contradiction { field: Part::Signatures };
        for wrong in [[b, a], [a, a]] {
            assert_eq!(emit(b"p", &wrong, &mut out), Err(error));
        }
        let mut bytes = emitted(b"p", &[a, b]);
        let first = bytes.len() - 2 * ENTRY_LEN + KEY_ID_OFFSET;
        bytes[first] = 9;
        assert_eq!(JointEnvelope::parse(&bytes), Err(error));
        let error = FormatError::OutOfRange { field: Part::Signatures };
        assert_eq!(emit(b"p", &[], &mut out), Err(error));
    }
}
