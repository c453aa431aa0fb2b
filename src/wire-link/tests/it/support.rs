//! A node for tests, and a bare client that says what it likes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_wire::access::Method;
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::handshake::{Moment, Ourselves, PeerTrust};
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Answer, Config, Count, Host, Later, Links, Peer, Rates, Session, Timing, Why};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything here takes, also on a machine with a lot to do.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const NOW_MS: u64 = 1_730_000_000_000;
pub const TOKEN: &str = "the operator token";

/// What the host was told.
#[derive(Debug)]
pub enum Told {
    Joined(Session),
    Left(NodeId, Why),
    Frame(NodeId, ContextFrame),
    Event(String),
    Called(Method),
}

pub struct TestHost {
    key: NodeKey,
    about: Arc<About>,
    trusted: Mutex<BTreeSet<NodeId>>,
    told: mpsc::Sender<Told>,
    begun: Instant,
    /// Of whom nothing more is written down.
    pub silenced: Mutex<BTreeSet<NodeId>>,
    /// What `context.sync` answers.
    pub synced: Mutex<Value>,
}

pub fn key(n: u8) -> NodeKey {
    NodeKey::from_secret(&[n; 32])
}

/// Keys in the order of their ids.
pub fn keys_by_id(count: u8) -> Vec<NodeKey> {
    let mut keys: Vec<NodeKey> = (1..=count).map(key).collect();
    keys.sort_by_key(NodeKey::id);
    keys
}

pub fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

impl Host for TestHost {
    fn key(&self) -> &NodeKey {
        &self.key
    }

    fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }

    fn trust(&self, node: NodeId) -> PeerTrust {
        if self.trusted.lock().unwrap().contains(&node) { PeerTrust::Trusted } else { PeerTrust::Unknown }
    }

    fn is_operator_token(&self, token: &str) -> bool {
        token == TOKEN
    }

    fn now(&self) -> Moment {
        let elapsed = self.begun.elapsed();
        Moment { unix_ms: NOW_MS + elapsed.as_millis() as u64, elapsed }
    }

    fn newest_frame_ms(&self, _: NodeId) -> Option<u64> {
        None
    }

    fn has_room(&self, from: NodeId, _: usize) -> bool {
        !self.silenced.lock().unwrap().contains(&from)
    }

    fn read(&self, _: &Peer, method: Method, _: Option<&RawValue>) -> Option<Answer> {
        (method == Method::Health).then(|| Ok(raw(&json!({"status": "healthy", "fill": "x".repeat(1_900)}))))
    }

    fn call(&self, from: &Peer, method: Method, params: Option<Box<RawValue>>) -> Later {
        let _ = self.told.try_send(Told::Called(method));
        let rights = from.caller.rights();
        let synced = self.synced.lock().unwrap().clone();
        Box::pin(async move {
            match method {
                Method::ContextSync => Ok(raw(&synced)),
                // It never answers.
                Method::WorldQuery => std::future::pending().await,
                Method::Forward if !rights.may_message => {
                    Err(Refusal::new(Code::NotAuthorized, "connect first"))
                }
                _ => Ok(params.unwrap_or_else(|| raw(&json!({})))),
            }
        })
    }

    fn frame(&self, from: NodeId, frame: ContextFrame) {
        let _ = self.told.try_send(Told::Frame(from, frame));
    }

    fn event(&self, _: &Peer, event: &str, _: Option<&RawValue>) {
        let _ = self.told.try_send(Told::Event(event.to_owned()));
    }

    fn joined(&self, session: &Session) {
        let _ = self.told.try_send(Told::Joined(session.clone()));
    }

    fn left(&self, node: NodeId, why: &Why) {
        let _ = self.told.try_send(Told::Left(node, why.clone()));
    }
}

/// A node with its port open.
pub struct Node {
    pub links: Links,
    pub host: Arc<TestHost>,
    pub told: mpsc::Receiver<Told>,
    pub address: SocketAddr,
    pub id: NodeId,
}

