//! Two things at once in a lab, of which one may block its thread.

use std::thread;

use anyhow::{Result, anyhow};
use tokio::{runtime::Handle, task::block_in_place};

/// Runs `work` on this thread, and `other` on one beside it, born in the same namespace; returns
/// when both have ended. Programs that `other` starts die with it.
///
/// # Errors
/// One fails or `other` panics.
pub fn beside<A: Send, B>(
    other: impl AsyncFnOnce() -> Result<A> + Send,
    work: impl AsyncFnOnce() -> Result<B>,
) -> Result<(A, B)> {
    let handle = Handle::current();
    block_in_place(|| {
        thread::scope(|scope| {
            let beside = {
                let handle = handle.clone();
                scope.spawn(move || handle.block_on(other()))
            };
            let done = handle.block_on(work());
            let other = beside.join().map_err(|_panic| anyhow!("it panicked"))?;
            Ok((other?, done?))
        })
    })
}
