//! How fast links are, beside a bare WebSocket echo of the same sizes, and how little an idle one takes.
//!
//! `cargo bench -p clawmesh-wire-link --bench links`
//!
//! The idle clients are this program again, as a process of its own, so that the memory measured is that of the server.
//! What is beyond its bound is named, and the program ends with an error.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the clocks of the machine")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_wire::access::Method;
use clawmesh_wire::auth::{SignedText, key_text};
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::handshake::{Moment, PeerTrust};
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{Answer, Config, Host, Later, Links, Peer, Rates, Session, Why};
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

const NOW_MS: u64 = 1_730_000_000_000;
const HANDSHAKES: usize = 300;
const CALLS: usize = 5_000;
const CALLS_AT_ONCE: usize = 100_000;
const IN_FLIGHT: usize = 64;
const IDLE_CLIENTS: u32 = 1_000;

const HANDSHAKE_MS_P50_MAX: f64 = 1.0;
const CALL_MS_P50_MAX: f64 = 0.2;
const CALL_TO_ECHO_MAX: f64 = 2.0;
const CALLS_PER_SECOND_MIN: f64 = 20_000.0;
const IDLE_MB_MAX: f64 = 150.0;

struct BenchHost {
    key: NodeKey,
    about: Arc<About>,
    trusted: BTreeSet<NodeId>,
    health: Box<RawValue>,
    begun: Instant,
}

impl Host for BenchHost {
    fn key(&self) -> &NodeKey {
        &self.key
    }
    fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }
    fn trust(&self, node: NodeId) -> PeerTrust {
        if self.trusted.contains(&node) { PeerTrust::Trusted } else { PeerTrust::Unknown }
    }
    fn is_operator_token(&self, _: &str) -> bool {
        false
    }
    fn now(&self) -> Moment {
        Moment { unix_ms: NOW_MS, elapsed: self.begun.elapsed() }
    }
    fn newest_frame_ms(&self, _: NodeId) -> Option<u64> {
        None
    }
    fn read(&self, _: &Peer, method: Method, _: Option<&RawValue>) -> Option<Answer> {
        (method == Method::Health).then(|| Ok(self.health.clone()))
    }
    fn call(&self, _: &Peer, _: Method, _: Option<Box<RawValue>>) -> Later {
        Box::pin(async { to_raw_value(&json!({"frames": []})).map_err(|_| unreachable!()) })
    }
    fn frame(&self, _: NodeId, _: ContextFrame) {}
    fn joined(&self, _: &Session) {}
    fn left(&self, _: NodeId, _: &Why) {}
}

fn key(n: u32) -> NodeKey {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&n.to_be_bytes());
    NodeKey::from_secret(&secret)
}

/// A node that trusts `0..=IDLE_CLIENTS`, and its port.
async fn node(n: u32) -> (Links, SocketAddr) {
    let rates = Rates { handshakes: 1_000_000, reads: 10_000_000, ..Rates::default() };
    let config = Config { rates, news_per_minute_max: u32::MAX, ..Config::default() };
    let health = to_raw_value(&json!({"status": "healthy", "fill": "x".repeat(1_960)})).expect("it is JSON");
    let host = BenchHost {
        key: key(n),
        about: Arc::new(About { role: Some("field".to_owned()), ..About::default() }),
        trusted: (0..=IDLE_CLIENTS).map(|n| key(n).id()).collect(),
        health,
        begun: Instant::now(),
    };
    let links = Links::start(config, Arc::new(host));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let served = links.clone();
    tokio::spawn(async move { served.listen(listener, None).await });
    (links, address)
}

type Bare = WebSocketStream<TcpStream>;

async fn connected(address: SocketAddr) -> Bare {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("it is connected");
    client_async(format!("ws://{address}/"), stream).await.expect("it upgrades").0
}

async fn asked(socket: &mut Bare, text: String) -> Value {
    socket.send(Message::Text(text.into())).await.expect("it is open");
    loop {
        if let Some(Ok(Message::Text(text))) = socket.next().await {
            let value: Value = serde_json::from_str(&text).expect("it is JSON");
            if value["type"] == "res" {
                return value;
            }
        }
    }
}