pub fn config() -> Config {
    let rates = Rates { handshakes: 1_000, queries: 1_000, ..Rates::default() };
    let redial = Duration::from_millis(20);
    let timing =
        Timing { dial_rest: redial, redial_first: redial, redial_longest: redial * 4, ..Timing::default() };
    Config { rates, timing, news_per_minute_max: u32::MAX, ..Config::default() }
}

impl Node {
    /// A node with `key` that trusts the nodes with `trusted`.
    pub async fn open(key: &NodeKey, trusted: &[&NodeKey]) -> Self {
        Self::open_with(key, trusted, config()).await
    }

    pub async fn open_with(key: &NodeKey, trusted: &[&NodeKey], config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::open_at(key, trusted, config, listener, None)
    }

    pub fn open_at(
        key: &NodeKey,
        trusted: &[&NodeKey],
        config: Config,
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let (told_tx, told) = mpsc::channel(4_096);
        let about = About {
            display_name: Some(format!("node {}", key.id().short())),
            mesh_id: Some("mesh".to_owned()),
            role: Some("field".to_owned()),
            ..About::default()
        };
        let host = Arc::new(TestHost {
            key: key.clone(),
            about: Arc::new(about),
            trusted: Mutex::new(trusted.iter().map(|key| key.id()).collect()),
            told: told_tx,
            begun: Instant::now(),
            silenced: Mutex::default(),
            synced: Mutex::new(json!({"frames": []})),
        });
        let links = Links::start(config, Arc::clone(&host) as Arc<dyn Host>);
        let address = listener.local_addr().unwrap();
        let served = links.clone();
        tokio::spawn(async move { served.listen(listener, tls).await });
        Self { links, host, told, address, id: key.id() }
    }

    pub fn trust_no_more(&self, node: NodeId) {
        self.host.trusted.lock().unwrap().remove(&node);
    }

    pub fn trust(&self, node: NodeId) {
        self.host.trusted.lock().unwrap().insert(node);
    }

    pub fn spec(&self) -> PeerSpec {
        PeerSpec::read(&format!("{}=ws://{}", self.id, self.address)).unwrap()
    }

    /// Waits for the first thing the host is told that `wanted` makes something of.
    pub async fn told<T>(&mut self, mut wanted: impl FnMut(Told) -> Option<T>) -> T {
        let found = async {
            loop {
                let told = self.told.recv().await.expect("the host is there");
                if let Some(found) = wanted(told) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("the host is told in time")
    }

    pub async fn joined(&mut self) -> Session {
        self.told(|told| if let Told::Joined(session) = told { Some(session) } else { None }).await
    }

    pub async fn left(&mut self) -> (NodeId, Why) {
        self.told(|told| if let Told::Left(node, why) = told { Some((node, why)) } else { None }).await
    }

    pub async fn frame(&mut self) -> (NodeId, ContextFrame) {
        self.told(|told| if let Told::Frame(from, frame) = told { Some((from, frame)) } else { None }).await
    }

    pub fn count(&self, count: Count) -> u64 {
        self.links.counts().of(count)
    }

    /// A call of `mesh.health`, answered: whatever was sent on that link before was taken by then.
    pub async fn health_of(&self, node: NodeId) -> bool {
        self.links.call(node, "mesh.health", &json!({}), PATIENCE).await.is_ok()
    }
}

/// A connection that says what it is told to say.
pub struct Bare {
    pub socket: WebSocketStream<TcpStream>,
    next: u32,
}

pub enum Came {
    Value(Value),
    Closed(Option<CloseFrame>),
}

impl Bare {
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[]).await.unwrap()
    }

