//! A whole core: the plugins put together, live or in replay.

use bevy::ecs::error::{BevyError, ErrorContext};
use bevy::prelude::*;
use clawmesh_authority::HlcClock;

use crate::alarms::AlarmsPlugin;
use crate::audit::AuditPlugin;
use crate::clock::{ClockPlugin, SAMPLE_PERIOD_MS, Tick};
use crate::guests::GuestsPlugin;
use crate::intake::{Feed, Inboxes, IntakePlugin, JournalCursor, JournalPort, StampedInput, TickBatch};
use crate::leadership::LeadershipPlugin;
use crate::mesh::{HlcState, MeshPlugin, Node, NodeProfile, OwnNode, Presence, Trust};
use crate::people::{People, PeoplePlugin};
use crate::planner::{PlannerPlugin, PlannerPort, Wishes};
use crate::proposals::{
    AnswerDesk, DeskPort, LatchPort, ProposalsPlugin, RearmPort, Simulator, SimulatorPort,
};
use crate::publish::{Outbox, OutboxPort, PublishPlugin, SnapshotPort, SnapshotSink};
use crate::replay::{
    DigestRecord, DomainId, JournalWriter, Keeping, KeptRecord, LastDigest, Record, ReplayPlugin, take_digest,
};
use crate::safety::SafetyPlugin;
use crate::settings::Settings;
use crate::site::{Actuator, DriverPort, DriversPort, PolicyInForce, Site, SiteFiles, SitePlugin, Stands};
use crate::world::WorldPlugin;

/// What a system's error becomes: a panic in tests and replay, a latched stop in a live node.
pub type FaultHandler = fn(BevyError, ErrorContext);

/// The ways in and out of a live node.
pub struct Ports {
    /// The doors.
    pub inboxes: Inboxes,
    /// The journal.
    pub journal: Box<dyn JournalWriter>,
    /// The sequence the journal's next record gets.
    pub next_sequence: u64,
    /// The way out.
    pub outbox: Outbox,
    /// The way to readers.
    pub snapshots: Box<dyn SnapshotSink>,
    /// The way to the driver layer, if this node has actuators.
    pub drivers: Option<Box<dyn DriverPort>>,
    /// The pool that simulates, if this node has actuators.
    pub simulator: Option<Box<dyn Simulator>>,
    /// The way to the stop latch.
    pub latch: Option<Box<dyn RearmPort>>,
    /// Where whoever asks waits for the answer.
    pub desk: AnswerDesk,
    /// The way to whoever asks for the planner, if this node plans.
    pub planner: Option<Box<dyn Wishes>>,
    /// What a system's error becomes.
    pub fault_handler: FaultHandler,
}

/// One world and its tick. It may move to the thread that ticks it.
pub struct Core {
    app: SubApp,
}

impl Core {
    /// A live node. The first thing its journal gets is `settings`.
    #[must_use]
    pub fn live(settings: Settings, ports: Ports) -> Self {
        let mut cursor = JournalCursor { next: ports.next_sequence };
        let mut journal = JournalPort(ports.journal);
        journal.append(&mut cursor, vec![Record::RunStarted(settings.clone())], Vec::new());
        let mut core = Self::new(settings, cursor, ports.fault_handler);
        core.app
            .insert_resource(Feed(ports.inboxes))
            .insert_resource(journal)
            .insert_resource(OutboxPort(ports.outbox))
            .insert_resource(SnapshotPort(ports.snapshots));
        if let Some(drivers) = ports.drivers {
            core.app.insert_resource(DriversPort(drivers));
        }
        if let Some(simulator) = ports.simulator {
            core.app.insert_resource(SimulatorPort(simulator));
        }
        if let Some(latch) = ports.latch {
            core.app.insert_resource(LatchPort(latch));
        }
        core.app.insert_resource(DeskPort(ports.desk));
        if let Some(planner) = ports.planner {
            core.app.insert_resource(PlannerPort(planner));
        }
        core
    }

    /// A core without edges, for a run whose first input has the row `next_sequence`.
    #[must_use]
    pub fn replaying(settings: Settings, next_sequence: u64) -> Self {
        Self::new(settings, JournalCursor { next: next_sequence }, bevy::ecs::error::panic)
    }

