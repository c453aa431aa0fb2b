//! Putting a node together, running it, and taking it apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use clawmesh_authority::{LaneMark, NodeId, NodeKey, envelope};
use clawmesh_bridge::{Bridge, BridgeConfig, BridgeLimits, BridgePorts, Ways as ZenohWays};
use clawmesh_core::clock::{ClockView, Timekeeper};
use clawmesh_core::intake::{InboxHandle, InboxLimits, Inboxes, InputBody, SourceId, doors};
use clawmesh_core::proposals::{AnswerDesk, Simulator};
use clawmesh_core::publish::{NodeView, Outbox, OutboxReader, outbox};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::DriverPort;
use clawmesh_core::{Core, Ports, Settings};
use clawmesh_drivers::{DriverLayer, DriverPorts, Orders, StopLatch};
use clawmesh_gateway::{
    BoundGateway, GatewayConfig, GatewayPorts, SnapshotFeed, SnapshotFeeder, snapshot_feed,
};
use clawmesh_plant::{Fault, PlannedFault, Plant, PlantFile};
use clawmesh_storage::{Journal, JournalOptions, OpenJournal};
use clawmesh_twin::rollout::Model;
use clawmesh_wire::diagnostics::{DiagnosticCode, DiagnosticLevel, StartSettings, diagnose};
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{Host, Links};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::guests::discovery::{self, OwnRecord};
use super::guests::guardian::{GuestDriver, Hands, Remote, Sender};
use super::guests::{GuestDoor, GuestFacts, GuestHost, Herald};
use super::mesh_to_come::MeshToCome;
#[cfg(not(feature = "planner"))]
use super::no_planner::Planning;
#[cfg(feature = "planner")]
use super::planner::wiring::Planning;
use super::plant::PlantDriver;
use super::simulator::SimulationOrders;
use super::ticker::Ticker;
use super::timekeeper::Beginning;
use super::worker::Worker;
use super::{faults, host_sensors, mock_sensor, open_files, plant, rearm, signals, simulator, trust};
use crate::config::certificate::{self, Certificate};
use crate::config::durable_file::{remove_durably, write_atomic};
use crate::config::farm;
use crate::config::restored_file::{self, RestoredRecord};
use crate::config::settings::NodeConfig;
use crate::config::site_file::{self, Place, SiteFile};
use crate::config::state_dir::StateDir;
use crate::config::{epoch, identity, operators_file, papers, policy_file, stop_file, token, trust_file};
use crate::moments::unix_ms;

/// Frames and batches of readings that may wait for the zenoh edge.
const OUTBOX_FRAMES: usize = 4_096;
const OUTBOX_BATCHES: usize = 1_024;
/// How long the tick may be silent before what runs is made safe, milliseconds.
const LEASE_MS: u64 = 1_000;

/// How a node is run.
pub struct Options {
    /// Where it keeps its things.
    pub dir: StateDir,
    /// Its settings.
    pub config: NodeConfig,
    /// The stand-in plant it drives, if it drives one.
    pub plant: Option<PlantOptions>,
    /// Whether the end of standard input ends it.
    pub stop_with_stdin: bool,
    /// Called with the address of the live page, token and all: it is for a person at a terminal, never for a log.
    pub tell_page: fn(&str),
}

/// A stand-in plant.
pub struct PlantOptions {
    /// Its true numbers.
    pub file: PlantFile,
    /// What its noise, its weather and its own faults follow from.
    pub seed: u64,
    /// How much faster than the wall its time runs.
    pub speed: u32,
    /// Faults besides those of the seed.
    pub faults: Vec<PlannedFault>,
}

