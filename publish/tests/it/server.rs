//! ministack (PyPI), a local AWS: it checks signatures, digests of uploads, and conditions of writes.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock};

use whittle_test_servers::LocalAws;

pub(crate) const BUCKET: &str = "releases";

/// The one of this test run.
pub(crate) fn shared() -> MutexGuard<'static, LocalAws> {
    static SHARED: OnceLock<Mutex<LocalAws>> = OnceLock::new();
    let commands = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/server.py");
    SHARED
        .get_or_init(|| Mutex::new(LocalAws::start(&commands, &[BUCKET])))
        .lock()
        .expect("no panic")
}

/// What the environment says to whom shall come by this address.
pub(crate) fn variables(server: &LocalAws, url: &str) -> Vec<(String, String)> {
    let variables = [
        ("AWS_ACCESS_KEY_ID", server.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &server.secret),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
