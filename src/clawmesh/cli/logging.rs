//! Where log lines go: standard error, so that answers on standard output stay clean.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging with `filter`; commands that only read log nothing below a warning.
pub fn start(filter: &str, is_node: bool) {
    let filter = if is_node { EnvFilter::new(filter) } else { EnvFilter::new("warn,zenoh=error") };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start could only come from a test; the first subscriber stays.
    let _ = lines.try_init();
}
