//! Build stamps: what tells when, where or from what an image was built, recognised by its shape.
//!
//! | kind | shape |
//! |---|---|
//! | date | `Nov 24 2025` as `__DATE__` writes it, `2025-11-24` |
//! | time | `16:00:00` as `__TIME__` writes it |
//! | commit | 40 or 64 hexadecimal digits; `-g1234abc` as `git describe` writes it, with what is in front |
//! | UUID | `8-4-4-4-12` hexadecimal digits |
//! | build id | a `.note.gnu.build-id`; the hash of the ELF file in ESP-IDF's description of an application |
//! | signature | the trailer of an MCUboot image, with hash and signature |
//! | version | `1.2.3` |
//!
//! No digit may stand next to a shape; letters may, because strings of Rust have no end of their own.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What a stamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StampKind {
    /// A date.
    Date,
    /// A time of day.
    Time,
    /// A commit.
    Commit,
    /// A UUID.
    Uuid,
    /// An id or hash of the build.
    BuildId,
    /// A hash or signature of the image itself.
    Signature,
    /// A version.
    Version,
}

impl StampKind {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time",
            Self::Commit => "commit",
            Self::Uuid => "UUID",
            Self::BuildId => "build id",
            Self::Signature => "signature",
            Self::Version => "version",
        }
    }
}

/// A stamp in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) kind: StampKind,
    pub(crate) range: Range<usize>,
}

/// All stamps of an image, by rising offsets; none overlaps another.
pub(crate) fn find(image: &[u8]) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    let mut at = 0;
    while let Some(rest) = image.get(at..).filter(|rest| !rest.is_empty()) {
        let before = at.checked_sub(1).and_then(|before| image.get(before)).copied();
        match longest(rest, before) {
            Some((kind, len)) => {
                stamps.push(Stamp { kind, range: at..at + len });
                at += len;
            }
            None => at += 1,
        }
    }
    stamps.extend(mcuboot_trailer(image).into_iter().chain(esp_hashes(image)));
    stamps.sort_by_key(|stamp| (stamp.range.start, stamp.range.end));
    let mut end = 0;
    stamps.retain(|stamp| {
        let is_apart = stamp.range.start >= end;
        end = end.max(stamp.range.end);
        is_apart
    });
    stamps
}

/// Reads a stamp at the beginning of some bytes: its length.
type Shape = fn(&[u8]) -> Option<usize>;

fn longest(rest: &[u8], before: Option<u8>) -> Option<(StampKind, usize)> {
    /// Kind, shape, and bytes besides digits that would make another word of it.
    const TEXT: [(StampKind, Shape, &[u8]); 7] = [
        (StampKind::Uuid, uuid, b"abcdefABCDEF-"),
        (StampKind::Commit, described, b"."),
        (StampKind::Commit, hash, b"abcdef"),
        (StampKind::Date, date, b""),
        (StampKind::Date, iso_date, b"-"),
        (StampKind::Time, time, b":"),
        (StampKind::Version, version, b"."),
    ];
    if let Some(len) = build_id_note(rest) {
        return Some((StampKind::BuildId, len));
    }
    if !rest.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    TEXT.iter().find_map(|(kind, shape, others)| {
        let joins = |byte: u8| byte.is_ascii_digit() || others.contains(&byte);
        let len = shape(rest).filter(|_| !before.is_some_and(joins))?;
        (!rest.get(len).copied().is_some_and(joins)).then_some((*kind, len))
    })
}

/// Bytes that are as a pattern wants them: `0` a digit, `x` a hexadecimal one in lower case, `a` a letter, `_` a digit or a
/// space, anything else itself.
fn fits(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let fit = |(byte, want): (&u8, &u8)| match want {
        b'0' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        b'a' => byte.is_ascii_alphabetic(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        other => byte == other,
    };
    let is_long_enough = bytes.len() >= pattern.len();
    (is_long_enough && bytes.iter().zip(pattern).all(fit)).then_some(pattern.len())
}

fn date(bytes: &[u8]) -> Option<usize> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = bytes.get(..3)?;
    MONTHS.chunks_exact(3).find(|name| *name == month)?;
    fits(bytes, b"aaa _0 0000")
}

