//! The edge: one network namespace with a TAP device per host, and the one thread that moves frames between them.
//! Reads frames of hosts, lines of commands, a clock. Writes frames, answers, namespaces `cm-<lab>-<host>`.
//! Invariant: whatever way a lab ends, its namespaces go with it; those of a killed lab go when one of its name starts.
//! Not here: what happens to a frame (`switch`), what a line means (`command`).

use std::io;

mod answer;
mod clock;
mod host;
mod lab;
mod lines;
mod needs;
mod netns;
mod session;

pub use lab::Lab;
pub use session::run;

/// Why a lab cannot be started or go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The machine lacks something; the sentence says what installs it.
    #[error("{0}")]
    Missing(String),
    /// Two labs of one name would remove each other's namespaces.
    #[error("a lab called `{lab}` is running already; end it, or choose another name")]
    InUse {
        /// The name.
        lab: String,
    },
    /// The name of the lab could not be reserved.
    #[error("cannot reserve the name `{lab}`")]
    Reserve {
        /// The name.
        lab: String,
        /// What the system answered.
        source: io::Error,
    },
    /// `ip` could not be started.
    #[error("cannot start `ip {command}`")]
    Start {
        /// Its arguments.
        command: String,
        /// What the system answered.
        source: io::Error,
    },
    /// `ip` refused.
    #[error("`ip {command}` failed: {answer}")]
    Ip {
        /// Its arguments.
        command: String,
        /// What it wrote.
        answer: String,
    },
    /// The device of a host could not be made, or is gone.
    #[error("the device of host `{host}` does not answer; was its namespace deleted?")]
    Device {
        /// The host.
        host: String,
        /// What the system answered.
        source: io::Error,
    },
    /// Waiting for frames, reading commands or writing answers failed.
    #[error("cannot {what}")]
    Talk {
        /// What was tried.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// A lab in a thread ended before it was told to.
    #[error("the lab ended before it answered")]
    Ended,
}

impl LabError {
    fn talk(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Talk { what, source }
    }
}
