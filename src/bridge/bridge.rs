//! Starting and closing: the threads of a bridge and the runtime they share.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use clawmesh_authority::{Code, NodeId, Refusal};
use clawmesh_core::intake::{InputBody, LinkState};
use clawmesh_core::mesh::Neighbours;
use clawmesh_core::publish::OutboxReader;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use zenoh::Config;

use crate::asks::{AsksIn, Mesh};
use crate::config::{BridgeConfig, BridgePorts, ZenohMode};
use crate::courier::send_couriers;
use crate::deliveries::{Deliveries, WAITING_MAX, Waiting, judge_deliveries};
use crate::dialler::dial_found;
use crate::edge::Edge;
use crate::error::BridgeError;
use crate::links::{LinkSecurity, are_secured, link_security};
use crate::mapping::Mapping;
use crate::outbound::{Shelf, say_readings, shelve_frames};
use crate::people::People;
use crate::presence::Presence;
use crate::readings::ReadingsIn;
use crate::replies::{REPLIES_MAX, Reply, send_replies};
use crate::samples::SamplesIn;
use crate::seek::seek_time;
use crate::session::{Ears, OpenSession, open_patiently, settings};
use crate::times::TimesIn;
use crate::trust::Trust;
use crate::ways::Ways;

/// zenoh has threads of its own; ours only wait and hand over.
const WORKERS: usize = 2;
/// How long the tick, the journal and the network may take for a last word.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);
/// How long closing may take in all.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
const RUNTIME_PATIENCE: Duration = Duration::from_millis(300);
const RETRY_PERIOD: Duration = Duration::from_millis(50);
/// Refusals are told and tokens compared once in this many retries: once a second.
const RETRIES_PER_ROUND: u32 = 20;

/// A running bridge. Dropping it asks it to stop; closing it waits until it has.
#[derive(Debug)]
pub struct Bridge {
    edge: EdgeHandle,
    left: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
}

struct EdgeHandle(Arc<Edge>, Mesh);

impl std::fmt::Debug for EdgeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.own.short())
    }
}

