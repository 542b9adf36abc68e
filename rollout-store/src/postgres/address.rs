//! Where a server is, and how it is spoken to.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::Config;
use postgres::config::{Host, SslMode};

use super::errors::told;
use super::passfile;
use crate::error::OpenError;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// After which time without an answer a server counts as gone.
const GONE: Duration = Duration::from_secs(20);

/// What may follow the `?` and is passed on.
const PASSED_ON: [&str; 9] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "password",
    "port",
    "target_session_attrs",
    "user",
];

/// An address, as `postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`.
pub(super) struct Address {
    /// Has the password.
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// For people: without the password.
    pub(super) shown: String,
}

/// How a connection is kept from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// It does not leave the machine, or somebody wants it so.
    Without,
    /// With a certificate for the host's name, of an authority that this file names, or else the system.
    Verified(Option<PathBuf>),
}

/// What follows the `?` and is understood here.
#[derive(Default)]
struct Parameters {
    passed_on: Vec<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    passfile: Option<PathBuf>,
}

impl Address {
    /// Reads an address. `variable` knows the environment: `PGUSER`, `PGPASSWORD` and `PGPASSFILE` stand in for what the address
    /// does not say.
    pub(super) fn parse(
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, OpenError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(bad("it begins with `postgres://`"));
        }
        let (place, parameters) = split(text);
        let parameters = Parameters::parse(parameters)?;
        let plain = format!("{place}?{}", parameters.passed_on.join("&"));
        let mut config: Config = plain.parse().map_err(|error| bad(&told(&error)))?;
        check_hosts(config.get_hosts())?;
        if config.get_user().is_none()
            && let Some(user) = variable("PGUSER").or_else(|| variable("USER"))
        {
            config.user(&user);
        }
        if config.get_password().is_none()
            && let Some(password) = password(&config, parameters.passfile, variable)?
        {
            config.password(password);
        }
        let tls = tls(
            parameters.sslmode.as_deref(),
            parameters.sslrootcert.as_deref(),
            config.get_hosts(),
        )?;
        config.ssl_mode(if tls == Tls::Without { SslMode::Disable } else { SslMode::Require });
        complete(&mut config);
        let shown = shown(&config);
        Ok(Self { config, tls, shown })
    }
}

impl Parameters {
    fn parse(text: &str) -> Result<Self, OpenError> {
        let mut all = Self::default();
        for parameter in text.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) =
                parameter.split_once('=').ok_or_else(|| bad("a parameter has no `=`"))?;
            let decoded = percent_decode_str(value).decode_utf8().map_err(|_| bad("not UTF-8"))?;
            match key {
                "sslmode" => all.sslmode = Some(decoded.into_owned()),
                "sslrootcert" => all.sslrootcert = Some(decoded.into_owned()),
                "passfile" => all.passfile = Some(decoded.into_owned().into()),
                known if PASSED_ON.contains(&known) => all.passed_on.push(parameter.to_owned()),
                // Not told which: it may be a part of a password.
                _ => {
                    let known = PASSED_ON.join("`, `");
                    return Err(bad(&format!(
                        "the parameters are `{known}`, `passfile`, `sslmode` and `sslrootcert`; \
                         `?` and `@` in a password are written `%3F` and `%40`"
                    )));
                }
            }
        }
        Ok(all)
    }
}

fn bad(why: &str) -> OpenError {
    OpenError::Address(why.to_owned())
}

/// Splits at the first `?` that is not in front of an `@`.
fn split(text: &str) -> (&str, &str) {
    let from = text.find('@').unwrap_or(0);
    match text[from..].find('?') {
        Some(mark) => (&text[..from + mark], &text[from + mark + 1..]),
        None => (text, ""),
    }
}

fn check_hosts(hosts: &[Host]) -> Result<(), OpenError> {
    if hosts.is_empty() {
        return Err(bad(
            "no host is named; a socket's directory is written `host=/run/postgresql`",
        ));
    }
    let is_odd = |host: &Host| matches!(host, Host::Tcp(name) if name.contains(['@', ' ']) || name.is_empty());
    if hosts.iter().any(is_odd) {
        return Err(bad("a host's name is empty or odd; `@` in a password is written `%40`"));
    }
    Ok(())
}

/// Whether what is said to the host stays on this machine.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn tls(mode: Option<&str>, roots: Option<&str>, hosts: &[Host]) -> Result<Tls, OpenError> {
    let verified = || Tls::Verified(roots.filter(|name| *name != "system").map(PathBuf::from));
    match mode {
        None if roots.is_none() && hosts.iter().all(is_local) => Ok(Tls::Without),
        Some("disable") => Ok(Tls::Without),
        None | Some("require" | "verify-ca" | "verify-full") => Ok(verified()),
        Some("allow" | "prefer") => Err(bad(
            "`sslmode` is `require` or `disable`: what is sent in clear is to be no surprise",
        )),
        Some(_) => Err(bad("`sslmode` is `require` or `disable`")),
    }
}

