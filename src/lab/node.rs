//! One node of the lab: a core, its doors, and the part of an edge that a network needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use clawmesh_authority::node_role::NodeRole;
use clawmesh_authority::{
    Admission, Body, ContentHash, Lane, LaneMark, MeshId, NodeId, NodeKey, Roster, envelope,
};
use clawmesh_core::intake::{
    InboxHandle, InboxLimits, Input, InputBody, SourceId, StampedInput, StreamKey, doors,
};
use clawmesh_core::planner::{Wish, Wishes};
use clawmesh_core::proposals::{AnswerDesk, Simulator};
use clawmesh_core::publish::{OutboxReader, Outgoing, Snapshot, SnapshotSink, outbox};
use clawmesh_core::replay::{CommitWatch, Record, Ticket};
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::{NoPlace, SiteFiles};
use clawmesh_core::{Core, Ports, Settings};
use clawmesh_twin::rollout::Model;

use crate::hardware::Machinery;
use crate::journal::MemoryJournal;
use crate::network::Content;
use crate::simulator::{CardMemory, LabSimulator};
use crate::stop::{Brake, StopFile};

/// A frame that some peers have not confirmed yet.
#[derive(Debug, Clone)]
pub(crate) struct Unconfirmed {
    pub(crate) epoch: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) waiting_for: BTreeSet<usize>,
    pub(crate) sent_ms: Option<u64>,
}

/// Receipts the journal has granted and the network has not carried yet.
type Granted = Arc<Mutex<Vec<(usize, u64, u64)>>>;

/// How often nodes tick, how many ticks lie between two digests, and whether they have a mock actuator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) hz: u32,
    pub(crate) digest_every_ticks: u64,
    pub(crate) mock_actuator: bool,
}

pub(crate) struct LabNode {
    pub(crate) name: String,
    role: String,
    pub(crate) key: NodeKey,
    pub(crate) clock_offset_ms: i64,
    /// False while nothing keeps its clock and nobody has told it the time.
    pub(crate) knows_the_time: bool,
    pub(crate) live: Option<Live>,
    pub(crate) journal: MemoryJournal,
    stop_file: StopFile,
    pub(crate) trusted: BTreeSet<NodeId>,
    site: Option<SiteText>,
    pub(crate) roster: Roster,
    pub(crate) hardware: Option<Arc<dyn Machinery>>,
    /// Where it takes cards from, if it does not simulate each time.
    pub(crate) cards: Option<CardMemory>,
}

/// What a crash takes away.
pub(crate) struct Live {
    pub(crate) core: Core,
    pub(crate) inbox: InboxHandle,
    pub(crate) unconfirmed: BTreeMap<u64, Unconfirmed>,
    pub(crate) peers_present: BTreeSet<usize>,
    pub(crate) brake: Brake,
    commits: CommitWatch,
    outbox: OutboxReader,
    /// The oldest statement of each lane that waits for its cause to be durable.
    heads: [Option<Outgoing>; 2],
    granted: Granted,
    snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    pub(crate) desk: AnswerDesk,
    simulator: Option<LabSimulator>,
    wishes: Arc<Mutex<Vec<Wish>>>,
}

struct KeepNewest(Arc<Mutex<Option<Arc<Snapshot>>>>);

impl SnapshotSink for KeepNewest {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }
}

/// The most wishes one run of a node may make; the lab asks nobody, so they stay where they are.
const WISHES_MAX: usize = 256;

struct KeepWishes(Arc<Mutex<Vec<Wish>>>);

impl Wishes for KeepWishes {
    fn wish(&self, wish: Wish) -> Result<(), NoPlace> {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wishes.len() >= WISHES_MAX {
            return Err(NoPlace);
        }
        wishes.push(wish);
        Ok(())
    }
}

