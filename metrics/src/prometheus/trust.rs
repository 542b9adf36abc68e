//! Who vouches for a server.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// The largest file of certificates, in bytes: 1 MiB.
const MAX_BYTES: u64 = 1 << 20;

/// Why nobody vouches for a server.
#[derive(Debug, thiserror::Error)]
pub enum NoTrust {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    /// It is larger than 1 MiB.
    #[error("more than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is no PEM.
    #[error("it is no PEM: {0}")]
    NoPem(String),
    /// There is no certificate in it.
    #[error("no certificate in it")]
    Empty,
}

/// Trusts those whose certificates stand in a file, and nobody else; whom browsers trust if there is none.
pub(super) fn trust(authorities: Option<&Path>) -> Result<TlsConfig, NoTrust> {
    let Some(path) = authorities else { return Ok(TlsConfig::default()) };
    let mut pem = vec![];
    let file = File::open(path).map_err(NoTrust::Io)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut pem).map_err(NoTrust::Io)?;
    if u64::try_from(pem.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(NoTrust::TooLarge);
    }
    let mut certificates = vec![];
    for item in parse_pem(&pem) {
        match item.map_err(|error| NoTrust::NoPem(error.to_string()))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => continue,
        }
    }
    if certificates.is_empty() {
        return Err(NoTrust::Empty);
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build())
}
