//! A download into the staging region.

use core::ptr::NonNull;

use whittle_patcher_nostd::{Download as Inner, Status};

use crate::error::{Error, WHITTLE_DONE, WHITTLE_NOTHING, WHITTLE_OK, result};
use crate::flash::{Flash, Region};
use crate::handle::{Handle, Kind, Use};
use crate::image::SignedImage;
use crate::pointer;
use crate::updater::{OpenUpdater, Updater};
use crate::verifier::Verifier;

/// Words of `struct whittle_download`.
pub const WHITTLE_DOWNLOAD_WORDS: usize = 180;

/// A download; every byte of it belongs to the library. It must stay where it was begun.
#[repr(C)]
pub struct Download {
    /// Whatever the library puts there.
    pub storage: [u64; WHITTLE_DOWNLOAD_WORDS],
}

type InnerDownload = Inner<'static, 'static, Region, Region, Region, Verifier>;

/// A download, what it borrows, and what it writes to: `inner` refers to `region`, so no reference to the whole is made.
struct OpenDownload {
    inner: InnerDownload,
    region: Region,
    updater: NonNull<Handle<OpenUpdater>>,
}

impl Kind for OpenDownload {
    const NUMBER: usize = 0x7768_6401;
}

/// Begins the download of a package at its first byte; what was staged before is given up.
///
/// `download` may hold anything. From here on the updater is in use, until the download is finished or closed. `block`
/// holds a block as the packages are built with (4096 bytes by default), and belongs to the download as long as it lasts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_begin(
    download: *mut Download,
    updater: *mut Updater,
    staging: *const Flash,
    block: *mut u8,
    block_len: usize,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        start(download, updater, staging, (block, block_len), |updater, region, block| {
            Ok(Some(updater.download(region, block)?))
        })
    };
    result(outcome)
}

/// Goes on with the download that was interrupted; `WHITTLE_NOTHING` if there is none to go on with.
///
/// whittle_download_offset() tells where in the package file, and whittle_download_image() of which target. The rest is
/// as with whittle_download_begin().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_resume(
    download: *mut Download,
    updater: *mut Updater,
    staging: *const Flash,
    block: *mut u8,
    block_len: usize,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        start(download, updater, staging, (block, block_len), |updater, region, block| {
            Ok(updater.resume(region, block)?)
        })
    };
    result(outcome)
}

/// Takes bytes of the package: as many as there are, unless the package ends among them. `WHITTLE_DONE` when it is
/// complete.
///
/// `taken` is told how many; it may be null. Nothing is written before the signature, the fitness for this device and
/// the hash of the image that runs have been checked, and the room for the package. After an error the download is closed; what
/// is staged stays, so that whittle_download_resume() goes on behind it. If the culprit is the package, and the phase still
/// `WHITTLE_PHASE_DOWNLOADING`, call whittle_abandon() first: what came is not what was begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_push(
    download: *mut Download,
    bytes: *const u8,
    len: usize,
    taken: *mut usize,
) -> i32 {
    result((|| {
        // SAFETY: the header's rules; `inner` is used by nobody else as long as `open` lives.
        unsafe {
            let mut open = take(download)?;
            let bytes = pointer::slice(bytes, len)?;
            let mut rest = bytes;
            let pushed = inner(&mut open).push(&mut rest);
            if !taken.is_null() {
                pointer::write(taken, bytes.len().saturating_sub(rest.len()))?;
            }
            match pushed {
                Ok(Status::NeedMore) => Ok(WHITTLE_OK),
                Ok(Status::Done) => Ok(WHITTLE_DONE),
                Err(error) => {
                    let (_, owner) = end(open);
                    Handle::give_back(owner, download.addr());
                    Err(error.into())
                }
            }
        }
    })())
}

/// Tells where in the package file bytes are wanted from; asked before any have been pushed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_offset(download: *mut Download, offset: *mut u32) -> i32 {
    result((|| {
        // SAFETY: the header's rules.
        unsafe {
            let mut open = take(download)?;
            pointer::write(offset, inner(&mut open).offset())?;
        }
        Ok(WHITTLE_OK)
    })())
}

