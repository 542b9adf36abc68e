//! Finds out before a rollout starts whether a source can answer what its terms ask for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use ureq::http::Uri;
use whittle_rollout::Terms;
use whittle_rollout::policy::types::MetricKind;

use super::auth::NoSecret;
use super::source::Source;
use super::trust::NoTrust;
use super::variables::VARIABLES;

/// What is wrong with a source. Its author must act.
#[derive(Debug, thiserror::Error)]
pub enum BadSource {
    /// The address is none.
    #[error("`{url}` is no address such as https://prometheus.example.com: {why}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        why: &'static str,
    },
    /// The address has a name or a password in it, which is not repeated here.
    #[error("the address holds a name or a password, wanted `auth`")]
    SecretInUrl,
    /// A secret would be readable on its way.
    #[error("the secret would be sent to `{0}` without TLS, wanted https or `secret_in_clear`")]
    SecretInClear(String),
    /// The secret is not to be had.
    #[error("no secret to show to the server")]
    Secret(#[from] NoSecret),
    /// Nobody vouches for the server.
    #[error("cannot take the certificates in `{}`", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NoTrust,
    },
    /// Without TLS nobody asks for certificates.
    #[error("`authorities` are for https")]
    NoUseOfAuthorities,
    /// An answer may take no time.
    #[error("`{0}` is 0 s, wanted 1 s or more")]
    NoTime(&'static str),
    /// A query that asks for nothing.
    #[error("the query for {0} is empty")]
    EmptyQuery(String),
    /// A variable that there is not.
    #[error("the query for {what} has `${name}`, wanted one of `$window` and `$version`")]
    UnknownVariable {
        /// What is asked for.
        what: String,
        /// The name.
        name: String,
    },
    /// The rollout cannot go on without it.
    #[error("no queries for the metric `{0}`, without which the rollout does not go on")]
    NoMetric(String),
    /// The rollout knows nothing of it.
    #[error("queries for the metric `{0}`, which the rollout does not have")]
    UnknownMetric(String),
    /// A mean needs squares, and nothing else has them.
    #[error("`{metric}` {side}: squares are for means, and means need them")]
    Squares {
        /// The metric.
        metric: String,
        /// Which side.
        side: &'static str,
    },
    /// A label for an attribute that no cell has, or for two.
    #[error("the label of attribute `{0}`: no cell has it, or another attribute has that label")]
    Label(String),
}

/// All that can be wrong with a source besides its secret.
pub(super) fn check(source: &Source, terms: &Terms) -> Result<(), BadSource> {
    check_url(source)?;
    for (name, length_s) in
        [("timeout_s", source.timeout_s), ("least_window_s", source.least_window_s)]
    {
        if length_s == 0 {
            return Err(BadSource::NoTime(name));
        }
    }
    for (what, query) in source.queries() {
        if query.trim().is_empty() {
            return Err(BadSource::EmptyQuery(what));
        }
        if let Some(name) = super::variables::names(query).find(|name| !VARIABLES.contains(name)) {
            return Err(BadSource::UnknownVariable { what, name: name.to_owned() });
        }
    }
    check_labels(source, terms)?;
    check_metrics(source, terms)
}

fn check_url(source: &Source) -> Result<(), BadSource> {
    let bad = |why| BadSource::Url { url: source.url.clone(), why };
    // First of all: no other error may repeat a password.
    if source.url.contains('@') {
        return Err(BadSource::SecretInUrl);
    }
    let url: Uri = source.url.parse().map_err(|_| bad("it cannot be read"))?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("no host"))?;
    if url.query().is_some() || source.url.contains('#') {
        return Err(bad("it goes on after the path"));
    }
    match url.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if source.authorities.is_some() => Err(BadSource::NoUseOfAuthorities),
        Some("http") => {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
            if source.auth.is_some() && !source.secret_in_clear && !is_here {
                return Err(BadSource::SecretInClear(host.to_owned()));
            }
            Ok(())
        }
        _ => Err(bad("it begins neither with http:// nor with https://")),
    }
}

fn check_labels(source: &Source, terms: &Terms) -> Result<(), BadSource> {
    let attributes = attributes(terms);
    if let Some(other) = source.labels.keys().find(|name| !attributes.contains(name)) {
        return Err(BadSource::Label(other.clone()));
    }
    let mut seen = BTreeSet::new();
    match attributes.iter().find(|name| !seen.insert(source.label(name))) {
        Some(name) => Err(BadSource::Label((*name).clone())),
        None => Ok(()),
    }
}

fn check_metrics(source: &Source, terms: &Terms) -> Result<(), BadSource> {
    let find = |name: &String| terms.metrics.iter().find(|metric| metric.name == *name);
    for (name, queries) in &source.metrics {
        let terms = find(name).ok_or_else(|| BadSource::UnknownMetric(name.clone()))?;
        for (side, of) in [("treated", &queries.treated), ("control", &queries.control)] {
            if of.squares.is_some() != (terms.kind == MetricKind::Mean) {
                return Err(BadSource::Squares { metric: name.clone(), side });
            }
        }
    }
    let required = terms.metrics.iter().filter(|metric| metric.required);
    match required.map(|metric| &metric.name).find(|name| !source.metrics.contains_key(*name)) {
        Some(name) => Err(BadSource::NoMetric(name.clone())),
        None => Ok(()),
    }
}

/// Names of the attributes of all cells.
pub(super) fn attributes(terms: &Terms) -> BTreeSet<&String> {
    terms.cells.iter().flat_map(|cell| cell.attributes.keys()).collect()
}
