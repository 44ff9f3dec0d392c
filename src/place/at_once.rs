//! Runs a function on many things at once: what waits for a disk or a network needs no core.

/// Runs a function on each item, on so many threads at most. In the order of `items`.
pub(crate) fn at_once<A: Sync, B: Send>(
    items: &[A],
    threads: usize,
    each: impl Fn(&A) -> B + Sync,
) -> Vec<B> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    let each = &each;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(move || items.iter().map(each).collect::<Vec<B>>()))
            .collect();
        let joined = threads.into_iter().flat_map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}
