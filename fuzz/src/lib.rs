//! What is fuzzed, as plain functions of bytes.
//!
//! Ordinary tests replay everything under `corpus/`; `cargo fuzz run TARGET` looks for more.

mod exports;
mod firmware_files;

pub use exports::{provenance_statement, suit_envelope};
pub use firmware_files::{input_elf, input_esp, input_ihex, input_mcuboot, input_srec, input_uf2};

use std::path::Path;

use whittle_delta::compact::{
    self, Class, CodeHint, CompactDecoder, InstructionSet, LargestTables,
};
use whittle_delta::{Decoder, InMemory, Sizes};
use whittle_explain::Program;
use whittle_format::envelope::{self, KeyId, OVERHEAD, SIGNATURE_LEN};
use whittle_format::flags::{self, NewFlag, NewRule};
use whittle_format::joint::JointEnvelope;
use whittle_format::keys::Keys;
use whittle_format::stage;
use whittle_patcher_nostd::{
    DeviceFacts, FactoryKeys, KeyChecker, KeySet, PublicKey, Reason, VerifiedFlags, VerifiedStage,
    Verifier, VerifyError,
};
use whittle_release::keys::{PrivateKey, parse_public, public_minisign, public_pem};
use whittle_release::keys_file::KeysFile;

/// Decodes a payload over a base, with a target of this size; `None` if it is refused.
fn decode(base: &[u8], target_size: u32, payload: &[u8], chunk_len: usize) -> Option<Vec<u8>> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let sizes = Sizes { base: len(base), target: target_size, payload: len(payload) };
    let mut tables = Box::new(LargestTables::NEW);
    let mut decoder = CompactDecoder::new(sizes, tables.lend());
    let mut images = InMemory::new(base);
    for mut chunk in payload.chunks(chunk_len.max(1)) {
        let _ = decoder.push(&mut chunk, &mut images).ok()?;
        assert!(images.target.len() <= target_size as usize, "more than the target was written");
    }
    let _ = decoder.finish(&mut images).ok()?;
    Some(images.target)
}

/// Any payload over any base ends in a target of the declared size or in an error, however it is cut.
///
/// The first four bytes give the target's size, the length of the base and that of the chunks.
///
/// # Panics
/// If it does not.
pub fn compact_decoder(data: &[u8]) {
    let Some(([a, b, c, d], rest)) = data.split_first_chunk() else { return };
    let target_size = u32::from(u16::from_le_bytes([*a, *b]));
    let (base, payload) = rest.split_at((usize::from(*c) * 8).min(rest.len()));
    let decoded = decode(base, target_size, payload, usize::from(*d));
    assert_eq!(decoded, decode(base, target_size, payload, payload.len()), "the split matters");
    assert!(decoded.is_none_or(|target| target.len() == target_size as usize));
}

/// Whatever is encoded is decoded again.
///
/// The first four bytes choose the instruction set, the class and where the base ends.
///
/// # Panics
/// If it is not.
pub fn compact_round_trip(data: &[u8]) {
    let Some(([set, class, low, high], rest)) = data.split_first_chunk() else { return };
    let (base, target) =
        rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
    let class = Class::ALL[usize::from(*class) % Class::ALL.len()];
    let code = match InstructionSet::ALL.get(usize::from(*set) % 8) {
        Some(set) => CodeHint::Set(*set),
        None => CodeHint::Find,
    };
    let decoder_ram_bytes = class.ram_bytes();
    let options = compact::Options { decoder_ram_bytes, code, ..Default::default() };
    let encoded = compact::encode(Some(base), target, options).expect("encodes");
    let decoded = decode(base, u32::try_from(target.len()).expect("short"), &encoded.payload, 64);
    assert_eq!(decoded.as_deref(), Some(target));
}

/// Lets the payload speak for itself: what is fuzzed lies behind the signature.
struct Gullible;

impl Verifier for Gullible {
    fn verify(&self, _: &KeyId, _: &[u8], _: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
        Ok(())
    }
}

