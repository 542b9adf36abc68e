//! Installs what the tests and the benchmarks need and a fresh machine lacks.

use std::path::PathBuf;

use anyhow::Result;

use crate::{bare_device, shell};

/// What firmware is built for in the tests, and device crates alone.
pub(crate) const TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabi",
    "riscv32imc-unknown-none-elf",
];

/// What policies are built for, and the calculators of their page.
pub(crate) const POLICY_TARGET: &str = "wasm32-unknown-unknown";

/// A program, and the Debian package that holds it.
type Tool = (&'static str, &'static str);

/// Programs that the tests run.
const TEST_TOOLS: &[Tool] = &[
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-riscv32", "qemu-system-misc"),
    ("bsdiff", "bsdiff"),
    ("bspatch", "bsdiff"),
    ("xz", "xz-utils"),
    ("openssl", "openssl"),
    ("minisign", "minisign"),
    ("python3", "python3"),
    ("patch", "patch"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("make", "make"),
    ("clang", "clang"),
    ("wasm-ld", "lld"),
    ("initdb", "postgresql"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    // The browser in which `calculators/tests/it/page.rs` opens the calculators' page.
    ("chromium", "chromium"),
];

/// The same from PyPI: MCUboot's own tool, which the tests compare with, and what verifies exports: pycose SUIT's signatures,
/// securesystemslib and in-toto's own types the statements. pycose 1.1 cannot take the tuples that cbor2 6 makes of arrays.
const TEST_REQUIREMENTS: [&str; 5] = [
    "cbor2==5.7.1",
    "imgtool==2.5.0",
    "in-toto-attestation==0.9.3",
    "pycose==1.1.0",
    "securesystemslib[crypto]==1.6.0",
];

/// A local AWS, on which the driver of AWS IoT Jobs and stores that speak S3 are tested; it comes with botocore, AWS's own client.
const FLEET_REQUIREMENTS: [&str; 1] = ["ministack==1.5.33"];

/// Programs that whittle is compared with.
const PEER_TOOLS: [Tool; 5] = [
    ("bsdiff", "bsdiff"),
    ("xdelta3", "xdelta3"),
    ("zstd", "zstd"),
    ("xz", "xz-utils"),
    ("python3", "python3"),
];

/// The same from PyPI: the versions are fixed, so that anybody gets the same sizes.
const PEER_REQUIREMENTS: [&str; 3] =
    ["detools==0.53.0", "heatshrink2==0.15.0", "hdiffpatch==2.6.0"];

/// What the tests need.
pub(crate) fn run() -> Result<()> {
    let add = ["target", "add", POLICY_TARGET];
    shell::run("rustup", &[&add[..], &TARGETS, &bare_device::TARGETS].concat())?;
    install_missing(TEST_TOOLS)?;
    // Where `tests/cases/support.rs` looks for it.
    python_environment("test-tools", &TEST_REQUIREMENTS)?;
    // Where `fleet/tests/it/aws.rs` and `publish/tests/it/server.rs` look for it.
    python_environment("fleet-tools", &FLEET_REQUIREMENTS)?;
    policy_tools()
}

/// Where `tests/cases/policy_languages.rs` looks for what makes policies of Python and JavaScript.
const POLICY_TOOLS: &str = "policy-tools";

/// Installs, under `target`, what the examples of policies name as their tools.
fn policy_tools() -> Result<()> {
    let examples = shell::root().join("examples/policies");
    let requirements = examples.join("python/requirements.txt");
    python_environment(POLICY_TOOLS, &["--requirement", &requirements.to_string_lossy()])?;
    if !shell::has("npm") {
        // Debian's npm is hundreds of packages, and the tests say that they skip JavaScript.
        eprintln!("npm is not installed: policies in JavaScript are not tested");
        return Ok(());
    }
    let tools = shell::root().join("target").join(POLICY_TOOLS);
    std::fs::copy(examples.join("js/package.json"), tools.join("package.json"))?;
    let install = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"];
    shell::run_in(&tools, "npm", &install)
}

/// What `measure peers` needs on top; returns where the programs from PyPI are.
pub(crate) fn peers() -> Result<PathBuf> {
    install_missing(&PEER_TOOLS)?;
    python_environment("peers", &PEER_REQUIREMENTS)
}

/// Installs packages from PyPI into an environment under `target`, unless they are there; returns where their programs
/// are.
fn python_environment(name: &str, requirements: &[&str]) -> Result<PathBuf> {
    let environment = shell::root().join("target").join(name);
    let (programs, path) = (environment.join("bin"), environment.to_string_lossy());
    if !programs.join("pip").is_file() {
        // Debian's python3 makes environments only with a package of its own.
        if shell::output("python3", &["-c", "import ensurepip, venv"]).is_err() {
            install_packages(&["python3-venv"])?;
        }
        shell::run("python3", &["-m", "venv", &path])?;
    }
    let pip = programs.join("pip").to_string_lossy().into_owned();
    let args = ["install", "--quiet", "--disable-pip-version-check"];
    shell::run(&pip, &[&args[..], requirements].concat())?;
    Ok(programs)
}

fn install_missing(tools: &[Tool]) -> Result<()> {
    let mut packages: Vec<&str> =
        tools.iter().filter(|(tool, _)| !is_installed(tool)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() { Ok(()) } else { install_packages(&packages) }
}

/// Whether a program is there: on the path, or where Debian keeps the programs of each version of PostgreSQL.
fn is_installed(tool: &str) -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    shell::has(tool)
        || versions.into_iter().any(|version| version.path().join("bin").join(tool).is_file())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"][..], packages].concat())
}

/// Runs apt-get, by sudo where there is one and the user is not root. Servers are not started: tests start their own.
fn apt_get(args: &[&str]) -> Result<()> {
    let is_root = shell::output("id", &["-u"])? == b"0\n";
    let apt_get = [&["SYSTEMD_OFFLINE=1", "apt-get"][..], args].concat();
    if is_root {
        shell::run("env", &apt_get)
    } else {
        shell::run("sudo", &[&["env"][..], &apt_get].concat())
    }
}
