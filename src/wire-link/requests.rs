//! What a connection does with a message: calls are answered, answers find who waits for them.

use std::sync::Arc;

use clawmesh_authority::NodeId;
use clawmesh_wire::access::{Caller, Method};
use clawmesh_wire::auth::CHALLENGE_BYTES;
use clawmesh_wire::connect::ConnectParams;
use clawmesh_wire::frame::{BadFrame, Frame, Request, encode_refusal, encode_response, parse};
use clawmesh_wire::handshake::Ourselves;
use clawmesh_wire::{Code, Refusal};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::connection::Connection;
use crate::counts::Count;
use crate::host::{Answer, Why};
use crate::limits::{Class, Who};

/// The most calls of one connection that wait for the host.
const WAITING_CALLS_MAX: usize = 64;
/// The most attempts to show who one is, on one connection.
const ATTEMPTS_MAX: u32 = 8;

#[derive(Serialize)]
struct Subscribed {
    subscribed: bool,
}

impl Connection {
    /// Takes one message, whatever it is.
    pub fn text(&mut self, text: &str) {
        match parse(text.as_bytes()) {
            Ok(Frame::Request(request)) => self.request(&request),
            Ok(Frame::Response(response)) => {
                if !self.link.answered(&response.id, response.outcome) {
                    self.hub.counters.add(Count::AnswersToNothing);
                    self.endure();
                }
            }
            Ok(Frame::Event(event)) => self.event(&event),
            Err(bad) => self.bad(&bad),
        }
    }

    fn bad(&mut self, bad: &BadFrame) {
        self.hub.counters.add(Count::BadMessages);
        self.endure();
        if let Some(id) = bad.spoiled_call() {
            self.link.spoiled(id, bad.refusal.clone());
        }
        if let Some(answer) = bad.answer()
            && self.may(Class::Read)
        {
            self.link.push(answer.into());
        }
    }

    /// Takes what has no effect, up to what anybody may send of it.
    pub(crate) fn endure(&mut self) {
        if !self.may(Class::Bad) {
            self.link.end(Why::Senseless);
        }
    }

    fn request(&mut self, request: &Request<'_>) {
        match self.judged(request) {
            Ok(Some(text)) => {
                self.link.push(text.into());
            }
            Ok(None) => {}
            Err(refusal) => {
                self.link.push(encode_refusal(&request.id, &refusal).into());
            }
        }
    }

    /// What to answer at once; `None` when the answer comes later, or was given.
    fn judged(&mut self, request: &Request<'_>) -> Result<Option<String>, Refusal> {
        let known = Method::of_name(&request.method);
        if !self.may(known.as_ref().map_or(Class::Read, |method| Class::of(*method))) {
            self.hub.counters.add(Count::RateLimited);
            let sentence = "this is more than we take from you in a second; slow down";
            return Err(Refusal::new(Code::RateLimited, sentence));
        }
        let open = known.and_then(|method| method.open_to(self.peer.caller).map(|()| method));
        let method = open.inspect_err(|_| self.hub.counters.add(Count::Refused))?;
        match method {
            Method::Challenge => self.challenge(&request.id).map(Some),
            Method::Connect => self.connect(request).map(|()| None),
            Method::ChatSubscribe => {
                self.hub.follow(&self.link);
                encode_response(&request.id, &Subscribed { subscribed: true }).map(Some)
            }
            method => match self.hub.host.read(&self.peer, method, request.params) {
                Some(answer) => encode_response(&request.id, &answer?).map(Some),
                None => self.ask_host(method, request).map(|()| None),
            },
        }
    }

    fn ask_host(&mut self, method: Method, request: &Request<'_>) -> Result<(), Refusal> {
        if self.works.len() >= WAITING_CALLS_MAX {
            self.hub.counters.add(Count::BusyCalls);
            let sentence = format!("{WAITING_CALLS_MAX} calls of yours wait already; try again");
            return Err(Refusal::new(Code::Busy, sentence));
        }
        let id = request.id.clone().into_owned();
        let answer = self.hub.host.call(&self.peer, method, request.params.map(RawValue::to_owned));
        self.works.push(Box::pin(async move { Some((id, answer.await)) }));
        Ok(())
    }

    /// Writes the answer to a call.
    pub fn respond(&self, id: &str, answer: Answer) {
        let text = answer.and_then(|payload| encode_response(id, &payload));
        self.link.push(text.unwrap_or_else(|refusal| encode_refusal(id, &refusal)).into());
    }

    fn listener_of_ours() -> Refusal {
        let sentence = "we have opened this connection, so it is for you to answer the handshake";
        Refusal::new(Code::NotAuthorized, sentence)
    }

    fn challenge(&mut self, id: &str) -> Result<String, Refusal> {
        let now = self.hub.host.now();
        let listener = self.listener.as_mut().ok_or_else(Self::listener_of_ours)?;
        let random = random_bytes::<CHALLENGE_BYTES>()?;
        encode_response(id, &listener.challenge(&random, now))
    }

    fn connect(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        let listener = self.listener.as_mut().ok_or_else(Self::listener_of_ours)?;
        self.attempts += 1;
        let (host, hub) = (Arc::clone(&self.hub.host), Arc::clone(&self.hub));
        let about = host.about();
        let ours = Ourselves { key: host.key(), about: &about };
        let judged = listener.connect(request.params, ours, &|node| hub.trust(node), host.now());
        let judged = judged.and_then(|judged| hub.has_room_to_join(judged.0.node).map(|()| judged));
        let (admitted, answer) = judged.inspect_err(|refusal| {
            hub.counters.add(Count::HandshakesRefused);
            hub.host.refused_handshake(&self.peer, claimed(request.params), refusal);
            if self.attempts >= ATTEMPTS_MAX {
                let sentence = format!("{ATTEMPTS_MAX} attempts at a handshake failed; look at the refusals");
                self.link.end(Why::NoHandshake(sentence));
            }
        })?;
        if hub.config.dialled_only.contains(&admitted.node) {
            // Before the answer: an existing node that has one puts this link in the place of the one we have opened.
            hub.counters.add(Count::HandshakesRefused);
            let sentence =
                "an actuator of yours has its guardian here, which dials you and takes no link from you";
            self.link.end(Why::NoHandshake(sentence.to_owned()));
            return Err(Refusal::new(Code::NotAuthorized, sentence));
        }
        // The answer comes first: nobody else can write here before the session is known.
        self.link.push(encode_response(&request.id, &answer)?.into());
        self.join(admitted, None);
        Ok(())
    }

    /// Takes a token under the name of whoever is on the other end.
    pub fn may(&self, class: Class) -> bool {
        let address = || Who::at(self.peer.address.ip());
        let who = match (class, self.peer.node, self.peer.caller) {
            (Class::Handshake, _, _) => address(),
            (_, Some(node), _) => Who::Node(node),
            (_, None, Caller::Operator) => Who::Operators,
            _ => address(),
        };
        self.hub.may(who, class)
    }
}

/// Who somebody claims to be, if their call can be read.
fn claimed(params: Option<&RawValue>) -> Option<NodeId> {
    ConnectParams::read(params).ok()?.device_id.parse().ok()
}

/// Bytes that nobody can guess.
///
/// # Errors
/// `INTERNAL_ERROR` when the system has none to give.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Refusal::new(Code::InternalError, "the system gives no random bytes; try again"))?;
    Ok(bytes)
}
