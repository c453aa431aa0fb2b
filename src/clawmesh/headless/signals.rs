//! When to stop: a signal, the end of standard input if asked for, or the death of the tick.

use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Waits for the first reason to stop and names it.
pub async fn wait(stop_with_stdin: bool, death: Arc<Notify>) -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "asked to terminate",
        _ = interrupt.recv() => "interrupted",
        _ = hang_up.recv() => "the terminal hung up",
        () = end_of_stdin(), if stop_with_stdin => "whoever started it is gone",
        () = death.notified() => "the tick died",
    })
}

/// A parent that dies, however it dies, closes the pipe; nothing of a demo stays behind.
async fn end_of_stdin() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while !matches!(stdin.read(&mut ignored).await, Ok(0) | Err(_)) {}
}
