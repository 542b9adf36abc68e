//! Fetches a package as a device does, for tests of devices, mirrors and gateways.
//!
//! ```text
//! index of the channel ─▶ signed? newer? ─▶ smallest package for the base ─▶ pieces of 2^n bytes ─▶ each block authentic? ─▶ file
//! ```
//!
//! Pieces begin at multiples of their size, so that they line up with blocks of CoAP (RFC 7959) and with what caches keep. What has
//! arrived and is authentic lies beside the file that is to be written, and is not fetched again. It is locked as long as somebody
//! fetches.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use whittle_format::Label;
use whittle_format::index::Package;
use whittle_format::limits::MAX_INDEX_ENVELOPE_BYTES;
use whittle_release::Sha256Digest;
use whittle_release::directory::{ReleaseIndex, authenticate_file, verify_index};
use whittle_release::files::check_replaceable;
use whittle_release::keys::Keyring;

use crate::chain::Chain;
use crate::layout::{channel_key, object_key, release_key};
use crate::source::{Piece, Source};
use crate::{Error, Result};

/// Smallest piece, as a power of two: the smallest block of CoAP.
pub const MIN_PIECE_LOG2: u8 = 4;

/// Largest piece, as a power of two.
pub const MAX_PIECE_LOG2: u8 = 24;

/// Which index to begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// That of a channel.
    Channel(Label),
    /// That of a release.
    Version(Label),
}

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Name of the product.
    pub product: Label,
    /// Where to begin.
    pub which: Which,
    /// SHA-256 of the image that the device runs; none for the full image.
    pub base: Option<Sha256Digest>,
    /// Security counter of the device.
    pub security_counter: u32,
    /// Pieces of `2^piece_log2` bytes; brought within [`MIN_PIECE_LOG2`] and [`MAX_PIECE_LOG2`].
    pub piece_log2: u8,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pulled {
    /// Name of the product.
    pub product: String,
    /// Version of the release.
    pub version: String,
    /// SHA-256 of the image that the package leads to.
    pub target_sha256: Sha256Digest,
    /// SHA-256 of the package.
    pub package_sha256: Sha256Digest,
    /// `delta` or `full`.
    pub kind: &'static str,
    /// Name of the codec.
    pub codec: &'static str,
    /// Size of the package in bytes.
    pub bytes: u64,
    /// How many of them were there already.
    pub resumed_bytes: u64,
    /// How many pieces were fetched.
    pub pieces: u64,
}

/// Told how many bytes of how many have arrived.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// Fetches a package into the file `out`.
///
/// # Errors
/// [`Error`]. `out` is then as it was; what has arrived lies beside it, and another call goes on from there.
pub fn pull(
    source: &Source,
    keys: &Keyring,
    request: &Request,
    out: &Path,
    progress: Progress<'_>,
) -> Result<Pulled> {
    let index = fetch_index(source, keys, request)?;
    let package = match request.base {
        Some(base) => index.package_for(base)?,
        None => index.full()?,
    };
    let mut download = Download::open(&package, out)?;
    let resumed_bytes = download.resume(keys)?;
    let pieces = download.fetch(source, keys, request.piece_log2, progress)?;
    download.finish(keys, out)?;
    Ok(Pulled {
        product: index.release.product.to_string(),
        version: index.release.target_version.to_string(),
        target_sha256: Sha256Digest(index.release.target_digest),
        package_sha256: Sha256Digest(package.digest),
        kind: if package.base.is_some() { "delta" } else { "full" },
        codec: package.codec.name(),
        bytes: package.size.into(),
        resumed_bytes,
        pieces,
    })
}

fn fetch_index(source: &Source, keys: &Keyring, request: &Request) -> Result<ReleaseIndex> {
    let key = match &request.which {
        Which::Channel(channel) => channel_key(&request.product, channel),
        Which::Version(version) => release_key(&request.product, version),
    };
    let index = verify_index(&source.get(&key, MAX_INDEX_ENVELOPE_BYTES)?, keys)?;
    let release = &index.release;
    let is_other = match request.which {
        Which::Version(version) => version != release.target_version,
        Which::Channel(_) => false,
    };
    if release.product != request.product || is_other {
        let why = format!("it is the index of {} {}", release.product, release.target_version);
        return Err(Error::damaged(&key, why));
    }
    if release.security_counter < request.security_counter {
        let (got, wanted) = (release.security_counter, request.security_counter);
        return Err(Error::CounterTooLow { got, wanted });
    }
    Ok(index)
}

