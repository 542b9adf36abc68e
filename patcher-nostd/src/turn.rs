//! Who was left in the middle of a call does not go on with another: a future may be dropped where it awaits flash.

/// Blocking calls end before another one begins; nothing is left of this.
pub(crate) mod blocking {
    use core::convert::Infallible;

    #[derive(Debug, Default)]
    pub(crate) struct Turn {}

    impl Turn {
        #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the async one does")]
        pub(crate) fn begin(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        pub(crate) fn check(&self) -> Result<(), Infallible> {
            Ok(())
        }

        pub(crate) fn end(&mut self) {}
    }
}

/// Notes that a call has begun, until it ends.
#[cfg(feature = "async")]
pub(crate) mod asynchronous {
    use super::Interrupted;

    #[derive(Debug, Default)]
    pub(crate) struct Turn {
        is_taken: bool,
    }

    impl Turn {
        pub(crate) fn begin(&mut self) -> Result<(), Interrupted> {
            self.check()?;
            self.is_taken = true;
            Ok(())
        }

        pub(crate) fn check(&self) -> Result<(), Interrupted> {
            if self.is_taken { Err(Interrupted) } else { Ok(()) }
        }

        pub(crate) fn end(&mut self) {
            self.is_taken = false;
        }
    }
}

/// The call before was not awaited to its end.
#[cfg(feature = "async")]
pub(crate) struct Interrupted;
