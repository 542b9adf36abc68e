//! The device crate as real firmware, on an emulated Cortex-M4 and RV32: what the command line built is installed
//! from one flash region into another, and the result compared byte for byte.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use whittle_release::keys::Signer;

use crate::support::{root, test_key, thermostat, tool, whittle};

/// A machine of QEMU's and the firmware for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    pub(crate) qemu: &'static str,
    pub(crate) package: &'static str,
    pub(crate) machine: &'static [&'static str],
    pub(crate) target: &'static str,
    inputs: u64,
}

pub(crate) const CORTEX_M4: Board = Board {
    qemu: "qemu-system-arm",
    package: "qemu-system-arm",
    machine: &["-machine", "mps2-an386"],
    target: "thumbv7em-none-eabi",
    inputs: 0x2010_0000,
};

pub(crate) const RV32: Board = Board {
    qemu: "qemu-system-riscv32",
    package: "qemu-system-misc",
    machine: &["-machine", "virt", "-bios", "none"],
    target: "riscv32imc-unknown-none-elf",
    inputs: 0x8100_0000,
};

/// Where the firmware expects its inputs, from the parameter block on.
const BASE_OFFSET: u64 = 0x1_0000;
const PACKAGE_OFFSET: u64 = 0x9_0000;

/// Cargo would lock the directory anyway; without this, a build would also overwrite the other one's output.
static BUILD: Mutex<()> = Mutex::new(());

/// Builds a binary of an example and copies it to `to`.
pub(crate) fn build_firmware(
    (example, binary): (&str, &str),
    board: &Board,
    features: &[&str],
    to: &Path,
) {
    let _guard = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let target_dir = root().join("target").join(example);
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            board.target,
            "--target-dir",
        ])
        .arg(&target_dir)
        .args(["--bin", binary, "--features", &features.join(",")])
        .current_dir(root().join("examples").join(example))
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "`rustup target add {}` is needed", board.target);
    let built = target_dir.join(board.target).join("release").join(binary);
    std::fs::copy(built, to).expect("copies");
}

/// A firmware, a release and a place to run in.
struct Bench {
    board: Board,
    directory: tempfile::TempDir,
}

struct Outcome {
    code: Option<i32>,
    text: String,
}

