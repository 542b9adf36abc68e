//! Installations on devices with a single slot, where the target takes the room of its base.

use core::ffi::c_void;

use whittle_patcher_nostd::compact::Class;
use whittle_patcher_nostd::{
    ArrangementBuffers, Buffers, IN_PLACE_STATE_BYTES, InPlaceBuffers as Lent, InPlaceDecoder,
};

use crate::error::{WHITTLE_NOTHING, WHITTLE_OK, result};
use crate::flash::{Flash, Region};
use crate::image::SignedImage;
use crate::install::{
    InstallBuffers, WHITTLE_TABLES_4K, WHITTLE_TABLES_8K, WHITTLE_TABLES_16K, WHITTLE_TABLES_64K,
    Watch,
};
use crate::pointer;
use crate::updater::{OpenUpdater, Updater, step, with};

/// Bytes that are always enough for `head` in `struct whittle_in_place_buffers`.
pub const WHITTLE_HEAD_BYTES: usize = 1029;

const _: () = assert!(WHITTLE_HEAD_BYTES >= InPlaceDecoder::HEAD_BYTES);

// What a decoder keeps takes no more than its tables may.
const _: () = assert!(keeps(Class::Tiny) <= WHITTLE_TABLES_4K as u64);
const _: () = assert!(keeps(Class::Small) <= WHITTLE_TABLES_8K as u64);
const _: () = assert!(keeps(Class::Medium) <= WHITTLE_TABLES_16K as u64);
const _: () = assert!(keeps(Class::Large) <= WHITTLE_TABLES_64K as u64);

const fn keeps(class: Class) -> u64 {
    IN_PLACE_STATE_BYTES.saturating_add(class.state_bytes())
}

/// Memory for an installation in place. It may hold anything, and is the caller's again when the installation returns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InPlaceBuffers {
    /// As for whittle_install(); whittle_erase_unit() is a multiple of the page.
    pub install: InstallBuffers,
    /// Holds where each sector of the base lies: one number for each sector of the largest base.
    pub seats: *mut u16,
    /// How many they are.
    pub seat_count: usize,
    /// Holds how the base is rearranged, as the package tells it: `WHITTLE_HEAD_BYTES`.
    pub head: *mut u8,
    /// Bytes of it.
    pub head_len: usize,
}

/// Asks the boot loader to install what is staged in the place of the running image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_request_in_place(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, OpenUpdater::request_in_place) }
}

/// Tells whether an installation in place is wanted, or under way; `WHITTLE_NOTHING` if none is.
///
/// The boot loader then calls whittle_install_in_place() before whittle_boot().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_is_in_place_wanted(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            Ok(if updater.is_in_place_wanted()? { WHITTLE_OK } else { WHITTLE_NOTHING })
        })
    };
    result(outcome)
}

/// Installs the staged package in the place of the running image, or goes on with it after a power cut.
///
/// `states` is a region that keeps what the decoder knows, twice: each half of it is whole erase units, and at least as
/// large as the tables that the packages were built for, such as `WHITTLE_TABLES_16K`. `watch` is also called for each
/// block that is read; it and `image` may be null.
///
/// Before the first change everything is checked: if the culprit of an error is the package, whittle_is_in_place_wanted()
/// then says `WHITTLE_NOTHING`, and the old image boots. From the first change on no image boots until the installation is
/// done, and calling this again goes on with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_install_in_place(
    updater: *mut Updater,
    staging: *const Flash,
    states: *const Flash,
    buffers: *const InPlaceBuffers,
    watch: Watch,
    watch_context: *mut c_void,
    image: *mut SignedImage,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let mut region = Region::new(pointer::read(staging)?)?;
            let mut states = Region::new(pointer::read(states)?)?;
            let buffers = pointer::read(buffers)?;
            let Buffers { block, page, compact } = buffers.install.lend()?;
            let arrangement = ArrangementBuffers {
                seats: pointer::slice_mut(buffers.seats, buffers.seat_count)?,
                head: pointer::slice_mut(buffers.head, buffers.head_len)?,
            };
            let lent = Lent { block, page, compact, arrangement };
            let mut tell = |written: u32| {
                if let Some(watch) = watch {
                    watch(watch_context, written);
                }
            };
            let installed = updater.install_in_place(&mut region, &mut states, lent, &mut tell)?;
            if !image.is_null() {
                pointer::write(image, SignedImage::of(&installed.manifest))?;
            }
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}
