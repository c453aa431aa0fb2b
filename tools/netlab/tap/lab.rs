//! A lab in a thread of this process, for tests: the same lines as the program, without a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::{LabError, session};
use crate::plan::LabPlan;

/// A running lab. It ends, and its namespaces go, when this is dropped.
pub struct Lab {
    plan: LabPlan,
    ready: Value,
    lines: BufReader<UnixStream>,
    /// The lab listens to its other side, where the program hears signals; it stays silent.
    _end: UnixStream,
    thread: Option<JoinHandle<Result<(), LabError>>>,
}

impl Lab {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(plan: LabPlan) -> Result<Self, LabError> {
        let pair = || UnixStream::pair().map_err(LabError::talk("open a pair of sockets"));
        let ((ours, theirs), (end, seen_end)) = (pair()?, pair()?);
        let output = theirs.try_clone().map_err(LabError::talk("open a pair of sockets"))?;
        let of_thread = plan.clone();
        let thread = thread::Builder::new().name(format!("netlab-{}", plan.lab()));
        let thread = thread.spawn(move || session::run(&of_thread, theirs, output, &seen_end));
        let thread = Some(thread.map_err(LabError::talk("start a thread"))?);
        let mut lab = Self { plan, ready: Value::Null, lines: BufReader::new(ours), _end: end, thread };
        lab.ready = lab.answer()?;
        Ok(lab)
    }

    /// What it said when it was ready.
    #[must_use]
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The network namespace of a host, for `ip netns exec`.
    #[must_use]
    pub fn netns(&self, host: usize) -> String {
        self.plan.netns(host)
    }

    /// Sends one line and gives back the answer; a refusal is an answer too.
    ///
    /// # Errors
    /// Why the lab has ended.
    pub fn ask(&mut self, line: &str) -> Result<Value, LabError> {
        let written = self.lines.get_mut().write_all(format!("{line}\n").as_bytes());
        match written {
            Ok(()) => self.answer(),
            Err(_) => Err(self.ended()),
        }
    }

    /// Ends it and waits until its namespaces are gone.
    ///
    /// # Errors
    /// What went wrong on the way.
    pub fn end(mut self) -> Result<(), LabError> {
        self.join()
    }

    fn answer(&mut self) -> Result<Value, LabError> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(1..) => {
                serde_json::from_str(&line).map_err(|source| LabError::talk("read an answer")(source.into()))
            }
            Ok(0) | Err(_) => Err(self.ended()),
        }
    }

    /// Why it ended.
    fn ended(&mut self) -> LabError {
        self.join().err().unwrap_or(LabError::Ended)
    }

    fn join(&mut self) -> Result<(), LabError> {
        // When it has ended already, there is nothing to shut down.
        let _ = self.lines.get_ref().shutdown(Shutdown::Write);
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Err(LabError::Ended)))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A test that wants to know how it ended calls `end`.
        let _ = self.join();
    }
}