fn iso_date(bytes: &[u8]) -> Option<usize> {
    let len = fits(bytes, b"0000-00-00")?;
    let [month, day] = [number(bytes.get(5..7)?)?, number(bytes.get(8..10)?)?];
    let is_day = (1..=12).contains(&month) && (1..=31).contains(&day);
    is_day.then_some(len)
}

fn time(bytes: &[u8]) -> Option<usize> {
    let len = fits(bytes, b"00:00:00")?;
    let of = |at: usize| number(bytes.get(at..at + 2)?);
    (of(0)? < 24 && of(3)? < 60 && of(6)? <= 60).then_some(len)
}

fn number(digits: &[u8]) -> Option<u8> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn uuid(bytes: &[u8]) -> Option<usize> {
    let lower: Vec<u8> = bytes.iter().take(36).map(u8::to_ascii_lowercase).collect();
    fits(&lower, b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
}

fn hex_digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')).count()
}

fn hash(bytes: &[u8]) -> Option<usize> {
    let len = hex_digits(bytes);
    let digits = bytes.get(..len)?.iter().filter(|byte| byte.is_ascii_digit()).count();
    (matches!(len, 40 | 64) && digits > 4 && digits < len).then_some(len)
}

/// `v2.3.0-14-g0a1b2c3-dirty`, or its end from a number on.
fn described(bytes: &[u8]) -> Option<usize> {
    let start = usize::from(matches!(bytes.first(), Some(b'v' | b'V')));
    bytes.get(start).filter(|byte| byte.is_ascii_digit())?;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let len = bytes.iter().take(128).take_while(|byte| word(byte)).count();
    let text = bytes.get(..len)?;
    let mark = text.windows(2).position(|two| two == b"-g")?;
    let digits = hex_digits(text.get(mark + 2..)?);
    let end = mark + 2 + digits;
    let dirty = text.get(end..).filter(|rest| rest.starts_with(b"-dirty")).map_or(0, |_| 6);
    let is_counted = text.get(..mark)?.last().is_some_and(u8::is_ascii_digit);
    (is_counted && (7..=40).contains(&digits)).then_some(end + dirty)
}

fn version(bytes: &[u8]) -> Option<usize> {
    let start = usize::from(matches!(bytes.first(), Some(b'v' | b'V')));
    let mut len = start;
    for part in 0..3 {
        if part > 0 {
            len += usize::from(*bytes.get(len)? == b'.');
        }
        let digits = bytes.get(len..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=5).contains(&digits) || (part > 0 && bytes.get(len - 1) != Some(&b'.')) {
            return None;
        }
        len += digits;
    }
    // Four parts are an address.
    (bytes.get(len) != Some(&b'.')).then_some(len)
}

/// The note that `ld --build-id` writes: sizes of name and hash, type 3, the name `GNU`.
fn build_id_note(bytes: &[u8]) -> Option<usize> {
    let head: &[u8; 16] = bytes.first_chunk()?;
    let word = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let (name, len, kind) = (word(0)?, word(4)?, word(8)?);
    let is_note = name == 4 && kind == 3 && head.ends_with(b"GNU\0") && (8..=64).contains(&len);
    let end = 16 + usize::try_from(len).ok()?;
    (is_note && bytes.len() >= end).then_some(end)
}

/// ESP-IDF's `esp_app_desc_t`: versions, date and time in it are found by their shapes, the hash of the ELF file behind them is
/// not.
fn esp_hashes(image: &[u8]) -> impl Iterator<Item = Stamp> {
    const MAGIC: [u8; 4] = 0xabcd_5432_u32.to_le_bytes();
    const HASH: Range<usize> = 144..176;
    let is_there = |at: &usize| image.get(*at..).is_some_and(|rest| rest.starts_with(&MAGIC));
    let ends = image.len().saturating_sub(HASH.end);
    (0..=ends).step_by(4).filter(is_there).map(|at| Stamp {
        kind: StampKind::BuildId,
        range: at + HASH.start..(at + HASH.end).min(image.len()),
    })
}

