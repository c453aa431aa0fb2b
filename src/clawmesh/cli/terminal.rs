//! The terminal: the one place that writes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

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

/// Says something that only a person may see, such as a secret: nothing when standard output is a file or a pipe.
pub fn say_to_person(text: &str) {
    if is_watched() {
        say(text);
    }
}

/// How many lines the terminal has, as `stty` tells; where nobody can tell, as many as terminals once had.
pub fn height() -> usize {
    const USUAL: usize = 24;
    let asked = Command::new("stty").arg("size").stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let size = asked.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
    let lines = size.split_whitespace().next().and_then(|lines| lines.parse().ok());
    lines.filter(|lines| *lines > 0).unwrap_or(USUAL)
}
