//! Messages and commands of guests: judged at the door, carried out in the tick, answered when the journal holds it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::{Answer as Decided, NodeId};
use clawmesh_core::guests::name_of_command;
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_wire::gate::{self, Allowed, Delivered, Forward};
use clawmesh_wire::mock::is_mock;
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Answer, Later, Peer};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::budget::FrameBudget;
use super::host::{at_once, lock, random_bytes, raw};
use super::refusals::{self, Refusals};
use super::routes::Routes;
use crate::moments::{unix_ms, up_ms};

/// How long a guest waits for the tick and the journal.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What whoever has told too much is answered.
pub const TOO_MUCH: &str = "one node may have 8 KiB a second written down, and all existing nodes together 16 KiB; tell less, or later";
/// The largest command, in bytes.
const COMMAND_BYTES_MAX: usize = 8 * 1_024;

/// The way of a command from the door to the tick.
pub struct Commands {
    /// Who is asked for what is not done here.
    pub routes: Arc<Routes>,
    /// Our own id: who says it is them is refused.
    pub own: NodeId,
    /// Whether there is a mock actuator; plain commands reach nothing else.
    pub has_mock: bool,
    /// The way into the tick.
    pub inbox: InboxHandle,
    /// Where whoever has asked waits.
    pub desk: AnswerDesk,
    /// What guests may have written down.
    pub budget: Arc<Mutex<FrameBudget>>,
    /// What was refused here.
    pub refusals: Arc<Mutex<Refusals>>,
}

impl Commands {
    /// Judges a message for somebody, and brings a command to the tick. What is refused here is told, too.
    pub fn forward(&self, from: &Peer, params: Option<Box<RawValue>>) -> Later {
        self.judged(from, params).unwrap_or_else(|refusal| {
            lock(&self.refusals).add(refusals::of_wire(from, &refusal), 1);
            at_once(Err(refusal))
        })
    }

    fn judged(&self, from: &Peer, params: Option<Box<RawValue>>) -> Result<Later, Refusal> {
        let allowed = gate::judge(params.as_deref(), self.own, unix_ms())?;
        match (gate::authorize(allowed, from.caller.rights())?, params) {
            (Allowed::Actuation(forward), Some(params)) => self.command(from, forward, &params),
            (Allowed::Message(forward), _) => self.routes.message(from, &forward),
            _ => {
                let sentence = "the planner of this node takes no words; propose with `clawmesh propose`";
                Err(Refusal::new(Code::NoPlanner, sentence))
            }
        }
    }

    /// A command goes into the journal before anybody knows whether it does anything.
    fn may_be_written(&self, node: NodeId, bytes: usize) -> Result<(), Refusal> {
        if bytes > COMMAND_BYTES_MAX {
            let sentence = format!("a command has at most {COMMAND_BYTES_MAX} bytes, this one has {bytes}");
            return Err(Refusal::new(Code::TooLarge, sentence));
        }
        if lock(&self.budget).spend(node, bytes as u64, up_ms()) {
            return Ok(());
        }
        Err(Refusal::new(Code::RateLimited, TOO_MUCH))
    }

    /// Brings a command to the tick and answers when the journal holds what became of it.
    fn command(&self, from: &Peer, forward: Forward, params: &RawValue) -> Result<Later, Refusal> {
        let Some(node) = from.node else {
            let sentence = "a command comes from a node; connect as one first";
            return Err(Refusal::new(Code::NotAuthorized, sentence));
        };
        let json = params.get().to_owned();
        // Before anything is looked for: to look for an owner is work, too.
        self.may_be_written(node, json.len())?;
        // What is for the mock actuator is for ours, if there is one.
        let is_ours = self.has_mock && is_mock(forward.target());
        if !is_ours && let Some(refusal) = self.routes.is_of_another(forward.target()) {
            return Err(refusal);
        }
        if !self.has_mock {
            return Err(no_mock());
        }
        let (tx, rx) = oneshot::channel();
        let Ok(place) = self.desk.wait_for(name_of_command(node, &json), move |answer| drop(tx.send(answer)))
        else {
            return Err(Refusal::new(Code::Busy, "too many others wait for an answer; try again"));
        };
        let body = InputBody::GuestCommand { from: node, json };
        if let Err(full) = self.inbox.offer_own(SourceId::Guests, body, None) {
            return Err(Refusal::new(Code::Busy, full.sentence));
        }
        Ok(Box::pin(async move {
            // Held as long as somebody waits here.
            let _place = place;
            match tokio::time::timeout(ANSWER_WITHIN, rx).await {
                Ok(Ok(Decided::Taken { .. })) => delivered(&forward),
                Ok(Ok(Decided::Refused { code, sentence, .. })) => {
                    Err(Refusal::new(wire_code(code.as_str()), sentence))
                }
                Ok(Err(_)) | Err(_) => {
                    let sentence = "the node has not answered; whether it was carried out is not known, look before you repeat it";
                    Err(Refusal::new(Code::JournalUnavailable, sentence))
                }
            }
        }))
    }
}

/// Nobody says that something moved that cannot.
pub fn no_mock() -> Refusal {
    let sentence = "there is no mock actuator here, and plain commands reach nothing else; what is real moves by an approved \
                    proposal only";
    Refusal::new(Code::NotFound, sentence)
}

/// The answer for a message that was delivered.
pub fn delivered(forward: &Forward) -> Answer {
    let none = || Refusal::new(Code::InternalError, "the system gives no random bytes; try again");
    let random = random_bytes().ok_or_else(none)?;
    raw(&Delivered::new(forward, &random))
}

/// The code of the wire that says the same; what has none there is something that is not there.
fn wire_code(text: &str) -> Code {
    Code::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Code::NotFound)
}
