//! Firmware files of other formats than raw: what they tell reaches the report, the codec and the archive.

use std::path::{Path, PathBuf};

use whittle_delta::compact::{CodeHint, InstructionSet};
use whittle_format::manifest::HardwareRange;
use whittle_release::apply::{Expectations, apply};
use whittle_release::archive::Archive;
use whittle_release::build::{Base, Built, Request, build};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{
    Culprit, DeviceProfile, Error, Image, InputFormat, InputOptions, Source, directory,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/inputs").join(name)
}

fn firmware(name: &str) -> Image {
    Image::read_firmware(&fixture(name), &InputOptions::default()).unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::read(&fixture("source/mcuboot.key.pem")).unwrap()
}

/// The next release: the same image, with a changed end.
fn next_release() -> Image {
    let mut bytes = firmware("firmware.bin").bytes().to_vec();
    bytes.extend_from_slice(&[7; 3000]);
    Image::new(bytes).unwrap()
}

fn build_with(target: Image, bases: Vec<Image>, profile: DeviceProfile) -> Result<Built, Error> {
    let key = key();
    let request = Request {
        product: "thermostat".parse().unwrap(),
        target_version: "2".parse().unwrap(),
        hardware: HardwareRange { min: 0, max: 1 },
        security_counter: 0,
        target,
        bases: bases.into_iter().map(|image| Base { image, version: None }).collect(),
        profile,
        attachments: Vec::new(),
        signer: &key,
        threads: 1,
    };
    build(&request, &|_| {})
}

fn at(image: Image, load_address: u64, instruction_set: Option<InstructionSet>) -> Image {
    let load_address = Some(load_address);
    image.with_source(Source { load_address, instruction_set, ..Source::default() })
}

#[test]
fn every_format_is_the_same_image() {
    let raw = firmware("firmware.bin");
    for (name, format) in [
        ("firmware.hex", InputFormat::IntelHex),
        ("firmware.srec", InputFormat::Srec),
        ("firmware.elf", InputFormat::Elf),
    ] {
        let image = firmware(name);
        assert_eq!((image.digest(), &image), (raw.digest(), &raw), "{name}");
        assert_eq!(image.source().format, format);
        assert_eq!(image.source().load_address, Some(0x0800_4000));
    }
    assert_eq!(raw.source(), &Source::default());
}

/// A device that runs the raw image takes what was built from the HEX file, and a base in any format applies.
#[test]
fn a_release_names_the_bytes_in_flash() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("release");
    let bases = vec![firmware("firmware.hex")];
    let built = build_with(next_release(), bases, DeviceProfile::default()).unwrap();
    let delta = built.report.artifacts.iter().find(|artifact| artifact.kind == "delta").unwrap();
    assert_eq!(delta.base_sha256, Some(firmware("firmware.bin").digest()));
    directory::write(&out, &built.files).unwrap();
    let keys = Keyring::of(&key());
    for name in ["firmware.bin", "firmware.srec", "firmware.elf"] {
        let applied = apply(&out, Some(&firmware(name)), &keys, Expectations::default()).unwrap();
        assert_eq!(applied.image, next_release(), "{name}");
    }
    let wrong = apply(&out, Some(&firmware("mcuboot.bin")), &keys, Expectations::default());
    assert!(matches!(wrong, Err(Error::UnknownBase { .. })));
}

#[test]
fn the_report_tells_what_the_target_was() {
    let built = build_with(firmware("mcuboot.hex"), vec![], DeviceProfile::default()).unwrap();
    let json = serde_json::to_value(&built.report).unwrap();
    let wanted = serde_json::json!({
        "format": "ihex", "load_address": 0x0800_4000, "instruction_set": null, "version": "1.4.2+7", "notes": []
    });
    assert_eq!(json["target_input"], wanted);
    assert_eq!(json["warnings"], serde_json::json!([]));
}

#[test]
fn what_files_tell_reaches_the_codec_unless_the_profile_says_better() {
    let (thumb, riscv) = (Some(InstructionSet::Thumb), Some(InstructionSet::Riscv32));
    let target = at(next_release(), 0x0804_4000, thumb);
    let base = at(firmware("firmware.bin"), 0x0800_4000, None);
    let profile = DeviceProfile::default();
    let options = profile.compact_options(Some(&base), &target, 4096);
    assert_eq!(options.load_address, Some(0x0804_4000));
    assert_eq!(options.base_load_address, Some(0x0800_4000));
    assert_eq!(options.code, CodeHint::Set(InstructionSet::Thumb));

    // What only one file tells counts for both.
    let raw = next_release();
    let options = profile.compact_options(Some(&at(base.clone(), 0x100, riscv)), &raw, 4096);
    assert_eq!((options.load_address, options.base_load_address), (Some(0x100), Some(0x100)));
    assert_eq!(options.code, CodeHint::Set(InstructionSet::Riscv32));
    let options = profile.compact_options(Some(&raw), &target, 4096);
    assert_eq!((options.load_address, options.base_load_address), (Some(0x0804_4000), None));
    // Addresses above 4 GiB wrap, as the codec has it.
    let high = at(next_release(), 0xffff_ffc0_0008_0000, None);
    assert_eq!(profile.compact_options(None, &high, 4096).load_address, Some(0x0008_0000));

    let (load_address, code) = (Some(5), CodeHint::Unknown);
    let profile = DeviceProfile { load_address, code, ..profile };
    let options = profile.compact_options(Some(&base), &target, 4096);
    assert_eq!((options.load_address, options.base_load_address), (Some(5), Some(5)));
    assert_eq!(options.code, CodeHint::Unknown);
}

