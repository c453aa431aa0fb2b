//! The way to guests, over the links of this node.

use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::{Capability, NodeId};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::CallFault;
use crossbeam_channel::Sender;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::headless::guests::GuestDoor;

/// How long a guest may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The guest says that it took it.
    Took,
    /// The guest says that it did not.
    Refused {
        /// Its code.
        code: String,
        /// Its words.
        words: String,
    },
    /// It was not sent.
    NotSent(String),
    /// Nobody knows.
    Unknown(String),
}

/// What came of the call for an actuator that had this number.
pub struct Told {
    /// The actuator.
    pub actuator: Capability,
    /// The number of the call.
    pub number: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// The way back of one call. It is gone once: also when nobody can say any more what came of the call.
pub struct Tell(Option<(Sender<Told>, Capability, u64)>);

impl Tell {
    /// The way back for this call.
    pub fn of(to: &Sender<Told>, actuator: &Capability, number: u64) -> Self {
        Self(Some((to.clone(), actuator.clone(), number)))
    }

    /// Says what came of it.
    pub fn tell(mut self, outcome: Outcome) {
        self.say(outcome);
    }

    fn say(&mut self, outcome: Outcome) {
        if let Some((to, actuator, number)) = self.0.take() {
            // Nobody listens once the driver is gone.
            let _ = to.try_send(Told { actuator, number, outcome });
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.say(Outcome::Unknown("the call was given up half-way".to_owned()));
    }
}

/// The way to take a message back. To use it twice, or late, changes nothing.
#[derive(Default)]
pub struct Recall(Option<Box<dyn FnOnce() + Send>>);

impl Recall {
    /// This is how.
    pub fn by(how: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(how)))
    }

    /// What has not left does not leave any more.
    pub fn take_back(mut self) {
        if let Some(how) = self.0.take() {
            how();
        }
    }
}

/// The way to guests. No call waits.
pub trait Reach: Send {
    /// True while a guest is connected on a link on which it answers calls.
    fn is_there(&self, guest: NodeId) -> bool;

    /// Gives a message for an actuator to the link, before it returns, so that what is given later leaves later; what came
    /// of it is told within a few seconds.
    fn send(&self, guest: NodeId, message: &Value, tell: Tell) -> Recall;
}

impl Reach for Arc<GuestDoor> {
    fn is_there(&self, guest: NodeId) -> bool {
        self.links().is_some_and(|(links, _)| links.is_reached(guest))
    }

    fn send(&self, guest: NodeId, message: &Value, tell: Tell) -> Recall {
        let Some((links, tasks)) = self.links() else {
            tell.tell(Outcome::NotSent("this node is starting".to_owned()));
            return Recall::default();
        };
        match links.begin(guest, "mesh.message.forward", message) {
            Ok(pending) => {
                let handle = pending.handle();
                tasks.spawn(async move { tell.tell(outcome(pending.answer(ANSWER_WITHIN).await)) });
                Recall::by(move || handle.give_up())
            }
            Err(fault) => {
                tell.tell(outcome(Err(fault)));
                Recall::default()
            }
        }
    }
}

/// What an answer says.
pub fn outcome(answer: Result<Box<RawValue>, CallFault>) -> Outcome {
    match answer {
        Ok(payload) => delivered(&payload),
        Err(CallFault::Theirs(refusal)) => Outcome::Refused { code: refusal.code, words: refusal.message },
        Err(CallFault::Ours(refusal)) if is_unsent(&refusal) => Outcome::NotSent(refusal.message),
        Err(CallFault::Ours(refusal)) => Outcome::Unknown(refusal.message),
    }
}

/// An existing node gives a name to what it has delivered.
fn delivered(payload: &RawValue) -> Outcome {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Delivered {
        #[expect(dead_code, reason = "that it is there is all that counts")]
        message_id: String,
    }
    match serde_json::from_str::<Delivered>(payload.get()) {
        Ok(_) => Outcome::Took,
        Err(_) => Outcome::Unknown("its answer has no `messageId`".to_owned()),
    }
}

/// The answers of our own links that mean that nothing has left.
fn is_unsent(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::NotConnected | Code::SendFailed | Code::Busy | Code::TooLarge)
}
