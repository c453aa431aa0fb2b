//! A door with the rest of the node played by the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{Request, Response, StatusCode};
use clawmesh_authority::leadership::Activity;
use clawmesh_authority::{Answer, AskKind, Capability, Code, Hlc, NodeId, Tier, Unit, Value};
use clawmesh_core::alarms::{Priority, Standing, shelf_ms_max};
use clawmesh_core::intake::{InboxLimits, Inboxes, LinkState, doors};
use clawmesh_core::mesh::{Asking, Neighbours};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::{
    ActuatorView, AlarmView, BeliefView, DigestView, LeadView, NodeView, PeerView, RefusalView, SensorView,
    Snapshot, SnapshotSink,
};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::safety::{Latched, StopPort, StopReport};
use clawmesh_gateway::{
    Abilities, AbilityView, ChainView, Chains, EventView, Events, GatewayConfig, GatewayPorts, History,
    NoHistory, Refused, SnapshotFeeder, WantedChains, WantedEvents, router, snapshot_feed,
};
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const ADDRESS: &str = "127.0.0.1:18789";
pub const NOW_MS: u64 = 1_800_000_000_000;

pub struct Rig {
    pub app: Router,
    pub feeder: SnapshotFeeder,
    pub inboxes: Inboxes,
    pub commits: CommitWatch,
    pub desk: AnswerDesk,
    pub latch: Arc<Latch>,
    pub mesh: Arc<Mesh>,
}

/// A latch that a test looks at.
#[derive(Default)]
pub struct Latch {
    pub stops: AtomicU64,
    pub reason: Mutex<Option<String>>,
    pub unkept: Mutex<Option<String>>,
}

impl StopPort for Latch {
    fn latch(&self, why: &str) -> Latched {
        let reason = self.reason.lock().unwrap().get_or_insert_with(|| why.to_owned()).clone();
        self.stops.fetch_add(1, Ordering::SeqCst);
        Latched { reason, unkept: self.unkept.lock().unwrap().clone() }
    }

    fn is_latched(&self) -> bool {
        self.reason.lock().unwrap().is_some()
    }
}

/// The other nodes: what they were asked, and what they say.
#[derive(Default)]
pub struct Mesh {
    pub asked: Mutex<Vec<(NodeId, AskKind, Vec<u8>)>>,
    pub says: Mutex<Option<Answer>>,
    pub shelf: Mutex<Vec<(NodeId, Capability, Vec<u8>)>>,
    pub told_to_stop: Mutex<Vec<String>>,
    pub stopped: Mutex<Vec<(NodeId, Result<StopReport, String>)>>,
}

impl Neighbours for Mesh {
    fn ask(&self, owner: NodeId, kind: AskKind, bytes: Vec<u8>) -> Asking<Answer> {
        self.asked.lock().unwrap().push((owner, kind, bytes));
        let says = self.says.lock().unwrap().clone().expect("what the owner says");
        Box::pin(async move { says })
    }

    fn evidence(&self, sensor: &Capability) -> Vec<(NodeId, Arc<[u8]>)> {
        let shelf = self.shelf.lock().unwrap();
        let held = shelf.iter().filter(|(_, held, _)| held == sensor);
        held.map(|(node, _, bytes)| (*node, Arc::from(bytes.as_slice()))).collect()
    }

    fn stop_all(&self, why: &str) -> Asking<Vec<(NodeId, Result<StopReport, String>)>> {
        self.told_to_stop.lock().unwrap().push(why.to_owned());
        let stopped = self.stopped.lock().unwrap().clone();
        Box::pin(async move { stopped })
    }
}

/// Remembers two things, and refuses what it does not know.
struct Memory;

impl History for Memory {
    fn events(&self, wanted: &WantedEvents) -> Result<Events, NoHistory> {
        match wanted.kind.as_deref() {
            Some("later") => Err(NoHistory::Starting),
            Some(other) => Err(NoHistory::Unclear(format!("{other} is no kind"))),
            None => {
                let event = EventView {
                    kind: "startup".to_owned(),
                    at_ms: NOW_MS,
                    sentence: format!("{wanted:?}"),
                    node: None,
                    proposal: None,
                };
                Ok(Events { now_ms: NOW_MS, total: 2, left_off: 1, events: vec![event] })
            }
        }
    }

