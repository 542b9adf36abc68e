//! One source, included twice.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[path = "twice"]
mod blocking {
    use whittle_both::blocking as both;
    pub(crate) mod counter;
}

#[path = "twice"]
mod asynchronous {
    use whittle_both::asynchronous as both;
    #[expect(clippy::duplicate_mod, reason = "that is the point")]
    pub(crate) mod counter;
}

#[test]
fn the_blocking_one_has_no_future() {
    let mut counter = blocking::counter::Counter(1);
    let sum: Option<u32> = counter.add_all(&[2, 3]);
    assert_eq!((sum, counter.0), (Some(6), 6));
    assert_eq!(counter.add_all(&[u32::MAX]), None);
}

#[test]
fn the_async_one_is_a_future() {
    let mut counter = asynchronous::counter::Counter(1);
    let sum = pin!(counter.add_all(&[2, 3])).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(sum, Poll::Ready(Some(6)));
}
