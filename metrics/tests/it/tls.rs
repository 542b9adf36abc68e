//! A real Prometheus behind TLS that asks for a password.

use std::fs;

use whittle_metrics::prometheus::{AskError, Auth, BadSource, ReadError, SecretPlace, Source};

use crate::real::{Server, command};
use crate::support::{chain, reader, source};

const FROM_S: u64 = 1_795_680_000;

/// The example of Prometheus' guide: the password is `test`.
const WEB: &str = "\
basic_auth_users:
  whittle: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay
tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
";

fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = command("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "3650", "-subj", "/CN=prometheus"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(path("key.pem"))
        .arg("-out")
        .arg(path("cert.pem"))
        .output()
        .unwrap_or_else(|error| panic!("openssl: {error}; `cargo xtask setup` installs it"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::write(path("web.yml"), WEB).unwrap();
    let args = [format!("--web.config.file={}", path("web.yml").display())];
    Server::start(directory, &args)
}

#[test]
fn who_is_trusted_is_told_the_password_and_nobody_else() {
    let server = server();
    let place = |name: &str| server.directory.path().join(name);
    fs::write(place("right"), "test\n").unwrap();
    fs::write(place("wrong"), "tset\n").unwrap();
    let at = |password: Option<&str>, authorities: Option<&str>| Source {
        auth: password.map(|file| Auth::Basic {
            user: "whittle".to_owned(),
            password: SecretPlace::File(place(file)),
        }),
        authorities: authorities.map(place),
        retries: 0,
        ..source(&server.url.replace("http", "https"))
    };
    let error =
        |source: &Source| reader(source).unwrap().observe(FROM_S, FROM_S + 3600).unwrap_err();
    // There is no history in it.
    let empty = error(&at(Some("right"), Some("cert.pem")));
    assert!(matches!(empty, ReadError::NoDevices { .. }), "{}", chain(&empty));
    for password in [Some("wrong"), None] {
        let refused = error(&at(password, Some("cert.pem")));
        let source = AskError::Unauthorized(401).to_string();
        assert_eq!(chain(&refused), format!("cannot read offered devices: {source}"));
    }
    let stranger = chain(&error(&at(Some("right"), None)));
    assert!(stranger.contains("the server cannot be reached: "), "{stranger}");
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");

    let bad = |file| chain(&reader(&at(None, Some(file))).unwrap_err());
    assert!(bad("web.yml").ends_with("web.yml`: no certificate in it"), "{}", bad("web.yml"));
    assert!(bad("gone.pem").ends_with("No such file or directory (os error 2)"));
    let plain = Source { authorities: Some(place("cert.pem")), ..source(&server.url) };
    assert!(matches!(reader(&plain).unwrap_err(), BadSource::NoUseOfAuthorities));
}