/// Runs a node until it is told to stop. The error, if any, is one sentence for people.
pub fn run(options: Options) -> anyhow::Result<()> {
    let _lock = options.dir.lock()?;
    // A node that was killed left its address; with our lock it would pass for ours.
    remove_durably(&options.dir.address_file())?;
    let workers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("gateway")
        .enable_all()
        .build()
        .context("the system gives no threads")?;
    open_files::allow();
    // Before anything is stamped or numbered by the time.
    let clock = Beginning::of(&options.dir, &options.config)?;
    let start = Start::read(&options, clock)?;
    let gateway = workers.block_on(clawmesh_gateway::bind(start.gateway_config(&options.config)))?;
    let journal = Journal::open(&options.dir.journal_file(), JournalOptions::default())?;
    let ways = Ways::open(&journal, &start, gateway.address());
    tell_address(&options, &gateway, &start)?;
    // It answers from here on, `starting` until the first tick: to check what earlier runs left may take a while.
    let serving = Serving::begin(&workers, gateway, ways.gateway_ports());
    let waited = Node::start(&options, start, journal, ways, workers.handle()).and_then(|node| {
        let why = workers.block_on(signals::wait(options.stop_with_stdin, Arc::clone(&node.runner.death)))?;
        tracing::info!("stopping: {why}");
        node.guests.host.tell_end(why);
        Ok(node)
    });
    let served = workers.block_on(serving.end());
    // Before the node is closed, because nobody of ours listens there any more; whatever comes of it, the node is closed.
    let removed = remove_durably(&options.dir.address_file());
    let death = waited?.close(&workers);
    workers.shutdown_background();
    if let Some(sentence) = death {
        anyhow::bail!("{sentence}; the stop is latched, start the node again and look at `clawmesh status`");
    }
    served?;
    Ok(removed?)
}

fn tell_address(options: &Options, gateway: &BoundGateway, start: &Start) -> anyhow::Result<()> {
    let (dir, address) = (&options.dir, gateway.address());
    write_atomic(&dir.address_file(), format!("{address}\n").as_bytes())?;
    tracing::info!("gateway at http://{address}/, token in {}", dir.token_file().display());
    if let Some(certificate) = &start.certificate {
        let fingerprint = &certificate.fingerprint;
        tracing::info!(
            "other machines speak TLS with it; the fingerprint of its certificate is {fingerprint}"
        );
    }
    (options.tell_page)(&page(address, &start.token));
    Ok(())
}

/// The address of the live page, with the token in the part that a browser keeps to itself.
fn page(mut address: SocketAddr, token: &str) -> String {
    // "All addresses" is none that a browser could go to.
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{address}/#token={token}")
}

/// Everything read from the state dir before anything is opened.
struct Start {
    key: NodeKey,
    token: String,
    site: SiteFile,
    latch: StopLatch,
    restored: Option<RestoredRecord>,
    certificate: Option<Certificate>,
    settings: Settings,
    clock: Beginning,
}

impl Start {
    fn read(options: &Options, clock: Beginning) -> anyhow::Result<Self> {
        let Options { dir, config, .. } = options;
        // What people wrote is judged before anything is made.
        site_file::load(dir)?;
        let identity = identity::load_or_create(dir)?;
        if identity.is_new {
            tracing::info!("this node is new: its id is {}", identity.key.id());
        }
        match options.plant {
            Some(_) => farm::create_missing(dir, &[(farm::FIELD_NODE, identity.key.id())])?,
            None => site_file::create_missing(dir)?,
        }
        let site = site_file::load(dir)?;
        tell_ways(config, identity.key.id(), can_do_something(options, &site, identity.key.id()))?;
        let restored = restored_file::load(dir)?;
        if restored.is_some() {
            only_the_list_counts(dir, config)?;
        }
        let settings = Settings {
            node: identity.key.id(),
            name: config.name.value.clone(),
            role: config.role.value.clone(),
            mesh_name: config.mesh_name.value.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: epoch::begin(dir, not_before(unix_ms(), restored.as_ref(), clock.wall_before_ms))?,
            hz: config.hz.value,
            digest_every_ticks: config.digest_every_ticks.value,
            tick_before: 0,
            trusted: config.trusted.value.clone(),
            site: site_text(dir, &site)?,
            roster: operators_file::load(dir)?,
            entropy: identity::random_secret("nonces of this run")?,
            mock_actuator: config.mock_actuator.value,
            plans: site.plan.as_ref().is_some_and(|plan| config.plans_at(plan)),
            wall_before_ms: clock.wall_before_ms,
            known_before_ms: clock.known_before_ms,
        };
        Ok(Self {
            token: token::load_or_create(dir)?.reveal().to_owned(),
            site,
            latch: stop_file::open(dir),
            restored,
            certificate: certificate::wanted(dir, &config.tls.value)?,
            key: identity.key,
            settings,
            clock,
        })
    }