impl LabNode {
    /// What its clock shows when it is `now_ms`; 0 while it knows no time.
    pub(crate) fn clock_ms(&self, now_ms: u64) -> u64 {
        if self.knows_the_time { now_ms.saturating_add_signed(self.clock_offset_ms) } else { 0 }
    }

    pub(crate) fn new(
        (name, role): (&str, &str),
        key: NodeKey,
        trusted: BTreeSet<NodeId>,
        site: Option<SiteText>,
        roster: Roster,
        journal: MemoryJournal,
    ) -> Self {
        Self {
            name: name.to_owned(),
            role: role.to_owned(),
            key,
            clock_offset_ms: 0,
            knows_the_time: true,
            live: None,
            journal,
            stop_file: StopFile::default(),
            trusted,
            site,
            roster,
            hardware: None,
            cards: None,
        }
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.journal.records()
    }

    /// Starts a run; what earlier runs had acknowledged is fed again.
    pub(crate) fn start(&mut self, epoch: u64, pace: Pace) {
        let records = self.journal.records();
        let tick_before = records.iter().map(tick_of).max().unwrap_or(0);
        let known_before_ms = newest_wall_ms(&records);
        let settings = Settings {
            node: self.key.id(),
            name: self.name.clone(),
            role: self.role.clone(),
            mesh_name: "lab".to_owned(),
            version: "0".to_owned(),
            epoch,
            hz: pace.hz,
            digest_every_ticks: pace.digest_every_ticks,
            tick_before,
            trusted: self.trusted.clone(),
            site: self.site.clone(),
            roster: self.roster.clone(),
            // Of a lab, nothing may depend on anything but its seed and its calls.
            entropy: ContentHash::of(&self.name, &epoch.to_le_bytes()).0,
            mock_actuator: pace.mock_actuator,
            plans: NodeRole::of_name(&self.role).planner_rank() > 0,
            wall_before_ms: if self.knows_the_time { 0 } else { known_before_ms.max(1) },
            known_before_ms,
        };
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (outbox_in, outbox_out) = outbox(4_096, 1_024);
        let snapshot = Arc::default();
        let desk = AnswerDesk::default();
        let simulator = self.simulator(&settings);
        let wishes = Arc::default();
        let (commits, latch) = (self.journal.begin(), self.stop_file.open());
        let left_stopped = latch.why().map(|reason| InputBody::StopLatched { reason, stops: 0 });
        let (brake, rearm) = Brake::new(latch.clone(), commits.clone());
        let ports = Ports {
            inboxes,
            next_sequence: self.journal.next_sequence(),
            journal: Box::new(self.journal.clone()),
            outbox: outbox_in,
            snapshots: Box::new(KeepNewest(Arc::clone(&snapshot))),
            drivers: self.hardware.as_ref().map(|hardware| hardware.connect(&inbox, commits.clone(), latch)),
            simulator: simulator.clone().map(|simulator| Box::new(simulator) as Box<dyn Simulator>),
            latch: Some(Box::new(rearm)),
            desk: desk.clone(),
            planner: Some(Box::new(KeepWishes(Arc::clone(&wishes)))),
            fault_handler: bevy_panics(),
        };
        let core = Core::live(settings, ports);
        for body in recovered(&records).into_iter().chain(left_stopped) {
            inbox.offer_own(SourceId::Journal, body, None).expect("a fresh inbox has room");
        }
        self.live = Some(Live {
            core,
            inbox,
            unconfirmed: BTreeMap::new(),
            peers_present: BTreeSet::new(),
            brake,
            commits,
            outbox: outbox_out,
            heads: [None, None],
            granted: Arc::default(),
            snapshot,
            desk,
            simulator,
            wishes,
        });
    }

    /// The run ends as by a kill: what is not durable is lost with it.
    pub(crate) fn crash(&mut self) {
        self.live = None;
        self.journal.crash();
    }