    fn chains(&self, wanted: WantedChains) -> Asking<Result<Chains, NoHistory>> {
        let is_known = wanted.id.as_ref().is_none_or(|id| id == "f1");
        let chain = ChainView { id: format!("{wanted:?}"), is_proposal: false, steps: Vec::new() };
        let chains = if is_known { vec![chain] } else { Vec::new() };
        Box::pin(async move { Ok(Chains { now_ms: NOW_MS, total: chains.len(), chains }) })
    }
}

/// Knows one channel; and nothing yet of `later:…`.
struct OneChannel;

impl Abilities for OneChannel {
    fn who_can(&self, pattern: &str, rows_max: usize) -> Option<(Vec<AbilityView>, usize)> {
        let view = AbilityView {
            capability: "channel:telegram".to_owned(),
            node: NodeId([2; 32]),
            name: Some("office".to_owned()),
            reach: "alive".to_owned(),
            health: "healthy".to_owned(),
            points: 10,
            round_trip_ms: Some(12),
            waiting_calls: 0,
            takes_calls: Some(true),
        };
        let all = if pattern == "*" { rows_max + 1 } else { 1 };
        let shown = all.min(rows_max);
        (!pattern.starts_with("later:")).then(|| (vec![view; shown], all - shown))
    }
}

pub fn config() -> GatewayConfig {
    GatewayConfig {
        host: [127, 0, 0, 1].into(),
        port: 18_789,
        token: TOKEN.to_owned(),
        tls: None,
        node: NodeView {
            id: NodeId([1; 32]),
            name: "barn".to_owned(),
            role: "command-center".to_owned(),
            mesh: "farm".to_owned(),
            version: "0.1.0".to_owned(),
            epoch: 3,
            hz: 50,
        },
    }
}

/// Ports, and the ends of them that the rest of the node would hold.
pub fn ports(limits: InboxLimits) -> (GatewayPorts, SnapshotFeeder, Inboxes, CommitWatch) {
    let (feeder, snapshots) = snapshot_feed();
    let (inbox, inboxes) = doors(limits);
    let commits = CommitWatch::default();
    let ports = GatewayPorts {
        snapshots,
        inbox,
        commits: commits.clone(),
        unix_ms: Arc::new(|| NOW_MS),
        clock: Arc::new(clawmesh_core::clock::ClockView::default),
        desk: AnswerDesk::default(),
        stop: Arc::<Latch>::default(),
        neighbours: Arc::<Mesh>::default(),
        web_sockets: None,
        history: Arc::new(Memory),
        abilities: Arc::new(OneChannel),
    };
    (ports, feeder, inboxes, commits)
}

pub fn rig() -> Rig {
    rig_with(InboxLimits::default())
}

pub fn rig_with(limits: InboxLimits) -> Rig {
    let (ports, feeder, inboxes, commits) = ports(limits);
    let (latch, mesh) = (Arc::<Latch>::default(), Arc::<Mesh>::default());
    let ports = GatewayPorts { stop: latch.clone(), neighbours: mesh.clone(), ..ports };
    let desk = ports.desk.clone();
    let app = router(&config(), ADDRESS.parse().unwrap(), ports).unwrap();
    Rig { app, feeder, inboxes, commits, desk, latch, mesh }
}

impl Rig {
    pub fn show(&self, snapshot: Snapshot) {
        self.feeder.publish(Arc::new(snapshot));
    }

    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    /// Asks with the token.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> (StatusCode, T) {
        read(self.send(get(path).body(Body::empty()).unwrap()).await).await
    }

    /// Asks with the token and is refused.
    pub async fn refused(&self, path: &str) -> (StatusCode, Refused) {
        self.get(path).await
    }
}

pub fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("host", ADDRESS);
    request.header("authorization", format!("Bearer {TOKEN}")).body(body.into()).unwrap()
}

pub fn get(path: &str) -> Builder {
    Request::get(path).header("host", ADDRESS).header("authorization", format!("Bearer {TOKEN}"))
}

pub async fn read<T: DeserializeOwned>(response: Response<Body>) -> (StatusCode, T) {
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/json");
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|fault| panic!("{fault} in {bytes:?}")))
}

