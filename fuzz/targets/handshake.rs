//! The handshake of both sides as a talk: steps in any order, repeated, changed on the way, by clocks that differ.
//!
//! A script is a list of steps. Node 2 listens on some connections; node 1, which it trusts, dials; node 3, which it does not,
//! stands in between, sees everything and signs with its own key. What is said gets a number, and may be sent anywhere, at any
//! time, with other fields.

use std::collections::BTreeSet;
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_lab::Lab;
use clawmesh_wire::auth::{CHALLENGE_BYTES, CLOCK_WINDOW_MS, SignedText, uuid_text};
use clawmesh_wire::challenge::CHALLENGE_LIFE;
use clawmesh_wire::connect::{About, ConnectAnswer, ConnectParams};
use clawmesh_wire::frame::RemoteRefusal;
use clawmesh_wire::handshake::{Dialler, Listener, Moment, Ourselves, PeerTrust};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::{MIB, NOW_MS, Seed, Target, promised};
use crate::mutate::{Shape, key};

pub(super) const TARGET: Target = Target {
    name: "handshake",
    promise: "nobody is admitted but who has signed the open challenge of this connection, or the number of this dialler, with \
              a trusted key, within five minutes, once",
    shapes: &[Shape::Json],
    seeds,
    check,
    memory_bytes_max: 4 * MIB,
    memory_per_byte: 128,
};

const STEPS_MAX: usize = 64;
const CONNECTIONS: usize = 3;

