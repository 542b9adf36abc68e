//! URIs and references as RFC 3986 has them.

use fluent_uri::{Uri, UriRef};

use crate::{Error, Result};

/// What is put in front of the names of files: a place that they lie below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUri(String);

impl BaseUri {
    /// Takes a URI, or a reference relative to the document that it will stand in. A `/` at its end may be left out.
    ///
    /// # Errors
    /// [`Error::Unusable`] for one that nothing can lie below: it has a query or a fragment, or is none.
    pub fn new(text: &str) -> Result<Self> {
        const WHAT: &str = "the base URI";
        check_reference(WHAT, text)?;
        if text.contains(['?', '#']) {
            let why =
                format!("has a query or a fragment, behind which no name can stand: `{text}`");
            return Err(Error::Unusable { what: WHAT, why });
        }
        if Uri::parse(text).is_ok_and(|uri| !leads_somewhere(uri)) {
            let why = format!("has nothing behind its scheme: `{text}`");
            return Err(Error::Unusable { what: WHAT, why });
        }
        Ok(Self(format!("{}/", text.strip_suffix('/').unwrap_or(text))))
    }

    /// The URI of a file below it.
    #[must_use]
    pub fn join(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }
}

/// Checks a URI or a relative reference; `what` names it in errors.
pub(crate) fn check_reference(what: &'static str, uri: &str) -> Result<()> {
    match UriRef::parse(uri) {
        Ok(_) if !uri.is_empty() => Ok(()),
        _ => {
            let why = format!(
                "is none by RFC 3986, which wants other signs as `%` and two digits: `{uri}`"
            );
            Err(Error::Unusable { what, why })
        }
    }
}

/// The same for one that has a scheme, and something behind it.
pub(crate) fn check_absolute(what: &'static str, uri: &str) -> Result<()> {
    check_reference(what, uri)?;
    if Uri::parse(uri).is_ok_and(leads_somewhere) {
        return Ok(());
    }
    let why = format!("is no URI, which begins with a scheme such as `https:`: `{uri}`");
    Err(Error::Unusable { what, why })
}

/// Whether there is a host or a path; without a host, which RFC 9110 §4.2 wants for the web, a path is not enough there.
fn leads_somewhere(uri: Uri<&str>) -> bool {
    let has_host = uri.authority().is_some_and(|authority| !authority.host().is_empty());
    let is_web = matches!(uri.scheme().as_str().to_ascii_lowercase().as_str(), "http" | "https");
    has_host || (!is_web && !uri.path().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lie_below_a_base() {
        for base in ["https://example.com/2.4.1", "https://example.com/2.4.1/"] {
            let uri = BaseUri::new(base).expect("it is one").join("full.pkg");
            assert_eq!(uri, "https://example.com/2.4.1/full.pkg");
        }
        assert_eq!(BaseUri::new("../prod").expect("it is one").join("a"), "../prod/a");
    }

    #[test]
    fn nothing_lies_below_what_is_no_base() {
        for base in ["", "https://a.b/x?file=", "https://a.b/#x", "https://a.b/%zz", "https://a b/"]
            .into_iter()
            .chain(["https://", "https:", "HTTP:///x", "file:"])
        {
            assert!(BaseUri::new(base).is_err(), "{base}");
        }
    }

    #[test]
    fn an_absolute_uri_has_a_scheme() {
        for uri in ["https://example.com", "urn:uuid:1", "git+https://example.com/x", "a:b"] {
            assert!(check_absolute("it", uri).is_ok(), "{uri}");
        }
        for uri in ["", "foo", "//example.com", "1a:b", "https:", "a:%zz", "a:<>"] {
            assert!(check_absolute("it", uri).is_err(), "{uri}");
        }
    }
}
