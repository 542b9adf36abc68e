//! What was coded once is not coded again: artifacts kept under what they were made from.
//!
//! [`CacheKey`] names an artifact by base, target, everything that its encoder was told, and the encoder's version; wherever the
//! bytes are kept is a matter of the [`ArtifactCache`]. What comes out of a cache is not believed: a digest finds bits that flipped,
//! and the build replays every artifact on the device crate before it is signed, whether it comes from an encoder or from a cache.
//! One that does not lead to the target is made anew, and takes the place of the bad one. Only a cache that knows for certain that
//! this user's same program has replayed the same entry before may say so, and spare the build the replay.
//!
//! Refusals are not kept: most cost no coding, and a wrong one would make no error, only larger downloads.
//!
//! ```text
//! "whittle artifact 1\n" | length of the head (4) | SHA-256 of all that follows (32) | head: JSON | payload
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use whittle_delta::Encoded;
use whittle_delta::compact::{self, InstructionSet};
use whittle_format::limits::MAX_PAYLOAD_BYTES;
use whittle_format::manifest::Codec;

use crate::encode::{Alternative, Candidate, Choice};
use crate::image::Sha256Digest;
use crate::{DeviceProfile, Image};

/// Keeps artifacts; called from several threads.
///
/// A cache never fails a build: what it cannot read is not there, and what it cannot keep is made again. Why is its own to tell.
pub trait ArtifactCache: Sync {
    /// The entry under this key, if there is one.
    fn load(&self, key: &CacheKey) -> Option<Vec<u8>>;

    /// Keeps an entry, in place of one that may be there.
    fn store(&self, key: &CacheKey, entry: &[u8]);

    /// Whether [`note_replayed`](Self::note_replayed) was called with this very entry before, by the same program for the same user.
    /// `true` lets an artifact be signed without a replay, so it is for caches alone where nobody else can have made it so.
    fn was_replayed(&self, _key: &CacheKey, _entry: &[u8]) -> bool {
        false
    }

    /// Takes down that the artifact of this entry was replayed, and led to its target.
    fn note_replayed(&self, _key: &CacheKey, _entry: &[u8]) {}
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl ArtifactCache for NoCache {
    fn load(&self, _: &CacheKey) -> Option<Vec<u8>> {
        None
    }

    fn store(&self, _: &CacheKey, _: &[u8]) {}
}

/// Largest entry in bytes: a payload and what describes it.
pub const MAX_ENTRY_BYTES: u64 = MAX_PAYLOAD_BYTES as u64 + (64 << 10);

/// The name of an artifact: a SHA-256, which prints as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey(Sha256Digest);

impl CacheKey {
    /// Names the artifact that leads from `base`, or from nothing, to `target` on such devices.
    pub(crate) fn of(base: Option<&Image>, target: &Image, profile: &DeviceProfile) -> Self {
        // Whoever adds a field decides here whether it changes the payload.
        let DeviceProfile {
            decoder_ram_bytes,
            slot_bytes: _,
            codec,
            fixed_block_log2: _,
            load_address: _,
            code: _,
            in_place,
        } = *profile;
        // With what the images' files tell of them.
        let told = profile.compact_options(base, target, decoder_ram_bytes);
        let (code, addresses) = (told.code, (told.base_load_address, told.load_address));
        let base = base.map_or("none".to_owned(), |base| base.digest().to_string());
        let revisions = Codec::ALL.map(|codec| (codec.name(), revision(codec)));
        let made_from = format!(
            "whittle artifact 1\nversion {}\nrevisions {revisions:?}\nbase {base}\ntarget {}\nram {decoder_ram_bytes}\n\
             codec {codec:?}\nload addresses {addresses:?}\ncode {code:?}\nin place {in_place:?}\n",
            env!("CARGO_PKG_VERSION"),
            target.digest(),
        );
        Self(Sha256Digest::of(made_from.as_bytes()))
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The encoder's revision, which is part of what it makes.
fn revision(codec: Codec) -> u16 {
    match codec {
        Codec::Zstd => whittle_delta::zstd::encoder_revision(),
        Codec::Compact | Codec::InPlace => compact::ENCODER_REVISION,
        _ => 1,
    }
}

const MAGIC: &[u8] = b"whittle artifact 1\n";

/// What an entry says of its payload, and of the codecs that were tried.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// So that an entry counts under no other name.
    key: Sha256Digest,
    best: Described,
    tried: Vec<Described>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    codec: String,
    instruction_set: Option<String>,
    memory_class: Option<String>,
    payload_bytes: u64,
    decoder_ram_bytes: u64,
}

impl Described {
    fn of(made: &Alternative) -> Self {
        Self {
            codec: made.codec.to_owned(),
            instruction_set: made.instruction_set.map(str::to_owned),
            memory_class: made.memory_class.map(str::to_owned),
            payload_bytes: made.payload_bytes,
            decoder_ram_bytes: made.decoder_ram_bytes,
        }
    }

    fn codec(&self) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name() == self.codec)
    }

    /// None if it names no instruction set; `Err` if it names one that there is not.
    fn instruction_set(&self) -> Result<Option<InstructionSet>, Unknown> {
        let named = |name: &String| {
            InstructionSet::ALL.into_iter().find(|set| set.name() == name).ok_or(Unknown)
        };
        self.instruction_set.as_ref().map(named).transpose()
    }