    fn gateway_config(&self, config: &NodeConfig) -> GatewayConfig {
        GatewayConfig {
            host: config.host.value,
            port: config.port.value,
            token: self.token.clone(),
            tls: self.certificate.as_ref().map(|certificate| Arc::clone(&certificate.server)),
            node: NodeView::of(&self.settings),
        }
    }
}

/// What the number of a run is not below. Where nobody knows the time, what the journal knows and the restore from a backup are
/// the last that is known.
fn not_before(now_ms: u64, restored: Option<&RestoredRecord>, wall_before_ms: u64) -> u64 {
    match now_ms {
        0 => restored.map_or(0, |record| record.at_unix_ms).max(wall_before_ms),
        unix_ms => unix_ms,
    }
}

/// What is wrong, or worth knowing, about the port and the nodes to dial. That nobody is named is worth a word only where
/// nobody else can be found either.
fn tell_ways(config: &NodeConfig, own: NodeId, can_do_something: bool) -> anyhow::Result<()> {
    let named = [&config.connect.value[..], &config.peers.value[..]].concat();
    let found = diagnose(&StartSettings {
        own_id: Some(own),
        port: config.port.value.into(),
        is_discovering: config.discovery.value,
        peers: &config.peers.value,
        can_do_something,
    });
    for finding in found {
        match finding.code.level() {
            DiagnosticLevel::Error => anyhow::bail!("{finding}"),
            DiagnosticLevel::Warn if finding.code == DiagnosticCode::IsolatedNode && !named.is_empty() => {}
            DiagnosticLevel::Warn => tracing::warn!("{finding}"),
            DiagnosticLevel::Info => tracing::info!("{finding}"),
        }
    }
    Ok(())
}

/// Whether the node measures, moves or plans anything.
fn can_do_something(options: &Options, site: &SiteFile, own: NodeId) -> bool {
    let config = &options.config;
    let has_guests = site_file::place_of(site, own).is_ok_and(|place| !place.on_guests.is_empty());
    let plans = site.plan.as_ref().is_some_and(|plan| config.plans_at(plan));
    let is_set =
        [&config.host_sensors, &config.mock_sensor, &config.mock_actuator].iter().any(|set| set.value);
    options.plant.is_some() || is_set || !site.mappings.is_empty() || has_guests || plans
}

/// A flag or a file may name a node that was removed after the backup was made, and only the lost list knew of that.
fn only_the_list_counts(dir: &StateDir, config: &NodeConfig) -> anyhow::Result<()> {
    let list = trust_file::load(dir)?;
    let Some(id) = config.trust_configured.iter().find(|id| list.get(id).is_none()) else { return Ok(()) };
    anyhow::bail!(
        "this node came from a backup, after which only its trust list counts, and {id} is named by --trust or node.ron alone; \
         if it is to be trusted, say `clawmesh trust add {id}`, and start again"
    )
}

/// The site and the policy as the tick gets them; without a plan there is none.
fn site_text(dir: &StateDir, site: &SiteFile) -> anyhow::Result<Option<SiteText>> {
    let Some(plan) = &site.plan else { return Ok(None) };
    let policy = policy_file::load(&dir.policy_file(), site)?;
    Ok(Some(SiteText::of(&site.name, plan, policy.as_ref()).map_err(anyhow::Error::msg)?))
}

/// The ways between the tick and the edges.
struct Ways {
    inbox: InboxHandle,
    inboxes: Inboxes,
    outbox: Outbox,
    outbox_reader: OutboxReader,
    feeder: SnapshotFeeder,
    snapshots: SnapshotFeed,
    commits: CommitWatch,
    /// Where whoever asks waits for the answer.
    desk: AnswerDesk,
    latch: StopLatch,
    mesh: Arc<MeshToCome>,
    guests: Arc<GuestDoor>,
    /// Where the gateway listens.
    gateway: SocketAddr,
    clock: Arc<dyn Fn() -> ClockView + Send + Sync>,
}

