//! Flash by functions of the firmware's.
//!
//! The device crate wants a flash's write and erase sizes as constants, and C has them at run time. Code for each pair
//! of sizes would be the library many times over. So the library is built for one pair, its *units*, and treats any
//! flash whose own sizes divide them as flash with these: a write of one unit is several of the flash's, an erased unit
//! several of its sectors. To what power cuts leave that adds nothing, since a torn unit may hold anything already.
//!
//! The defaults, 32 and 4096 bytes, suit most chips. `WHITTLE_WRITE_UNIT` and `WHITTLE_ERASE_UNIT` in the environment
//! of the build change them: smaller ones save room in small journals, sectors of 128 KiB need larger ones.

use core::ffi::{c_int, c_void};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::error::Error;

/// Written at a time, in bytes.
pub(crate) const WRITE_UNIT: u32 = setting(option_env!("WHITTLE_WRITE_UNIT"), 32);
/// Erased at a time, in bytes.
pub(crate) const ERASE_UNIT: u32 = setting(option_env!("WHITTLE_ERASE_UNIT"), 4096);

// The journal writes 256 bytes at a time, and erases what it writes.
const _: () = assert!(WRITE_UNIT > 0 && 256 % WRITE_UNIT == 0, "the write unit divides 256");
const _: () = assert!(ERASE_UNIT > 0 && ERASE_UNIT.is_multiple_of(WRITE_UNIT));

/// A region of flash: what it looks like, and the functions that drive it. Offsets begin at 0 in each region.
///
/// The functions return 0 if all went well. They are called from within the functions of this header, with `context`
/// as it is here, and must not call them for the same handle. `into` and `bytes` may lie at any address: copy them, if your
/// flash wants aligned words.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Flash {
    /// Anything; handed to the functions.
    pub context: *mut c_void,
    /// Bytes of the region: a multiple of whittle_erase_unit().
    pub size: u32,
    /// Bytes that are erased at a time; they divide whittle_erase_unit().
    pub erase_size: u32,
    /// Bytes that are written at a time; they divide whittle_write_unit().
    pub write_size: u32,
    /// Reads `len` bytes; any offset and length.
    pub read: Option<
        unsafe extern "C" fn(context: *mut c_void, offset: u32, into: *mut u8, len: u32) -> c_int,
    >,
    /// Erases `len` bytes to ones; offset and length are multiples of whittle_erase_unit().
    pub erase: Option<unsafe extern "C" fn(context: *mut c_void, offset: u32, len: u32) -> c_int>,
    /// Writes `len` bytes that are erased; offset and length are multiples of whittle_write_unit().
    pub write: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            offset: u32,
            bytes: *const u8,
            len: u32,
        ) -> c_int,
    >,
}

/// Bytes that this build of the library writes at a time; write sizes of flash must divide them.
#[unsafe(no_mangle)]
pub extern "C" fn whittle_write_unit() -> u32 {
    WRITE_UNIT
}

/// Bytes that this build of the library erases at a time; erase sizes of flash must divide them.
#[unsafe(no_mangle)]
pub extern "C" fn whittle_erase_unit() -> u32 {
    ERASE_UNIT
}

/// A region whose sizes and functions have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    context: *mut c_void,
    size: u32,
    read: unsafe extern "C" fn(*mut c_void, u32, *mut u8, u32) -> c_int,
    erase: unsafe extern "C" fn(*mut c_void, u32, u32) -> c_int,
    write: unsafe extern "C" fn(*mut c_void, u32, *const u8, u32) -> c_int,
}

impl Region {
    pub(crate) fn new(flash: &Flash) -> Result<Self, Error> {
        let suits = |unit: u32, size: u32| unit.checked_rem(size) == Some(0);
        let (Some(read), Some(erase), Some(write)) = (flash.read, flash.erase, flash.write) else {
            return Err(Error::FlashGeometry);
        };
        let is_whole = flash.size > 0 && suits(flash.size, ERASE_UNIT);
        if !is_whole || !suits(WRITE_UNIT, flash.write_size) || !suits(ERASE_UNIT, flash.erase_size)
        {
            return Err(Error::FlashGeometry);
        }
        Ok(Self { context: flash.context, size: flash.size, read, erase, write })
    }
}

fn told(code: c_int) -> Result<(), NorFlashErrorKind> {
    if code == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
}

fn len(bytes: &[u8]) -> Result<u32, NorFlashErrorKind> {
    u32::try_from(bytes.len()).map_err(|_| NorFlashErrorKind::OutOfBounds)
}

impl ErrorType for Region {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Region {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let len = len(bytes)?;
        // SAFETY: by the header's rules the function writes `len` bytes, which are there.
        told(unsafe { (self.read)(self.context, offset, bytes.as_mut_ptr(), len) })
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }
}

impl NorFlash for Region {
    const WRITE_SIZE: usize = WRITE_UNIT as usize;
    const ERASE_SIZE: usize = ERASE_UNIT as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        // SAFETY: by the header's rules the function touches nothing of ours.
        told(unsafe { (self.erase)(self.context, from, to.saturating_sub(from)) })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let len = len(bytes)?;
        // SAFETY: by the header's rules the function reads `len` bytes, which are there.
        told(unsafe { (self.write)(self.context, offset, bytes.as_ptr(), len) })
    }
}

/// A number from the environment of the build; 0, which no unit may be, if it is none.
const fn setting(text: Option<&str>, default: u32) -> u32 {
    let Some(text) = text else { return default };
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}
