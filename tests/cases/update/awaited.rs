//! Flash that is awaited, and who waits for it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use embedded_storage_async::nor_flash as asynchronous;
use whittle_flash_sim::{SimError, SimFlash};

/// A region that lets the caller wait once for each access that changes it, before it and, if told so, behind it.
#[derive(Debug)]
pub(crate) struct Awaited<'f, const R: usize, const W: usize, const E: usize>(
    &'f mut SimFlash<R, W, E>,
);

thread_local! {
    /// Whether an access is done when the caller waits.
    static WAITS_BEHIND: Cell<bool> = const { Cell::new(false) };
}

/// Lets callers wait behind accesses instead of in front of them, in this thread.
pub(crate) fn wait_behind(behind: bool) {
    WAITS_BEHIND.set(behind);
}

pub(crate) fn lend<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
) -> Awaited<'_, R, W, E> {
    Awaited(flash)
}

/// Polls until it is ready.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    poll_at_most(future, usize::MAX).expect("nothing waits forever")
}

/// Polls so many times; what is not ready by then is dropped.
pub(crate) fn poll_at_most<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Is ready at the second look.
async fn pause() {
    let mut was_asked = false;
    poll_fn(
        |_| if std::mem::replace(&mut was_asked, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

impl<const R: usize, const W: usize, const E: usize> Awaited<'_, R, W, E> {
    async fn access(
        &mut self,
        access: impl FnOnce(&mut SimFlash<R, W, E>) -> Result<(), SimError>,
    ) -> Result<(), SimError> {
        if WAITS_BEHIND.get() {
            let done = access(self.0);
            pause().await;
            done
        } else {
            pause().await;
            access(self.0)
        }
    }
}

impl<const R: usize, const W: usize, const E: usize> ErrorType for Awaited<'_, R, W, E> {
    type Error = SimError;
}

impl<const R: usize, const W: usize, const E: usize> ReadNorFlash for Awaited<'_, R, W, E> {
    const READ_SIZE: usize = R;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<const R: usize, const W: usize, const E: usize> asynchronous::ReadNorFlash
    for Awaited<'_, R, W, E>
{
    const READ_SIZE: usize = R;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<const R: usize, const W: usize, const E: usize> asynchronous::NorFlash
    for Awaited<'_, R, W, E>
{
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = E;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        self.access(|flash| flash.erase(from, to)).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        self.access(|flash| flash.write(offset, bytes)).await
    }
}