fn peer(id: NodeId, name: &str, liveness: &str, trusted: bool) -> PeerView {
    PeerView {
        id,
        name: Some(name.to_owned()),
        role: Some("field".to_owned()),
        version: Some("0.1.0".to_owned()),
        trusted,
        liveness: liveness.to_owned(),
        heard_age_ms: Some(40),
        clock_offset_ms: Some(-3),
        stream_skipped: 2,
        sensors: 1,
    }
}

fn sensor(node: NodeId, sensor: &str, flags: &[&str]) -> SensorView {
    SensorView {
        node,
        node_name: Some("pump".to_owned()),
        sensor: sensor.to_owned(),
        quantity: Some("tank level".to_owned()),
        value: Some(61.5),
        unit: Some(Unit::Percent),
        tier: Some(Tier::T2),
        origin_ms: Some(NOW_MS - 20),
        age_ms: Some(20),
        period_ms: Some(1_000),
        samples: 7,
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
    }
}

fn alarm(key: &str, priority: Priority, state: Standing) -> AlarmView {
    AlarmView {
        key: key.to_owned(),
        priority,
        state,
        is_active: state != Standing::Returned,
        is_acknowledged: false,
        sentence: format!("something is the case with {key}"),
        count: 2,
        raised_ms: NOW_MS - 5_000,
        age_ms: 5_000,
        cleared_age_ms: (state == Standing::Returned).then_some(400),
        acknowledged_by: None,
        shelved_for_ms: (state == Standing::Shelved).then_some(60_000),
        shelved_by: None,
        shelf_ms_max: shelf_ms_max(key, priority),
    }
}

/// Two peers whose ids begin alike, three sensors, one belief, one refusal, three alarms.
pub fn snapshot() -> Snapshot {
    let (mut near, far) = ([0xab; 32], [0xab; 32]);
    near[31] = 0xcd;
    near[1] = 0xcd;
    Snapshot {
        tick: 500,
        wall_ms: NOW_MS,
        node: config().node,
        link: LinkState::Open { listen: vec!["tcp/127.0.0.1:7447".to_owned()] },
        lead: LeadView { activity: Activity::Ineligible, leader: None },
        stop: None,
        peers: vec![
            peer(NodeId(far), "pump", "alive", true),
            peer(NodeId(near), "<img src=x onerror=alert(1)>", "lost", false),
        ],
        sensors: vec![
            sensor(NodeId([1; 32]), "sensor:cpu-load", &[]),
            sensor(NodeId(far), "sensor:level:tank-1", &["stale"]),
            sensor(NodeId(far), "sensor:level:tank-2", &[]),
        ],
        site: None,
        people: Vec::new(),
        actuators: vec![ActuatorView {
            actuator: "actuator:valve:valve-1".to_owned(),
            guest: None,
            position: Some("off".to_owned()),
            answers: true,
            local_control: false,
            control: None,
            is_safe: true,
            unsafe_because: None,
            since_ms: 1_000,
        }],
        proposals: Vec::new(),
        beliefs: vec![BeliefView {
            key: "zone-1/gate".to_owned(),
            value: Value::Text("open".to_owned()),
            unit: None,
            tier: Tier::T1,
            source: NodeId([1; 32]),
            hlc: Hlc { wall_ms: NOW_MS, logical: 0 },
            origin_ms: NOW_MS,
            age_ms: Some(0),
            supported_by: None,
        }],
        refusals: vec![RefusalView {
            code: Code::BadSignature,
            from: "somebody".to_owned(),
            count: 4,
            sentence: "the signature does not fit".to_owned(),
            age_ms: 900,
        }],
        digest: Some(DigestView { tick: 500, total: "00ff00ff00ff00ff".to_owned() }),
        guests: clawmesh_core::guests::GuestsPicture::default(),
        alarms: vec![
            alarm("stop", Priority::Critical, Standing::Unacknowledged),
            alarm("limit/barn/sensor:level:tank-1/at-least-20", Priority::High, Standing::Returned),
            alarm("stale/barn/sensor:level:tank-2", Priority::Low, Standing::Shelved),
        ],
    }
}