impl Ways {
    /// All of what earlier runs left has a place at the door, beside what comes in the meantime.
    fn open(journal: &OpenJournal, start: &Start, gateway: SocketAddr) -> Self {
        let usual = InboxLimits::default();
        let state_inputs_max = usual.state_inputs_max + journal.recovered.inputs.len();
        let (inbox, inboxes) = doors(InboxLimits { state_inputs_max, ..usual });
        let (outbox, outbox_reader) = outbox(OUTBOX_FRAMES, OUTBOX_BATCHES);
        let (feeder, snapshots) = snapshot_feed();
        Self {
            inbox,
            inboxes,
            outbox,
            outbox_reader,
            feeder,
            snapshots,
            commits: journal.watch.clone(),
            desk: AnswerDesk::default(),
            latch: start.latch.clone(),
            mesh: Arc::new(MeshToCome::new(start.settings.node, start.settings.trusted.clone())),
            guests: Arc::default(),
            gateway,
            clock: start.clock.view(),
        }
    }

    fn gateway_ports(&self) -> GatewayPorts {
        GatewayPorts {
            snapshots: self.snapshots.clone(),
            inbox: self.inbox.clone(),
            commits: self.commits.clone(),
            unix_ms: Arc::new(unix_ms),
            clock: Arc::clone(&self.clock),
            desk: self.desk.clone(),
            stop: Arc::new(self.latch.clone()),
            neighbours: self.mesh.clone(),
            web_sockets: Some(self.guests.clone()),
            history: self.guests.clone(),
            abilities: self.guests.clone(),
        }
    }

    /// What the bridge shares with the gateway and the tick.
    fn bridge_ports(&self, dir: &StateDir, start: &Start) -> BridgePorts {
        let snapshots = self.snapshots.clone();
        let (dir, own, mesh_name) = (dir.clone(), start.key.public(), start.settings.mesh_name.clone());
        BridgePorts {
            key: start.key.clone(),
            epoch: start.settings.epoch,
            inbox: self.inbox.clone(),
            outbox: self.outbox_reader.clone(),
            commits: self.commits.clone(),
            unix_ms: Arc::new(unix_ms),
            clock: start.clock.keeper.clone().map(|keeper| keeper as Arc<dyn Timekeeper>),
            telling: start.clock.telling(),
            desk: self.desk.clone(),
            latch: Arc::new(self.latch.clone()),
            papers: Arc::new(move || papers::load(&dir, &own, &mesh_name).map_err(|fault| fault.to_string())),
            standing: Arc::new(move || snapshots.standing()),
        }
    }
}

/// The gateway at work.
struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Serving {
    fn begin(workers: &Runtime, gateway: BoundGateway, ports: GatewayPorts) -> Self {
        let (stop, stopping) = oneshot::channel::<()>();
        let task = workers.spawn(async move {
            let until = async move {
                let _ = stopping.await;
            };
            Ok(gateway.serve(ports, until).await?)
        });
        Self { stop, task }
    }

    /// Ends it in order: who is being answered gets the answer.
    async fn end(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.task.await.context("the gateway's task failed")?
    }
}

/// The running parts, in the order in which they are taken apart. Each stops when it is dropped: a start that
/// fails halfway leaves none of them running.
struct Node {
    planner: Option<Worker>,
    sensors: Vec<Worker>,
    plant: Option<Worker>,
    guests: GuestSide,
    bridge: Bridge,
    simulator: Option<Worker>,
    ticker: Ticker,
    drivers: Option<DriverLayer>,
    rearm: Worker,
    trust: Worker,
    runner: Runner,
}

/// What the process that runs the tick tells it, and hears of it.
struct Runner {
    inbox: InboxHandle,
    /// Told when the tick has died.
    death: Arc<Notify>,
}

