//! When to stop: a signal, the end of standard input if asked for, or the death of the tick.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// How the system, or a person at the terminal, asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Ctrl-C.
    Interrupt,
    /// `kill`, a service manager, a shutdown.
    Terminate,
    /// The terminal is gone.
    HangUp,
}

/// The signals that ask this process to end, from now on heard instead of obeyed at once.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Begins to listen.
    pub fn hear() -> io::Result<Self> {
        // Looked at first: to listen is to stop ignoring, and `nohup` promises that a logout changes nothing.
        let hears_hang_up = !ignores_hang_up();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: hears_hang_up.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::Terminate,
            _ = hang_up => Asked::HangUp,
        }
    }
}

/// Waits for the first reason to stop and names it.
pub async fn wait(stop_with_stdin: bool, death: Arc<Notify>) -> io::Result<&'static str> {
    let mut signals = Signals::hear()?;
    Ok(tokio::select! {
        asked = signals.next() => match asked {
            Asked::Interrupt => "interrupted",
            Asked::Terminate => "asked to terminate",
            Asked::HangUp => "the terminal hung up",
        },
        () = end_of_stdin(), if stop_with_stdin => "whoever started it is gone",
        () = death.notified() => "the tick died",
    })
}

/// Whether this process was started with the hang-up signal ignored. Where the system does not tell, it counts as
/// ignored: then the signal keeps the meaning that whoever started us gave it.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_none_or(|ignored| ignored & 1 == 1)
}

/// The mask of ignored signals in the status of a process on Linux; bit 0 is signal 1, the hang-up.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// A parent that dies, however it dies, closes the pipe; nothing of a demo stays behind.
async fn end_of_stdin() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while !matches!(stdin.read(&mut ignored).await, Ok(0) | Err(_)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read_from_the_status_of_a_process() {
        let status = |mask: &str| format!("Name:\tclawmesh\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert_eq!(ignored_signals(&status("0000000000001001")), Some(0x1001));
        assert_eq!(ignored_signals(&status("0000000000001000")), Some(0x1000));
        assert_eq!(ignored_signals(&status("?")), None);
        assert_eq!(ignored_signals(""), None);
    }
}
