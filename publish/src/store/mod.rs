//! A store: objects under keys, in a directory or behind an address that speaks S3.
//!
//! Every object appears whole or not at all, and whoever writes may ask that nobody has written in between. More is not asked of a
//! store, so any will do that has S3's conditional writes.

use std::ops::Range;
use std::time::Duration;

use whittle_format::limits::MAX_INDEX_ENVELOPE_BYTES;

use crate::{Error, Result};

mod directory;
mod http_client;
mod s3;

use directory::Directory;
use s3::S3;

/// What tells two contents of an object apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(String);

/// An object with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: Tag,
}

/// An object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// When it was written, by the store's clock: seconds from 1970, UTC.
    pub(crate) modified_s: u64,
}

/// On which condition an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition<'a> {
    Always,
    Absent,
    Unchanged(&'a Tag),
}

/// How long an object will be as it is; caches are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    ForEver,
    UntilTheNext,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Now,
    /// The condition did not hold, so nothing was written.
    Not,
}

/// Largest object that changes: what is larger is none that was written here.
const MAX_CHANGING_BYTES: u64 = MAX_INDEX_ENVELOPE_BYTES as u64;

trait Backend: Send + Sync + std::fmt::Debug {
    /// Of an object that is larger than `limit`, only the first `limit + 1` bytes.
    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>>;
    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>>;
    fn stat(&self, key: &str) -> Result<Option<Entry>>;
    fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
        lifetime: Lifetime,
    ) -> Result<Written>;
    fn list(&self, prefix: &str) -> Result<Vec<Entry>>;
    fn remove(&self, key: &str) -> Result<()>;
    /// An error if the store as a whole is not there, as far as that can be told without asking for anything in it.
    fn must_exist(&self) -> Result<()> {
        Ok(())
    }
    /// Removes what killed writers left behind, if it is so old.
    fn remove_leftovers(&self, older_than_s: u64) -> Result<usize> {
        let _ = older_than_s;
        Ok(0)
    }
}

/// How often a write on a condition is tried whose answer got lost, and how much longer is waited each time.
const CONDITIONAL_TRIES: u32 = 4;
const WAIT: Duration = Duration::from_millis(250);

/// A place for releases.
#[derive(Debug)]
pub struct Store(Box<dyn Backend>);

impl Store {
    /// Opens a directory, which is made when something is written, by its path or as `file:///…`; or `s3://bucket/prefix`.
    ///
    /// `variables` are those of the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` and all
    /// others that the crate `object_store` knows. An address without TLS is used only where `AWS_ALLOW_HTTP` is `true`. Nothing
    /// is asked yet.
    ///
    /// # Errors
    /// [`Error::Location`].
    pub fn open(
        location: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        match location.split_once("://") {
            None if location.is_empty() => Err(bad_location(location, "it is empty")),
            None => Ok(Self(Box::new(Directory::at(location.as_ref())))),
            Some(("file", path)) => match path.strip_prefix("localhost").unwrap_or(path) {
                path if path.starts_with('/') && !path.contains('%') => {
                    Ok(Self(Box::new(Directory::at(path.as_ref()))))
                }
                _ => Err(bad_location(
                    location,
                    "wanted `file:///` and a path as it is, nothing escaped",
                )),
            },
            Some(("s3", rest)) => Ok(Self(Box::new(S3::open(location, rest, variables)?))),
            Some(("http" | "https", _)) => Err(bad_location(
                location,
                "nothing can be written there; wanted a path or `s3://bucket/prefix`",
            )),
            Some(_) => {
                Err(bad_location(location, "wanted a path, `file:///path` or `s3://bucket/prefix`"))
            }
        }
    }

    /// Reads an object of at most `limit` bytes; none if there is none.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is larger: it is not what belongs there.
    pub(crate) fn get(&self, key: &str, limit: usize) -> Result<Option<Object>> {
        match self.0.get(key, limit as u64)? {
            Some(found) if found.bytes.len() > limit => {
                Err(Error::damaged(key, format!("it has more than {limit} bytes")))
            }
            found => Ok(found),
        }
    }

    /// Makes sure that the store is there at all, since nothing is made by looking into it.
    pub(crate) fn must_exist(&self) -> Result<()> {
        self.0.must_exist()
    }

