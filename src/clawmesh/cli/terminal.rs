//! The terminal: the one place that writes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

/// Writes `text` and a line end to standard output. A reader that went away is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes `text` and a line end to standard error.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes `value` as JSON, for programs.
pub fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// True when a person is looking at standard output.
pub fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}