/// The three messages of the handshake: a challenge that is asked for, what is signed, and the answer.
async fn shaken(socket: &mut Bare, key: &NodeKey) {
    let text = r#"{"type":"req","id":"1","method":"mesh.challenge","params":{}}"#;
    let challenge = asked(socket, text.to_owned()).await;
    let nonce = challenge["payload"]["nonce"].as_str().expect("there is a challenge");
    let device_id = key.id().to_string();
    let text =
        SignedText { device_id: &device_id, signed_at_ms: NOW_MS, nonce, mesh_id: None, role: Some("field") };
    let params = json!({
        "version": 2, "deviceId": device_id, "publicKey": key_text(&key.public()), "signature": text.sign(key),
        "signedAtMs": NOW_MS, "nonce": nonce, "clientNonce": "2b1c4d5e-0000-4000-8000-000000000001",
        "role": "field",
    });
    let text = json!({"type": "req", "id": "2", "method": "mesh.connect", "params": params}).to_string();
    let answer = asked(socket, text).await;
    assert_eq!(answer["ok"], json!(true), "{answer}");
}

fn p(mut times: Vec<Duration>, percent: usize) -> f64 {
    times.sort_unstable();
    let at = times.len() * percent / 100;
    times[at.min(times.len() - 1)].as_secs_f64() * 1_000.0
}

async fn c07_handshakes(address: SocketAddr) -> (Vec<Duration>, Vec<Duration>) {
    let (mut whole, mut shakes) = (Vec::new(), Vec::new());
    for _ in 0..HANDSHAKES {
        let begun = Instant::now();
        let mut socket = connected(address).await;
        let upgraded = Instant::now();
        shaken(&mut socket, &key(1)).await;
        shakes.push(upgraded.elapsed());
        whole.push(begun.elapsed());
    }
    (whole, shakes)
}

/// A server that only says something of the same size for whatever comes.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("somebody connects");
        stream.set_nodelay(true).expect("it is connected");
        let mut socket = accept_async(stream).await.expect("it upgrades");
        let answer = "x".repeat(2_060);
        while let Some(Ok(_)) = socket.next().await {
            if socket.send(Message::Text(answer.clone().into())).await.is_err() {
                return;
            }
        }
    });
    address
}

async fn one_at_a_time(socket: &mut Bare) -> Vec<Duration> {
    let mut times = Vec::new();
    for n in 0..CALLS {
        let text = format!(r#"{{"type":"req","id":"c{n}","method":"mesh.health","params":{{}}}}"#);
        let begun = Instant::now();
        socket.send(Message::Text(text.into())).await.expect("it is open");
        while !matches!(socket.next().await, Some(Ok(Message::Text(_)))) {}
        times.push(begun.elapsed());
    }
    times.split_off(CALLS / 10)
}

async fn linked(node: NodeId, from: &Links, address: SocketAddr) {
    from.dial(PeerSpec::read(&format!("{node}=ws://{address}")).expect("it is a spec"));
    while from.sessions().is_empty() {
        tokio::task::yield_now().await;
    }
}

async fn calls_one_at_a_time(links: &Links, node: NodeId) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let begun = Instant::now();
        links.call(node, "mesh.health", &json!({}), Duration::from_secs(5)).await.expect("it answers");
        times.push(begun.elapsed());
    }
    times.split_off(CALLS / 10)
}

async fn calls_per_second(links: &Links, node: NodeId) -> f64 {
    let call = || {
        let links = links.clone();
        async move { links.call(node, "mesh.health", &json!({}), Duration::from_secs(5)).await }
    };
    let begun = Instant::now();
    let mut waiting: FuturesUnordered<_> = (0..IN_FLIGHT).map(|_| call()).collect();
    let mut answered = 0;
    while let Some(answer) = waiting.next().await {
        answer.expect("it answers");
        answered += 1;
        if answered + waiting.len() < CALLS_AT_ONCE {
            waiting.push(call());
        }
    }
    answered as f64 / begun.elapsed().as_secs_f64()
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}

