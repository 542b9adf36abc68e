//! Images, keys, a release on disk, and a way to run the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use embedded_storage::nor_flash::NorFlash;
use tempfile::TempDir;
use whittle_format::manifest::HardwareRange;
use whittle_patcher_nostd::{Buffers, Device, Patcher, Slots, Status, compact};
use whittle_release::build::{self, Base, Built, Request};
use whittle_release::keys::{Keyring, PrivateKey, Signer};
use whittle_release::{DeviceProfile, Image, directory};

use crate::schemas;

pub(crate) const PRODUCT: &str = "thermostat";
pub(crate) const VERSION: &str = "2.4.1";
pub(crate) const COUNTER: u32 = 7;

/// The key that the tests trust: public, so never to be used elsewhere.
pub(crate) fn test_key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

/// A key that nobody trusts.
pub(crate) fn foreign_key() -> PrivateKey {
    PrivateKey::from_seed(&[8; 32])
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// A release of the thermostat fixture.
pub(crate) fn thermostat(version: &str) -> Image {
    Image::read(&root().join(format!("fixtures/thermostat/images/{version}.bin")))
        .expect("the fixture is committed")
}

/// Bytes that look like code, the same for the same seed.
pub(crate) fn code_like(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let words: Vec<[u8; 2]> = (0..300).map(|_| (next() as u16).to_le_bytes()).collect();
    (0..len).map(|at| words[(next() % 300) as usize][at % 2]).collect()
}

/// Numbers that look random, the same for the same seed (xorshift64, Marsaglia 2003).
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Three bases and a target, each a small step from the one before.
pub(crate) fn small_series() -> Vec<Image> {
    let mut bytes = code_like(1, 20_000);
    let mut series = Vec::new();
    for release in 0..4usize {
        series.push(Image::new(bytes.clone()).expect("small"));
        for at in (release * 37..bytes.len()).step_by(1511) {
            bytes[at] = bytes[at].wrapping_add(5);
        }
        let middle = 5000 + release * 800;
        bytes.splice(middle..middle, code_like(50 + release as u32, 120));
    }
    series
}

pub(crate) fn request<'a>(series: &[Image], signer: &'a dyn Signer) -> Request<'a> {
    let (target, bases) = series.split_last().expect("a target");
    let bases =
        bases.iter().rev().map(|image| Base { image: image.clone(), version: None }).collect();
    Request {
        product: PRODUCT.parse().expect("a label"),
        target_version: VERSION.parse().expect("a label"),
        hardware: HardwareRange { min: 2, max: 5 },
        security_counter: COUNTER,
        target: target.clone(),
        bases,
        profile: DeviceProfile { fixed_block_log2: Some(9), ..DeviceProfile::default() },
        attachments: Vec::new(),
        signer,
        threads: 2,
    }
}

pub(crate) fn build(series: &[Image], signer: &dyn Signer) -> Built {
    build::build(&request(series, signer), &|_| {}).expect("builds")
}

/// A directory with images, keys and a release in it.
pub(crate) struct Workshop {
    directory: TempDir,
    pub(crate) series: Vec<Image>,
    pub(crate) built: Built,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (series, key) = (small_series(), test_key());
        let workshop = Self { built: build(&series, &key), directory, series };
        for (number, image) in workshop.series.iter().enumerate() {
            workshop.write(&format!("{number}.bin"), image.bytes());
        }
        key.write_pair(&workshop.path("keys")).expect("writes");
        foreign_key().write_pair(&workshop.path("foreign")).expect("writes");
        directory::write(&workshop.path("release"), &workshop.built.files).expect("writes");
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("writes");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("reads")
    }

    /// The delta package from the base before the target.
    pub(crate) fn delta(&self) -> (String, Vec<u8>) {
        self.built.files[0].clone()
    }

    /// Runs the command line in the directory.
    pub(crate) fn whittle(&self, args: &[&str]) -> Run {
        whittle(self.directory.path(), args)
    }
}

/// A finished run of the command line.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn whittle(directory: &Path, args: &[&str]) -> Run {
    run(&mut command(directory, args), args)
}

/// Runs a command line that was made with these arguments, and holds JSON against its published schema.
pub(crate) fn run(command: &mut Command, args: &[&str]) -> Run {
    let Output { status, stdout, stderr } = command.output().expect("runs");
    let run = Run {
        code: status.code().expect("not killed"),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    };
    schemas::check(args, &run);
    run
}

/// The same for a run that goes on beside the test.
pub(crate) fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whittle-under-test"));
    command.args(args).current_dir(directory).env("NO_COLOR", "1");
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    // It is meant for the tests.
    command.env_remove("WHITTLE_UPDATE_GOLDENS");
    command
}

pub(crate) fn keys() -> Keyring {
    Keyring::of(&test_key())
}

/// Runs a tool that the tests need; `package` tells how to get it.
pub(crate) fn tool(name: &str, package: &str, args: &[&str], directory: &Path) -> Output {
    let output = Command::new(name)
        .args(args)
        .current_dir(directory)
        .stdin(std::process::Stdio::null())
        .output();
    output
        .unwrap_or_else(|error| panic!("`{name}` is needed (Debian package `{package}`): {error}"))
}

/// Installs a package as a device does.
pub(crate) fn install<F: NorFlash>(package: &[u8], base: &mut F, target: &mut F) {
    let device = Device {
        product: PRODUCT,
        hardware_revision: 3,
        security_counter: COUNTER,
        decoder_ram_bytes: 16 << 20,
    };
    let keys = keys();
    let (mut block, mut page) = (vec![0; 4096], vec![0; 256]);
    let mut tables = Box::new(compact::HugeTables::NEW);
    let mut slots = Slots { base, target };
    let buffers = Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) };
    let mut patcher = Patcher::new(&device, &keys, buffers);
    for mut chunk in package.chunks(100) {
        if patcher.push(&mut chunk, &mut slots).expect("a good package") == Status::Done {
            break;
        }
    }
    patcher.finish(&mut slots).expect("installs");
}

/// Runs MCUboot's imgtool, which `cargo xtask setup` installs; `Err` is what it complains about.
pub(crate) fn imgtool(args: &[&str], directory: &Path) -> Result<(), String> {
    let program = root().join("target/test-tools/bin/imgtool");
    let output = Command::new(program).args(args).current_dir(directory).output();
    let output = output.expect("`cargo xtask setup` installs imgtool");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