impl Node {
    fn start(
        options: &Options,
        start: Start,
        journal: OpenJournal,
        ways: Ways,
        tasks: &Handle,
    ) -> anyhow::Result<Self> {
        let bridge_ports = ways.bridge_ports(&options.dir, &start);
        let facts = guest_facts(&options.config, &start);
        let pin = start.certificate.as_ref().map(|certificate| certificate.fingerprint.clone());
        let Ways { inbox, inboxes, outbox, feeder, commits, desk, mesh, guests, snapshots, gateway, .. } =
            ways;
        let dialled_only = with_actuators(&start);
        let marks = marks_in(&journal.recovered.inputs);
        feed_earlier(&inbox, journal.recovered.inputs, &start)?;
        let (plant, drivers, simulator) = machinery(options, &start, &inbox, &commits, &guests)?;
        let (drivers, orders) = drivers.unzip();
        let (simulator, simulations) = simulator.unzip();
        let settings = Settings { tick_before: journal.last_tick, ..start.settings.clone() };
        let hz = settings.hz;
        let planning = Planning::of(&options.config, &start.settings, &start.key, &inbox)?;
        let (wishes, planning) = planning.unzip();
        let (rearm, opener) = rearm::start(start.latch.clone(), commits.clone(), inbox.clone())?;
        let asked_here = desk.clone();
        let core = Core::live(
            settings,
            Ports {
                inboxes,
                journal: Box::new(journal.writer),
                next_sequence: journal.next_sequence,
                outbox,
                snapshots: Box::new(feeder),
                simulator: simulations.map(|orders| Box::new(orders) as Box<dyn Simulator>),
                latch: Some(Box::new(opener)),
                desk,
                planner: wishes,
                drivers: orders.map(|orders| Box::new(orders) as Box<dyn DriverPort>),
                fault_handler: faults::remember,
            },
        );
        let runner = Runner { inbox: inbox.clone(), death: Arc::default() };
        let mourner = Arc::clone(&runner.death);
        let latch = start.latch.clone();
        let ticker = Ticker::start(core, hz, inbox.clone(), latch, move || mourner.notify_one())?;
        let bridge = bridge(&options.config, start, bridge_ports, marks)?;
        mesh.came(bridge.neighbours());
        let own_id = facts.key.id();
        let own = OwnRecord { node: own_id, name: facts.name.clone(), address: gateway, pin };
        let found = options.config.discovery.value.then(|| (own, bridge.ways()));
        let host = GuestHost::new(
            facts,
            bridge.trust(),
            snapshots.clone(),
            inbox.clone(),
            asked_here.clone(),
            tasks,
        );
        let guests = GuestSide::open(&guests, host, dialled_only, found, tasks)?;
        let trust = follow_trust(options, &bridge, &guests.links, &inbox)?;
        let planner = planning
            .map(|planning| planning.start(bridge.neighbours(), asked_here, snapshots, commits))
            .transpose()?;
        let sensors = own_sensors(&options.config, own_id, &inbox)?;
        Ok(Self { planner, sensors, plant, guests, bridge, simulator, ticker, drivers, rearm, trust, runner })
    }

    /// Edges first, so that nothing new comes in; the tick last, so that it takes what they still said. Before the mesh is closed
    /// the tick says its last word there. Only the links to guests stay until everything is safe: the last safe states go over
    /// them.
    fn close(self, workers: &Runtime) -> Option<String> {
        drop(self.planner);
        drop(self.sensors);
        drop(self.trust);
        let links = self.guests.hush();
        // Where the inbox is full the others miss this node instead, as if it had broken.
        if self.runner.inbox.offer_own(SourceId::Runner, InputBody::NodeEnds, None).is_ok() {
            self.bridge.wait_for_last_word();
        }
        self.bridge.close();
        drop(self.simulator);
        let death = self.ticker.close();
        drop(self.rearm);
        // Made safe after the last order, and before the plant stands still.
        drop(self.drivers);
        workers.block_on(links.close());
        drop(self.plant);
        death
    }
}

/// Tells the tick what earlier runs left, before anything else comes.
fn feed_earlier(inbox: &InboxHandle, recovered: Vec<InputBody>, start: &Start) -> anyhow::Result<()> {
    let stop = start.latch.why().map(|reason| InputBody::StopLatched { reason, stops: 0 });
    let restored = start.restored.as_ref().map(|record| record.at_unix_ms);
    let restored = restored.map(|at_unix_ms| InputBody::Restored { at_unix_ms });
    let recovered = recovered.into_iter().map(|body| recheck(body, &start.settings));
    for body in recovered.chain(restored).chain(stop) {
        inbox.offer_own(SourceId::Journal, body, None).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    }
    Ok(())
}

/// The guests that this node is guardian of an actuator on: it calls them, so it is for it to dial.
fn with_actuators(start: &Start) -> BTreeSet<NodeId> {
    let place = site_file::place_of(&start.site, start.settings.node);
    let on_guests = place.map(|place| place.on_guests).unwrap_or_default();
    on_guests.values().filter_map(|guest| guest.peer.parse().ok()).collect()
}

/// Everything that goes on with existing nodes.
struct GuestSide {
    discovery: Option<Worker>,
    herald: Herald,
    host: Arc<GuestHost>,
    links: Links,
}

