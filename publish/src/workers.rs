//! Doing many things at once, but not more than a few.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Does something with each item on up to `threads` threads, and returns the results in the order of the items.
///
/// # Errors
/// One of the errors; after the first no further item is begun.
pub(crate) fn for_each<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let queue = Mutex::new(items.iter().enumerate());
    let failed = AtomicBool::new(false);
    let next = || {
        let next = queue.lock().ok()?.next();
        next.filter(|_| !failed.load(Ordering::Relaxed))
    };
    let run = || {
        let mut done = Vec::new();
        while let Some((number, item)) = next() {
            let result = work(item).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            done.push((number, result));
        }
        Ok(done)
    };
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(run)).collect();
        let mut done = run()?;
        for thread in threads {
            match thread.join() {
                Ok(more) => done.extend(more?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(done)
    })?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn results_are_in_order_and_errors_end_it() {
        let items: Vec<u32> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            let doubled = for_each(&items, threads, |item| Ok::<_, ()>(item * 2));
            assert_eq!(doubled, Ok((0..200).step_by(2).collect()));
        }
        let begun = AtomicUsize::new(0);
        let ended = for_each(&items, 4, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 3 { Err(*item) } else { Ok(()) }
        });
        assert_eq!(ended, Err(3));
        assert!(begun.into_inner() <= 100);
    }
}
