//! What reaches hosts by way of crates that take long to build.

use std::sync::OnceLock;
use std::time::Duration;

use whittle_policy_host::{Host, Limits};

/// Any file as a component: refused, or one that says what it is.
///
/// # Panics
/// Only if what reads it does.
pub fn policy_component(file: &[u8]) {
    static HOST: OnceLock<Host> = OnceLock::new();
    let host = HOST.get_or_init(|| {
        let limits = Limits {
            fuel: 1_000_000,
            cpu_time: Duration::from_secs(1),
            component_bytes: 1 << 20,
            functions: 1000,
            code_bytes: 1 << 18,
            weight: 1_000_000,
            ..Limits::default()
        };
        Host::new(limits, None)
    });
    let _ = host.load(file);
}

/// Any text as `whittle.toml`: refused with the line, or taken.
///
/// # Panics
/// If a refusal does not say where.
pub fn config_file(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Err(why) = whittle_cli::check_config(text) {
        assert!(why.starts_with("line "), "{why}");
    }
}
