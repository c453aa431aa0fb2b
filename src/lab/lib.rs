//! Many cores in one process: a mesh without sockets, disks or clocks, that a seed determines.
//! Reads a script of calls. Writes nothing but the worlds of its nodes.
//! Invariant: time is virtual, nodes step in a fixed order, messages move between ticks only; the same seed
//! and calls give the same digests. What is driven goes through the real driver layer (`drivers`), without its thread.
//! Not here: real links (`bridge`), real journals (`storage`).

mod asks;
mod guest;
mod hardware;
mod journal;
mod network;
mod node;
mod rng;
mod simulator;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clawmesh_authority::{Lane, NodeId, NodeKey, Observation, Roster, Tier, Value};
use clawmesh_core::intake::{Input, InputBody, Sample, SourceId, StreamKey};
use clawmesh_core::planner::Wish;
use clawmesh_core::publish::Snapshot;
use clawmesh_core::replay::{Record, ReplayReport, Replayer};
use clawmesh_core::settings::SiteText;
use clawmesh_core::{Core, Settings};

pub use guest::Manners;
pub use hardware::{DriverCall, Hardware, LEASE_MS, Machinery};
pub use network::LinkFaults;
pub use rng::SplitMix64;
pub use simulator::CardMemory;

use journal::MemoryJournal;
use network::{Content, Message, Network};
use node::{LabNode, Pace};

/// Ticks a second in the lab, unless it was told otherwise.
pub const HZ: u32 = 50;
/// When the virtual clock starts, Unix milliseconds.
pub const START_MS: u64 = 1_800_000_000_000;
/// A link that is cut takes a peer's token away after this long, as a real lease does.
const LINK_LEASE_MS: u64 = 2_000;
/// A frame without a receipt is sent again after this long.
const RESEND_MS: u64 = 200;

/// A mesh of nodes that trust each other, all at once.
pub struct Lab {
    nodes: Vec<LabNode>,
    network: Network,
    now_ms: u64,
    cut_since_ms: u64,
    epochs: u64,
    pace: Pace,
    journal_lag_ticks: u64,
    site: Option<SiteText>,
    roster: Roster,
    roles: BTreeMap<String, String>,
    cards: Option<CardMemory>,
}