    /// Reads a part of an object, or as much of it as there is.
    pub(crate) fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        self.0.get_range(key, range)
    }

    /// Looks whether there is an object.
    pub(crate) fn stat(&self, key: &str) -> Result<Option<Entry>> {
        self.0.stat(key)
    }

    /// Writes an object.
    ///
    /// A write on a condition that failed, or did not hold, may be one that has worked and whose answer got lost. So what is there is
    /// read back; if it is these very bytes, they are written.
    pub(crate) fn put(
        &self,
        key: &str,
        bytes: &[u8],
        condition: Condition<'_>,
        lifetime: Lifetime,
    ) -> Result<Written> {
        let mut tries = 0;
        loop {
            let written = self.0.put(key, bytes.to_vec(), condition, lifetime);
            let failure = match written {
                Ok(Written::Not) => None,
                Err(error @ Error::Store { .. }) if condition != Condition::Always => Some(error),
                other => return other,
            };
            let found = self.0.get(key, MAX_CHANGING_BYTES.max(bytes.len() as u64))?;
            if found.as_ref().is_some_and(|found| found.bytes == bytes) {
                return Ok(Written::Now);
            }
            let still_holds = match (condition, found) {
                (Condition::Unchanged(tag), Some(found)) => found.tag == *tag,
                (Condition::Absent, None) => true,
                _ => false,
            };
            tries += 1;
            match failure {
                Some(error) if still_holds && tries >= CONDITIONAL_TRIES => return Err(error),
                Some(_) if still_holds => std::thread::sleep(WAIT * tries),
                _ => return Ok(Written::Not),
            }
        }
    }

    /// All objects whose keys begin so, up to a slash, in the order of their keys.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        let mut entries = self.0.list(prefix)?;
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// Removes an object, which need not be there.
    pub(crate) fn remove(&self, key: &str) -> Result<()> {
        self.0.remove(key)
    }

    /// Removes what killed writers left behind, if it is older than so many seconds; returns how much that was.
    pub(crate) fn remove_leftovers(&self, older_than_s: u64) -> Result<usize> {
        self.0.remove_leftovers(older_than_s)
    }
}

/// An error about a location, in which nothing is shown that may be a secret.
pub(crate) fn bad_location(location: &str, why: impl Into<String>) -> Error {
    let shown = location.split('?').next().unwrap_or_default();
    let shown = match (shown.split_once("://"), shown.split_once('@')) {
        (Some((scheme, _)), Some((_, behind))) => format!("{scheme}://…@{behind}"),
        _ => shown.to_owned(),
    };
    Error::Location { location: shown, why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(location: &str, variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Store::open(location, variables).map(|_| ()).expect_err(location).to_string()
    }

    #[test]
    fn places_are_named_in_four_ways() {
        for good in ["public", "/srv/public", "file:///srv/public", "file://localhost/srv"] {
            assert!(Store::open(good, []).is_ok(), "{good}");
        }
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let variables = || keys.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(Store::open("s3://bucket", variables()).is_ok());
        assert!(Store::open("s3://bucket/some/prefix/", variables()).is_ok());
        for bad in [
            "",
            "file://host/x",
            "file:///a%20b",
            "s3://",
            "s3://b/x//y",
            "s3://b/../x",
            "https://x",
            "ftp://x",
        ] {
            assert!(Store::open(bad, variables()).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown_and_plain_http_is_refused() {
        let shown = why("s3://key:hunter2@bucket/x?secret=hunter3", &[]);
        assert!(!shown.contains("hunter"), "{shown}");
        let plain = [("AWS_ENDPOINT_URL", "http://10.0.0.1:9000"), ("AWS_ACCESS_KEY_ID", "a")];
        let shown = why("s3://bucket", &[plain[0], plain[1], ("AWS_SECRET_ACCESS_KEY", "hunter2")]);
        assert!(shown.contains("https") && !shown.contains("hunter2"), "{shown}");
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"] {
            for address in ["https://anna:hunter2@host", "anna:hunter2@host", "https://hunter2@h/x"]
            {
                let shown = why("s3://bucket", &[plain[1], (name, address)]);
                assert!(shown.contains(name) && !shown.contains("hunter2"), "{shown}");
            }
        }
    }
}