    fn new(settings: Settings, cursor: JournalCursor, fault_handler: FaultHandler) -> Self {
        let mut app = App::new();
        app.set_error_handler(fault_handler);
        app.insert_resource(Tick(settings.tick_before)).insert_resource(cursor);
        app.add_plugins((
            ReplayPlugin,
            ClockPlugin,
            IntakePlugin,
            MeshPlugin::default(),
            PeoplePlugin,
            WorldPlugin::default(),
            SitePlugin,
            SafetyPlugin,
            GuestsPlugin,
            LeadershipPlugin,
            ProposalsPlugin { entropy: settings.entropy },
            PlannerPlugin,
            PublishPlugin,
            AlarmsPlugin,
            AuditPlugin,
        ));
        spawn_own_node(app.world_mut(), &settings);
        app.insert_resource(Trust::of(settings.node, settings.trusted.clone()));
        if settings.wall_before_ms > 0 {
            // The last sample may be a period older than the last stamp, and that ahead of the wall clock by half as much or more.
            let stamped_ms = settings.wall_before_ms.saturating_add(2 * SAMPLE_PERIOD_MS);
            app.insert_resource(HlcState(HlcClock::after(stamped_ms)));
        }
        // A text that this software did not write gives no site, and without a site nothing may be moved.
        let site = SiteFiles::of(&settings).ok().flatten();
        spawn_actuators(app.world_mut(), site.as_ref(), settings.tick_before);
        app.insert_resource(PolicyInForce::at_the_start(site.as_ref()))
            .insert_resource(Site(site))
            .insert_resource(People(settings.roster.clone()));
        app.insert_resource(settings);
        app.finish();
        app.cleanup();
        // The runner of a whole `App` cannot move between threads; its main part can.
        Self { app: std::mem::take(app.main_mut()) }
    }

    /// Puts the inputs of the next tick in place; a live core takes them from its doors instead.
    pub fn feed(&mut self, inputs: Vec<StampedInput>) {
        let mut cursor = self.app.world_mut().resource_mut::<JournalCursor>();
        cursor.next += inputs.len() as u64;
        self.app.world_mut().resource_mut::<TickBatch>().0 = inputs;
    }

    /// Runs one tick.
    pub fn tick(&mut self) {
        self.app.update();
    }

    /// The number of the last tick that ran.
    #[must_use]
    pub fn tick_number(&self) -> u64 {
        self.app.world().resource::<Tick>().0
    }

    /// The digest of the world as it is. A live core writes it down, so that its recording proves all of it: the last
    /// thing to do before the node ends.
    pub fn digest(&mut self) -> DigestRecord {
        let tick = self.tick_number();
        match self.last_digest() {
            Some(digest) if digest.tick == tick => digest.clone(),
            _ => take_digest(self.app.world_mut()),
        }
    }

    /// The digest taken last.
    #[must_use]
    pub fn last_digest(&self) -> Option<&DigestRecord> {
        self.app.world().resource::<LastDigest>().0.as_ref()
    }

    /// What the last tick has kept.
    #[must_use]
    pub fn kept(&self) -> &[KeptRecord] {
        self.app.world().resource::<Keeping>().written()
    }

    /// The world, to look at.
    #[must_use]
    pub fn world(&self) -> &World {
        self.app.world()
    }

    /// The world, for tests that alter it.
    pub fn world_mut(&mut self) -> &mut World {
        self.app.world_mut()
    }
}

/// What this node has to move is known before its drivers have spoken: one that never does is still something that nobody
/// has seen safe.
fn spawn_actuators(world: &mut World, site: Option<&SiteFiles>, since_tick: u64) {
    let actuators = site.map(|site| site.home.actuators.iter()).into_iter().flatten();
    for actuator in actuators {
        world.spawn((
            Actuator(actuator.clone()),
            Stands { since_tick, ..Stands::default() },
            DomainId::of("actuator", &[actuator.as_str().as_bytes()]),
        ));
    }
}

fn spawn_own_node(world: &mut World, settings: &Settings) {
    world.spawn((
        Node(settings.node),
        DomainId::of("node", &[&settings.node.0]),
        OwnNode,
        Presence { is_present: true, since_tick: settings.tick_before },
        NodeProfile {
            name: settings.name.clone(),
            role: settings.role.clone(),
            version: settings.version.clone(),
        },
    ));
}