    /// Connects with these headers; the status when it is refused.
    pub async fn open_with(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{address}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match timeout(PATIENCE, client_async(request, stream)).await.expect("the upgrade is answered") {
            Ok((socket, _)) => Ok(Self { socket, next: 0 }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    /// Connects as the node with `key`.
    pub async fn open_as(key: &NodeKey, address: SocketAddr) -> Self {
        let mut bare = Self::open(address).await;
        let answer = bare.shake(key).await;
        assert_eq!(answer["ok"], json!(true), "{answer}");
        bare
    }

    /// Shows that it is the node with `key`; returns the answer to `mesh.connect`.
    pub async fn shake(&mut self, key: &NodeKey) -> Value {
        let challenge = self.call("mesh.challenge", json!({})).await;
        let nonce = challenge["payload"]["nonce"].as_str().unwrap().to_owned();
        self.call("mesh.connect", connect_params(key, key.id(), &nonce)).await
    }

    pub async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::Text(text.into().into())).await.unwrap();
    }

    pub async fn socket_binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// True when nobody serves there any more, in whichever way that shows.
    pub async fn open_with_refused(address: SocketAddr) -> bool {
        let Ok(stream) = TcpStream::connect(address).await else { return true };
        timeout(PATIENCE, client_async(format!("ws://{address}"), stream)).await.unwrap().is_err()
    }

    pub async fn tell(&mut self, event: &str, payload: Value) {
        self.say(json!({"type": "event", "event": event, "payload": payload}).to_string()).await;
    }

    pub async fn ask(&mut self, method: &str, params: Value) -> String {
        self.next += 1;
        let id = format!("b{}", self.next);
        self.say(json!({"type": "req", "id": id, "method": method, "params": params}).to_string()).await;
        id
    }

    pub async fn next(&mut self) -> Came {
        // Pings come as well, and are not what anybody here waits for.
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Came::Value(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(frame))) => return Came::Closed(frame),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Came::Closed(None),
                }
            }
        };
        timeout(PATIENCE, next).await.expect("something comes in time")
    }

    /// What comes next for which this is true; calls are left without an answer.
    pub async fn next_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Came::Value(value) if wanted(&value) => return value,
                Came::Value(_) => {}
                Came::Closed(frame) => panic!("closed: {frame:?}"),
            }
        }
    }

    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        self.next_where(|value| value["type"] == "res" && value["id"] == json!(id)).await
    }

    /// The code of the refusal of a call, or `OK`.
    pub async fn code(&mut self, method: &str) -> String {
        let answer = self.call(method, json!({})).await;
        answer["error"]["code"].as_str().unwrap_or("OK").to_owned()
    }

    /// Code and reason with which the other side closes.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Came::Closed(frame) = self.next().await {
                let frame = frame.expect("there is a close frame");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }
}

/// Parameters of `mesh.connect` signed by `key`, in the name of `node`.
pub fn connect_params(key: &NodeKey, node: NodeId, nonce: &str) -> Value {
    let text = clawmesh_wire::auth::SignedText {
        device_id: &node.to_string(),
        signed_at_ms: NOW_MS,
        nonce,
        mesh_id: Some("mesh"),
        role: Some("field"),
    };
    json!({
        "version": 2, "deviceId": node, "publicKey": clawmesh_wire::auth::key_text(&key.public()),
        "signature": text.sign(key), "signedAtMs": NOW_MS, "nonce": nonce,
        "clientNonce": "2b1c4d5e-0000-4000-8000-000000000001", "meshId": "mesh", "role": "field",
    })
}

/// The words of `Ourselves`, so that tests can play a listener.
pub fn ourselves<'a>(key: &'a NodeKey, about: &'a About) -> Ourselves<'a> {
    Ourselves { key, about }
}

/// A frame of an observation by `source`, as it travels.
pub fn frame(source: NodeId, id: &str) -> Value {
    json!({
        "gen": 1, "kind": "observation", "frameId": id, "sourceDeviceId": source, "timestamp": NOW_MS,
        "data": {"zone": "z1", "metric": "moisture", "value": 17.5},
        "trust": {"evidence_sources": ["sensor"], "evidence_trust_tier": "T2_operational_observation"},
    })
}

pub fn read_frame(value: &Value) -> ContextFrame {
    ContextFrame::read(Some(&raw(value)), NOW_MS).unwrap()
}
