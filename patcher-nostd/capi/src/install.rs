//! The installation of what is staged.

use core::ffi::c_void;

use whittle_patcher_nostd::Buffers;
use whittle_patcher_nostd::compact::{LargeTables, MediumTables, Memory, SmallTables, TinyTables};

use crate::error::{Error, WHITTLE_OK, result};
use crate::flash::{Flash, Region};
use crate::image::SignedImage;
use crate::pointer;
use crate::updater::{Updater, with};

/// Bytes of tables for packages that were built for 4 KiB of RAM.
pub const WHITTLE_TABLES_4K: usize = 4096;
/// Bytes of tables for packages that were built for 8 KiB of RAM.
pub const WHITTLE_TABLES_8K: usize = 8192;
/// Bytes of tables for packages that were built for 16 KiB of RAM.
pub const WHITTLE_TABLES_16K: usize = 16384;
/// Bytes of tables for packages that were built for 64 KiB of RAM.
pub const WHITTLE_TABLES_64K: usize = 65536;

const _: () = assert!(size_of::<TinyTables>() <= WHITTLE_TABLES_4K);
const _: () = assert!(size_of::<SmallTables>() <= WHITTLE_TABLES_8K);
const _: () = assert!(size_of::<MediumTables>() <= WHITTLE_TABLES_16K);
const _: () = assert!(size_of::<LargeTables>() <= WHITTLE_TABLES_64K);

/// Memory for an installation. It may hold anything, and is the caller's again when the installation returns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InstallBuffers {
    /// Holds a block as the packages are built with (4096 bytes by default).
    pub block: *mut u8,
    /// Bytes of it.
    pub block_len: usize,
    /// Holds what is written at a time: a multiple of whittle_write_unit(), best a flash page.
    pub page: *mut u8,
    /// Bytes of it.
    pub page_len: usize,
    /// Holds what the decoder of deltas remembers; aligned to 8 bytes. Null: only `stored` packages can be installed.
    pub tables: *mut u64,
    /// Bytes of it, such as `WHITTLE_TABLES_16K`.
    pub tables_len: usize,
}

/// Is called before each sector is erased, with the bytes of the target that are written: to feed a watchdog, and to
/// show progress. It must not call functions of this header for the same handle.
pub type Watch = Option<unsafe extern "C" fn(context: *mut c_void, written: u32)>;

/// Installs the staged package into the other slot; after a power cut it goes on with the sector that was at hand.
///
/// `watch` and `image` may be null. If the culprit of an error is the package, the update has failed, and another
/// download is wanted; otherwise it can be tried again. The running image is untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_install(
    updater: *mut Updater,
    staging: *const Flash,
    buffers: *const InstallBuffers,
    watch: Watch,
    watch_context: *mut c_void,
    image: *mut SignedImage,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let mut region = Region::new(pointer::read(staging)?)?;
            let lent = pointer::read(buffers)?.lend()?;
            let mut tell = |written: u32| {
                if let Some(watch) = watch {
                    watch(watch_context, written);
                }
            };
            let installed = updater.install(&mut region, lent, &mut tell)?;
            if !image.is_null() {
                pointer::write(image, SignedImage::of(&installed.manifest))?;
            }
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

impl InstallBuffers {
    /// The buffers as the device crate wants them.
    ///
    /// # Safety
    /// What is not null is valid for writes for `'a`, and used by nobody else.
    pub(crate) unsafe fn lend<'a>(&self) -> Result<Buffers<'a>, Error> {
        // SAFETY: as this function's rule.
        unsafe {
            Ok(Buffers {
                block: pointer::slice_mut(self.block, self.block_len)?,
                page: pointer::slice_mut(self.page, self.page_len)?,
                compact: tables(self.tables, self.tables_len)?,
            })
        }
    }
}

/// The largest tables that fit.
///
/// # Safety
/// If it is not null, `memory` is valid for writes of `len` bytes for `'a`, and used by nobody else.
unsafe fn tables<'a>(memory: *mut u64, len: usize) -> Result<Option<Memory<'a>>, Error> {
    if memory.is_null() {
        return if len == 0 { Ok(None) } else { Err(Error::NullArgument) };
    }
    if !memory.is_aligned() {
        return Err(Error::BadArgument);
    }
    macro_rules! lend {
        ($tables:ty) => {{
            const { assert!(align_of::<$tables>() <= align_of::<u64>()) };
            let place = memory.cast::<$tables>();
            // SAFETY: valid by this function's rule, aligned, and large enough, as the caller has checked.
            unsafe {
                place.write(<$tables>::NEW);
                &mut *place
            }
            .lend()
        }};
    }
    Ok(Some(match len {
        WHITTLE_TABLES_64K.. => lend!(LargeTables),
        WHITTLE_TABLES_16K.. => lend!(MediumTables),
        WHITTLE_TABLES_8K.. => lend!(SmallTables),
        WHITTLE_TABLES_4K.. => lend!(TinyTables),
        _ => return Err(Error::BufferTooSmall),
    }))
}
