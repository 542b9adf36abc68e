//! The C interface: its header, the example firmware in QEMU with packages that the command line built, and everything
//! that C can do wrongly, on the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{root, test_key, thermostat, tool, whittle};

const ARM_GCC: (&str, &str) = ("arm-none-eabi-gcc", "gcc-arm-none-eabi");

const FLAGS: &str = r#"{
  "product": "thermostat",
  "version": 3,
  "flags": [
    {"name": "holiday-mode", "default": false, "rules": [{"value": true, "groups": ["beta"]}]},
    {"name": "broken", "default": true, "kill": true},
    {"name": "update-1f1f1f1f", "default": false, "rules": [{"value": true, "groups": ["beta"]}]}
  ]
}"#;

/// A directory with the packages of two releases, a flags document, a stage and the key that signed them.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().expect("a temporary directory"));
        test_key().write_pair(&bench.path("keys")).expect("writes");
        let key = bench.run(&["pubkey", "keys/release.pub.pem", "--to", "c"]);
        std::fs::write(bench.path("key.h"), key).expect("writes");
        for version in ["1.2.1", "1.2.2"] {
            std::fs::write(bench.path(version), thermostat(version).bytes()).expect("writes");
        }
        bench.build("first", "1.2.1", &["--security-counter", "3"]);
        // In several blocks, so that a download can be interrupted between them.
        let update = ["--security-counter", "4", "--base", "1.2.1", "--block-size", "256"];
        bench.build("update", "1.2.2", &update);
        let in_place = ["--in-place", "4K", "--slot-size", "256K"];
        bench.build("in-place", "1.2.2", &[&update[..4], &in_place].concat());
        std::fs::write(bench.path("flags.json"), FLAGS).expect("writes");
        let key = ["--key", "keys/release.key.pem"];
        bench.run(&[&["flags", "sign", "flags.json", "--out", "flags.bin"], &key[..]].concat());
        let of = ["--product", "thermostat", "--target-version", "1.2.2", "--target", "1.2.2"];
        let stage = ["stage", "sign", "--share", "100%", "--out", "stage.bin"];
        let seed = "1f".repeat(16);
        bench.run(&[&stage[..], &of, &["--seed", &seed], &key].concat());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        whittle(self.0.path(), args).ok().stdout
    }

    /// Builds a release and keeps its first package, which is the delta if there is a base.
    fn build(&self, name: &str, version: &str, more: &[&str]) {
        let args = ["build", "--product", "thermostat", "--target", version, "--target-version"];
        let device = ["--device-ram", "32K", "--codec", "compact", "--format", "json"];
        let signed = ["--key", "keys/release.key.pem", "--out", name];
        let args = [&args[..], &[version], &device, &signed, more].concat();
        let json = whittle(self.0.path(), &args).ok().json();
        let file = json["artifacts"][0]["file"].as_str().expect("a name");
        std::fs::copy(self.path(name).join(file), self.path(&format!("{name}.pkg")))
            .expect("copies");
    }
}

/// Runs a program that must succeed and returns what it prints.
#[track_caller]
fn run((name, package): (&str, &str), args: &[&str], directory: &Path) -> String {
    let output = tool(name, package, args, directory);
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {text}");
    text
}

/// Compiles the header alone, as strictly as its users may.
fn compile_header(compiler: (&str, &str), language: &str, standard: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("header"), "#include \"whittle.h\"\n").expect("writes");
    let include = format!("-I{}", root().join("patcher-nostd/capi").display());
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wstrict-prototypes"];
    let strict = if language == "c" { &strict[..] } else { &strict[..4] };
    let args = ["-x", language, standard, &include, "-ffreestanding", "-fsyntax-only", "header"];
    run(compiler, &[&args[..], strict].concat(), directory.path());
}

#[test]
fn the_header_compiles_without_a_warning() {
    for compiler in [("gcc", "gcc"), ARM_GCC] {
        for standard in ["-std=c11", "-std=c17"] {
            compile_header(compiler, "c", standard);
        }
    }
    compile_header(("g++", "g++"), "c++", "-std=c++17");
}

const EXPECTED: &str = "\
--- the factory: nothing is there, so the whole image is installed
open: done
boot: done
  no slot: recovery
begin: done
push: the package is complete
finish: done
install: done
  bytes of the image 156968
activate: done
open: done
boot: done
  slot B holds 1.2.1
  on trial
healthy: done
  security counter 3
--- an update, and a power cut in the middle of its download
begin: done
push: done
open: done
boot: done
  slot B holds 1.2.1
