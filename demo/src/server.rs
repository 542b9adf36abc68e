//! What devices can reach: files in the directory that was published, as any web server would hand them out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use whittle_fleet::published::{FLAGS_FILE, STAGE_FILE, WAY_BACK_FILE};
use whittle_format::Label;
use whittle_publish::layout::{object_key, release_key};
use whittle_release::Sha256Digest;
use whittle_release::directory::{ReleaseIndex, verify_index};
use whittle_release::keys::Keyring;

use crate::DemoError;

/// The public directory, and the keys that devices have in their firmware.
pub(crate) struct Server {
    root: PathBuf,
    product: PathBuf,
    pub(crate) keys: Keyring,
    pub(crate) documents: Documents,
    files: RefCell<BTreeMap<String, Rc<[u8]>>>,
}

/// What a rollout says to devices.
#[derive(Default)]
pub(crate) struct Documents {
    /// Rises whenever one of them changes, as an `ETag` would: a device that knows it reads none of them.
    pub(crate) edition: u32,
    pub(crate) stage: Option<Vec<u8>>,
    pub(crate) flags: Option<Vec<u8>>,
    pub(crate) way_back: Option<Vec<u8>>,
}

impl Server {
    pub(crate) fn new(root: &Path, product: PathBuf, keys: Keyring) -> Self {
        let (documents, files) = (Documents::default(), RefCell::default());
        Self { root: root.to_owned(), product, keys, documents, files }
    }

    /// Reads the documents of the rollout.
    pub(crate) fn refresh(&mut self) -> Result<(), DemoError> {
        let read = |file: &str| read(&self.product.join(file));
        let (stage, flags) = (read(STAGE_FILE)?, read(FLAGS_FILE)?);
        let way_back = read(WAY_BACK_FILE)?;
        let known = &self.documents;
        if (&stage, &flags, &way_back) != (&known.stage, &known.flags, &known.way_back) {
            let edition = known.edition + 1;
            self.documents = Documents { edition, stage, flags, way_back };
        }
        Ok(())
    }

    /// The index of a release, as a device believes it: signed.
    pub(crate) fn index(
        &self,
        product: &Label,
        version: &Label,
    ) -> Result<ReleaseIndex, DemoError> {
        let bytes = self.file(release_key(product, version))?;
        Ok(verify_index(&bytes, &self.keys)?)
    }

    /// The package with this digest.
    pub(crate) fn package(&self, digest: &Sha256Digest) -> Result<Rc<[u8]>, DemoError> {
        self.file(object_key(digest))
    }

    fn file(&self, key: String) -> Result<Rc<[u8]>, DemoError> {
        let mut files = self.files.borrow_mut();
        if let Some(bytes) = files.get(&key) {
            return Ok(Rc::clone(bytes));
        }
        let path = self.root.join(&key);
        let bytes: Rc<[u8]> = std::fs::read(&path).map_err(DemoError::io("read", &path))?.into();
        files.insert(key, Rc::clone(&bytes));
        Ok(bytes)
    }
}

/// A file, or none if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, DemoError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DemoError::io("read", path)(error)),
    }
}
