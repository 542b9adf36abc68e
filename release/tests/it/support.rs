use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use whittle_format::manifest::HardwareRange;
use whittle_release::build::Request;
use whittle_release::keys::{PrivateKey, Signer};
use whittle_release::{CodecChoice, DeviceProfile, Image};

pub(crate) const PRODUCT: &str = "thermostat";

/// A file of the repository.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/keys").join(name)
}

pub(crate) fn test_key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

/// Runs a program of others; `cargo xtask setup` installs it.
#[track_caller]
pub(crate) fn tool(program: &str, args: &[&str], directory: &Path) -> Output {
    let output = Command::new(program).args(args).current_dir(directory).output();
    let output =
        output.unwrap_or_else(|error| panic!("`{program}`, see `cargo xtask setup`: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    output
}

/// An image that looks a bit like the others of its seed.
pub(crate) fn image(seed: u8, len: usize) -> Image {
    let bytes = (0..len).map(|at| (at / 7 * usize::from(seed)) as u8).collect();
    Image::new(bytes).expect("small")
}

pub(crate) fn profile(codec: CodecChoice) -> DeviceProfile {
    DeviceProfile {
        decoder_ram_bytes: 16 << 20,
        slot_bytes: None,
        codec,
        fixed_block_log2: None,
        load_address: None,
        code: Default::default(),
        in_place: None,
    }
}

/// A release of one image, without bases.
pub(crate) fn request(signer: &dyn Signer) -> Request<'_> {
    Request {
        product: PRODUCT.parse().expect("a label"),
        target_version: "2.4.1".parse().expect("a label"),
        hardware: HardwareRange::ANY,
        security_counter: 3,
        target: image(3, 700),
        bases: Vec::new(),
        profile: profile(CodecChoice::Stored),
        attachments: Vec::new(),
        signer,
        threads: 1,
    }
}