/// Opens a file that nobody else has open so, and makes it if need be.
fn open_alone(path: &Path) -> Result<File> {
    loop {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io("write", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Fetching(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
        }
        if is_still(path, &file).map_err(Error::io("read", path))? {
            return Ok(file);
        }
        // Whoever had it before was done with it, and gave it its final name.
    }
}

/// Whether the open file still has this name.
fn is_still(path: &Path, file: &File) -> std::io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let open = file.metadata()?;
        let named = fs::symlink_metadata(path);
        Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(path.exists())
    }
}

/// A package on its way.
struct Download {
    key: String,
    digest: Sha256Digest,
    size: u64,
    path: PathBuf,
    file: File,
    /// Bytes in the file that are known to be authentic.
    have: u64,
}

impl Download {
    fn open(package: &Package, out: &Path) -> Result<Self> {
        let digest = Sha256Digest(package.digest);
        check_replaceable(out)?;
        // Named by what it will be, so that it never becomes something else.
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{digest:.16}.part"));
        let path = out.with_file_name(name);
        check_replaceable(&path)?;
        let file = open_alone(&path)?;
        Ok(Self {
            key: object_key(&digest),
            digest,
            size: package.size.into(),
            path,
            file,
            have: 0,
        })
    }

    /// Looks how much of what is there is authentic, and cuts off the rest.
    fn resume(&mut self, keys: &Keyring) -> Result<u64> {
        let mut bytes = Vec::new();
        let mut there = (&self.file).take(self.size);
        there.read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let mut chain = Chain::new(&self.key, keys);
        // A bad block ends what counts; it is fetched again.
        let _ = chain.push(&bytes);
        self.have = chain.checked_bytes();
        self.file.set_len(self.have).map_err(Error::io("write", &self.path))?;
        Ok(self.have)
    }

    /// Fetches what is missing; returns how many pieces that took.
    fn fetch(
        &mut self,
        source: &Source,
        keys: &Keyring,
        piece_log2: u8,
        progress: Progress<'_>,
    ) -> Result<u64> {
        let key = self.key.clone();
        let mut chain = Chain::new(&key, keys);
        self.replay(&mut chain)?;
        let piece = 1u64 << piece_log2.clamp(MIN_PIECE_LOG2, MAX_PIECE_LOG2);
        let mut pieces = 0;
        while chain.bytes() < self.size {
            progress(chain.bytes(), self.size);
            let have = chain.bytes();
            let start = have - have % piece;
            let len = piece.min(self.size - start);
            let (from, bytes) = match source.get_piece(&key, start, len, self.size)? {
                Piece::Part(bytes) => (start, bytes),
                Piece::Whole(bytes) => (0, bytes),
            };
            pieces += 1;
            let known = usize::try_from(have - from).unwrap_or(usize::MAX);
            let new = bytes.get(known..).filter(|new| !new.is_empty());
            let new =
                new.ok_or_else(|| Error::damaged(&key, format!("it ends after {have} bytes")))?;
            if have + new.len() as u64 > self.size {
                let why = format!("it has more than the {} bytes that the index says", self.size);
                return Err(Error::damaged(&key, why));
            }
            let pushed = chain.push(new);
            // Of a piece with a bad block, what comes before that block counts.
            let checked = usize::try_from(chain.checked_bytes().saturating_sub(have));
            let kept = if pushed.is_ok() { new.len() } else { checked.unwrap_or(usize::MAX) };
            let kept = new.get(..kept).unwrap_or(new);
            self.file.write_all(kept).map_err(Error::io("write", &self.path))?;
            pushed?;
        }
        progress(self.size, self.size);
        Ok(pieces)
    }

    /// Brings a chain, and the file's cursor, to where what is there ends.
    fn replay(&mut self, chain: &mut Chain<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(Error::io("read", &self.path))?;
        chain.push(&bytes)
    }

    /// Checks the file as a whole, and gives it its name.
    fn finish(mut self, keys: &Keyring, out: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(Error::io("read", &self.path))?;
        if Sha256Digest::of(&bytes) != self.digest {
            let _ = fs::remove_file(&self.path);
            return Err(Error::damaged(&self.key, "it is not the package that the index lists"));
        }
        authenticate_file(&self.key, &bytes, keys)?;
        self.file.sync_all().map_err(Error::io("write", &self.path))?;
        fs::rename(&self.path, out).map_err(Error::io("write", out))
    }
}
