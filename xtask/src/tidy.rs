//! Rules that the compiler does not know: who may depend on whom, and what must build alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::{dependencies, header, setup, shell, threat_model};

/// What a crate of ours may depend on, besides crates that only its tests use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("whittle-both", &[]),
    ("whittle-format", &["defmt"]),
    ("whittle-delta", &["bzip2", "defmt", "qbsdiff", "ruzstd", "zstd"]),
    (
        "whittle-patcher-nostd",
        &[
            "defmt",
            "ed25519-dalek",
            "embedded-storage",
            "embedded-storage-async",
            "sha2",
            "whittle-both",
            "whittle-delta",
            "whittle-format",
        ],
    ),
    (
        "whittle-explain",
        &[
            "cpp_demangle",
            "object",
            "rayon",
            "rustc-demangle",
            "schemars",
            "serde",
            "thiserror",
            "whittle-delta",
        ],
    ),
    (
        "whittle-calculators",
        &[
            "base64",
            "libm",
            "schemars",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "whittle-rollout",
        ],
    ),
    (
        "whittle-export",
        &[
            "base64",
            "coset",
            "fluent-uri",
            "serde",
            "serde_json",
            "thiserror",
            "unicode-normalization",
            "uuid",
            "whittle-format",
            "whittle-patcher-nostd",
            "whittle-release",
        ],
    ),
    ("whittle-calculators-page", &["whittle-calculators"]),
    ("whittle-capi", &["embedded-storage", "whittle-format", "whittle-patcher-nostd"]),
    ("whittle-inputs", &["md-5", "object", "sha2", "thiserror", "whittle-delta"]),
    (
        "whittle-metrics",
        &["base64", "csv", "serde", "serde_json", "thiserror", "ureq", "whittle-rollout"],
    ),
    ("whittle-rollout", &["libm", "schemars", "serde", "serde_json", "sha2", "thiserror"]),
    (
        "whittle-fleet",
        &[
            "aws-credential-types",
            "aws-sigv4",
            "base64",
            "schemars",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "ureq",
            "whittle-format",
            "whittle-patcher-nostd",
            "whittle-release",
            "whittle-rollout",
        ],
    ),
    ("whittle-own-files", &["getrandom", "hmac", "rustix", "sha2", "tempfile"]),
    (
        "whittle-publish",
        &[
            "futures-util",
            "getrandom",
            "object_store",
            "schemars",
            "serde",
            "serde_json",
            "tempfile",
            "thiserror",
            "tokio",
            "ureq",
            "whittle-format",
            "whittle-own-files",
            "whittle-patcher-nostd",
            "whittle-release",
        ],
    ),
    (
        "whittle-rollout-store",
        &[
            "percent-encoding",
            "postgres",
            "rusqlite",
            "rustls",
            "rustls-native-certs",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio-postgres-rustls",
            "whittle-rollout",
        ],
    ),
    (
        "whittle-demo",
        &[
            "libm",
            "schemars",
            "serde",
            "serde_json",
            "thiserror",
            "whittle-flash-sim",
            "whittle-fleet",
            "whittle-format",
            "whittle-patcher-nostd",
            "whittle-publish",
            "whittle-release",
            "whittle-rollout",
            "whittle-rollout-store",
        ],
    ),
    ("whittle-flash-sim", &["embedded-storage"]),
    (
        "whittle-simulation",
        &[
            "rand_core",
            "rand_distr",
            "rand_pcg",
            "rayon",
            "schemars",
            "serde",
            "thiserror",
            "whittle-rollout",
        ],
    ),
];

/// What nobody outside may depend on.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    (
        "whittle-release",
        &["clap", "indicatif", "comfy-table", "whittle-cli", "whittle-publish", "wasmtime"],
    ),
    (
        "whittle-policy-host",
        &["clap", "indicatif", "comfy-table", "whittle-cli", "whittle-release"],
    ),
    ("whittle-cli", &["wasmtime"]),
];

/// Builds that prove that a crate needs no std, and no heap unless it says so; on top of the default features.
const ALONE: [(&str, &str); 8] = [
    ("whittle-format", ""),
    ("whittle-delta", ""),
    ("whittle-patcher-nostd", ""),
    ("whittle-patcher-nostd", "async"),
    ("whittle-patcher-nostd", "async,defmt"),
    ("whittle-patcher-nostd", "async,key-documents"),
    ("whittle-patcher-nostd", "zstd"),
    ("whittle-capi", ""),
];

/// Instruction sets that a device may have alone, or none of them.
const ONE_SET: [&str; 6] = ["", "aarch64", "arm", "riscv", "thumb", "xtensa"];

pub(crate) fn run() -> Result<()> {
    check_dependencies()?;
    dependencies::check()?;
    header::check()?;
    threat_model::check()?;
    for target in setup::TARGETS {
        for (package, features) in ALONE {
            shell::run(
                "cargo",
                &["build", "--locked", "-p", package, "--features", features, "--target", target],
            )?;
        }
    }
    for set in ONE_SET {
        build_one_set(set)?;
    }
    // Only a build that leaves sets out can show that their payloads are refused.
    let one_set = ["--no-default-features", "--features", "thumb"];
    let tests = ["--lib", "--test", "instruction_sets"];
    let args = [&["test", "--locked", "-p", "whittle-delta"][..], &one_set, &tests].concat();
    shell::run("cargo", &args)
}

/// Builds the device crates with one instruction set, for one target; what is of no use then is an error.
fn build_one_set(set: &str) -> Result<()> {
    let [target, ..] = setup::TARGETS;
    let packages =
        [("whittle-delta", ""), ("whittle-patcher-nostd", "ed25519"), ("whittle-capi", "")];
    for (package, others) in packages {
        let wanted = [set, others].join(" ");
        let features = ["--no-default-features", "--features", &wanted, "--target", target];
        let args = [&["rustc", "--locked", "--lib", "-p", package][..], &features].concat();
        shell::run("cargo", &[&args[..], &["--", "-D", "warnings"]].concat())?;
    }
    Ok(())
}

fn check_dependencies() -> Result<()> {
    let metadata =
        shell::output("cargo", &["metadata", "--locked", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut dependencies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has a name")?;
        let listed = package["dependencies"].as_array().context("a package has dependencies")?;
        let normal = listed.iter().filter(|dependency| dependency["kind"].is_null());
        dependencies
            .insert(name, normal.filter_map(|dependency| dependency["name"].as_str()).collect());
    }
    for (package, allowed) in ALLOWED {
        let used = dependencies.get(package).with_context(|| format!("{package} is a member"))?;
        if let Some(other) = used.iter().find(|used| !allowed.contains(used)) {
            bail!("`{package}` must not depend on `{other}`");
        }
    }
    for (package, forbidden) in FORBIDDEN {
        let used = dependencies.get(package).with_context(|| format!("{package} is a member"))?;
        if let Some(other) = used.iter().find(|used| forbidden.contains(used)) {
            bail!("`{package}` must not depend on `{other}`");
        }
    }
    Ok(())
}
