//! The terminal: the one place that writes to standard output and standard error.

use std::io::{BufRead, IsTerminal as _, Read as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::bail;
use zeroize::Zeroizing;

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

/// The longest answer to a question, in bytes.
const ANSWER_BYTES_MAX: u64 = 256;

/// The longest passphrase and its line end, in bytes; longer lines a terminal cuts itself.
const PASSPHRASE_BYTES_MAX: usize = 1024;

/// True when a person can be asked: they see standard error and type on standard input.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on standard error, so that standard output stays free for the answer of a command, and reads what is typed; an
/// end of the input is an empty answer.
pub fn ask(question: &str) -> String {
    let mut terminal = std::io::stderr().lock();
    let _ = write!(terminal, "{question} ").and_then(|()| terminal.flush());
    first_line(std::io::stdin().lock())
}

/// Asks for a passphrase on standard error and reads what is typed, which nobody sees. Only a terminal is asked: a pipe or a file is
/// what a program answers with.
///
/// # Errors
/// A sentence, when nobody is at a terminal, or it cannot hide what is typed.
pub fn ask_secret(question: &str) -> anyhow::Result<Zeroizing<String>> {
    if !is_attended() {
        bail!(
            "the passphrase of an operator key is typed at a terminal, and standard input or standard error is none; \
             nothing was signed or written, run it again at a terminal"
        );
    }
    let _hidden = Hidden::new()?;
    let mut terminal = std::io::stderr().lock();
    let _ = write!(terminal, "{question} ").and_then(|()| terminal.flush());
    let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX));
    let limit = u64::try_from(PASSPHRASE_BYTES_MAX)?;
    let read = std::io::stdin().lock().take(limit).read_until(b'\n', &mut line);
    let _ = writeln!(terminal);
    read?;
    if line.len() == PASSPHRASE_BYTES_MAX {
        bail!("a passphrase has less than {PASSPHRASE_BYTES_MAX} bytes; type a shorter one");
    }
    let typed = std::str::from_utf8(&line)?;
    Ok(Zeroizing::new(typed.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until it is dropped.
struct Hidden {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

impl Hidden {
    #[cfg(unix)]
    fn new() -> anyhow::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // What was typed before the question stays: it is read, as by every question.
        tcsetattr(std::io::stdin(), OptionalActions::Now, &hidden)?;
        Ok(Self { before })
    }

    #[cfg(not(unix))]
    fn new() -> anyhow::Result<Self> {
        bail!("this terminal cannot hide a passphrase; sign on a machine that runs Linux or macOS")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        #[cfg(unix)]
        let _ =
            rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.before);
    }
}

/// What stands before the first line end, without blanks around it; of a longer line only its beginning.
fn first_line(typed: impl BufRead) -> String {
    let mut line = Vec::new();
    let _ = typed.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line);
    String::from_utf8_lossy(&line).trim().to_owned()
}

/// How many lines the terminal has, as `stty` tells; where nobody can tell, as many as terminals once had.
pub fn height() -> usize {
    const USUAL: usize = 24;
    let asked = Command::new("stty").arg("size").stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let size = asked.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
    let lines = size.split_whitespace().next().and_then(|lines| lines.parse().ok());
    lines.filter(|lines| *lines > 0).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line_and_never_an_endless_one() {
        for (typed, answer) in
            [("yes\n", "yes"), (" yes \r\n", "yes"), ("", ""), ("\nyes\n", ""), ("no\nyes", "no")]
        {
            assert_eq!(first_line(typed.as_bytes()), answer);
        }
        assert_eq!(first_line(std::io::BufReader::new(std::io::repeat(b'y'))).len(), 256);
    }
}