fn password(
    config: &Config,
    passfile: Option<PathBuf>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, OpenError> {
    if let Some(password) = variable("PGPASSWORD").filter(|password| !password.is_empty()) {
        return Ok(Some(password));
    }
    let named = passfile.or_else(|| variable("PGPASSFILE").map(PathBuf::from));
    let usual = || variable("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let text = match (named, usual()) {
        (Some(path), _) => passfile::read(&path)?,
        (None, Some(path)) if path.is_file() => passfile::read(&path)?,
        _ => return Ok(None),
    };
    let user = config.get_user().unwrap_or_default();
    let (host, port) = first(config);
    let database = config.get_dbname().unwrap_or(user);
    Ok(passfile::find(&text, [&host, &port.to_string(), database, user]))
}

/// Sets what the address leaves open.
fn complete(config: &mut Config) {
    if config.get_application_name().is_none() {
        config.application_name("whittle");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    config.keepalives_idle(GONE / 2).keepalives_interval(GONE / 8).keepalives_retries(4);
    config.tcp_user_timeout(GONE);
}

/// Name and port of the first host.
fn first(config: &Config) -> (String, u16) {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    (host, config.get_ports().first().copied().unwrap_or(5432))
}

fn shown(config: &Config) -> String {
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let (host, port) = first(config);
    let host = if host.contains(':') { format!("[{host}]") } else { host.replace('/', "%2F") };
    let others = if config.get_hosts().len() > 1 { ",…" } else { "" };
    let database = config.get_dbname().map(|name| format!("/{name}")).unwrap_or_default();
    format!("postgres://{user}{host}:{port}{others}{database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn parsed(text: &str) -> Address {
        Address::parse(text, &nothing).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_it_is_said() {
        let system = Tls::Verified(None);
        for (text, tls) in [
            ("postgres://a@db.example/r", &system),
            ("postgresql://a@10.0.0.7:5433/r?sslmode=require", &system),
            ("postgres://a@localhost,db.example/r", &system),
            ("postgres://a@localhost/r?sslmode=verify-full&sslrootcert=system", &system),
            ("postgres://a@localhost/r?sslrootcert=system", &system),
            ("postgres://a@db/r?sslrootcert=%2Fa%20b", &Tls::Verified(Some("/a b".into()))),
            ("postgres://a@db.example/r?sslmode=disable", &Tls::Without),
            ("postgres://a@localhost/r", &Tls::Without),
            ("postgres://a@[::1]/r", &Tls::Without),
            ("postgres://a@%2Frun%2Fpostgresql/r", &Tls::Without),
            ("postgres://a@/r?host=/run/postgresql", &Tls::Without),
        ] {
            assert_eq!(parsed(text).tls, *tls, "{text}");
        }
    }

    #[test]
    fn a_password_is_looked_for_where_people_keep_it() {
        let of = |text, variable: &dyn Fn(&str) -> Option<String>| {
            let address = Address::parse(text, variable).expect("an address");
            address.config.get_password().map(|password| String::from_utf8_lossy(password).into())
        };
        let variable = |name: &str| (name == "PGPASSWORD").then(|| "of the variable".to_owned());
        assert_eq!(of("postgres://a@h/r", &nothing), None);
        assert_eq!(of("postgres://a:p%40?/@h/r", &nothing), Some("p@?/".to_owned()));
        assert_eq!(of("postgres://a@h/r", &variable), Some("of the variable".to_owned()));
        assert_eq!(of("postgres://a:own@h/r", &variable), Some("own".to_owned()));
    }

    #[test]
    fn bad_addresses_are_told_without_the_password() {
        for text in [
            "",
            "host=h password=s3cret",
            "postgres:/a:s3cret@h/r",
            "postgres://a:s3cret",
            "postgres://a:s3cret@",
            "postgres:///r?password=s3cret",
            "postgres://a:x@s3cret@h/r",
            "postgres://a:x@h/r?s3cret=1",
            "postgres://a:x@h/r?s3cret",
            "postgres://a:s3cret@h:port/r",
            "postgres://a:s3cret@h/r?sslmode=s3cret",
            "postgres://a:s3cret@h/r?sslmode=prefer",
            "postgres://a:s3cret@h/%ff",
            "postgres://a:x@h/r?passfile=%ffs3cret",
        ] {
            let error = Address::parse(text, &nothing).err().unwrap_or_else(|| panic!("{text}"));
            let told = format!("{error} {error:?}");
            assert!(!told.contains("s3cret"), "{text}: {told}");
            assert!(matches!(error, OpenError::Address(_)), "{text}: {told}");
        }
    }

    #[test]
    fn odd_addresses_are_refused_at_most() {
        let good = "postgres://a:s3cret@[::1]:5433,h/r?sslmode=require&passfile=%2Fx&host=%2Frun";
        let odd = ["", "@", "?", "/", ":", "%", "&", "=", "[", "]", ",", "\0", "ä", "%ff"];
        let cut = (0..good.len()).map(|at| good[..at].to_owned());
        let changed = (0..good.len())
            .flat_map(|at| odd.map(|other| [&good[..at], other, &good[at + 1..]].concat()));
        for text in cut.chain(changed) {
            if let Err(error) = Address::parse(&text, &nothing) {
                let told = format!("{error} {error:?}");
                assert!(!told.contains("s3cret"), "{text}: {told}");
            }
        }
    }

    #[test]
    fn it_is_shown_without_the_password() {
        let text = "postgres://a:s3cret@h:5433/r?password=s3cret&sslmode=disable";
        assert_eq!(parsed(text).shown, "postgres://a@h:5433/r");
        let text = "postgres://a:s3cret@%2Frun%2Fpostgresql/r";
        assert_eq!(parsed(text).shown, "postgres://a@%2Frun%2Fpostgresql:5432/r");
    }
}
