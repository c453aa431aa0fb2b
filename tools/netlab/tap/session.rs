//! A running lab: one thread that waits for frames, commands and the next moment a frame is due.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::LabError;
use super::answer::Answer;
use super::clock::Clock;
use super::host::Host;
use super::lines::Lines;
use super::{needs, netns};
use crate::command::{self, Command};
use crate::plan::LabPlan;
use crate::switch::{FRAME_BYTES_MAX, Switch};

/// Frames taken from one host before the others have their turn.
const FRAMES_PER_TURN_MAX: usize = 64;

/// Frames handed out before the next look at what came in.
const DELIVERIES_PER_TURN_MAX: usize = 1_024;

/// Builds the lab, says on `output` that it is ready, and obeys `input` until it ends, says `quit`, or `end` can be read.
/// Removes everything before it returns.
///
/// # Errors
/// When the machine lacks something, the lab cannot be built, or a device or a pipe breaks.
pub fn run(
    plan: &LabPlan,
    mut input: impl Read + AsFd,
    mut output: impl Write,
    end: &UnixStream,
) -> Result<(), LabError> {
    needs::check()?;
    let _name = reserve(plan.lab())?;
    netns::remove_leftovers(&plan.netns_prefix())?;
    let mut session = Session::open(plan)?;
    let outcome = say(&mut output, &Answer::ready(&session.hosts))
        .and_then(|()| session.obey(&mut input, &mut output, end));
    outcome.and(session.close())
}

/// Held while the lab runs. The kernel gives the name back however the process ends.
fn reserve(lab: &str) -> Result<UnixListener, LabError> {
    let address = SocketAddr::from_abstract_name(format!("clawmesh-netlab-{lab}"));
    let bound = address.and_then(|address| UnixListener::bind_addr(&address));
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => LabError::InUse { lab: lab.to_owned() },
        _ => LabError::Reserve { lab: lab.to_owned(), source },
    })
}

fn say(output: &mut impl Write, answer: &Answer) -> Result<(), LabError> {
    let written = output.write_all(answer.line().as_bytes()).and_then(|()| output.flush());
    written.map_err(LabError::talk("write an answer"))
}

struct Session<'a> {
    plan: &'a LabPlan,
    hosts: Vec<Host>,
    switch: Switch,
    clock: Clock,
    lines: Lines,
}

/// What can be read now.
struct Awake {
    has_end: bool,
    has_input: bool,
    has_frames: Vec<bool>,
}

impl<'a> Session<'a> {
    fn open(plan: &'a LabPlan) -> Result<Self, LabError> {
        let hosts = (0..plan.hosts().len()).map(|index| Host::open(plan, index));
        Ok(Self {
            plan,
            hosts: hosts.collect::<Result<_, _>>()?,
            switch: Switch::new(plan.seed, plan.hosts().len(), plan.links),
            clock: Clock::start(),
            lines: Lines::default(),
        })
    }

    fn obey(
        &mut self,
        input: &mut (impl Read + AsFd),
        output: &mut impl Write,
        end: &UnixStream,
    ) -> Result<(), LabError> {
        loop {
            let awake = self.wait(input, end)?;
            if awake.has_end || (awake.has_input && self.hear(input, output)?.is_break()) {
                return Ok(());
            }
            self.take_frames(&awake.has_frames)?;
            self.deliver();
        }
    }

    fn wait(&self, input: &impl AsFd, end: &UnixStream) -> Result<Awake, LabError> {
        let mut waiting: Vec<PollFd<'_>> =
            vec![PollFd::new(end, PollFlags::IN), PollFd::new(input, PollFlags::IN)];
        waiting.extend(self.hosts.iter().map(|host| PollFd::new(host, PollFlags::IN)));
        let timeout =
            self.switch.next_due_us().map(|due_us| timespec(due_us.saturating_sub(self.clock.now_us())));
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(LabError::talk("wait for frames")(errno.into())),
        }
        let can_read: Vec<bool> = waiting.iter().map(|waiting| !waiting.revents().is_empty()).collect();
        Ok(Awake { has_end: can_read[0], has_input: can_read[1], has_frames: can_read[2..].to_vec() })
    }

    /// Reads once and answers every line that is complete.
    fn hear(&mut self, input: &mut impl Read, output: &mut impl Write) -> Result<ControlFlow<()>, LabError> {
        let mut bytes = [0; 4_096];
        let read = match input.read(&mut bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(ControlFlow::Continue(())),
            Err(source) => return Err(LabError::talk("read commands")(source)),
        };
        let lines = if read == 0 {
            self.lines.finish().into_iter().collect()
        } else {
            self.lines.push(&bytes[..read])
        };
        for line in lines {
            let command = line.and_then(|line| command::parse(&line, self.plan.hosts()));
            let is_last = command == Ok(Command::Quit);
            let answer = command.and_then(|command| self.act(command));
            say(output, &answer.unwrap_or_else(|error| Answer::Refused { error }))?;
            if is_last {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(if read == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn act(&mut self, command: Command) -> Result<Answer, String> {
        match command {
            Command::Partition(groups) => self.switch.partition(&groups),
            Command::Heal => self.switch.heal(),
            Command::Set { link: Some(link), change } => self.switch.change(link, &change),
            Command::Set { link: None, change } => self.switch.change_all(&change),
            Command::Readdress { host, address } => {
                let mut others = self.hosts.iter().enumerate().filter(|(port, _)| *port != host);
                if let Some((_, other)) = others.find(|(_, other)| other.address() == address) {
                    let name = other.name();
                    return Err(format!("`{address}` is the address of `{name}`; choose one that is free"));
                }
                self.hosts[host].readdress(address).map_err(|error| crate::sentence(&error))?;
            }
            Command::Counts => return Ok(Answer::counts(&self.hosts, &self.switch)),
            Command::Quit => {}
        }
        Ok(Answer::done())
    }

    fn take_frames(&mut self, has_frames: &[bool]) -> Result<(), LabError> {
        // One byte more than allowed: a frame that is too long is seen to be.
        let mut frame = [0; FRAME_BYTES_MAX + 1];
        for port in (0..self.hosts.len()).filter(|port| has_frames[*port]) {
            for _ in 0..FRAMES_PER_TURN_MAX {
                let Some(bytes) = self.hosts[port].receive(&mut frame)? else { break };
                self.switch.receive(port, &frame[..bytes], self.clock.now_us());
            }
        }
        Ok(())
    }

    fn deliver(&mut self) {
        for _ in 0..DELIVERIES_PER_TURN_MAX {
            let Some(delivery) = self.switch.take_due(self.clock.now_us()) else { break };
            self.hosts[delivery.to].send(&delivery.frame);
        }
    }

    /// Removes every host and tells the first failure.
    fn close(self) -> Result<(), LabError> {
        self.hosts.into_iter().map(Host::remove).fold(Ok(()), Result::and)
    }
}

fn timespec(us: u64) -> Timespec {
    let (seconds, nanoseconds) = (us / 1_000_000, us % 1_000_000 * 1_000);
    Timespec { tv_sec: seconds.cast_signed(), tv_nsec: nanoseconds.cast_signed() }
}