impl GuestSide {
    /// Opens the door to existing nodes: from here on they are served, dialled, told what is new and, with a record of our own
    /// to tell, looked for.
    fn open(
        door: &GuestDoor,
        host: GuestHost,
        dialled_only: BTreeSet<NodeId>,
        own: Option<(OwnRecord, Arc<ZenohWays>)>,
        tasks: &Handle,
    ) -> anyhow::Result<Self> {
        let _here = tasks.enter();
        let host = Arc::new(host);
        let config = clawmesh_wire_link::Config { dialled_only, ..clawmesh_wire_link::Config::default() };
        let links = Links::start(config, Arc::clone(&host) as Arc<dyn Host>);
        host.routes().use_links(Some(links.clone()));
        door.came(links.clone(), Arc::clone(&host), tasks.clone());
        for peer in host.peers() {
            links.dial(peer.clone());
        }
        let herald = Herald::start(Arc::clone(&host), links.clone(), tasks);
        let discovery = own
            .map(|(own, ways)| discovery::start(own, links.clone(), ways, door.nearby.clone()))
            .transpose()?;
        Ok(Self { discovery, herald, host, links })
    }

    /// Says nothing more by itself, and leaves what is to be closed.
    fn hush(self) -> Links {
        drop(self.discovery);
        drop(self.herald);
        self.host.routes().use_links(None);
        self.links
    }
}

/// What measures this machine, and the mock that measures nothing.
fn own_sensors(config: &NodeConfig, own: NodeId, inbox: &InboxHandle) -> anyhow::Result<Vec<Worker>> {
    let mut sensors = Vec::new();
    if config.host_sensors.value {
        sensors.push(host_sensors::start(inbox.clone())?);
    }
    if config.mock_sensor.value {
        tracing::warn!("this node has a mock sensor; its numbers are drawn, and nothing may rest on them");
        sensors.push(mock_sensor::start(inbox.clone(), own, config.sensor_interval_ms.value)?);
    }
    Ok(sensors)
}

fn follow_trust(
    options: &Options,
    bridge: &Bridge,
    links: &Links,
    inbox: &InboxHandle,
) -> std::io::Result<Worker> {
    let links = links.clone();
    let told = trust::Followed {
        bridge: bridge.trust(),
        links: Box::new(move || links.trust_changed()),
        inbox: inbox.clone(),
    };
    let (configured, known) = (options.config.trust_configured.clone(), options.config.trusted.value.clone());
    trust::start(options.dir.clone(), configured, known, told)
}

/// What moves something, what drives it, and what simulates it; nothing where a node has no hardware.
type Machinery = (Option<Worker>, Option<(DriverLayer, Orders)>, Option<(Worker, SimulationOrders)>);

fn machinery(
    options: &Options,
    start: &Start,
    inbox: &InboxHandle,
    commits: &CommitWatch,
    guests: &Arc<GuestDoor>,
) -> anyhow::Result<Machinery> {
    let place = site_file::place_of(&start.site, start.settings.node);
    let is_guardian = place.as_ref().is_ok_and(|place| !place.on_guests.is_empty());
    if options.plant.is_none() && !is_guardian {
        return Ok((None, None, None));
    }
    let mut place = place.map_err(anyhow::Error::msg)?;
    let model = Model::new(&place.plan).map_err(anyhow::Error::msg)?;
    let remotes = std::mem::take(&mut place.on_guests);
    let remotes: BTreeMap<_, _> =
        remotes.into_iter().filter_map(|(actuator, guest)| Some((actuator, Remote::of(&guest)?))).collect();
    if options.plant.is_none() {
        // What has no driver here is shown as not answering, and nothing of it can be made safe.
        place.safe_states = place.safe_states.of_those(|actuator| remotes.contains_key(actuator));
    }
    let (worker, plant) =
        options.plant.as_ref().map(|plant| hardware(plant, inbox, &place)).transpose()?.unzip();
    let sender = Sender { node: start.settings.node, role: start.settings.role.clone() };
    let guests = GuestDriver::new(remotes, Arc::clone(guests), sender, unix_ms);
    let ports = DriverPorts {
        driver: Box::new(Hands { plant, guests }),
        safe_states: place.safe_states,
        shuts_after: place.shuts_after,
        latch: start.latch.clone(),
        inbox: inbox.clone(),
        commits: commits.clone(),
        lease_ms: LEASE_MS,
    };
    let simulator = simulator::start(model, inbox.clone())?;
    Ok((worker, Some(DriverLayer::start(ports)?), Some(simulator)))
}

