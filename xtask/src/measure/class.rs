//! The memory classes and efforts of `compact`, the one place here that names any of them.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use whittle_delta::compact::{self, Class, CompactDecoder, Effort, LargestTables, Options};
use whittle_delta::{Decoder, Encoded, InMemory, Sizes};
use whittle_format::manifest::{BaseRef, Codec, HardwareRange, Kind};
use whittle_format::{Manifest, ShortDigest, shorten};
use whittle_release::keys::PrivateKey;
use whittle_release::{DeviceProfile, Image, Package};

/// All efforts, by what they are called here.
pub(super) const EFFORTS: [(&str, Effort); 2] =
    [("quick", Effort::Quick), ("thorough", Effort::Thorough)];

/// The classes that the boards of the benchmarks have room for.
pub(super) fn of_microcontrollers() -> impl Iterator<Item = Class> {
    Class::ALL.into_iter().filter(|class| *class < Class::Huge)
}

/// What a class is called here.
pub(super) fn name(class: Class) -> String {
    format!("{class:?}").to_lowercase()
}

/// The classes with these names; `all` are all.
///
/// # Errors
/// If there is no such class.
pub(super) fn named(names: &[String]) -> Result<Vec<Class>> {
    if names.iter().any(|name| name == "all") {
        return Ok(Class::ALL.to_vec());
    }
    let find = |wanted: &String| Class::ALL.into_iter().find(|class| name(*class) == *wanted);
    let known = || Class::ALL.map(name).join("`, `");
    names
        .iter()
        .map(|name| find(name).with_context(|| format!("no class `{name}`, but `{}`", known())))
        .collect()
}

/// Encodes, and decodes again to see that it is right.
///
/// # Errors
/// If it is not.
pub(super) fn encode(base: Option<&[u8]>, target: &[u8], options: Options) -> Result<Encoded> {
    let encoded = compact::encode(base, target, options)?;
    let base = base.unwrap_or_default();
    let len = |bytes: &[u8]| u32::try_from(bytes.len());
    let sizes = Sizes { base: len(base)?, target: len(target)?, payload: len(&encoded.payload)? };
    let mut images = InMemory { base, target: Vec::with_capacity(target.len()) };
    let mut tables = Box::new(LargestTables::NEW);
    let mut decoder = CompactDecoder::new(sizes, tables.lend());
    let wrong = |error| anyhow!("decoding fails: {error}");
    let _ = decoder.push(&mut &encoded.payload[..], &mut images).map_err(wrong)?;
    let _ = decoder.finish(&mut images).map_err(wrong)?;
    ensure!(images.target == target, "decoding gives another image");
    Ok(encoded)
}

/// The size of the package that a release would hold, if it were for devices with the RAM of this class.
///
/// # Errors
/// If an image cannot be read, encoded or packed.
pub(super) fn package_bytes(base: Option<&Path>, target: &Path, class: Class) -> Result<u64> {
    let base = base.map(Image::read).transpose()?;
    let target = Image::read(target)?;
    let decoder_ram_bytes = class.ram_bytes();
    let options = Options { decoder_ram_bytes, ..Options::default() };
    let encoded = encode(base.as_ref().map(Image::bytes), target.bytes(), options)?;
    let profile = DeviceProfile { decoder_ram_bytes, ..DeviceProfile::default() };
    let manifest = Manifest {
        product: "measured".parse()?,
        target_version: "1".parse()?,
        hardware: HardwareRange::ANY,
        security_counter: 0,
        target_size: target.size(),
        target_digest: target.digest().0,
        kind: base.map_or(Kind::Full, |base| {
            Kind::Delta(BaseRef { size: base.size(), digest: shorten(&base.digest().0) })
        }),
        codec: Codec::Compact,
        encoder: encoded.encoder,
        memory_class: u8::try_from(encoded.decoder_ram_bytes.next_power_of_two().ilog2())?,
        block_log2: profile.block_log2(),
        payload_size: 0,
        root: ShortDigest::default(),
    };
    let package = Package::new(manifest, &encoded.payload)?;
    Ok(package.sign(&PrivateKey::from_seed(&[1; 32]))?.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_found_by_its_name() {
        assert_eq!(named(&Class::ALL.map(name)).unwrap(), Class::ALL);
        assert_eq!(named(&["all".to_owned()]).unwrap(), Class::ALL);
        assert_eq!(named(&[]).unwrap(), []);
        let error = named(&["enormous".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`enormous`") && error.contains(&name(Class::ALL[0])), "{error}");
    }

    #[test]
    fn every_class_decodes_in_the_largest_tables() {
        let base: Vec<u8> = (0..3000u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let target = [&base[..5000], b"new", &base[5100..]].concat();
        for class in Class::ALL {
            let options = Options::of_class(class);
            assert!(
                encode(Some(&base), &target, options).unwrap().payload.len() < 2000,
                "{class:?}"
            );
        }
    }
}
