//! Pointers from C, as references for as long as the caller promises.

use core::slice;

use crate::error::Error;

/// The longest string that is looked at; every name has a limit below.
const MAX_STRING: usize = 64;

/// # Safety
/// If it is not null, `pointer` is valid for reads for `'a`.
pub(crate) unsafe fn read<'a, T>(pointer: *const T) -> Result<&'a T, Error> {
    if !pointer.is_aligned() {
        return Err(Error::BadArgument);
    }
    // SAFETY: valid by this function's rule, and aligned.
    unsafe { pointer.as_ref() }.ok_or(Error::NullArgument)
}

/// The same where null stands for nothing.
///
/// # Safety
/// If it is not null, `pointer` is valid for reads for `'a`.
pub(crate) unsafe fn optional<'a, T>(pointer: *const T) -> Result<Option<&'a T>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as this function's rule.
    unsafe { read(pointer) }.map(Some)
}

/// Writes a result, wherever it may stand.
///
/// # Safety
/// If it is not null, `pointer` is valid for writes.
pub(crate) unsafe fn write<T>(pointer: *mut T, value: T) -> Result<(), Error> {
    if pointer.is_null() {
        return Err(Error::NullArgument);
    }
    // SAFETY: valid by this function's rule, and the write asks for no alignment.
    unsafe { pointer.write_unaligned(value) };
    Ok(())
}

/// A null pointer is an empty slice, if the length says so too.
///
/// # Safety
/// If it is not null, `pointer` is valid for reads of `len` elements for `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T], Error> {
    check::<T>(pointer, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: valid by this function's rule; alignment and size have been checked.
    Ok(unsafe { slice::from_raw_parts(pointer, len) })
}

/// The same, to be written to.
///
/// # Safety
/// If it is not null, `pointer` is valid for reads and writes of `len` elements for `'a`, and used by nobody else.
pub(crate) unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T], Error> {
    check::<T>(pointer, len)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: valid by this function's rule; alignment and size have been checked.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, len) })
}

fn check<T>(pointer: *const T, len: usize) -> Result<(), Error> {
    if len == 0 {
        return Ok(());
    }
    if pointer.is_null() {
        return Err(Error::NullArgument);
    }
    let bytes = len.checked_mul(size_of::<T>()).ok_or(Error::BadArgument)?;
    let fits = isize::try_from(bytes).is_ok() && pointer.addr().checked_add(bytes).is_some();
    if fits && pointer.is_aligned() { Ok(()) } else { Err(Error::BadArgument) }
}

/// A string that ends with a zero; one without an end is read no further than any name may be long.
///
/// # Safety
/// If it is not null, `pointer` is valid for reads up to the first zero, or of 65 bytes, for `'a`.
pub(crate) unsafe fn string<'a>(pointer: *const u8) -> Result<&'a str, Error> {
    if pointer.is_null() {
        return Err(Error::NullArgument);
    }
    for len in 0..=MAX_STRING {
        // SAFETY: no byte in front of this one was zero, so it is valid by this function's rule.
        if unsafe { pointer.wrapping_add(len).read() } == 0 {
            // SAFETY: these bytes have just been read.
            let bytes = unsafe { slice::from_raw_parts(pointer, len) };
            return core::str::from_utf8(bytes).map_err(|_| Error::BadArgument);
        }
    }
    Err(Error::BadArgument)
}
