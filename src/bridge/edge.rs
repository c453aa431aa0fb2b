//! What all parts of the bridge share: who we are, the doors, the refusals, the wish to stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::hlc::{OWN_CLOCK, TIME_UNKNOWN};
use clawmesh_authority::time::{self, TimeAnswer, TimeQuestion};
use clawmesh_authority::{
    Answer, Body, Code, ContentHash, Hlc, MeshId, NodeId, NodeKey, Refusal, Request, Statement, answer,
    envelope, request,
};
use clawmesh_core::clock::Timekeeper;
use clawmesh_core::intake::{InboxHandle, InputBody};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::safety::{Standing, StopPort};
use crossbeam_channel::Sender;
use tokio::sync::watch;

use crate::admission::Admission;
use crate::clock::Monotonic;
use crate::config::{BridgeConfig, BridgeLimits, BridgePorts, Telling};
use crate::evidence::EvidenceShelf;
use crate::own::OwnInputs;
use crate::papers::Papers;
use crate::people::People;
use crate::tally::RefusalTally;
use crate::trust::Trust;
use crate::ways::Ways;

/// The shared part of one bridge.
pub struct Edge {
    pub mesh: MeshId,
    pub own: NodeId,
    pub epoch: u64,
    pub limits: BridgeLimits,
    pub trust: Arc<Trust>,
    pub ways: Arc<Ways>,
    pub people: Arc<People>,
    pub admission: Admission,
    pub inbox: InboxHandle,
    pub own_inputs: OwnInputs,
    pub commits: CommitWatch,
    pub stop: watch::Sender<bool>,
    /// Told when the last word of this run has left.
    pub has_left: Sender<()>,
    pub desk: AnswerDesk,
    pub latch: Arc<dyn StopPort>,
    pub standing: Arc<dyn Fn() -> Option<Standing> + Send + Sync>,
    pub evidence: EvidenceShelf,
    pub keeper: Option<Arc<dyn Timekeeper>>,
    telling: Arc<dyn Fn() -> Telling + Send + Sync>,
    papers: Arc<dyn Fn() -> Result<Option<Papers>, String> + Send + Sync>,
    key: NodeKey,
    unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    clock: Monotonic,
    receipts: AtomicU64,
    time_questions: AtomicU64,
    refusals: Mutex<RefusalTally>,
}

impl Edge {
    /// The shared part of a bridge that is about to begin.
    pub fn new(config: &BridgeConfig, ports: &BridgePorts, has_left: Sender<()>) -> Self {
        let trust = Arc::new(Trust::of(ports.key.id(), &config.trusted));
        trust.set_parts(config.parts.clone());
        Self {
            mesh: config.mesh,
            own: ports.key.id(),
            epoch: ports.epoch,
            limits: config.limits,
            admission: Admission::new(config.mesh, Arc::clone(&trust)),
            trust,
            ways: Arc::default(),
            people: Arc::new(People::of(config.people.clone())),
            inbox: ports.inbox.clone(),
            own_inputs: OwnInputs::new(ports.inbox.clone()),
            commits: ports.commits.clone(),
            stop: watch::Sender::new(false),
            has_left,
            desk: ports.desk.clone(),
            latch: Arc::clone(&ports.latch),
            standing: Arc::clone(&ports.standing),
            evidence: EvidenceShelf::default(),
            keeper: ports.clock.clone(),
            telling: Arc::clone(&ports.telling),
            papers: Arc::clone(&ports.papers),
            key: ports.key.clone(),
            unix_ms: Arc::clone(&ports.unix_ms),
            clock: Monotonic::begin(),
            receipts: AtomicU64::new(0),
            time_questions: AtomicU64::new(0),
            refusals: Mutex::default(),
        }
    }

    /// Wall time, Unix milliseconds; 0 while it is not known.
    pub fn wall_ms(&self) -> u64 {
        (self.unix_ms)()
    }

