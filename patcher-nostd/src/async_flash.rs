//! What an async flash must be able to do, in one trait: two would give `READ_SIZE` and `capacity` two meanings.

use embedded_storage::nor_flash::ReadNorFlash;
use embedded_storage_async::nor_flash as async_flash;

/// Flash that is read at once, and erased and written in the background.
///
/// It is implemented for whatever implements `ReadNorFlash` of `embedded-storage` and `NorFlash` of
/// `embedded-storage-async`, with one error type.
#[expect(async_fn_in_trait, reason = "executors of microcontrollers ask for no `Send`")]
pub trait NorFlash: ReadNorFlash {
    /// Bytes that are written at a time.
    const WRITE_SIZE: usize;
    /// Bytes that are erased at a time.
    const ERASE_SIZE: usize;

    /// Erases whole sectors.
    ///
    /// # Errors
    /// The flash's.
    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error>;

    /// Writes whole write units.
    ///
    /// # Errors
    /// The flash's.
    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

impl<F: ReadNorFlash + async_flash::NorFlash> NorFlash for F {
    const WRITE_SIZE: usize = <F as async_flash::NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <F as async_flash::NorFlash>::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        async_flash::NorFlash::erase(self, from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        async_flash::NorFlash::write(self, offset, bytes).await
    }
}