/// Starts a bridge and returns at once; how the session fares comes as `LinkChanged` inputs.
///
/// # Errors
/// When the configuration makes no sense, or the system gives no thread.
pub fn spawn(config: BridgeConfig, ports: BridgePorts) -> Result<Bridge, BridgeError> {
    judge_mappings(&config.mappings)?;
    if let LinkSecurity::Leaky(endpoint) = link_security(&config.listen, &config.connect) {
        return Err(BridgeError::Clear { endpoint: endpoint.to_owned() });
    }
    let settings = settings(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("bridge-worker")
        .enable_all()
        .build()?;
    let (has_left, left) = bounded(1);
    let edge = Arc::new(Edge::new(&config, &ports, has_left));
    let (done_tx, done) = bounded(1);
    let mesh = Mesh::new(Arc::clone(&edge));
    let plan = Plan { edge: Arc::clone(&edge), config, settings, outbox: ports.outbox, mesh: mesh.clone() };
    let thread = Builder::new().name("bridge".to_owned()).spawn(move || plan.carry_out(runtime, &done_tx))?;
    Ok(Bridge { edge: EdgeHandle(edge, mesh), left, thread: Some(thread), done })
}

impl Bridge {
    /// The way to the other nodes. Until the session is open, and after the bridge is closed, nobody answers there.
    #[must_use]
    pub fn neighbours(&self) -> Arc<dyn Neighbours> {
        Arc::new(self.edge.1.clone())
    }

    /// Whom it trusts, to change that. What is said by a node that was removed is refused at once, and the session is opened
    /// anew, so that its links end.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.edge.0.trust)
    }

    /// The people it knows, to change that.
    #[must_use]
    pub fn people(&self) -> Arc<People> {
        Arc::clone(&self.edge.0.people)
    }

    /// The way to this node for others, and the ways to nodes that were found in the local network. Those that are trusted are
    /// dialled; a zenoh client dials nobody but its router.
    #[must_use]
    pub fn ways(&self) -> Arc<Ways> {
        Arc::clone(&self.edge.0.ways)
    }

    /// Waits until the last word of this run has left, half a second at most; not at all where no session is open.
    pub fn wait_for_last_word(&self) {
        let is_heard = self.edge.1.is_open() && self.left.recv_timeout(LEAVE_PATIENCE).is_ok();
        if !is_heard {
            tracing::debug!("nobody is told that this node ends in order; it will be missed instead");
        }
    }

    /// Undeclares the liveliness token, closes the session and waits for the threads, two seconds at most.
    pub fn close(mut self) {
        self.edge.0.stop.send_replace(true);
        let Some(thread) = self.thread.take() else { return };
        if self.done.recv_timeout(CLOSE_PATIENCE).is_err() && !thread.is_finished() {
            return tracing::warn!("the bridge is still closing; not waiting any longer");
        }
        if thread.join().is_err() {
            tracing::error!("the bridge's thread panicked");
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.edge.0.stop.send_replace(true);
    }
}

fn judge_mappings(mappings: &[Mapping]) -> Result<(), BridgeError> {
    let mut sensors = BTreeSet::new();
    for mapping in mappings {
        if let Some(fault) = mapping.fault() {
            return Err(BridgeError::Mapping { key_expr: mapping.key_expr.clone(), fault });
        }
        if !sensors.insert(&mapping.sensor) {
            return Err(BridgeError::SensorTwice { sensor: mapping.sensor.clone() });
        }
    }
    Ok(())
}

/// All that the bridge's main thread needs.
struct Plan {
    edge: Arc<Edge>,
    config: BridgeConfig,
    settings: Config,
    outbox: OutboxReader,
    mesh: Mesh,
}

impl Plan {
    fn carry_out(self, runtime: Runtime, done: &Sender<()>) {
        let mut threads = Vec::new();
        if let Err(fault) = runtime.block_on(self.run(&mut threads)) {
            tracing::error!(%fault, "the bridge cannot go on");
        }
        self.edge.stop.send_replace(true);
        runtime.shutdown_timeout(RUNTIME_PATIENCE);
        for thread in threads {
            // A thread that panicked has said so itself; there is nothing left to do for it.
            let _ = thread.join();
        }
        self.edge.tell_refusals();
        // Nobody may be waiting.
        let _ = done.try_send(());
    }

    async fn run(&self, threads: &mut Vec<JoinHandle<()>>) -> std::io::Result<()> {
        self.declare_sensors();
        let (replies_tx, replies) = bounded::<Reply>(REPLIES_MAX);
        let shelf = Arc::new(Shelf::new(self.config.limits.frames_retained_max));
        threads.push(self.reply_thread(replies)?);
        threads.push(self.frames_thread(Arc::clone(&shelf))?);
        // Before anything is made that knows whom we trust, so that no change is missed.
        let mut trust = self.edge.trust.follow();
        let mut known = trust.borrow_and_update().clone();
        let (to_judge, waiting) = bounded(WAITING_MAX);
        let ears = self.ears(to_judge, replies_tx);
        threads.push(self.deliveries_thread(Arc::clone(&ears.deliveries), waiting)?);
        let mut stop = self.edge.stop.subscribe();
        tokio::spawn(tell_own_inputs(Arc::clone(&self.edge), self.outbox.clone()));
        while !self.edge.is_stopping() {
            let open = tokio::select! {
                open = open_patiently(&self.edge, &self.config, &self.settings, &ears) => open,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            self.mesh.use_session(Some(open.session.clone()));
            threads.retain(|thread| !thread.is_finished());
            threads.push(self.readings_thread(&open)?);
            let (session, friends) = (open.session.clone(), ears.presence.friends());
            let couriers =
                send_couriers(Arc::clone(&self.edge), session.clone(), Arc::clone(&shelf), friends);
            let couriers = tokio::spawn(couriers);
            let seek = seek_time(Arc::clone(&self.edge), session.clone(), ears.presence.friends());
            let seek = tokio::spawn(seek);
            let dialler = (self.config.mode != ZenohMode::Client)
                .then(|| tokio::spawn(dial_found(Arc::clone(&self.edge), open.links.runtime())));
            tokio::select! {
                () = reconcile(&ears.presence, &session) => {},
                () = follow_until_links_change(&ears, &mut trust, &mut known, are_secured(&self.config)) => {
                    tracing::info!("other nodes are trusted now; the session is opened anew");
                    self.edge.own_inputs.offer_link(LinkState::Connecting);
                },
                _ = stop.wait_for(|stop| *stop) => {},
            }
            self.edge.ways.tell_own(None);
            couriers.abort();
            seek.abort();
            if let Some(dialler) = dialler {
                dialler.abort();
            }
            self.mesh.use_session(None);
            drop(session);
            open.close().await;
        }
        Ok(())
    }

    fn declare_sensors(&self) {
        let specs: Vec<_> = self.config.mappings.iter().map(Mapping::spec).collect();
        if !specs.is_empty() && !self.edge.own_inputs.offer(InputBody::SensorsDeclared(specs)) {
            tracing::error!("the sensors of the mapping table were not declared");
        }
    }

    fn ears(&self, to_judge: Sender<Waiting>, replies: Sender<Reply>) -> Ears {
        let state = self.config.marks.iter().map(|(node, (state, _))| (*node, *state)).collect();
        let stream = self.config.marks.iter().map(|(node, (_, stream))| (*node, *stream)).collect();
        let edge = || Arc::clone(&self.edge);
        let samples = |mapping: &Mapping| Arc::new(SamplesIn::new(edge(), mapping.clone()));
        Ears {
            readings: Arc::new(ReadingsIn::new(edge(), stream)),
            deliveries: Arc::new(Deliveries::new(edge(), state, to_judge, replies.clone())),
            times: Arc::new(TimesIn::new(edge(), replies.clone())),
            asks: Arc::new(AsksIn::new(edge(), replies, tokio::runtime::Handle::current())),
            presence: Arc::new(Presence::new(edge())),
            samples: self.config.mappings.iter().map(samples).collect(),
        }
    }

    fn reply_thread(&self, replies: Receiver<Reply>) -> std::io::Result<JoinHandle<()>> {
        let edge = Arc::clone(&self.edge);
        Builder::new().name("bridge-replies".to_owned()).spawn(move || send_replies(&edge, &replies))
    }

    fn frames_thread(&self, shelf: Arc<Shelf>) -> std::io::Result<JoinHandle<()>> {
        let (edge, outbox) = (Arc::clone(&self.edge), self.outbox.clone());
        Builder::new().name("bridge-frames".to_owned()).spawn(move || shelve_frames(&edge, &outbox, &shelf))
    }

    fn deliveries_thread(
        &self,
        deliveries: Arc<Deliveries>,
        waiting: Receiver<Waiting>,
    ) -> std::io::Result<JoinHandle<()>> {
        let edge = Arc::clone(&self.edge);
        Builder::new().name("bridge-deliveries".to_owned()).spawn(move || {
            let judge = AssertUnwindSafe(|| judge_deliveries(&edge, &deliveries, &waiting));
            if catch_unwind(judge).is_err() {
                tracing::error!("the bridge cannot go on: the thread that judges deliveries panicked");
                edge.stop.send_replace(true);
            }
        })
    }

    fn readings_thread(&self, open: &OpenSession) -> std::io::Result<JoinHandle<()>> {
        let (edge, outbox, session) = (Arc::clone(&self.edge), self.outbox.clone(), open.session.clone());
        Builder::new()
            .name("bridge-readings".to_owned())
            .spawn(move || say_readings(&edge, &outbox, &session))
    }
}

/// Tries waiting inputs again and, once a second, tells what was refused and dropped.
async fn tell_own_inputs(edge: Arc<Edge>, outbox: OutboxReader) {
    let mut ticks = tokio::time::interval(RETRY_PERIOD);
    for round in (0..RETRIES_PER_ROUND).cycle() {
        ticks.tick().await;
        edge.own_inputs.retry();
        if round == 0 {
            count_dropped(&edge, &outbox);
            edge.tell_refusals();
        }
    }
}

fn count_dropped(edge: &Edge, outbox: &OutboxReader) {
    let dropped = outbox.take_dropped();
    if dropped > 0 {
        let sentence = "batches of our readings were dropped, because newer ones came before they left; \
                        see whether the journal or the link is slow";
        edge.refuse_many(Refusal::new(Code::StreamSkipped, "outbox", sentence), dropped);
    }
}

/// Everything follows who is trusted. Ends when somebody no longer is, whose links have to end too; with secured links at every
/// change, as zenoh asks only at the beginning of a session who may hear us.
async fn follow_until_links_change(
    ears: &Ears,
    trust: &mut watch::Receiver<BTreeSet<NodeId>>,
    known: &mut BTreeSet<NodeId>,
    is_secured: bool,
) {
    while trust.changed().await.is_ok() {
        let trusted = trust.borrow_and_update().clone();
        ears.follow(&trusted);
        let before = std::mem::replace(known, trusted);
        if is_secured || !before.is_subset(known) {
            return;
        }
    }
}

async fn reconcile(presence: &Presence, session: &zenoh::Session) {
    let mut seconds = tokio::time::interval(RETRY_PERIOD * RETRIES_PER_ROUND);
    loop {
        seconds.tick().await;
        presence.reconcile(session).await;
    }
}