    /// Why nothing that needs the time is taken now, if it is not known.
    pub fn timeless(&self) -> Option<Refusal> {
        if self.wall_ms() > 0 {
            return None;
        }
        let why = self.keeper.as_ref().map_or_else(|| TIME_UNKNOWN.to_owned(), |keeper| keeper.why_unknown());
        Some(Refusal::new(Code::ClockUntrusted, OWN_CLOCK, why))
    }

    /// Signs what time it is by the clock of this machine, or that nobody is ever told it here; `None` while that is open.
    pub fn seal_time(&self, to: NodeId, nonce: [u8; 16]) -> Option<Vec<u8>> {
        let unix_ms = match (self.telling)() {
            Telling::Time => Some(self.wall_ms()).filter(|unix_ms| *unix_ms > 0).map(Some)?,
            Telling::Never => None,
            Telling::NotYet => return None,
        };
        Some(time::seal_answer(&self.key, &TimeAnswer { mesh: self.mesh, to, nonce, unix_ms }))
    }

    /// Signs a question for the time.
    pub fn seal_time_question(&self, question: &TimeQuestion) -> Vec<u8> {
        time::seal_question(&self.key, question)
    }

    /// Counts the questions for the time of this run.
    pub fn next_time_question(&self) -> u64 {
        self.time_questions.fetch_add(1, Ordering::Relaxed)
    }

    /// Nanoseconds since the bridge began.
    pub fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Milliseconds since the bridge began.
    pub fn now_ms(&self) -> u64 {
        self.now_ns() / 1_000_000
    }

    /// The papers of this node and its key as PEM, for its links.
    ///
    /// # Errors
    /// Why it has none, and what to do.
    pub fn papers_and_key(&self) -> Result<(Papers, String), String> {
        let papers = (self.papers)()?.ok_or(
            "this node has no papers for tls/ and quic/ links; pair it with a node of its mesh (`clawmesh pair`)",
        )?;
        let key = self.key.to_pem().ok_or("the key of this node cannot be encoded")?;
        Ok((papers, key))
    }

    /// Signs a statement the tick made.
    pub fn seal(&self, statement: &Statement) -> Vec<u8> {
        envelope::seal(&self.key, statement)
    }

    /// Signs a receipt, the one kind of statement that is made here: it says what the journal says.
    pub fn seal_receipt(&self, receipt: envelope::Receipt) -> Vec<u8> {
        self.seal(&Statement {
            mesh: self.mesh,
            epoch: self.epoch,
            sequence: self.receipts.fetch_add(1, Ordering::Relaxed),
            hlc: Hlc { wall_ms: self.wall_ms(), logical: 0 },
            body: Body::Receipt(receipt),
        })
    }

    /// Signs what this node answers as the owner to what is named `to`.
    pub fn seal_answer(&self, to: ContentHash, answer: &Answer) -> Vec<u8> {
        answer::seal(&self.key, to, answer)
    }

    /// Signs what this node asks of another.
    pub fn seal_request(&self, request: &Request) -> Vec<u8> {
        request::seal(&self.key, request)
    }

    /// Counts a refusal; it is told within a second.
    pub fn refuse(&self, refusal: Refusal) {
        self.refuse_many(refusal, 1);
    }

    /// Counts `count` refusals of one kind.
    pub fn refuse_many(&self, refusal: Refusal, count: u64) {
        tracing::debug!(%refusal, count, "refused");
        lock(&self.refusals).add(refusal, count);
    }

    /// Tells the refusals that were counted, as far as there is room.
    pub fn tell_refusals(&self) {
        let told = lock(&self.refusals).take(self.own_inputs.room());
        for (refusal, count) in told {
            if !self.own_inputs.offer(InputBody::Refused { refusal: refusal.clone(), count }) {
                lock(&self.refusals).add(refusal, count);
            }
        }
    }

    /// True once the bridge is closing.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

/// Locks what is consistent at every instruction, so that a panic elsewhere does not spoil it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
