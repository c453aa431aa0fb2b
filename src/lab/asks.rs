//! Signed bytes at the door of a node, as an edge brings them.

use std::sync::{Arc, Mutex, PoisonError};

use clawmesh_authority::request::{self, RequestBody};
use clawmesh_authority::{Answer, AskKind, MeshId, NodeId, Role};
use clawmesh_core::guests::name_of_command;
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::proposals::Place;

use crate::Lab;
use crate::node::{LabNode, Live};

type Tell = Box<dyn FnOnce(Answer) + Send>;

impl Lab {
    /// Brings signed bytes to a node's door as an edge does, and does not wait: the next tick takes them with whatever else is
    /// there.
    pub fn post(&mut self, name: &str, kind: AskKind, bytes: Vec<u8>) {
        self.nodes[self.place(name)].latch_if_stop(&bytes);
        self.offer(name, SourceId::Gateway, InputBody::Asked { kind, bytes });
    }

    /// Brings signed bytes to a node's door as an edge does and runs ticks until it has answered.
    ///
    /// # Panics
    /// When the node does not answer within a second.
    pub fn ask(&mut self, name: &str, kind: AskKind, bytes: Vec<u8>) -> Answer {
        let place = self.place(name);
        self.nodes[place].latch_if_stop(&bytes);
        self.await_answer(name, |live, tell| {
            let asked = live.desk.ask(&live.inbox, SourceId::Gateway, kind, bytes, tell);
            asked.expect("there is room at the desk and at the door")
        })
    }

    /// Brings a command of a guest to a node's door as the edge does and runs ticks until it has answered.
    ///
    /// # Panics
    /// When the node does not answer within a second.
    pub fn command_of_guest(&mut self, name: &str, from: NodeId, json: String) -> Answer {
        self.await_answer(name, |live, tell| {
            let place = live.desk.wait_for(name_of_command(from, &json), tell);
            let body = InputBody::GuestCommand { from, json };
            live.inbox.offer_own(SourceId::Guests, body, None).expect("there is room at the door");
            place.map_err(drop).expect("there is room at the desk")
        })
    }

    fn await_answer(&mut self, name: &str, ask: impl FnOnce(&Live, Tell) -> Place) -> Answer {
        let live = self.nodes[self.place(name)].live.as_ref().expect("the node is up");
        let answer: Arc<Mutex<Option<Answer>>> = Arc::default();
        let told = Arc::clone(&answer);
        let tell = move |answer| *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        let _place = ask(live, Box::new(tell));
        for _ in 0..self.pace.hz {
            self.step();
            if let Some(answer) = answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return answer;
            }
        }
        panic!("{name} does not answer");
    }
}

impl LabNode {
    /// The edge's part in a stop: whoever may ask for one has latched it before the tick hears of the request.
    fn latch_if_stop(&self, bytes: &[u8]) {
        let (Some(live), Ok(signed)) = (&self.live, request::open(bytes)) else { return };
        let RequestBody::Stop { why } = &signed.request().body else { return };
        let key = signed.signer();
        let is_known =
            self.trusted.contains(&key.id()) || self.roster.may(&key.operator_id(), Role::Observer).is_ok();
        if is_known && signed.is_for(MeshId::of_name("lab"), self.key.id()).is_ok() {
            live.brake.latch.set(why).expect("a lab always writes it down");
        }
    }
}
