//! Packages of small images, signed in a way that a sweep over many thousand boots can afford.

use sha2::{Digest as _, Sha256};
use whittle_format::block::{self, BlockLayout};
use whittle_format::envelope::{self, Envelope, KeyId, SIGNATURE_LEN};
use whittle_format::manifest::Codec;
use whittle_format::{Digest as ImageDigest, Manifest, Share, Stage, shorten};
use whittle_patcher_nostd::{Verifier, VerifyError, authenticate};
use whittle_release::flags::FlagsSource;
use whittle_release::{CodecChoice, DeviceProfile, Image, InPlaceRoom};

use crate::support::{PRODUCT, code_like, request, test_key};

const KEY_ID: KeyId = *b"sweeping";

/// Stands in for Ed25519, which the other tests use: a digest with a secret in front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastVerifier;

fn sign(message: &[u8]) -> [u8; SIGNATURE_LEN] {
    let mut signature = [0; SIGNATURE_LEN];
    for (half, secret) in signature.chunks_mut(32).zip(["one", "two"]) {
        half.copy_from_slice(&Sha256::new().chain_update(secret).chain_update(message).finalize());
    }
    signature
}

impl Verifier for FastVerifier {
    fn verify(
        &self,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        if *key_id != KEY_ID {
            Err(VerifyError::UnknownKey)
        } else if *signature == sign(message) {
            Ok(())
        } else {
            Err(VerifyError::BadSignature)
        }
    }
}

/// The signed envelope of anything.
fn seal(payload: &[u8]) -> Vec<u8> {
    let (mut message, mut bytes) = ([0; 1200], vec![0; 1200]);
    let len = envelope::tbs(&KEY_ID, payload, &mut message).expect("fits");
    let signature = sign(&message[..len]);
    let len = envelope::emit(&KEY_ID, payload, &signature, &mut bytes).expect("fits");
    bytes.truncate(len);
    bytes
}

/// A flags document of this version.
pub(crate) fn flags(version: u32) -> Vec<u8> {
    let json = format!(
        r#"{{"product": "{PRODUCT}", "version": {version}, "flags": [{{"name": "eco", "default": true}}]}}"#
    );
    let source = FlagsSource::parse("flags", json.as_bytes()).expect("valid");
    seal(&source.compile().expect("compiles"))
}

/// A stage of one rollout with this number.
pub(crate) fn stage(number: u32) -> Vec<u8> {
    let stage = Stage {
        product: PRODUCT.parse().expect("a label"),
        target_version: "2".parse().expect("a label"),
        target_digest: [7; 16],
        seed: [9; 16],
        number,
        share: Share::from_ppm(10_000 * number).expect("in range"),
    };
    let mut bytes = [0; 256];
    let len = stage.emit(&mut bytes).expect("fits");
    seal(&bytes[..len])
}

/// An envelope and the blocks behind it.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) manifest: Manifest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) envelope_len: usize,
}

impl Package {
    /// Signs a manifest over this payload, whatever it said about another one before.
    fn new(manifest: &Manifest, payload: &[u8]) -> Self {
        let layout = BlockLayout::new(manifest.payload_size, manifest.block_log2).expect("valid");
        let mut chain = vec![0; layout.wire_len() as usize];
        let short = |bytes: &[u8]| shorten(&Sha256::digest(bytes).into());
        let root = block::emit(payload, layout, &mut chain, short).expect("as long as the layout");
        let manifest = Manifest { root, ..*manifest };

        let mut signed = [0; 256];
        let len = manifest.emit(&mut signed).expect("fits");
        let mut bytes = seal(&signed[..len]);
        let envelope_len = bytes.len();
        bytes.extend(chain);
        Self { manifest, bytes, envelope_len }
    }

    /// The package under a manifest that promises another image of the same size: authentic, and made wrongly.
    pub(crate) fn promising(&self, target_digest: ImageDigest) -> Self {
        let payload = payload(&self.manifest, &self.bytes[self.envelope_len..]);
        Self::new(&Manifest { target_digest, ..self.manifest }, &payload)
    }

    /// The package signed anew with this security counter.
    pub(crate) fn under_counter(&self, security_counter: u32) -> Self {
        let payload = payload(&self.manifest, &self.bytes[self.envelope_len..]);
        Self::new(&Manifest { security_counter, ..self.manifest }, &payload)
    }

    pub(crate) fn envelope(&self) -> &[u8] {
        &self.bytes[..self.envelope_len]
    }
}