    /// A node with hardware simulates what is to be done with it.
    fn simulator(&self, settings: &Settings) -> Option<LabSimulator> {
        self.hardware.as_ref()?;
        let files = SiteFiles::of(settings).ok().flatten()?;
        let model = Model::new(&files.plan).expect("the site can be simulated");
        Some(LabSimulator::new(model, self.cards.clone()))
    }
}

/// The next statement if its cause is durable; else it stays at the head.
fn next_due(
    head: &mut Option<Outgoing>,
    next: impl FnOnce() -> Option<Outgoing>,
    committed: u64,
) -> Option<Outgoing> {
    let first = head.take().or_else(next)?;
    if first.cause <= committed {
        return Some(first);
    }
    *head = Some(first);
    None
}

fn bevy_panics() -> clawmesh_core::node::FaultHandler {
    |error, context| panic!("{context}: {error}")
}

fn tick_of(record: &Record) -> u64 {
    match record {
        Record::RunStarted(settings) => settings.tick_before,
        Record::Input(stamped) => stamped.tick,
        Record::Digest(digest) => digest.tick,
        Record::Kept(kept) => kept.tick,
    }
}

/// The last time that a run knew, or a millisecond more than what a later one was told of that; 0 when none did. As the journal
/// of a node has it.
fn newest_wall_ms(records: &[Record]) -> u64 {
    let known_ms = |record: &Record| match record {
        Record::Input(StampedInput {
            input: Input { body: InputBody::ClockSampled { unix_ms, .. }, .. },
            ..
        }) => Some(*unix_ms),
        Record::RunStarted(settings) if settings.wall_before_ms > 0 => Some(settings.wall_before_ms + 1),
        _ => None,
    };
    records.iter().rev().filter_map(known_ms).find(|known_ms| *known_ms > 0).unwrap_or(0)
}

/// What a restart must know again: marks, others' newest frames, and what was recorded here.
fn recovered(records: &[Record]) -> Vec<InputBody> {
    let mut marks: BTreeMap<NodeId, (LaneMark, LaneMark)> = BTreeMap::new();
    let mut frames = BTreeMap::new();
    let mut recorded = BTreeMap::new();
    let mut kept = BTreeMap::new();
    for record in records {
        if let Record::Kept(record) = record {
            let body = InputBody::Recalled { subject: record.subject.clone(), bytes: record.bytes.clone() };
            kept.insert(record.subject.clone(), body);
        }
        let Record::Input(stamped) = record else { continue };
        match &stamped.input.body {
            InputBody::Envelope { bytes, lane } => {
                let Ok(opened) = envelope::read_journaled(bytes) else { continue };
                let (source, statement) = (opened.source, opened.statement);
                let brought = (source, statement.epoch, statement.sequence);
                let said_at_once = statement.apart();
                let is_bundle = said_at_once.len() > 1;
                for said in said_at_once {
                    let mark = marks.entry(source).or_default();
                    let mark = if *lane == Lane::State { &mut mark.0 } else { &mut mark.1 };
                    if mark.admit(said.epoch, said.sequence) == Admission::Replayed && is_bundle {
                        continue;
                    }
                    if let Body::Frame(frame) = &said.body {
                        let order = (said.epoch, said.sequence);
                        let newest = frames
                            .entry((source, frame.subject()))
                            .or_insert((order, brought, bytes, is_bundle));
                        if order > newest.0 {
                            *newest = (order, brought, bytes, is_bundle);
                        }
                    }
                }
            }
            InputBody::Recorded { observation, .. } => {
                recorded.insert(observation.key.clone(), stamped.input.body.clone());
            }
            _ => {}
        }
    }
    let marks =
        marks.into_iter().map(|(node, (state, stream))| InputBody::MarkRestored { node, state, stream });
    // Of what holds several of them, one is enough.
    let mut brought: BTreeMap<_, (Vec<u8>, Option<Vec<u64>>)> = BTreeMap::new();
    for ((_, sequence), in_which, bytes, is_bundle) in frames.into_values() {
        let whole = || (bytes.clone(), is_bundle.then(Vec::new));
        if let Some(newest) = &mut brought.entry(in_which).or_insert_with(whole).1 {
            newest.push(sequence);
            newest.sort_unstable();
        }
    }
    let frames = brought.into_values().map(|(bytes, newest)| InputBody::Recovered { bytes, newest });
    marks.chain(frames).chain(recorded.into_values()).chain(kept.into_values()).collect()
}