resume: done
offset: done
  goes on in the middle
push: the package is complete
finish: done
install: done
  bytes of the image 157032
activate: done
open: done
boot: done
  slot A holds 1.2.2
  on trial
healthy: done
  security counter 4
open: done
boot: done
  slot A holds 1.2.2
--- flags
accept flags: done
read flags: done
flag holiday-mode: done
  on
flag no-such-flag: there is none
--- done
";

#[test]
fn firmware_in_c_updates_itself() {
    let bench = Bench::new();
    let example = root().join("examples/c");
    let build = root().join("target/c-example");
    let (build_is, key_is) =
        (format!("BUILD={}", build.display()), format!("KEY={}", bench.0.path().display()));
    // Another test's key must not stay in the objects.
    let _ = std::fs::remove_file(build.join("main.o"));
    run(ARM_GCC, &["--version"], &example);
    run(("make", "make"), &[&build_is, &key_is], &example);
    let firmware = build.join("firmware.elf").display().to_string();
    let machine = ["-machine", "mps2-an386", "-nographic", "-semihosting-config"];
    let args = [&machine[..], &["enable=on,target=native", "-kernel", &firmware]].concat();
    let text = run(("qemu-system-arm", "qemu-system-arm"), &args, bench.0.path());
    assert_eq!(text, EXPECTED);
    let map = std::fs::read_to_string(build.join("firmware.map")).expect("the linker wrote it");
    println!("libwhittle.a in the example: {} bytes of code and constants", library_bytes(&map));
}

/// Bytes of code and constants that the linker took from the library, told by its map.
fn library_bytes(map: &str) -> u64 {
    let (_, placed) = map.split_once("Linker script and memory map").expect("a map");
    let hex = |word: Option<&str>| u64::from_str_radix(word?.strip_prefix("0x")?, 16).ok();
    // A long name stands on a line of its own, with the rest on the next one.
    let mut name = "";
    let mut bytes = 0;
    for line in placed.lines() {
        let mut words = line.split_whitespace().peekable();
        if words.peek().is_some_and(|word| word.starts_with('.')) {
            name = words.next().unwrap_or_default();
        }
        let is_kept = [".text", ".rodata", ".data"].iter().any(|kind| name.starts_with(kind));
        if let (Some(_), Some(len)) = (hex(words.next()), hex(words.next()))
            && is_kept
            && words.next().is_some_and(|file| file.contains("libwhittle.a("))
        {
            bytes += len;
        }
    }
    assert!(bytes > 10_000, "{bytes} bytes: is this a map?");
    bytes
}

/// Builds the library for the host, with other units than the defaults if they are named.
fn host_library(units: Option<(&str, &str)>) -> PathBuf {
    let (write, erase) = units.unwrap_or_default();
    let target = root().join(format!("target/capi-host{write}"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["rustc", "--quiet", "--locked", "-p", "whittle-capi", "--features", "panic-handler"])
        .args(["--lib", "--profile", "firmware", "--crate-type", "staticlib", "--target-dir"])
        .arg(&target)
        .current_dir(root())
        .env_remove("RUSTFLAGS");
    if units.is_some() {
        cargo.env("WHITTLE_WRITE_UNIT", write).env("WHITTLE_ERASE_UNIT", erase);
    }
    assert!(cargo.status().expect("cargo runs").success(), "the library builds for the host");
    target.join("firmware/libwhittle.a")
}

fn misuse(library: PathBuf) {
    let bench = Bench::new();
    let directory = bench.0.path();
    let path = |path: PathBuf| path.display().to_string();
    let source = path(root().join("tests/capi/misuse.c"));
    let include = format!("-I{}", path(root().join("patcher-nostd/capi")));
    let library = path(library);
    let strict = ["-std=c11", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
    let watched = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I."];
    let files = [&include, &source, &library, "-o", "misuse"];
    run(("gcc", "gcc"), &[&strict[..], &watched, &files].concat(), directory);
    // What the operating system takes back is no leak.
    let program = path(bench.path("misuse"));
    let text = run(("env", "coreutils"), &["ASAN_OPTIONS=detect_leaks=0", &program], directory);
    print!("misuse of whittle.h: {text}");
    assert!(text.ends_with(" checks\n"), "{text}");
}

#[test]
fn what_c_does_wrongly_is_an_error() {
    misuse(host_library(None));
}

#[test]
fn a_library_for_small_sectors_does_the_same() {
    misuse(host_library(Some(("8", "2048"))));
}