/// A payload as a device receives it; `None` if no envelope is so long.
fn sealed(payload: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; payload.len() + OVERHEAD];
    let len = envelope::emit(&KeyId::default(), payload, &[0; SIGNATURE_LEN], &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

/// Any flags payload is refused, or answers every question and comes out of its parts as the same bytes.
///
/// # Panics
/// If it does not.
pub fn flags_document(payload: &[u8]) {
    let Some(sealed) = sealed(payload) else { return };
    let Ok(document) = VerifiedFlags::authenticate(&sealed, &Gullible) else { return };
    let device = DeviceFacts { id: b"TH-2026-0001", groups: &["beta"], region: Some("DE") };
    for facts in [DeviceFacts::default(), device] {
        for flag in document.iter() {
            let decision = document.decide(flag.name.as_str(), &facts).expect("listed");
            let is_killed = flag.is_killed || document.head.is_killed;
            assert!(!is_killed || !decision.is_on, "a kill switch outranks everything");
            match decision.reason {
                Reason::Rule(number) => assert!(number < flag.rules.count(), "no such rule"),
                Reason::Default => assert_eq!(decision.is_on, flag.default),
                _ => assert!(is_killed),
            }
        }
    }

    let rules: Vec<Vec<_>> = document.iter().map(|flag| flag.rules.collect()).collect();
    let subjects: Vec<Vec<Vec<_>>> = rules
        .iter()
        .map(|rules| rules.iter().map(|rule| rule.subjects.clone().collect()).collect())
        .collect();
    let new_rules: Vec<Vec<NewRule<'_>>> = rules
        .iter()
        .zip(&subjects)
        .map(|(rules, subjects)| {
            let rules = rules.iter().zip(subjects);
            rules
                .map(|(r, subjects)| NewRule { value: r.value, share: r.share, subjects })
                .collect()
        })
        .collect();
    let new_flags: Vec<NewFlag<'_>> = document
        .iter()
        .zip(&new_rules)
        .map(|(f, rules)| NewFlag {
            name: f.name,
            default: f.default,
            is_killed: f.is_killed,
            rules,
        })
        .collect();
    let mut again = vec![0; flags::MAX_LEN];
    let len = flags::emit(&document.head, &new_flags, &mut again).expect("was parsed");
    assert_eq!(payload, &again[..len]);
}

impl KeyChecker for Gullible {
    fn check(&self, _: &PublicKey, _: &[u8], _: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
        Ok(())
    }
}

/// Any keys file is refused, or leads to the same keys again, whoever has taken it already.
///
/// # Panics
/// If it does not.
pub fn keys_file(file: &[u8]) {
    // Whoever may sign the first document is who it says.
    let Ok((envelope, _)) = JointEnvelope::parse(file) else { return };
    let Ok(first) = Keys::parse(envelope.payload) else { return };
    let keys: Vec<_> = first.keys().collect();
    let factory = FactoryKeys { keys: &keys, key_threshold: 1, package_threshold: 1 };
    let (origin, product) = (KeySet::new(&factory), first.head.product);
    let Ok(set) = origin.follow(file, product.as_str(), &origin, &Gullible) else { return };
    assert!(set.version() > 0 && set.keys().count() > 0, "a document was taken");
    assert_eq!(origin.follow(file, product.as_str(), &set, &Gullible), Ok(set));
    let parsed = KeysFile::parse("keys", file).expect("a device takes it");
    assert_eq!(parsed.emit().expect("was parsed"), file);
}

/// Any text is a key or is refused, and nobody is asked for a passphrase that opens nothing.
///
/// # Panics
/// If a key that was read is not what it says it is.
pub fn key_text(bytes: &[u8]) {
    if let Some(key) = parse_public(bytes) {
        let pem = public_pem(&key).expect("a point");
        assert_eq!(parse_public(pem.as_bytes()), Some(key));
        assert_eq!(parse_public(public_minisign(&key).as_bytes()), Some(key));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut ask = |name: &Path| Err(whittle_release::Error::PassphraseWanted(name.to_owned()));
    let _ = PrivateKey::parse(Path::new("key"), text, &mut ask);
}

/// Any stage payload is refused, or follows itself and comes out as the same bytes.
///
/// # Panics
/// If it does not.
pub fn stage_document(payload: &[u8]) {
    let Some(sealed) = sealed(payload) else { return };
    let Ok(stage) = VerifiedStage::authenticate(&sealed, &Gullible) else { return };
    let again = VerifiedStage::check(&sealed, stage.product.as_str(), Some(&stage), &Gullible);
    assert_eq!(again, Ok(stage));
    assert_eq!(stage.includes(&[]), stage.share.ppm() == whittle_format::Share::WHOLE_PPM);
    let mut again = vec![0; stage::MAX_LEN];
    let len = stage.emit(&mut again).expect("was parsed");
    assert_eq!(payload, &again[..len]);
}

/// Any ELF file or map is refused, or describes stretches of the image it is said to be of that do not overlap.
///
/// The first two bytes give the length of the image, which follows them; behind it stands the file.
///
/// # Panics
/// If it is not.
pub fn program_file(data: &[u8]) {
    let Some(([low, high], rest)) = data.split_first_chunk() else { return };
    let (image, file) =
        rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
    let Ok(program) = Program::parse(file, image) else { return };
    let sections = program.sections().iter().map(|section| &section.range);
    let symbols = program.symbols().iter().map(|symbol| &symbol.range);
    for mut ranges in [sections.collect::<Vec<_>>(), symbols.collect()].map(Vec::into_iter) {
        let end = ranges.try_fold(0, |end, range| (range.start >= end).then_some(range.end));
        assert!(end.is_some_and(|end| end as usize <= image.len()), "a stretch is no part of it");
    }
}

#[cfg(test)]
mod tests {

    use std::path::Path;
    /// Runs a target over its corpus, and over what its inputs become when they are cut and flipped.
    fn replay(name: &str, target: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = std::fs::read_dir(&directory).expect("a corpus");
        let inputs: Vec<Vec<u8>> =
            entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
        assert!(!inputs.is_empty(), "`{}` is empty", directory.display());
        for input in inputs {
            target(&input);
            for at in (0..input.len()).step_by(1 + input.len() / 40) {
                target(&input[..at]);
                let mut flipped = input.clone();
                flipped[at] ^= 1 << (at % 8);
                target(&flipped);
            }
        }
    }

    #[test]
    fn compact_decoder() {
        replay("compact_decoder", super::compact_decoder);
    }

    #[test]
    fn compact_round_trip() {
        replay("compact_round_trip", super::compact_round_trip);
    }
    #[test]
    fn flags_document() {
        replay("flags_document", super::flags_document);
    }

    #[test]
    fn program_file() {
        replay("program_file", super::program_file);
    }

    #[test]
    fn key_text() {
        replay("key_text", super::key_text);
    }

    #[test]
    fn keys_file() {
        replay("keys_file", super::keys_file);
    }

    #[test]
    fn provenance_statement() {
        replay("provenance_statement", super::provenance_statement);
    }

    #[test]
    fn suit_envelope() {
        replay("suit_envelope", super::suit_envelope);
    }

    #[test]
    fn stage_document() {
        replay("stage_document", super::stage_document);
    }
    #[test]
    fn input_elf() {
        replay("input_elf", super::input_elf);
    }

    #[test]
    fn input_esp() {
        replay("input_esp", super::input_esp);
    }

    #[test]
    fn input_ihex() {
        replay("input_ihex", super::input_ihex);
    }

    #[test]
    fn input_mcuboot() {
        replay("input_mcuboot", super::input_mcuboot);
    }

    #[test]
    fn input_srec() {
        replay("input_srec", super::input_srec);
    }

    #[test]
    fn input_uf2() {
        replay("input_uf2", super::input_uf2);
    }
}