impl Live {
    /// Samples the virtual clocks and runs one tick.
    pub(crate) fn tick(&mut self, unix_ms: u64, up_ms: u64) {
        let body = InputBody::ClockSampled { unix_ms, up_ms };
        let sequence = self.inbox.next_sequence();
        let key = StreamKey { source: SourceId::Clock, what: String::new() };
        self.inbox.offer_stream(key, Input { source: SourceId::Clock, sequence, body });
        self.brake.tell(&self.inbox);
        if let Some(simulator) = &self.simulator {
            simulator.step(&self.inbox);
        }
        self.core.tick();
    }

    /// Seals what the tick wants to say, once its cause is durable; frames are kept until every peer has confirmed them.
    pub(crate) fn take_outgoing(&mut self, key: &NodeKey, peers: &BTreeSet<usize>) -> Vec<Vec<u8>> {
        let committed = self.commits.committed();
        let [frame_head, batch_head] = &mut self.heads;
        while let Some(frame) = next_due(frame_head, || self.outbox.state.try_recv().ok(), committed) {
            let statement = &frame.statement;
            let unconfirmed = Unconfirmed {
                epoch: statement.epoch,
                bytes: envelope::seal(key, statement),
                waiting_for: peers.clone(),
                sent_ms: None,
            };
            self.unconfirmed.insert(statement.sequence, unconfirmed);
        }
        let batches =
            std::iter::from_fn(|| next_due(batch_head, || self.outbox.stream.try_recv().ok(), committed));
        batches.map(|batch| envelope::seal(key, &batch.statement)).collect()
    }

    /// Receipts granted since the last call, as (to, epoch, sequence).
    pub(crate) fn take_receipts(&self) -> Vec<(usize, u64, u64)> {
        std::mem::take(&mut self.granted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn newest_snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn wishes(&self) -> Vec<Wish> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The edge's part: check the signature, bring it to the door, confirm once the journal holds it.
    pub(crate) fn receive(&mut self, from: usize, content: Content) {
        match content {
            Content::Receipt { epoch, sequence } => self.confirm(from, epoch, sequence),
            Content::Envelope { lane, bytes } => {
                let Ok(opened) = envelope::open(&bytes, MeshId::of_name("lab")) else { return };
                let (epoch, sequence) = (opened.statement.epoch, opened.statement.sequence);
                let source = SourceId::Node(opened.source);
                let input = Input { source, sequence, body: InputBody::Envelope { lane, bytes } };
                if lane == Lane::Stream {
                    self.inbox.offer_stream(StreamKey { source, what: String::new() }, input);
                    return;
                }
                let granted = Arc::clone(&self.granted);
                let ticket = Ticket::new(move |outcome| {
                    if outcome.is_ok() {
                        granted.lock().unwrap_or_else(PoisonError::into_inner).push((from, epoch, sequence));
                    }
                });
                // A full inbox is `BUSY`: no receipt, and the sender tries again.
                let _ = self.inbox.offer_state(input, Some(ticket));
            }
        }
    }

    fn confirm(&mut self, from: usize, epoch: u64, sequence: u64) {
        if let Some(frame) = self.unconfirmed.get_mut(&sequence).filter(|frame| frame.epoch == epoch) {
            frame.waiting_for.remove(&from);
            if frame.waiting_for.is_empty() {
                self.unconfirmed.remove(&sequence);
            }
        }
    }
}
