//! Places to publish to, and what lies there when one looks past the crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use whittle_publish::{Source, Store};

use crate::server::{self, BUCKET};
use crate::way::Proxy;

/// A place of its own for a test.
pub(crate) struct Place {
    pub(crate) location: String,
    pub(crate) variables: Vec<(String, String)>,
    kind: Kind,
}

enum Kind {
    Directory(TempDir),
    S3 { prefix: String, proxy: Proxy },
}

impl Place {
    pub(crate) fn directory() -> Self {
        let room = TempDir::new().expect("there is room");
        let location = format!("file://{}", room.path().join("public").display());
        Self { location, variables: vec![], kind: Kind::Directory(room) }
    }

    pub(crate) fn s3() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("some/place-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let server = server::shared();
        let proxy = Proxy::to(&server.url);
        let variables = server::variables(&server, &proxy.url);
        let location = format!("s3://{BUCKET}/{prefix}");
        Self { location, variables, kind: Kind::S3 { prefix, proxy } }
    }

    /// One of each kind.
    pub(crate) fn each() -> [Self; 2] {
        [Self::directory(), Self::s3()]
    }

    pub(crate) fn is_s3(&self) -> bool {
        matches!(self.kind, Kind::S3 { .. })
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.location, self.variables.clone()).expect("opens")
    }

    pub(crate) fn source(&self) -> Source {
        Source::open(&self.location, self.variables.clone()).expect("opens")
    }

    /// The way to the server.
    pub(crate) fn proxy(&self) -> &Proxy {
        match &self.kind {
            Kind::Directory(_) => panic!("there is no server"),
            Kind::S3 { proxy, .. } => proxy,
        }
    }

    /// The directory that holds all.
    pub(crate) fn root(&self) -> PathBuf {
        match &self.kind {
            Kind::Directory(room) => room.path().join("public"),
            Kind::S3 { .. } => panic!("there is no directory"),
        }
    }

    /// All keys, with their sizes.
    pub(crate) fn keys(&self) -> BTreeMap<String, u64> {
        let mut keys = BTreeMap::new();
        match &self.kind {
            Kind::Directory(_) => walk(&self.root(), &self.root(), &mut keys),
            Kind::S3 { prefix, .. } => {
                let mut token = Value::Null;
                loop {
                    let mut arguments = json!({ "Prefix": format!("{prefix}/") });
                    if token.is_string() {
                        arguments["ContinuationToken"] = token;
                    }
                    let page = server::shared().ask("list_objects_v2", &arguments);
                    for object in page["Contents"].as_array().into_iter().flatten() {
                        let key = object["Key"].as_str().expect("text");
                        let key = key.strip_prefix(&format!("{prefix}/")).expect("asked for");
                        keys.insert(key.to_owned(), object["Size"].as_u64().expect("a number"));
                    }
                    token = page["NextContinuationToken"].clone();
                    if token.is_null() {
                        break;
                    }
                }
            }
        }
        keys
    }

    /// Keys that begin so.
    pub(crate) fn under(&self, prefix: &str) -> Vec<String> {
        self.keys().into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// Writes an object past the crate.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        match &self.kind {
            Kind::Directory(_) => {
                let path = self.root().join(key);
                std::fs::create_dir_all(path.parent().expect("one")).expect("made");
                std::fs::write(path, bytes).expect("written");
            }
            Kind::S3 { prefix, .. } => {
                let body = base64(bytes);
                let arguments = json!({ "Key": format!("{prefix}/{key}"), "Body": body });
                server::shared().ask("put_object", &arguments);
            }
        }
    }

    /// Removes an object past the crate.
    pub(crate) fn take_away(&self, key: &str) {
        match &self.kind {
            Kind::Directory(_) => std::fs::remove_file(self.root().join(key)).expect("removed"),
            Kind::S3 { prefix, .. } => {
                let arguments = json!({ "Key": format!("{prefix}/{key}") });
                server::shared().ask("delete_object", &arguments);
            }
        }
    }

    /// What AWS's client says of an object.
    pub(crate) fn head(&self, key: &str) -> Value {
        let Kind::S3 { prefix, .. } = &self.kind else { panic!("there is no server") };
        let arguments = json!({ "Key": format!("{prefix}/{key}"), "ChecksumMode": "ENABLED" });
        server::shared().ask("head_object", &arguments)
    }
}

fn walk(root: &Path, directory: &Path, keys: &mut BTreeMap<String, u64>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, keys);
        } else {
            let key = path.strip_prefix(root).expect("below").to_str().expect("text").to_owned();
            // Its lock, and what killed writers left behind.
            if !key.split('/').any(|part| part.starts_with(".whittle")) {
                keys.insert(key, entry.metadata().expect("there").len());
            }
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().chain(&[0; 2]).take(3).fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
