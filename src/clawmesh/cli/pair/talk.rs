//! Two nodes with a code, and the people in front of them: who confirms, who says no, and whose time is over.

use std::io::{BufRead as _, Read as _};
use std::thread;
use std::time::Instant;

use clawmesh_authority::pairing::{Meeting, No, Word};
use clawmesh_authority::{Code, Refused};
use crossbeam_channel::{Receiver, at, bounded, never, select};

use super::line::{Line, late};
use crate::cli::table::plain;
use crate::cli::terminal::complain;

/// The most that is read of what a person types in a pairing, in bytes; behind it the input counts as ended.
const TYPED_BYTES_MAX: u64 = 4 * 1024;

/// What a person types, line by line. A thread waits for it, as reading a terminal cannot be given up.
pub struct Keyboard(Receiver<String>);

impl Keyboard {
    /// Begins to read standard input.
    pub fn listen() -> std::io::Result<Self> {
        let (typed, lines) = bounded(1);
        let read = move || {
            for line in std::io::stdin().lock().take(TYPED_BYTES_MAX).lines().map_while(Result::ok) {
                if typed.send(line).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("keyboard".to_owned()).spawn(read)?;
        Ok(Self(lines))
    }
}

/// A meeting and the connection it goes over.
pub struct Talk {
    /// The two nodes and their code.
    pub meeting: Meeting,
    line: Line,
    heard: Receiver<Result<Vec<u8>, Refused>>,
    until: Instant,
}

impl Talk {
    /// Goes on over `line` until the time is over.
    pub fn over(line: Line, meeting: Meeting, until: Instant) -> std::io::Result<Self> {
        let (hears, heard) = bounded(1);
        let mut listening = line.again()?;
        let listen = move || {
            loop {
                let heard = listening.receive(until);
                let is_over = heard.is_err();
                if hears.send(heard).is_err() || is_over {
                    break;
                }
            }
        };
        thread::Builder::new().name("pairing".to_owned()).spawn(listen)?;
        Ok(Self { meeting, line, heard, until })
    }

    /// Says a word to the other side.
    pub fn say(&mut self, word: Word) -> Result<(), Refused> {
        self.line.send(&self.meeting.say(word))
    }

    /// Says no to the other side, and gives back why.
    pub fn end(&mut self, why: Refused) -> Refused {
        // The other side may be gone; then there is nobody to tell.
        let _ = self.say(Word::No(No::from(&why)));
        why
    }

    /// The next word, if it comes by then.
    pub fn word(&mut self, by: Instant) -> Result<Word, Refused> {
        select! {
            recv(self.heard) -> heard => self.read(heard.unwrap_or_else(|_| Err(late()))),
            recv(at(by.min(self.until))) -> _ => Err(late()),
        }
    }

    /// Until when both sides have time.
    pub fn until(&self) -> Instant {
        self.until
    }

    fn read(&self, heard: Result<Vec<u8>, Refused>) -> Result<Word, Refused> {
        match self.meeting.hear(&heard?)? {
            Word::No(no) => Err(no.into()),
            word => Ok(word),
        }
    }

    /// Shows the code and waits until the person here has confirmed it and, where `needs_yes`, the one at the other side too.
    pub fn confirm(&mut self, keyboard: &Keyboard, needs_yes: bool) -> Result<(), Refused> {
        // What was typed before there was a code is an answer to nothing.
        while keyboard.0.try_recv().is_ok() {}
        let about = self.meeting.about();
        complain(&format!("\nother side  {} ({})", plain(&about.name), self.meeting.peer().id()));
        complain(&format!("code        {}\n", self.meeting.code()));
        complain("Look at the screen of the other side and type the code it shows, or no:");
        let (mut typed, mut agreed) = (false, !needs_yes);
        while !(typed && agreed) {
            // One answer counts; what is typed after it, or an end of the input, takes nothing back.
            let lines = if typed { never() } else { keyboard.0.clone() };
            select! {
                recv(lines) -> line => {
                    self.judge(&line.unwrap_or_default()).map_err(|why| self.end(why))?;
                    typed = true;
                    if !agreed {
                        complain("confirmed here; waiting for the person at the other side");
                    }
                }
                recv(self.heard) -> heard => match self.read(heard.unwrap_or_else(|_| Err(late())))? {
                    Word::Yes if !agreed => agreed = true,
                    _ => return Err(self.end(out_of_turn())),
                },
                recv(at(self.until)) -> _ => return Err(self.end(late())),
            }
        }
        Ok(())
    }

    fn judge(&self, line: &str) -> Result<(), Refused> {
        if self.meeting.code().is_typed(line) {
            return Ok(());
        }
        if line.chars().any(|c| c.is_ascii_digit()) {
            let sentence = "the two screens show different codes: somebody may stand in between; nothing was changed, pair \
                            again on another network";
            return Err(Refused::new(Code::PairingSasMismatch, "pairing.code", sentence));
        }
        let sentence = "the person here has not confirmed the code; nothing was changed";
        Err(Refused::new(Code::PairingRejected, "pairing.person", sentence))
    }
}

/// A word that is none now.
pub fn out_of_turn() -> Refused {
    let sentence =
        "the other side has said something that has no place here; pair with a node of this version";
    Refused::new(Code::MalformedEnvelope, "pairing.order", sentence)
}
