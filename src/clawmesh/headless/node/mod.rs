//! Putting a node together, running it, and taking it apart.

mod earlier;
mod guest_side;
mod machinery;
mod start;
mod ways;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use clawmesh_authority::{LaneMark, NodeId};
use clawmesh_bridge::{Bridge, BridgeConfig, BridgeLimits, BridgePorts};
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::Simulator;
use clawmesh_core::site::DriverPort;
use clawmesh_core::{Core, Ports, Settings};
use clawmesh_drivers::DriverLayer;
use clawmesh_gateway::{BoundGateway, GatewayPorts};
use clawmesh_plant::{PlannedFault, PlantFile};
use clawmesh_storage::{Journal, JournalOptions, OpenJournal};
use clawmesh_wire_link::Links;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::guests::GuestHost;
use super::guests::discovery::OwnRecord;
#[cfg(not(feature = "planner"))]
use super::no_planner::Planning;
#[cfg(feature = "planner")]
use super::planner::wiring::Planning;
use super::ticker::Ticker;
use super::timekeeper::Beginning;
use super::worker::Worker;
use super::{faults, files, host_sensors, mock_sensor, open_files, rearm, signals, trust};
use crate::config::durable_file::{remove_durably, write_atomic};
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use earlier::{feed_earlier, marks_in};
use guest_side::{GuestSide, guest_facts, with_actuators};
use machinery::machinery;
use start::Start;
use ways::Ways;

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
    /// What follows what people at the console write down.
    console: [Worker; 2],
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
        let begun = files::Begun::with(&start.site, &start.settings);
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
        let console = follow_console(options, begun, &bridge, &guests.links, &inbox)?;
        let planner = planning
            .map(|planning| planning.start(bridge.neighbours(), asked_here, snapshots, commits))
            .transpose()?;
        let sensors = own_sensors(&options.config, own_id, &inbox)?;
        Ok(Self {
            planner,
            sensors,
            plant,
            guests,
            bridge,
            simulator,
            ticker,
            drivers,
            rearm,
            console,
            runner,
        })
    }

    /// Edges first, so that nothing new comes in; the tick last, so that it takes what they still said. Before the mesh is closed
    /// the tick says its last word there. Only the links to guests stay until everything is safe: the last safe states go over
    /// them.
    fn close(self, workers: &Runtime) -> Option<String> {
        drop(self.planner);
        drop(self.sensors);
        drop(self.console);
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

fn follow_console(
    options: &Options,
    begun: files::Begun,
    bridge: &Bridge,
    links: &Links,
    inbox: &InboxHandle,
) -> std::io::Result<[Worker; 2]> {
    let links = links.clone();
    let told = trust::Followed {
        bridge: bridge.trust(),
        links: Box::new(move || links.trust_changed()),
        inbox: inbox.clone(),
    };
    let (configured, known) = (options.config.trust_configured.clone(), options.config.trusted.value.clone());
    let trust = trust::start(options.dir.clone(), configured, known, told)?;
    let told = files::Told { people: bridge.people(), inbox: inbox.clone() };
    Ok([trust, files::start(options.dir.clone(), begun, told)?])
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

#[cfg(test)]
mod tests {
    use super::*;

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