impl Lab {
    /// An empty lab whose faults follow from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let network = Network::new(seed);
        Self {
            nodes: Vec::new(),
            network,
            now_ms: START_MS,
            cut_since_ms: START_MS,
            epochs: 0,
            pace: Pace { hz: HZ, digest_every_ticks: 1, mock_actuator: false },
            journal_lag_ticks: 0,
            site: None,
            roster: Roster::default(),
            roles: BTreeMap::new(),
            cards: None,
        }
    }

    /// The site at which the nodes work that are added from now on.
    #[must_use]
    pub fn at_site(mut self, site: SiteText) -> Self {
        self.site = Some(site);
        self
    }

    /// How often the nodes tick that are added from now on, and that a digest is taken once a second only: for long runs.
    ///
    /// # Panics
    /// When a second has no whole number of such ticks in milliseconds.
    #[must_use]
    pub fn ticking(mut self, hz: u32) -> Self {
        assert!((1..=200).contains(&hz) && 1_000 % hz == 0, "a node cannot tick {hz} times a second");
        self.pace = Pace { hz, digest_every_ticks: u64::from(hz), ..self.pace };
        self
    }

    /// The roles of nodes that are added from now on, by name; the others are `lab`. Who may lead the planning also wishes to.
    #[must_use]
    pub fn with_roles<const N: usize>(mut self, roles: [(&str, &str); N]) -> Self {
        self.roles = roles.map(|(name, role)| (name.to_owned(), role.to_owned())).into();
        self
    }

    /// The people whom the nodes know that are added from now on.
    #[must_use]
    pub fn with_people(mut self, roster: Roster) -> Self {
        self.roster = roster;
        self
    }

    /// Gives the nodes that are added from now on a mock actuator, which plain commands of guests reach.
    #[must_use]
    pub fn with_mock_actuator(mut self) -> Self {
        self.pace.mock_actuator = true;
        self
    }

    /// The nodes that are added from now on simulate each plan once and make every later card of it after the first, under its own
    /// seed: for runs in which it does not matter what a card says.
    #[must_use]
    pub fn remembering_cards(mut self, cards: &CardMemory) -> Self {
        self.cards = Some(cards.clone());
        self
    }

    /// The key that the `n`-th node of any lab has, counted from 1.
    #[must_use]
    pub fn key_of(n: usize) -> NodeKey {
        NodeKey::from_secret(&secret(n))
    }

    /// Gives a node hardware and lets it simulate, from its next start on; it is started again.
    ///
    /// # Panics
    /// When the node has no site that can be simulated.
    pub fn equip(&mut self, name: &str, hardware: impl Machinery) {
        let place = self.place(name);
        self.nodes[place].hardware = Some(Arc::new(hardware));
        self.crash(name);
        self.start(name);
    }

    /// The id that the `n`-th node of any lab has, counted from 1.
    #[must_use]
    pub fn id_of(n: usize) -> NodeId {
        NodeKey::from_secret(&secret(n)).id()
    }

    /// Adds nodes that trust each other, and starts them.
    #[must_use]
    pub fn with_nodes<const N: usize>(mut self, names: [&str; N]) -> Self {
        let keys: Vec<NodeKey> = (1..=N).map(|n| NodeKey::from_secret(&secret(n))).collect();
        let all: BTreeSet<NodeId> = keys.iter().map(NodeKey::id).collect();
        for (name, key) in names.into_iter().zip(keys) {
            let others = all.iter().copied().filter(|id| *id != key.id()).collect();
            let journal = MemoryJournal::with_lag(self.journal_lag_ticks);
            let (site, roster) = (self.site.clone(), self.roster.clone());
            let role = self.roles.get(name).map_or("lab", String::as_str);
            let mut node = LabNode::new((name, role), key, others, site, roster, journal);
            node.cards.clone_from(&self.cards);
            self.nodes.push(node);
            self.start(name);
        }
        self
    }

    /// Sets what may happen on every link from now on.
    #[must_use]
    pub fn with_faults(mut self, faults: LinkFaults) -> Self {
        self.network.faults = faults;
        self
    }

    /// Changes what may happen on every link.
    pub fn set_faults(&mut self, faults: LinkFaults) {
        self.network.faults = faults;
    }

    /// Cuts every link between the two groups.
    pub fn partition(&mut self, one: &[&str], other: &[&str]) {
        for a in one {
            for b in other {
                self.network.cut(self.place(a), self.place(b));
            }
        }
        self.cut_since_ms = self.now_ms;
    }

    /// Heals every cut.
    pub fn heal(&mut self) {
        self.network.heal();
    }

    /// Takes a node away at once; what is durable in its journal stays.
    pub fn crash(&mut self, name: &str) {
        let place = self.place(name);
        self.nodes[place].crash();
        self.cut_since_ms = self.now_ms;
    }

    /// Starts a node, again or for the first time.
    pub fn start(&mut self, name: &str) {
        self.epochs += 1;
        let (place, epoch) = (self.place(name), self.epochs);
        self.nodes[place].start(epoch, self.pace);
    }

    /// Sets how far a node's clock is off.
    pub fn set_clock_offset(&mut self, name: &str, offset_ms: i64) {
        let place = self.place(name);
        self.nodes[place].clock_offset_ms = offset_ms;
    }

    /// Nothing keeps the clock of a node from its next start on, so that it knows no time; it is started again, as fast as machines
    /// do.
    pub fn lose_the_time(&mut self, name: &str) {
        let place = self.place(name);
        self.nodes[place].knows_the_time = false;
        self.crash(name);
        // As long as its first stamps are later than the last sample.
        self.run_seconds(2);
        self.start(name);
    }

    /// Others have told a node the time.
    pub fn tell_the_time(&mut self, name: &str) {
        let place = self.place(name);
        self.nodes[place].knows_the_time = true;
    }

    /// Lets a sensor of a node give a value, stamped with that node's clock.
    pub fn sample(&mut self, name: &str, mut sample: Sample) {
        let node = &self.nodes[self.place(name)];
        sample.origin_ms = node.clock_ms(self.now_ms);
        let Some(live) = &node.live else { return };
        let key = StreamKey { source: SourceId::HostSensors, what: sample.sensor.to_string() };
        let input = Input {
            source: SourceId::HostSensors,
            sequence: live.inbox.next_sequence(),
            body: InputBody::Sampled(vec![sample]),
        };
        live.inbox.offer_stream(key, input);
    }

    /// Lets a person at a node note something.
    pub fn record(&mut self, name: &str, key: &str, value: Value) {
        let observation =
            Observation { key: key.to_owned(), value, unit: None, origin_ms: self.now_ms, tier: Tier::T1 };
        self.offer(name, SourceId::Gateway, InputBody::Recorded { observation, hlc: None });
    }

    /// Brings any state-lane input to a node's door.
    pub fn offer(&mut self, name: &str, source: SourceId, body: InputBody) {
        if let Some(live) = &self.nodes[self.place(name)].live {
            live.inbox.offer_own(source, body, None).expect("the lab never fills an inbox");
        }
    }

    /// Virtual time, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Lets time pass in which nobody ticks and no hardware does anything: machines that are overloaded, or asleep.
    pub fn stall_seconds(&mut self, seconds: u64) {
        self.now_ms += seconds * 1_000;
    }

    /// Runs `ticks` ticks of every node.
    pub fn run_ticks(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.step();
        }
    }

    /// Runs `seconds` seconds of every node.
    pub fn run_seconds(&mut self, seconds: u64) {
        self.run_ticks(seconds * u64::from(self.pace.hz));
    }

    /// The newest picture of a node's world.
    #[must_use]
    pub fn snapshot(&self, name: &str) -> Arc<Snapshot> {
        let live = self.nodes[self.place(name)].live.as_ref().expect("the node is up");
        live.newest_snapshot().expect("the first tick publishes a snapshot")
    }

    /// What the planner of a node has wished in this run, oldest first.
    #[must_use]
    pub fn wishes(&self, name: &str) -> Vec<Wish> {
        self.nodes[self.place(name)].live.as_ref().expect("the node is up").wishes()
    }

    /// A node's core, to look into.
    #[must_use]
    pub fn core(&self, name: &str) -> &Core {
        &self.nodes[self.place(name)].live.as_ref().expect("the node is up").core
    }

    /// A node's core, to alter it.
    pub fn core_mut(&mut self, name: &str) -> &mut Core {
        let place = self.place(name);
        &mut self.nodes[place].live.as_mut().expect("the node is up").core
    }

    /// The id of a node.
    #[must_use]
    pub fn id(&self, name: &str) -> NodeId {
        self.nodes[self.place(name)].key.id()
    }

    /// The durable records of a node's journal, over all its runs; the first has sequence 1.
    #[must_use]
    pub fn records(&self, name: &str) -> Vec<Record> {
        self.nodes[self.place(name)].records()
    }

    /// Replays a node's journal.
    #[must_use]
    pub fn replay(&self, name: &str) -> ReplayReport {
        replay(self.records(name))
    }

    fn place(&self, name: &str) -> usize {
        let found = self.nodes.iter().position(|node| node.name == name);
        found.unwrap_or_else(|| panic!("the lab has no node {name:?}"))
    }

    fn step(&mut self) {
        self.now_ms += 1_000 / u64::from(self.pace.hz);
        self.move_tokens();
        for Message { from, to, content } in self.network.arrivals(self.now_ms) {
            let node = &mut self.nodes[to];
            // The edge takes nothing while the time is not known, so that the sender tries again.
            let is_taken = node.knows_the_time || matches!(content, Content::Receipt { .. });
            if let Some(live) = node.live.as_mut().filter(|_| is_taken) {
                live.receive(from, content);
            }
        }
        for place in 0..self.nodes.len() {
            let node = &mut self.nodes[place];
            let unix_ms = node.clock_ms(self.now_ms);
            if let Some(live) = &mut node.live {
                live.brake.open(&live.inbox);
                if let Some(hardware) = &node.hardware {
                    hardware.step(self.now_ms, &live.inbox);
                }
                live.tick(unix_ms, self.now_ms);
            }
        }
        for place in 0..self.nodes.len() {
            self.nodes[place].journal.step();
            self.carry_from(place);
        }
    }

    /// Tokens appear as soon as both ends are up and vanish when the lease of a cut link has run out.
    fn move_tokens(&mut self) {
        let lease_is_over = self.now_ms >= self.cut_since_ms + LINK_LEASE_MS;
        for place in 0..self.nodes.len() {
            for other in (0..self.nodes.len()).filter(|other| *other != place) {
                let is_reachable = self.nodes[other].live.is_some() && !self.network.is_cut(place, other);
                let id = self.nodes[other].key.id();
                let Some(live) = &mut self.nodes[place].live else { continue };
                let body = if is_reachable && live.peers_present.insert(other) {
                    InputBody::PeerAppeared(id)
                } else if !is_reachable && lease_is_over && live.peers_present.remove(&other) {
                    InputBody::PeerVanished(id)
                } else {
                    continue;
                };
                live.inbox.offer_own(SourceId::Bridge, body, None).expect("the lab never fills an inbox");
            }
        }
    }

    fn carry_from(&mut self, place: usize) {
        let peers: BTreeSet<usize> = (0..self.nodes.len()).filter(|other| *other != place).collect();
        let LabNode { key, live: Some(live), .. } = &mut self.nodes[place] else { return };
        let mut out: Vec<(usize, Content)> = Vec::new();
        for (to, epoch, sequence) in live.take_receipts() {
            out.push((to, Content::Receipt { epoch, sequence }));
        }
        for bytes in live.take_outgoing(key, &peers) {
            let readings = Content::Envelope { lane: Lane::Stream, bytes };
            out.extend(peers.iter().map(|to| (*to, readings.clone())));
        }
        // In order, one at a time for each peer, as the real edge does: a later frame must not overtake.
        let mut busy: BTreeSet<usize> = BTreeSet::new();
        for frame in live.unconfirmed.values_mut() {
            let is_due = frame.sent_ms.is_none_or(|sent_ms| self.now_ms >= sent_ms + RESEND_MS);
            let free: Vec<usize> =
                frame.waiting_for.iter().copied().filter(|to| busy.insert(*to) && is_due).collect();
            for to in free {
                frame.sent_ms = Some(self.now_ms);
                out.push((to, Content::Envelope { lane: Lane::State, bytes: frame.bytes.clone() }));
            }
        }
        for (to, content) in out {
            self.network.send(self.now_ms, Message { from: place, to, content });
        }
    }
}

/// Replays records; the first has sequence 1.
///
/// # Panics
/// When a record stands where it cannot stand.
#[must_use]
pub fn replay(records: Vec<Record>) -> ReplayReport {
    let mut replayer = Replayer::default();
    for (sequence, record) in (1..).zip(records) {
        replayer.take(sequence, record).expect("a journal of the lab is well-formed");
    }
    replayer.finish()
}

/// Settings for a core that stands alone in a test.
#[must_use]
pub fn lone_settings() -> Settings {
    Settings { hz: HZ, ..Settings::of_first_run(NodeKey::from_secret(&secret(1)).id(), "lone", "lab", "lab") }
}

fn secret(n: usize) -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&(n as u64).to_le_bytes());
    secret
}
