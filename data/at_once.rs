//! Runs a function on several things at once: what waits for a disk, a network or one core leaves the others free.

use std::thread::{Builder, ScopedJoinHandle};

/// The stack of a thread, which may plan a query.
const STACK: usize = 16 << 20;

/// Runs a function on each item, on so many threads at most, and returns the results in the order of `items`.
///
/// # Panics
/// If the function does.
pub fn at_once<A: Sync, B: Send>(
    items: &[A],
    threads: usize,
    each: impl Fn(&A) -> B + Sync,
) -> Vec<B> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    let each = &each;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|items| {
                let all = move || items.iter().map(each).collect::<Vec<B>>();
                (items, Builder::new().stack_size(STACK).spawn_scoped(scope, all))
            })
            .collect();
        let joined = threads.into_iter().flat_map(|(items, thread)| {
            match thread.map(ScopedJoinHandle::join) {
                Ok(Ok(done)) => done,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // The system has no thread left.
                Err(_) => items.iter().map(each).collect(),
            }
        });
        joined.collect()
    })
}