/// The other process: connects as so many nodes, says so, and stays until nobody listens any more.
async fn idle(address: SocketAddr) {
    let mut sockets = Vec::new();
    for n in 1..=IDLE_CLIENTS {
        let mut socket = connected(address).await;
        shaken(&mut socket, &key(n)).await;
        sockets.push(socket);
    }
    println!("connected");
    let until_eof =
        async { while let Ok(Some(_)) = BufReader::new(tokio::io::stdin()).lines().next_line().await {} };
    let answering =
        sockets.into_iter().map(|mut socket| async move { while let Some(Ok(_)) = socket.next().await {} });
    let answering: FuturesUnordered<_> = answering.collect();
    tokio::select! { () = until_eof => {}, () = answering.for_each(|()| async {}) => {} }
}

async fn idle_memory(links: &Links, address: SocketAddr) -> Option<f64> {
    let before = resident();
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args(["idle", &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program runs twice");
    while links.sessions().len() < IDLE_CLIENTS as usize {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Past the first round of pings and answers.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let after = resident();
    let there = links.sessions().len();
    drop(child.stdin.take());
    child.wait().expect("it ends");
    (before > 0 && there == IDLE_CLIENTS as usize)
        .then(|| after.saturating_sub(before) as f64 / (1_024.0 * 1_024.0))
}

async fn measure() -> Vec<String> {
    let mut beyond = Vec::new();
    let mut bound = |is_kept: bool, what: String| {
        println!("{} {what}", if is_kept { "  ok    " } else { "  BEYOND" });
        if !is_kept {
            beyond.push(what);
        }
    };
    // First, while nothing else has taken memory.
    let (idle_server, idle_address) = node(0).await;
    match idle_memory(&idle_server, idle_address).await {
        Some(mb) => bound(
            mb <= IDLE_MB_MAX,
            format!("{IDLE_CLIENTS} idle nodes take {mb:.1} MB of the server, at most {IDLE_MB_MAX}"),
        ),
        None => bound(
            false,
            "idle memory could not be measured: nodes were lost, or there is no /proc".to_owned(),
        ),
    }
    idle_server.close().await;

    let (_server, address) = node(0).await;
    let (whole, shakes) = c07_handshakes(address).await;
    println!("  with TCP and upgrade: p50 {:.3} ms, p99 {:.3} ms", p(whole.clone(), 50), p(whole, 99));
    let (p50, p99) = (p(shakes.clone(), 50), p(shakes, 99));
    bound(
        p50 <= HANDSHAKE_MS_P50_MAX,
        format!("handshake p50 {p50:.3} ms, p99 {p99:.3} ms, at most {HANDSHAKE_MS_P50_MAX}"),
    );

    let echo = p(one_at_a_time(&mut connected(echo().await).await).await, 50);
    println!("  bare echo of 2 kB: p50 {echo:.4} ms");
    let mut bare = connected(address).await;
    shaken(&mut bare, &key(2)).await;
    let times = one_at_a_time(&mut bare).await;
    let (p50, p99) = (p(times.clone(), 50), p(times, 99));
    bound(
        p50 <= CALL_MS_P50_MAX && p50 <= echo * CALL_TO_ECHO_MAX,
        format!(
            "mesh.health p50 {p50:.4} ms, p99 {p99:.4} ms: {:.2} times the echo, at most {CALL_TO_ECHO_MAX} and {CALL_MS_P50_MAX} ms",
            p50 / echo
        ),
    );

    let (client, _) = node(3).await;
    let server = key(0).id();
    linked(server, &client, address).await;
    let times = calls_one_at_a_time(&client, server).await;
    println!("  mesh.health by Links::call: p50 {:.4} ms, p99 {:.4} ms", p(times.clone(), 50), p(times, 99));
    let rate = calls_per_second(&client, server).await;
    bound(
        rate >= CALLS_PER_SECOND_MIN,
        format!("{rate:.0} calls a second with {IN_FLIGHT} in flight, at least {CALLS_PER_SECOND_MIN}"),
    );
    beyond
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Some(at) = args.iter().position(|arg| arg == "idle") {
        runtime.block_on(idle(args[at + 1].parse().expect("an address")));
        return ExitCode::SUCCESS;
    }
    let beyond = runtime.block_on(measure());
    if beyond.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
