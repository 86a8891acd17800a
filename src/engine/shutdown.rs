//! Ending: the first signal lets what is in flight be finished, the second one ends at once.

use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, whichever it was: what a shell shows of a process that Ctrl-C ended.
const AT_ONCE: i32 = 130;

/// Cancels `token` at the first SIGTERM or SIGINT; at the second one the process ends without waiting.
///
/// # Errors
/// If the system does not let us listen.
pub fn listen(token: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!(
                    "ending: what is in flight is finished first; a second signal ends at once"
                );
                token.cancel();
            } else {
                tracing::warn!("ended by a second signal");
                std::process::exit(AT_ONCE);
            }
        }
    });
    Ok(())
}