impl Bench {
    fn new(board: Board, features: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let receiver = ("receiver", "receiver");
        build_firmware(receiver, &board, features, &directory.path().join("receiver.elf"));
        Self { board, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Builds a release of the thermostat with the command line and returns the package for a base, or the full one.
    fn release(&self, target: &str, base: Option<&str>, more: &[&str]) -> Vec<u8> {
        let place = tempfile::tempdir_in(self.directory.path()).expect("a directory");
        let out = place.path().join("release").display().to_string();
        let image = |version: &str| {
            format!("{}/fixtures/thermostat/images/{version}.bin", root().display())
        };
        if !self.path("keys").exists() {
            test_key().write_pair(&self.path("keys")).expect("writes");
        }
        let target_image = image(target);
        let mut args = vec![
            "build",
            "--product",
            "thermostat",
            "--target",
            &target_image,
            "--target-version",
            target,
        ];
        args.extend([
            "--key",
            "keys/release.key.pem",
            "--out",
            &out,
            "--format",
            "json",
            "--security-counter",
            "3",
        ]);
        let base_image = base.map(image);
        args.extend(base_image.iter().flat_map(|path| ["--base", path]));
        args.extend(more);
        let json = whittle(self.directory.path(), &args).ok().json();
        let file = json["artifacts"][0]["file"].as_str().expect("a name");
        std::fs::read(Path::new(&out).join(file)).expect("reads")
    }

    /// Lets the firmware receive a package, `chunk_len` bytes at a time.
    fn run(&self, base: &[u8], package: &[u8], chunk_len: u32, security_counter: u32) -> Outcome {
        let mut parameters = Vec::new();
        for number in [base.len() as u32, package.len() as u32, chunk_len, security_counter] {
            parameters.extend(number.to_le_bytes());
        }
        parameters.extend(test_key().public_key());
        let _ = std::fs::remove_file(self.path("installed.bin"));
        let mut args: Vec<String> =
            self.board.machine.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(
            ["-nographic", "-semihosting-config", "enable=on,target=native"].map(str::to_owned),
        );
        let inputs = [
            ("parameters", &parameters[..], 0),
            ("base", base, BASE_OFFSET),
            ("package", package, PACKAGE_OFFSET),
        ];
        for (name, bytes, offset) in inputs {
            std::fs::write(self.path(name), bytes).expect("writes");
            if !bytes.is_empty() {
                let address = self.board.inputs + offset;
                args.extend([
                    "-device".to_owned(),
                    format!("loader,file={name},addr={address:#x},force-raw=on"),
                ]);
            }
        }
        args.extend(["-kernel".to_owned(), "receiver.elf".to_owned()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = tool(self.board.qemu, self.board.package, &args, self.directory.path());
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        Outcome { code: output.status.code(), text }
    }

    #[track_caller]
    fn installs(&self, base: &[u8], package: &[u8], chunk_len: u32, target: &[u8]) {
        let outcome = self.run(base, package, chunk_len, 3);
        assert_eq!(outcome.code, Some(0), "{}", outcome.text);
        let installed = std::fs::read(self.path("installed.bin")).expect("the firmware wrote it");
        assert!(installed == target, "the installed image differs: {}", outcome.text);
    }

    #[track_caller]
    fn refuses(&self, base: &[u8], package: &[u8], security_counter: u32, words: &str) {
        let outcome = self.run(base, package, 64, security_counter);
        assert_eq!(outcome.code, Some(1), "{}", outcome.text);
        assert!(outcome.text.contains("outcome=refused writes=0"), "{}", outcome.text);
        assert!(outcome.text.contains(words), "{}", outcome.text);
        assert!(!self.path("installed.bin").exists());
    }
}

fn receives_a_release(board: Board) {
    let bench = Bench::new(board, &["zstd"]);
    let target = thermostat("1.2.2");
    for (base, chunk_len) in [("1.2.1", 64), ("1.1.1", 1)] {
        let package =
            bench.release("1.2.2", Some(base), &["--device-ram", "512K", "--codec", "zstd"]);
        bench.installs(thermostat(base).bytes(), &package, chunk_len, target.bytes());
    }
    let full = bench.release("1.2.2", None, &["--device-ram", "512K", "--codec", "zstd"]);
    bench.installs(&[], &full, 1000, target.bytes());

    let base = thermostat("1.2.1");
    let package =
        bench.release("1.2.2", Some("1.2.1"), &["--device-ram", "32K", "--block-size", "256"]);
    bench.installs(base.bytes(), &package, 64, target.bytes());
    bench.refuses(thermostat("1.2.0").bytes(), &package, 3, "package expects another base");
    bench.refuses(base.bytes(), &package, 4, "lower security counter");
    bench.refuses(base.bytes(), &package[..package.len() - 1], 3, "incomplete");
    let mut flipped = package;
    *flipped.last_mut().expect("not empty") ^= 1;
    bench.refuses(base.bytes(), &flipped, 3, "is not the one that was signed");
}

fn works_without_a_heap(board: Board) {
    let bench = Bench::new(board, &[]);
    let target = thermostat("1.2.2");
    let stored = bench.release("1.2.2", None, &["--device-ram", "32K", "--codec", "stored"]);
    bench.installs(&[], &stored, 64, target.bytes());
    for base in ["1.2.1", "1.0.0"] {
        let package = bench.release("1.2.2", Some(base), &["--device-ram", "32K"]);
        assert!(package.len() * 4 < target.bytes().len(), "a delta");
        bench.installs(thermostat(base).bytes(), &package, 64, target.bytes());
    }
    let full = bench.release("1.2.2", None, &["--device-ram", "32K", "--codec", "compact"]);
    bench.installs(&[], &full, 1000, target.bytes());
    let compressed = bench.release("1.2.1", None, &["--codec", "zstd", "--device-ram", "512K"]);
    bench.refuses(&[], &compressed, 3, "more RAM than the device has");
}

#[test]
fn a_cortex_m4_receives_a_release() {
    receives_a_release(CORTEX_M4);
}

#[test]
fn an_rv32_receives_a_release() {
    receives_a_release(RV32);
}

#[test]
fn a_cortex_m4_works_without_a_heap() {
    works_without_a_heap(CORTEX_M4);
}

#[test]
fn an_rv32_works_without_a_heap() {
    works_without_a_heap(RV32);
}