fn seeds() -> Vec<Seed> {
    let whole = json!([
        {"do": "challenge", "on": 0}, {"do": "dial", "with": 0}, {"do": "connect", "on": 0, "said": 0},
        {"do": "answer", "to": 0, "said": 0},
    ]);
    let late = json!([
        {"do": "challenge", "on": 0}, {"do": "dial", "with": 0, "clock_ms": 300_000}, {"do": "wait", "ms": 60_000},
        {"do": "connect", "on": 0, "said": 0, "set": {"displayName": "x"}}, {"do": "answer", "to": 0, "said": 0},
    ]);
    let replayed = json!([
        {"do": "challenge", "on": 0}, {"do": "dial", "with": 0}, {"do": "connect", "on": 0, "said": 0},
        {"do": "challenge", "on": 1}, {"do": "connect", "on": 1, "said": 0}, {"do": "connect", "on": 0, "said": 0},
        {"do": "dial", "with": 1}, {"do": "answer", "to": 1, "said": 0}, {"do": "connect", "on": 1, "said": 1},
    ]);
    let between = json!([
        {"do": "challenge", "on": 0}, {"do": "forge", "nonce": 0, "set": {"role": "planner"}},
        {"do": "connect", "on": 0, "said": 0, "set": {"deviceId": Lab::id_of(1).to_string()}},
        {"do": "dial", "text": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, {"do": "refuse", "to": 0},
        {"do": "connect", "on": 0, "said": 1, "set": {"clientNonce": "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"}},
    ]);
    let at_the_limit = |clock_ms: i64| {
        json!([
            {"do": "challenge", "on": 0}, {"do": "dial", "with": 0, "clock_ms": clock_ms},
            {"do": "connect", "on": 0, "said": 0, "clock_ms": 0}, {"do": "answer", "to": 0, "said": 0, "clock_ms": clock_ms},
        ])
    };
    let (ahead, behind) = (at_the_limit(300_000), at_the_limit(-300_000));
    let list = [
        ("ahead", ahead),
        ("behind", behind),
        ("whole", whole),
        ("late", late),
        ("replayed", replayed),
        ("between", between),
    ];
    list.map(|(name, script)| (name, script.to_string().into_bytes())).into()
}

/// A number that the listener gave out, and what is left of it.
struct Given {
    nonce: String,
    on: usize,
    at: Duration,
    is_open: bool,
}

struct Talk {
    elapsed: Duration,
    given: Vec<Given>,
    listeners: Vec<Listener>,
    admitted: Vec<Option<NodeId>>,
    diallers: Vec<(Dialler, String)>,
    /// What diallers and the one in between have said.
    said: Vec<ConnectParams>,
    /// The texts that node 1 has signed.
    signed: BTreeSet<String>,
    /// What the listener has answered.
    answers: Vec<ConnectAnswer>,
    drawn: u8,
    told: BTreeSet<String>,
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(Value::Array(script)) = serde_json::from_slice::<Value>(input) else {
        return Ok("no script".to_owned());
    };
    let mut talk = Talk {
        elapsed: Duration::from_secs(5),
        given: Vec::new(),
        listeners: (0..CONNECTIONS).map(|_| Listener::default()).collect(),
        admitted: vec![None; CONNECTIONS],
        diallers: Vec::new(),
        said: Vec::new(),
        signed: BTreeSet::new(),
        answers: Vec::new(),
        drawn: 0,
        told: BTreeSet::new(),
    };
    for step in script.iter().take(STEPS_MAX) {
        let told = talk.step(step)?;
        talk.told.insert(told);
    }
    Ok(talk.told.into_iter().collect::<Vec<_>>().join("; "))
}

/// Node 2 trusts node 1 by its id and node 4 by its key; node 1 trusts node 2.
fn book(node: NodeId) -> PeerTrust {
    match node {
        node if node == Lab::id_of(1) || node == Lab::id_of(2) => PeerTrust::Trusted,
        node if node == Lab::id_of(4) => PeerTrust::Pinned(key(4).public()),
        _ => PeerTrust::Unknown,
    }
}

fn about(n: usize) -> About {
    About { mesh_id: Some("m".to_owned()), role: Some(format!("role-{n}")), ..About::default() }
}

fn number(step: &Value, name: &str) -> u64 {
    step.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn place(step: &Value, name: &str, count: usize) -> Option<usize> {
    usize::try_from(number(step, name)).ok().filter(|at| *at < count)
}

/// What has to be signed for these parameters.
fn to_sign(params: &ConnectParams) -> SignedText<'_> {
    SignedText {
        device_id: &params.device_id,
        signed_at_ms: params.signed_at_ms,
        nonce: params.nonce.as_deref().unwrap_or_default(),
        mesh_id: params.about.mesh_id.as_deref(),
        role: params.about.role.as_deref(),
    }
}

/// The message with some of its fields set to what the script wants.
fn altered(message: &impl Serialize, step: &Value) -> Option<Box<RawValue>> {
    let mut message = serde_json::to_value(message).ok()?;
    if let (Some(fields), Some(Value::Object(set))) = (message.as_object_mut(), step.get("set")) {
        fields.extend(set.clone());
    }
    to_raw_value(&message).ok()
}

impl Talk {
    fn now(&self, step: &Value) -> Moment {
        let shift = step.get("clock_ms").and_then(Value::as_i64).unwrap_or(0);
        let since = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        Moment { unix_ms: NOW_MS.saturating_add(since).saturating_add_signed(shift), elapsed: self.elapsed }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        self.drawn = self.drawn.wrapping_add(1);
        [self.drawn; N]
    }

    fn step(&mut self, step: &Value) -> Result<String, String> {
        match step.get("do").and_then(Value::as_str).unwrap_or_default() {
            "wait" => {
                self.elapsed =
                    self.elapsed.saturating_add(Duration::from_millis(number(step, "ms").min(1 << 40)));
                Ok("waited".to_owned())
            }
            "challenge" => Ok(self.challenge(step)),
            "dial" => Ok(self.dial(step)),
            "forge" => Ok(self.forge(step)),
            "connect" => self.connect(step),
            "answer" => self.answer(step),
            "refuse" => Ok(self.refuse(step)),
            _ => Ok(String::new()),
        }
    }

    fn challenge(&mut self, step: &Value) -> String {
        let Some(on) = place(step, "on", CONNECTIONS) else { return String::new() };
        let (random, now) = (self.random::<CHALLENGE_BYTES>(), self.now(step));
        let nonce = self.listeners[on].challenge(&random, now).nonce;
        self.given.iter_mut().filter(|given| given.on == on).for_each(|given| given.is_open = false);
        self.given.push(Given { nonce, on, at: now.elapsed, is_open: true });
        "challenged".to_owned()
    }

    /// Node 1 dials node 2 and signs the number it is given: one of the listener, or any text of whoever is in between.
    fn dial(&mut self, step: &Value) -> String {
        let text = step.get("text").and_then(Value::as_str);
        let given = place(step, "with", self.given.len()).map(|at| self.given[at].nonce.clone());
        let nonce = text.map(str::to_owned).or(given);
        let payload = to_raw_value(&json!({ "nonce": nonce })).unwrap_or_default();
        let Ok(mut dialler) = Dialler::new(Lab::id_of(2), &book) else { return "not dialled".to_owned() };
        let (random, now) = (self.random::<16>(), self.now(step));
        let (key, about) = (key(1), about(1));
        let ours = Ourselves { key: &key, about: &about };
        match dialler.challenged(&Ok(Some(&payload)), ours, &random, now) {
            Ok(params) => {
                self.signed.insert(to_sign(&params).text());
                self.said.push(params);
                self.diallers.push((dialler, uuid_text(&random)));
                "dialled".to_owned()
            }
            Err(close) => close.to_string(),
        }
    }

    /// Node 3 signs what it likes, with its own key.
    fn forge(&mut self, step: &Value) -> String {
        let nonce = place(step, "nonce", self.given.len()).map(|at| self.given[at].nonce.clone());
        let (key, now) = (key(3), self.now(step));
        let mut params = ConnectParams {
            version: 2,
            device_id: key.id().to_string(),
            public_key: clawmesh_wire::auth::key_text(&key.public()),
            signature: "to come".to_owned(),
            signed_at_ms: now.unix_ms,
            nonce,
            client_nonce: uuid_text(&self.random()),
            about: about(3),
        };
        let altered = altered(&params, step);
        if let Some(altered) = altered.and_then(|raw| ConnectParams::read(Some(&raw)).ok()) {
            params = altered;
        }
        params.signature = to_sign(&params).sign(&key);
        self.said.push(params);
        "forged".to_owned()
    }

    fn connect(&mut self, step: &Value) -> Result<String, String> {
        let (Some(on), Some(said)) = (place(step, "on", CONNECTIONS), place(step, "said", self.said.len()))
        else {
            return Ok(String::new());
        };
        let Some(raw) = altered(&self.said[said], step) else { return Ok(String::new()) };
        let (key, about, now) = (key(2), about(2), self.now(step));
        let ours = Ourselves { key: &key, about: &about };
        match self.listeners[on].connect(Some(&raw), ours, &book, now) {
            Ok((admitted, answer)) => {
                self.is_right(on, &raw, admitted.node, now)?;
                self.answers.push(answer);
                Ok("admitted".to_owned())
            }
            Err(refusal) => Ok(refusal.to_string()),
        }
    }

    fn is_right(&mut self, on: usize, raw: &RawValue, node: NodeId, now: Moment) -> Result<(), String> {
        let params = ConnectParams::read(Some(raw)).map_err(|refusal| format!("admitted: {refusal}"))?;
        promised(node == Lab::id_of(1), || format!("{node} is admitted, and has never signed anything"))?;
        promised(self.signed.contains(&to_sign(&params).text()), || {
            "admitted on a text that node 1 has not signed".to_owned()
        })?;
        let open = |given: &&mut Given| {
            given.is_open && given.on == on && params.nonce.as_ref() == Some(&given.nonce)
        };
        let given = self.given.iter_mut().find(open).ok_or("admitted without an open challenge")?;
        given.is_open = false;
        let age = now.elapsed.saturating_sub(given.at);
        promised(age <= CHALLENGE_LIFE, || format!("admitted on a challenge that is {age:?} old"))?;
        let apart_ms = now.unix_ms.abs_diff(params.signed_at_ms);
        promised(apart_ms <= CLOCK_WINDOW_MS, || format!("admitted {apart_ms} ms apart"))?;
        let before = self.admitted[on].replace(node);
        promised(before.is_none(), || "one connection is admitted twice".to_owned())
    }

    fn answer(&mut self, step: &Value) -> Result<String, String> {
        let (Some(to), Some(said)) =
            (place(step, "to", self.diallers.len()), place(step, "said", self.answers.len()))
        else {
            return Ok(String::new());
        };
        let Some(raw) = altered(&self.answers[said], step) else { return Ok(String::new()) };
        let (key, about, now) = (key(1), about(1), self.now(step));
        let ours = Ourselves { key: &key, about: &about };
        let (dialler, client_nonce) = &mut self.diallers[to];
        match dialler.answered(&Ok(Some(&raw)), ours, &book, now) {
            Ok(admitted) => {
                let answer =
                    ConnectAnswer::read(Some(&raw)).map_err(|refusal| format!("believed: {refusal}"))?;
                let original = &self.answers[said];
                let is_signed =
                    (&answer.nonce, answer.signed_at_ms, &answer.about.mesh_id, &answer.about.role)
                        == (
                            &original.nonce,
                            original.signed_at_ms,
                            &original.about.mesh_id,
                            &original.about.role,
                        );
                promised(admitted.node == Lab::id_of(2) && is_signed, || {
                    "a dialler believes what the listener has not signed".to_owned()
                })?;
                promised(answer.nonce == *client_nonce, || {
                    "a dialler believes an answer to another".to_owned()
                })?;
                let apart_ms = now.unix_ms.abs_diff(answer.signed_at_ms);
                promised(apart_ms <= CLOCK_WINDOW_MS, || format!("believed {apart_ms} ms apart"))?;
                // Nothing else is believed on this link.
                let again = dialler.answered(&Ok(Some(&raw)), ours, &book, now);
                promised(again.is_err(), || "a dialler believes twice".to_owned())?;
                Ok("believed".to_owned())
            }
            Err(close) => Ok(close.to_string()),
        }
    }

    fn refuse(&mut self, step: &Value) -> String {
        let Some(to) = place(step, "to", self.diallers.len()) else { return String::new() };
        let (key, about, now) = (key(1), about(1), self.now(step));
        let ours = Ourselves { key: &key, about: &about };
        let refusal = RemoteRefusal { code: "BUSY".to_owned(), message: step.to_string() };
        match self.diallers[to].0.answered(&Err(refusal), ours, &book, now) {
            Ok(_) => "believed".to_owned(),
            Err(close) => close.reason.as_str().to_owned(),
        }
    }
}