fn payload(manifest: &Manifest, chain: &[u8]) -> Vec<u8> {
    let layout = BlockLayout::new(manifest.payload_size, manifest.block_log2).expect("valid");
    let (mut chain, mut payload) = (chain, Vec::new());
    while payload.len() < manifest.payload_size as usize {
        let shape = layout.block_after(payload.len() as u32);
        let (block, rest) = chain.split_at(shape.len as usize);
        payload.extend(block::parse(block, shape.has_next).1);
        chain = rest;
    }
    payload
}

/// Two releases of a small firmware, for a device with a single slot.
pub(crate) struct InPlaceReleases {
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
    pub(crate) old_full: Package,
    pub(crate) new_full: Package,
    pub(crate) delta: Package,
}

impl InPlaceReleases {
    /// Images of about `len` bytes whose parts have changed places.
    pub(crate) fn new(len: usize, block_log2: u8, room: InPlaceRoom) -> Self {
        let old = code_like(9, len);
        let (front, back) = old.split_at(len / 3);
        let new = [back, &code_like(78, len / 8), front].concat();
        Self::of(old, new, block_log2, room)
    }

    /// A new image that is the old one without its front.
    pub(crate) fn shrunk(len: usize, block_log2: u8, room: InPlaceRoom) -> Self {
        let old = code_like(9, len);
        let new = old[len / 3..].to_vec();
        Self::of(old, new, block_log2, room)
    }

    fn of(old: Vec<u8>, new: Vec<u8>, block_log2: u8, room: InPlaceRoom) -> Self {
        let mut profile = profile(CodecChoice::Compact, block_log2);
        profile.in_place = Some(room);
        let delta = release(&[&old, &new], profile, 8);
        assert_eq!(delta.manifest.codec, Codec::InPlace);
        let old_full = full_image(&old, block_log2, 7);
        let new_full = full_image(&new, block_log2, 8);
        Self { old, new, old_full, new_full, delta }
    }
}

/// Two releases of a small firmware.
pub(crate) struct Releases {
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
    /// The full images.
    pub(crate) old_full: Package,
    pub(crate) new_full: Package,
    pub(crate) delta: Package,
    pub(crate) broken_delta: Package,
}

impl Releases {
    /// Images of about `len` bytes; the new one has parts that the old one has not.
    pub(crate) fn new(len: usize, block_log2: u8) -> Self {
        let old = code_like(5, len);
        let mut new = old.clone();
        new.splice(len / 2..len / 2, code_like(77, len / 9));
        for at in (0..new.len()).step_by(331) {
            new[at] ^= 0x3c;
        }
        let delta = compact_delta(&old, &new, block_log2);
        let old_full = full_image(&old, block_log2, 7);
        let new_full = full_image(&new, block_log2, 8);
        let mut wrong = new.clone();
        wrong[len / 3] ^= 1;
        let broken_delta =
            compact_delta(&old, &wrong, block_log2).promising(delta.manifest.target_digest);
        Self { old, new, old_full, new_full, delta, broken_delta }
    }
}

/// A full image as it is.
pub(crate) fn full_image(image: &[u8], block_log2: u8, counter: u32) -> Package {
    release(&[image], profile(CodecChoice::Stored, block_log2), counter)
}

/// A delta that is decoded beside its base.
pub(crate) fn compact_delta(old: &[u8], new: &[u8], block_log2: u8) -> Package {
    release(&[old, new], profile(CodecChoice::Compact, block_log2), 8)
}

fn profile(codec: CodecChoice, block_log2: u8) -> DeviceProfile {
    let (decoder_ram_bytes, fixed_block_log2) = (4096, Some(block_log2));
    DeviceProfile { codec, decoder_ram_bytes, fixed_block_log2, ..DeviceProfile::default() }
}

fn release(images: &[&[u8]], profile: DeviceProfile, counter: u32) -> Package {
    let key = test_key();
    let images: Vec<Image> =
        images.iter().map(|bytes| Image::new(bytes.to_vec()).expect("small")).collect();
    let mut request = request(&images, &key);
    request.profile = profile;
    request.security_counter = counter;
    let built = whittle_release::build::build(&request, &|_| {}).expect("builds");
    let bytes = &built.files[0].1;
    let keyring = crate::support::keys();
    let manifest = *authenticate(bytes, &&keyring, &mut [0; 4096]).expect("authentic");
    let envelope_len = Envelope::length(bytes).expect("an envelope").expect("whole");
    Package::new(&manifest, &payload(&manifest, &bytes[envelope_len..]))
}
