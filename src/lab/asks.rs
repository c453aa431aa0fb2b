//! Signed bytes at the door of a node, as an edge brings them.

use std::sync::{Arc, Mutex, PoisonError};

use clawmesh_authority::request::{self, RequestBody};
use clawmesh_authority::{Answer, AskKind, MeshId, Role};
use clawmesh_core::intake::{InputBody, SourceId};

use crate::Lab;
use crate::node::LabNode;

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
        let live = self.nodes[place].live.as_ref().expect("the node is up");
        let answer: Arc<Mutex<Option<Answer>>> = Arc::default();
        let told = Arc::clone(&answer);
        let tell = move |answer| *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        let place = live.desk.ask(&live.inbox, SourceId::Gateway, kind, bytes, tell);
        let _place = place.expect("there is room at the desk and at the door");
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