/// The stand-in plant and its driver.
fn hardware(
    options: &PlantOptions,
    inbox: &InboxHandle,
    place: &Place,
) -> anyhow::Result<(Worker, PlantDriver)> {
    let mut faults = Fault::of_seed(options.seed, &options.file);
    faults.extend(options.faults.iter().cloned());
    for fault in &faults {
        tracing::info!("the plant has a fault: {fault}");
    }
    let plant = Plant::new(options.file.clone(), options.seed, options.speed, faults)?;
    let specs = plant::specs(&place.plan, &place.name, &plant).map_err(anyhow::Error::msg)?;
    Ok(plant::start(plant, specs, inbox.clone())?)
}

/// What existing nodes are told of this one.
fn guest_facts(config: &NodeConfig, start: &Start) -> GuestFacts {
    GuestFacts {
        key: start.key.clone(),
        name: start.settings.name.clone(),
        role: start.settings.role.clone(),
        mesh: start.settings.mesh(),
        has_mock: start.settings.mock_actuator,
        is_discovering: config.discovery.value,
        peers: config.peers.value.iter().filter_map(|text| PeerSpec::read(text).ok()).collect(),
        owners: site_file::owners_of(&start.site),
        relay: config.relay.value.clone(),
        token: start.token.clone(),
    }
}

fn bridge(
    config: &NodeConfig,
    start: Start,
    ports: BridgePorts,
    marks: BTreeMap<NodeId, (LaneMark, LaneMark)>,
) -> anyhow::Result<Bridge> {
    let bridge_config = BridgeConfig {
        mesh: start.settings.mesh(),
        mode: config.zenoh_mode.value,
        listen: config.listen.value.clone(),
        connect: config.connect.value.clone(),
        discovery: config.discovery.value,
        trusted: config.trusted.value.clone(),
        parts: config.parts.clone(),
        mappings: start.site.mappings,
        limits: BridgeLimits {
            envelopes_per_second_max: config.envelopes_per_second_max.value,
            ..BridgeLimits::default()
        },
        marks,
        people: start.settings.roster,
    };
    Ok(clawmesh_bridge::spawn(bridge_config, ports)?)
}

/// What is kept beside the journal's chain is believed only if its signature still holds.
fn recheck(body: InputBody, settings: &Settings) -> InputBody {
    let InputBody::Recovered { bytes, .. } = &body else { return body };
    match envelope::open(bytes, settings.mesh()) {
        Ok(_) => body,
        Err(refusal) => InputBody::Refused { refusal, count: 1 },
    }
}

fn marks_in(recovered: &[InputBody]) -> BTreeMap<NodeId, (LaneMark, LaneMark)> {
    let marks = recovered.iter().filter_map(|body| match body {
        InputBody::MarkRestored { node, state, stream } => Some((*node, (*state, *stream))),
        _ => None,
    });
    marks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_the_time_is_numbered_after_all_that_is_known_of_earlier_ones() {
        let restored = RestoredRecord { at_unix_ms: 7_000, backup_made: String::new() };
        for (now_ms, restored, wall_before_ms, expected) in [
            (9_000, Some(&restored), 8_000, 9_000),
            (0, Some(&restored), 8_000, 8_000),
            (0, Some(&restored), 6_000, 7_000),
            (0, None, 8_000, 8_000),
            (0, None, 0, 0),
        ] {
            assert_eq!(not_before(now_ms, restored, wall_before_ms), expected);
        }
    }

    #[test]
    fn the_page_is_where_a_browser_can_go_with_the_token_where_no_server_sees_it() {
        for (address, page_there) in [
            ("127.0.0.1:18789", "http://127.0.0.1:18789/#token=secret"),
            ("0.0.0.0:18789", "http://127.0.0.1:18789/#token=secret"),
            ("[::]:18789", "http://[::1]:18789/#token=secret"),
            ("192.0.2.7:80", "http://192.0.2.7:80/#token=secret"),
        ] {
            assert_eq!(page(address.parse().unwrap(), "secret"), page_there);
        }
    }
}