    fn alternative(&self) -> Option<Alternative> {
        let class = |name: &String| {
            compact::Class::ALL.into_iter().map(compact::Class::name).find(|known| known == name)
        };
        Some(Alternative {
            codec: self.codec()?.name(),
            instruction_set: self.instruction_set().ok()?.map(InstructionSet::name),
            memory_class: match &self.memory_class {
                Some(name) => Some(class(name)?),
                None => None,
            },
            payload_bytes: self.payload_bytes,
            decoder_ram_bytes: self.decoder_ram_bytes,
        })
    }
}

struct Unknown;

/// The bytes of an entry.
pub(crate) fn emit(key: &CacheKey, choice: &Choice) -> Option<Vec<u8>> {
    let best = Alternative::of(choice.best.codec, &choice.best.encoded);
    let tried = choice.tried.iter().map(Described::of).collect();
    let head = serde_json::to_vec(&Head { key: key.0, best: Described::of(&best), tried }).ok()?;
    let head_len = u32::try_from(head.len()).ok()?;
    let body = [&head[..], &choice.best.encoded.payload].concat();
    let digest = Sha256Digest::of(&body).0;
    Some([MAGIC, &head_len.to_le_bytes(), &digest, &body].concat())
}

/// What an entry holds; none if it is not as this version would have written it under this key.
pub(crate) fn parse(key: &CacheKey, entry: &[u8]) -> Option<Choice> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (head_len, rest) = rest.split_first_chunk()?;
    let (digest, body) = rest.split_first_chunk()?;
    if Sha256Digest::of(body).0 != *digest {
        return None;
    }
    let head_len = usize::try_from(u32::from_le_bytes(*head_len)).ok()?;
    let (head, payload) = body.split_at_checked(head_len)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    if head.key != key.0 || head.best.payload_bytes != payload.len() as u64 {
        return None;
    }
    let codec = head.best.codec()?;
    let encoded = Encoded {
        payload: payload.to_vec(),
        decoder_ram_bytes: head.best.decoder_ram_bytes,
        encoder: revision(codec),
        instruction_set: head.best.instruction_set().ok()?,
    };
    let tried = head.tried.iter().map(Described::alternative).collect::<Option<_>>()?;
    Some(Choice { best: Candidate { codec, encoded }, tried })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{InPlaceRoom, encode};
    use crate::{CodecChoice, DeviceProfile, Source};
    use whittle_delta::compact::CodeHint;

    fn images() -> (Image, Image) {
        let words = |seed: u32| (0..800u32).map(move |n| (n.wrapping_mul(0x9e37_79b1) >> 9) ^ seed);
        let image = |seed| Image::new(words(seed).flat_map(u32::to_le_bytes).collect());
        (image(0).expect("small"), image(1).expect("small"))
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let (base, target) = images();
        for (codec, base) in [
            (CodecChoice::Auto, Some(&base)),
            (CodecChoice::Auto, None),
            (CodecChoice::Bsdiff, Some(&base)),
            (CodecChoice::Stored, None),
        ] {
            let profile = DeviceProfile { codec, ..DeviceProfile::default() };
            let made = encode(base, &target, &profile, &|_| {}).expect("encodes").expect("some");
            let key = CacheKey::of(base, &target, &profile);
            let entry = emit(&key, &made).expect("an entry");
            let read = parse(&key, &entry).expect("an entry");
            assert_eq!((read.best.codec, read.tried), (made.best.codec, made.tried));
            assert_eq!(read.best.encoded, made.best.encoded);
            for place in [0, 20, 30, 60, entry.len() - 1] {
                let mut damaged = entry.clone();
                damaged[place] ^= 1;
                assert!(parse(&key, &damaged).is_none(), "{place}");
            }
            let other = CacheKey::of(Some(&target), &target, &profile);
            assert!(parse(&other, &entry).is_none(), "it is of another artifact");
            for len in [0, 10, 19, 22, 50, entry.len() - 1] {
                assert!(parse(&key, &entry[..len]).is_none(), "{len}");
            }
        }
    }

    #[test]
    fn all_that_makes_another_payload_makes_another_key() {
        let (base, target) = images();
        let usual = DeviceProfile::default();
        let key = |profile: &DeviceProfile| CacheKey::of(Some(&base), &target, profile);
        let room = InPlaceRoom { sector_bytes: 4096, sectors: 8 };
        let others = [
            DeviceProfile { decoder_ram_bytes: 1 << 16, ..usual },
            DeviceProfile { codec: CodecChoice::Zstd, ..usual },
            DeviceProfile { load_address: Some(0), ..usual },
            DeviceProfile { code: CodeHint::Unknown, ..usual },
            DeviceProfile { in_place: Some(room), ..usual },
        ];
        let mut keys: Vec<_> = others.iter().map(key).collect();
        keys.push(key(&usual));
        keys.push(CacheKey::of(None, &target, &usual));
        keys.push(CacheKey::of(Some(&target), &base, &usual));
        let told = |of_base: Source, of_target: Source| {
            let base = base.clone().with_source(of_base);
            CacheKey::of(Some(&base), &target.clone().with_source(of_target), &usual)
        };
        let at = |address| Source { load_address: Some(address), ..Source::default() };
        let thumb = Some(InstructionSet::Thumb);
        let thumb = Source { instruction_set: thumb, ..Source::default() };
        keys.push(told(Source::default(), at(4096)));
        keys.push(told(at(8192), at(4096)));
        keys.push(told(Source::default(), thumb));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 11);
        let blocks =
            DeviceProfile { fixed_block_log2: Some(8), slot_bytes: Some(1 << 20), ..usual };
        assert_eq!(key(&blocks), key(&usual), "blocks are cut afterwards");
    }
}