/// Tells what is being downloaded; `WHITTLE_NOTHING` until its first bytes have come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_image(
    download: *mut Download,
    image: *mut SignedImage,
) -> i32 {
    result((|| {
        // SAFETY: the header's rules.
        unsafe {
            let mut open = take(download)?;
            let Some(manifest) = inner(&mut open).manifest() else {
                return Ok(WHITTLE_NOTHING);
            };
            pointer::write(image, SignedImage::of(manifest))?;
        }
        Ok(WHITTLE_OK)
    })())
}

/// Ends the download and closes it, whatever it returns: the package is whole, and can be installed.
///
/// Where the connection broke, call whittle_download_close() instead: what is missing is no fault of the package.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_finish(download: *mut Download) -> i32 {
    result((|| {
        // SAFETY: the header's rules; the updater is given back when nothing refers to it any more.
        unsafe {
            let (inner, owner) = end(take(download)?);
            let finished = inner.finish();
            Handle::give_back(owner, download.addr());
            finished?;
        }
        Ok(WHITTLE_OK)
    })())
}

/// Closes the download before its end; what is staged stays, so that whittle_download_resume() goes on behind it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_download_close(download: *mut Download) -> i32 {
    result((|| {
        // SAFETY: the header's rules.
        unsafe {
            let (_, owner) = end(take(download)?);
            Handle::give_back(owner, download.addr());
        }
        Ok(WHITTLE_OK)
    })())
}

unsafe fn start(
    download: *mut Download,
    updater: *mut Updater,
    staging: *const Flash,
    (block, block_len): (*mut u8, usize),
    begin: impl FnOnce(
        &'static mut OpenUpdater,
        &'static mut Region,
        &'static mut [u8],
    ) -> Result<Option<InnerDownload>, Error>,
) -> Result<i32, Error> {
    let handle = Handle::<OpenDownload>::at(download)?;
    let owner = Handle::<OpenUpdater>::at(updater)?;
    let borrower = download.addr();
    // SAFETY: the header's rules: the storage is valid. A download that was open there and holds the updater is not
    // closed by that: the updater says that it is in use.
    unsafe {
        let region = Region::new(pointer::read(staging)?)?;
        let block = pointer::slice_mut(block, block_len)?;
        Handle::lend(owner, borrower)?;
        Handle::close(handle);
        let place = Handle::value(handle);
        (&raw mut (*place).region).write(region);
        (&raw mut (*place).updater).write(owner);
        let begun = begin(&mut *Handle::value(owner), &mut (*place).region, block);
        match begun {
            Ok(Some(inner)) => {
                (&raw mut (*place).inner).write(inner);
                Handle::open(handle);
                Ok(WHITTLE_OK)
            }
            other => {
                Handle::give_back(owner, borrower);
                other.map(|_| WHITTLE_NOTHING)
            }
        }
    }
}

/// An open download whose updater is still lent to it.
unsafe fn take(download: *mut Download) -> Result<Use<OpenDownload>, Error> {
    let handle = Handle::<OpenDownload>::at(download)?;
    // SAFETY: the header's rules; an open download's updater has been written.
    unsafe {
        let mut open = Handle::take(handle)?;
        let owner = (&raw const (*open.as_ptr()).updater).read();
        Handle::is_lent(owner, download.addr())?;
        Ok(open)
    }
}

/// The download itself; it refers to its neighbour, so no reference to the whole is made.
fn inner(open: &mut Use<OpenDownload>) -> &mut InnerDownload {
    // SAFETY: an open download has been written, and `open` keeps every other call from it.
    unsafe { &mut (*open.as_ptr()).inner }
}

/// Closes the download's handle; the updater is given back when nothing refers to it any more.
///
/// # Safety
/// As for [`take`].
unsafe fn end(mut open: Use<OpenDownload>) -> (InnerDownload, NonNull<Handle<OpenUpdater>>) {
    let place = open.as_ptr();
    // SAFETY: an open download has been written, and is no longer one behind this.
    unsafe {
        let parts = ((&raw const (*place).inner).read(), (&raw const (*place).updater).read());
        open.close();
        parts
    }
}