/// Hash and signature behind an MCUboot image.
fn mcuboot_trailer(image: &[u8]) -> Option<Stamp> {
    const MAGIC: [u8; 4] = 0x96f3_b83d_u32.to_le_bytes();
    const TRAILER_MAGICS: [u16; 2] = [0x6907, 0x6908];
    if !image.starts_with(&MAGIC) {
        return None;
    }
    let half = |at: usize| Some(u16::from_le_bytes(*image.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?));
    let start = usize::from(half(8)?).checked_add(usize::try_from(word(12)?).ok()?)?;
    TRAILER_MAGICS.contains(&half(start)?).then_some(())?;
    Some(Stamp { kind: StampKind::Signature, range: start..image.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8]) -> Vec<(StampKind, &[u8])> {
        find(text).into_iter().map(|stamp| (stamp.kind, &text[stamp.range])).collect()
    }

    #[test]
    fn stamps_are_known_by_their_shapes() {
        use StampKind::*;
        for (text, kind) in [
            (&b"Nov 24 2025"[..], Date),
            (b"Jan  3 2026", Date),
            (b"2025-11-24", Date),
            (b"16:00:07", Time),
            (b"0123456789abcdef0123456789abcdef01234567", Commit),
            (b"v2.3.0-14-g0a1b2c3", Commit),
            (b"2.3.0-rc1-14-g0a1b2c3d-dirty", Commit),
            (b"12345678-9abc-def0-1234-56789abcdef0", Uuid),
            (b"v1.2.3", Version),
            (b"10.0.12", Version),
            (b"\x04\0\0\0\x08\0\0\0\x03\0\0\0GNU\0abcdefgh", BuildId),
        ] {
            assert_eq!(found(text), [(kind, text)]);
            let around = [b"at \0(", text, b")\0"].concat();
            assert_eq!(found(&around), [(kind, text)]);
        }
        assert_eq!(found(b"2025-11-24T16:00:07Z").len(), 2);
        assert_eq!(found(b"errorthermostat1.2.2unreachable"), [(Version, &b"1.2.2"[..])]);
        assert_eq!(found(b"built 2025-11-24 16:00:07").len(), 2);
    }

    #[test]
    fn what_only_looks_like_a_stamp_is_none() {
        for text in [
            &b"Mar 1 2025"[..],
            b"Abc 24 2025",
            b"2025-13-24",
            b"24:00:00",
            b"a0123456789abcdef0123456789abcdef01234567",
            b"0000000000000000000000000000000000000000",
            b"192.168.1.1",
            b"1.2",
            b"11:22:33:44",
            b"half-good",
            b"-gabcdef0",
            b"\x04\0\0\0\xff\xff\xff\xff\x03\0\0\0GNU\0abcdefgh",
        ] {
            assert_eq!(found(text), []);
        }
    }

    #[test]
    fn trailers_and_descriptions_are_found_by_their_headers() {
        let mut image = vec![0u8; 64];
        image[..4].copy_from_slice(&0x96f3_b83d_u32.to_le_bytes());
        image[8..10].copy_from_slice(&32u16.to_le_bytes());
        image[12..16].copy_from_slice(&16u32.to_le_bytes());
        image[48..50].copy_from_slice(&0x6907u16.to_le_bytes());
        assert_eq!(find(&image), [Stamp { kind: StampKind::Signature, range: 48..64 }]);
        image[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(find(&image), []);
        let mut image = vec![0u8; 300];
        image[32..36].copy_from_slice(&0xabcd_5432_u32.to_le_bytes());
        assert_eq!(find(&image), [Stamp { kind: StampKind::BuildId, range: 176..208 }]);
    }
}