#[test]
fn a_base_for_another_processor_is_refused_and_one_elsewhere_is_told() {
    let target = || at(next_release(), 0x0800_4000, Some(InstructionSet::Thumb));
    let base = |address, set| vec![at(firmware("firmware.bin"), address, Some(set))];
    let profile = DeviceProfile::default;

    let other = build_with(target(), base(0x0800_4000, InstructionSet::Riscv32), profile());
    let error = other.unwrap_err();
    assert_eq!(error.culprit(), Culprit::Base);
    assert!(error.to_string().ends_with("is riscv32 code, the target thumb"), "{error}");
    let code = CodeHint::Set(InstructionSet::Thumb);
    let told = DeviceProfile { code, ..profile() };
    assert!(build_with(target(), base(0x0800_4000, InstructionSet::Riscv32), told).is_ok());

    let elsewhere = || base(0x0804_4000, InstructionSet::Thumb);
    let built = build_with(target(), elsewhere(), profile()).unwrap();
    let [warning] = &*built.report.warnings else { panic!("{:?}", built.report.warnings) };
    assert!(warning.contains("lies at 0x8044000, the target at 0x8004000"), "{warning}");
    let told = DeviceProfile { load_address: Some(0x0800_4000), ..profile() };
    assert!(build_with(target(), elsewhere(), told).unwrap().report.warnings.is_empty());
}

#[test]
fn nothing_is_no_image() {
    let none = || Image::new(Vec::new()).unwrap();
    for (target, base, what) in
        [(none(), firmware("firmware.bin"), "target"), (next_release(), none(), "base")]
    {
        let error = build_with(target, vec![base], DeviceProfile::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("the {what} is empty"));
        assert_eq!(error.culprit(), Culprit::BadInput);
    }
}

#[test]
fn the_archive_keeps_what_a_file_told() {
    let directory = tempfile::tempdir().unwrap();
    let archive = Archive::at(directory.path());
    let product = "thermostat".parse().unwrap();
    archive.add(&product, &"1".parse().unwrap(), &firmware("firmware.elf")).unwrap();
    archive.add(&product, &"2".parse().unwrap(), &next_release()).unwrap();
    let [first, second] = &*archive.list(None).unwrap() else { panic!("two entries") };
    let image = archive.read(first).unwrap();
    assert_eq!(image, firmware("firmware.bin"));
    assert_eq!(image.source().load_address, Some(0x0800_4000));
    assert_eq!(image.source().instruction_set, Some(InstructionSet::Thumb));
    assert_eq!(archive.read(second).unwrap().source(), &Source::default());

    // Catalogs know nothing of it until there is something to know.
    let catalog = directory.path().join("catalog.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    assert_eq!(text.matches("load_address").count(), 1);
    std::fs::write(&catalog, text.replace("thumb", "z80")).unwrap();
    assert!(matches!(archive.list(None), Err(Error::Archive(_))));
}

/// What stands in the archive is an image, whatever it looks like.
#[test]
fn archived_images_are_not_recognised_again() {
    let directory = tempfile::tempdir().unwrap();
    let archive = Archive::at(directory.path());
    let options = InputOptions { format: Some(InputFormat::Raw), ..InputOptions::default() };
    let text = Image::read_firmware(&fixture("firmware.hex"), &options).unwrap();
    let product = "thermostat".parse().unwrap();
    archive.add(&product, &"1".parse().unwrap(), &text).unwrap();
    assert_eq!(archive.read(&archive.list(None).unwrap()[0]).unwrap(), text);
}

#[test]
fn a_damaged_file_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.hex");
    std::fs::write(&path, ":0400000001020304F2\n:00000001FE\n").unwrap();
    let error = Image::read_firmware(&path, &InputOptions::default()).unwrap_err();
    assert_eq!(error.culprit(), Culprit::BadInput);
    assert!(error.to_string().contains("new.hex"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "line 2 of the Intel HEX file is wrong");
    let gone = Image::read_firmware(&directory.path().join("gone"), &InputOptions::default());
    assert!(matches!(gone, Err(Error::Io { .. })));
}
