//! Storage that C lends, and what keeps it from being used wrongly.
//!
//! A handle's first word is its own address, mixed with a number for its kind: storage that was never opened, or was
//! copied from elsewhere, does not have it. The second word says who uses the handle now: nobody, a call that is under
//! way, or the handle that borrows it.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::error::Error;

/// What stands in front of every handle.
#[repr(C)]
pub(crate) struct Handle<T> {
    mark: usize,
    user: usize,
    value: MaybeUninit<T>,
}

/// What a handle is of; the number is mixed into its mark.
pub(crate) trait Kind {
    const NUMBER: usize;
}

/// A handle that this call uses; it is given back when the call ends, by whatever way.
pub(crate) struct Use<T>(NonNull<Handle<T>>);

impl<T: Kind> Handle<T> {
    /// Makes sure that a handle fits its storage.
    pub(crate) const fn check<S>() {
        assert!(size_of::<Self>() <= size_of::<S>(), "the storage is too small");
        assert!(align_of::<Self>() <= align_of::<S>(), "the storage is not aligned as its handle");
    }

    /// The handle in its storage, which may hold anything.
    pub(crate) fn at<S>(storage: *mut S) -> Result<NonNull<Self>, Error> {
        const { Self::check::<S>() };
        let handle = NonNull::new(storage.cast::<Self>()).ok_or(Error::NullArgument)?;
        if handle.is_aligned() { Ok(handle) } else { Err(Error::BadArgument) }
    }

    fn mark(handle: NonNull<Self>) -> usize {
        handle.addr().get() ^ T::NUMBER
    }

    /// Takes what is in the storage for nothing: it is not a handle until [`Self::open`].
    ///
    /// # Safety
    /// The storage is valid for writes.
    pub(crate) unsafe fn close(handle: NonNull<Self>) {
        let handle = handle.as_ptr();
        // SAFETY: valid by this function's rule.
        unsafe {
            (&raw mut (*handle).mark).write(0);
            (&raw mut (*handle).user).write(0);
        }
    }

    /// Where the value will stand.
    ///
    /// # Safety
    /// The storage is valid for writes.
    pub(crate) unsafe fn value(handle: NonNull<Self>) -> *mut T {
        // SAFETY: valid by this function's rule; no reference is made.
        unsafe { (&raw mut (*handle.as_ptr()).value).cast::<T>() }
    }

    /// Makes a handle of storage whose value has been written.
    ///
    /// # Safety
    /// The storage is valid for writes, and its value has been written.
    pub(crate) unsafe fn open(handle: NonNull<Self>) {
        let place = handle.as_ptr();
        // SAFETY: valid by this function's rule.
        unsafe {
            (&raw mut (*place).user).write(0);
            (&raw mut (*place).mark).write(Self::mark(handle));
        }
    }

    /// Checks that the handle is open and that nobody uses it but `user`; 0 stands for nobody.
    ///
    /// # Safety
    /// The storage is valid for reads.
    unsafe fn expect_user(handle: NonNull<Self>, user: usize) -> Result<(), Error> {
        let place = handle.as_ptr();
        // SAFETY: valid by this function's rule.
        let (mark, now) =
            unsafe { ((&raw const (*place).mark).read(), (&raw const (*place).user).read()) };
        if mark != Self::mark(handle) {
            return Err(Error::NotOpen);
        }
        if now == user { Ok(()) } else { Err(Error::Busy) }
    }

    /// Uses the handle for the time of a call.
    ///
    /// # Safety
    /// The storage is valid, and one thread at a time uses the handle.
    pub(crate) unsafe fn take(handle: NonNull<Self>) -> Result<Use<T>, Error> {
        // SAFETY: as this function's rule.
        unsafe {
            Self::expect_user(handle, 0)?;
            (&raw mut (*handle.as_ptr()).user).write(handle.addr().get());
        }
        Ok(Use(handle))
    }

    /// Lends the handle until [`Self::give_back`]; the one who borrows it has this address.
    ///
    /// # Safety
    /// As for [`Self::take`].
    pub(crate) unsafe fn lend(handle: NonNull<Self>, to: usize) -> Result<(), Error> {
        // SAFETY: as this function's rule.
        unsafe {
            Self::expect_user(handle, 0)?;
            (&raw mut (*handle.as_ptr()).user).write(to);
        }
        Ok(())
    }

    /// Checks that the handle is still lent to this address.
    ///
    /// # Safety
    /// As for [`Self::take`].
    pub(crate) unsafe fn is_lent(handle: NonNull<Self>, to: usize) -> Result<(), Error> {
        // SAFETY: as this function's rule.
        unsafe { Self::expect_user(handle, to) }.map_err(|_| Error::NotOpen)
    }

    /// Ends the loan, if it is to this address.
    ///
    /// # Safety
    /// As for [`Self::take`].
    pub(crate) unsafe fn give_back(handle: NonNull<Self>, from: usize) {
        // SAFETY: as this function's rule.
        unsafe {
            if Self::expect_user(handle, from).is_ok() {
                (&raw mut (*handle.as_ptr()).user).write(0);
            }
        }
    }
}

impl<T: Kind> Use<T> {
    /// What the handle holds.
    pub(crate) fn get(&mut self) -> &mut T {
        // SAFETY: an open handle's value has been written, and `user` keeps every other call from it.
        unsafe { &mut *Handle::value(self.0) }
    }

    /// The same without a reference to the whole, for values whose parts refer to each other.
    pub(crate) fn as_ptr(&mut self) -> *mut T {
        // SAFETY: an open handle's storage is valid.
        unsafe { Handle::value(self.0) }
    }

    /// Closes the handle: what it held is no value any more.
    pub(crate) fn close(self) {
        // SAFETY: an open handle's storage is valid.
        unsafe { Handle::close(self.0) };
    }
}

impl<T> Drop for Use<T> {
    fn drop(&mut self) {
        // SAFETY: an open handle's storage is valid; this is the end of the call that `user` names.
        unsafe { (&raw mut (*self.0.as_ptr()).user).write(0) };
    }
}
