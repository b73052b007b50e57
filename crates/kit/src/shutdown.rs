//! The wish of the outside that the process ends.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A token that all tasks share: `cancelled().await` returns when the process shall end.
///
/// `child_token()` makes one that can be cancelled without the others.
pub use tokio_util::sync::CancellationToken as Shutdown;

/// A token that is cancelled by the first SIGTERM or SIGINT.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn on_signal() -> io::Result<Shutdown> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    let shutdown = Shutdown::new();
    drop(crate::spawn(
        "signals",
        cancel_on(terminate, interrupt, shutdown.clone()),
    ));
    Ok(shutdown)
}

async fn cancel_on(mut terminate: Signal, mut interrupt: Signal, shutdown: Shutdown) {
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = shutdown.cancelled() => return,
    };
    shutdown.cancel();
    tracing::info!(signal, "Shutting down");
}
