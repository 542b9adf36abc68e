//! References as RFC 3986 has them, as far as their letters tell.

use crate::{Error, Result};

/// Checks a URI or a relative reference; `what` names it in errors.
pub(crate) fn check_reference(what: &'static str, uri: &str) -> Result<()> {
    let allowed = |sign: char| sign.is_ascii_graphic() && !"\"<>\\^`{|}".contains(sign);
    if !uri.is_empty() && uri.chars().all(allowed) {
        return Ok(());
    }
    let why =
        format!("is none by RFC 3986, which wants other signs as `%` and two digits: `{uri}`");
    Err(Error::Unusable { what, why })
}

/// The same for one that has a scheme.
pub(crate) fn check_absolute(what: &'static str, uri: &str) -> Result<()> {
    check_reference(what, uri)?;
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign))
    };
    if uri.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty()) {
        return Ok(());
    }
    let why = format!("is no URI, which begins with a scheme such as `https:`: `{uri}`");
    Err(Error::Unusable { what, why })
}
