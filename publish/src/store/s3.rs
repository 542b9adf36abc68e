//! A store that speaks S3: AWS itself, MinIO, Ceph, R2 and others.
//!
//! `object_store` signs, lists, and tries again what failed by the server's fault or on the way; its runtime stays in here. Uploads
//! carry their SHA-256, so a store that looks refuses what was changed on the way.

use std::ops::Range;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientConfigKey, GetOptions, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;

use super::http_client::{Connector, MaxAnswer};
use super::{Backend, Condition, Entry, Lifetime, Object, Tag, Written, bad_location};
use crate::{Error, Result};

/// What does not change may be kept by anybody who passes it on.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What changes is asked for each time; the answer is mostly that it has not changed.
const UNTIL_THE_NEXT: &str = "no-cache";

/// The media types: a package is bytes, and an index a COSE_Sign1 (RFC 9052).
const BYTES: &str = "application/octet-stream";
const COSE: &str = "application/cose; cose-type=\"cose-sign1\"";

/// How often something is tried again that failed by the server's fault, and for how long at most.
const MAX_RETRIES: usize = 8;
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) struct S3 {
    store: AmazonS3,
    prefix: Path,
    runtime: Runtime,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of the configuration: there are secrets in it.
        f.debug_struct("S3").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl S3 {
    pub(super) fn open(
        location: &str,
        bucket_and_prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let bad = |why: &str| bad_location(location, why);
        let (bucket, prefix) = bucket_and_prefix.split_once('/').unwrap_or((bucket_and_prefix, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_name) {
            return Err(bad(
                "wanted `s3://bucket/prefix`; credentials come from AWS_ACCESS_KEY_ID and its like",
            ));
        }
        let prefix = Path::parse(prefix).map_err(|_| bad("the prefix is no path"))?;
        let variables: Vec<_> = variables.into_iter().collect();
        check_secrets(&variables).map_err(|why| bad_location(location, why))?;
        let builder = configure(variables).with_bucket_name(bucket);
        check_encryption(&builder).map_err(bad)?;
        let store = builder.build().map_err(|error| bad_location(location, told(&error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| bad_location(location, error.to_string()))?;
        Ok(Self { store, prefix, runtime })
    }

    fn path(&self, key: &str) -> Path {
        key.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), Path::join)
    }

    /// The key of a path; none if it is not under the prefix.
    fn key(&self, path: &Path) -> Option<String> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        Some(parts.join("/"))
    }
}

fn configure(variables: impl IntoIterator<Item = (String, String)>) -> AmazonS3Builder {
    let known = variables.into_iter().filter_map(|(name, value)| {
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok())?;
        Some((key?, value))
    });
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(10),
        base: 2.0,
    };
    let retry = RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT };
    let usual = AmazonS3Builder::new()
        .with_http_connector(Connector)
        .with_retry(retry)
        .with_checksum_algorithm(Checksum::SHA256);
    known.fold(usual, |builder, (key, value)| builder.with_config(key, value))
}

/// Addresses are shown in errors, so they must hold no credentials.
fn check_secrets(variables: &[(String, String)]) -> Result<(), String> {
    let is_address = |name: &str| {
        name.starts_with("AWS_")
            && ["ENDPOINT", "URL", "URI"].iter().any(|part| name.contains(part))
    };
    match variables.iter().find(|(name, value)| is_address(name) && value.contains('@')) {
        Some((name, _)) => Err(format!("{name} has credentials in it, which do not belong there")),
        None => Ok(()),
    }
}

/// Credentials and releases go over an encrypted way, unless somebody says that they need not.
fn check_encryption(builder: &AmazonS3Builder) -> Result<(), &'static str> {
    let value = |key| builder.get_config_value(&key);
    let endpoint =
        value(AmazonS3ConfigKey::S3Endpoint).or_else(|| value(AmazonS3ConfigKey::Endpoint));
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let allowed = value(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    if is_plain && allowed.as_deref() != Some("true") {
        return Err("its endpoint has no encryption; wanted https");
    }
    Ok(())
}

impl Backend for S3 {
    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>> {
        let path = self.path(key);
        let get = async {
            let options = at_most(limit.saturating_add(1), GetOptions::default());
            let found = self.store.get_opts(&path, options).await?;
            let tag = Tag(found.meta.e_tag.clone().unwrap_or_default());
            Ok(Object { bytes: found.bytes().await?.to_vec(), tag })
        };
        found(self.runtime.block_on(get), "read", key)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let path = self.path(key);
        let len = range.end.saturating_sub(range.start);
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let options = at_most(len, options);
        let get = async { Ok(self.store.get_opts(&path, options).await?.bytes().await?.to_vec()) };
        found(self.runtime.block_on(get), "read", key)
    }

    fn stat(&self, key: &str) -> Result<Option<Entry>> {
        let path = self.path(key);
        let head = async {
            let meta = self.store.head(&path).await?;
            Ok(Entry { key: key.to_owned(), size: meta.size, modified_s: seconds(&meta) })
        };
        found(self.runtime.block_on(head), "look for", key)
    }

    fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
        lifetime: Lifetime,
    ) -> Result<Written> {
        let mode = match condition {
            Condition::Always => PutMode::Overwrite,
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(Tag(tag)) => {
                PutMode::Update(UpdateVersion { e_tag: Some(tag.clone()), version: None })
            }
        };
        let options =
            PutOptions { mode, attributes: attributes(key, lifetime), ..PutOptions::default() };
        let path = self.path(key);
        let put = self.store.put_opts(&path, PutPayload::from(bytes), options);
        match self.runtime.block_on(put) {
            Ok(_) => Ok(Written::Now),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(Written::Not),
            Err(error) => Err(failed("write", key, &error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        let path = self.path(prefix);
        let list = self.store.list(Some(&path)).try_collect::<Vec<_>>();
        let listed = self.runtime.block_on(list).map_err(|error| failed("list", prefix, &error))?;
        let entries = listed.into_iter().filter_map(|meta| {
            let key = self.key(&meta.location)?;
            Some(Entry { key, size: meta.size, modified_s: seconds(&meta) })
        });
        Ok(entries.collect())
    }

    fn remove(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        found(self.runtime.block_on(self.store.delete(&path)), "remove", key).map(|_| ())
    }
}

/// Tells the client to read no more of an answer.
fn at_most(bytes: u64, mut options: GetOptions) -> GetOptions {
    options.extensions.insert(MaxAnswer(bytes));
    options
}

fn attributes(key: &str, lifetime: Lifetime) -> Attributes {
    let media = if key.ends_with(".cose") { COSE } else { BYTES };
    let caching = match lifetime {
        Lifetime::ForEver => FOR_EVER,
        Lifetime::UntilTheNext => UNTIL_THE_NEXT,
    };
    [(Attribute::ContentType, media), (Attribute::CacheControl, caching)].into_iter().collect()
}

fn seconds(meta: &object_store::ObjectMeta) -> u64 {
    u64::try_from(meta.last_modified.timestamp()).unwrap_or(0)
}

fn found<T>(result: object_store::Result<T>, action: &'static str, key: &str) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(action, key, &error)),
    }
}

fn failed(action: &'static str, key: &str, error: &object_store::Error) -> Error {
    let key = key.to_owned();
    let denied = matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    );
    let source = told(error).into();
    if denied {
        Error::Denied { action, key, source }
    } else {
        Error::Store { action, key, source }
    }
}

/// What a store or the way to it says, on one line and not too long.
fn told(error: &object_store::Error) -> String {
    const MAX_QUOTED: usize = 300;
    let text = error.to_string();
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match plain.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}
