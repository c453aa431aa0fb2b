//! How fast a node of ours answers existing ClawMesh nodes, beside a bare WebSocket echo of the same size, and what a thousand of them
//! cost it that are connected.
//!
//! `cargo bench -p clawmesh --bench guests`
//!
//! Runs the real binary with its own limits, which trusts all of them and has each as a guest in its tick, its pictures and its journal.
//! They connect from this process, as fast as one address may, answer pings, and say nothing else. Reads `/proc`, so it works on
//! Linux only.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the clocks of the machine")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clawmesh_authority::NodeKey;
use clawmesh_wire::auth::{SignedText, key_text};
use serde_json::{Value, json};
use support::cli::json_on;
use support::node::Node;
use tungstenite::{Error, Message, WebSocket};

const GUESTS: usize = 1_000;
const RESIDENT_MB_MAX: f64 = 150.0;
const HANDSHAKES: usize = 60;
const HANDSHAKE_MS_MAX: f64 = 1.0;
/// Slower than what one address may: what is refused is not fast.
const HANDSHAKE_EVERY: Duration = Duration::from_millis(80);
const CALLS: usize = 5_000;
const CALL_MS_MAX: f64 = 0.2;
const CALL_TO_ECHO_MAX: f64 = 2.0;
const IN_FLIGHT: usize = 64;
/// Less than what one guest may ask in a second.
const CALLS_IN_FLIGHT: usize = 40_000;
const CALLS_PER_SECOND_MIN: f64 = 20_000.0;
/// Each answer names all guests.
const CALLS_OF_MANY: usize = 50;
const PATIENCE: Duration = Duration::from_secs(300);
/// More often than the node looks for who is silent.
const TEND_EVERY: Duration = Duration::from_secs(3);
/// Past the first rounds of pings, and of what a node tells its guests.
const IDLE: Duration = Duration::from_secs(20);

type Socket = WebSocket<TcpStream>;

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dir = folder.path().join("hub");
    for n in 0..GUESTS {
        json_on(&dir, &["trust", "add", &key(n).id().to_string()]);
    }
    let mut node = Node::start(&dir, &["--role", "field"]);
    node.endpoint();
    let address = fs::read_to_string(dir.join("gateway.address")).expect("it listens").trim().to_owned();
    let beyond = speed(&address);
    let alone_mb = resident_mb(node.child.id());
    let begun = Instant::now();
    let mut sockets = all_connected(&address);
    println!("{GUESTS} guests were connected within {:.0} s", begun.elapsed().as_secs_f64());
    let until = Instant::now() + IDLE;
    while Instant::now() < until {
        sockets.iter_mut().for_each(tend);
        thread::sleep(TEND_EVERY);
    }
    let resident_mb = resident_mb(node.child.id());
    let (times_ms, answer) = healths(&mut sockets[0], CALLS_OF_MANY);
    let (health_ms, connected) = (median(times_ms), answer["payload"]["peers"]["connected"].as_u64());
    println!(
        "a node with {GUESTS} guests: {resident_mb:.0} MB resident (at most {RESIDENT_MB_MAX:.0}), {alone_mb:.0} MB without them; \
         mesh.health, which lists them all: p50 {health_ms:.2} ms"
    );
    assert_eq!(connected, Some(GUESTS as u64), "guests were lost");
    assert!(resident_mb <= RESIDENT_MB_MAX, "too much");
    assert!(beyond.is_empty(), "too slow: {}", beyond.join("; "));
    drop(sockets);
    node.stop();
}

/// How fast the node answers one guest; what is beyond its bound.
fn speed(address: &str) -> Vec<String> {
    let mut beyond = Vec::new();
    let mut bound = |is_kept: bool, what: String| {
        println!("{what}");
        if !is_kept {
            beyond.push(what);
        }
    };
    let shake = |_| {
        thread::sleep(HANDSHAKE_EVERY);
        let mut socket = connected(address).expect("it listens");
        let begun = Instant::now();
        assert!(shaken(&mut socket, &key(0)).is_some(), "it lets guests in");
        begun.elapsed().as_secs_f64() * 1e3
    };
    let handshake_ms = median((0..HANDSHAKES).map(shake).collect());
    bound(
        handshake_ms <= HANDSHAKE_MS_MAX,
        format!("handshake of three messages: p50 {handshake_ms:.2} ms (at most {HANDSHAKE_MS_MAX})"),
    );
    thread::sleep(HANDSHAKE_EVERY);
    let mut socket = connected(address).expect("it listens");
    assert!(shaken(&mut socket, &key(0)).is_some(), "it lets guests in");
    let (times_ms, answer) = healths(&mut socket, CALLS);
    let (call_ms, bytes) = (median(times_ms), answer.to_string().len());
    let echo_ms = median(healths(&mut connected(&echo(answer)).expect("it listens"), CALLS).0);
    bound(
        call_ms <= CALL_MS_MAX && call_ms <= CALL_TO_ECHO_MAX * echo_ms,
        format!(
            "mesh.health ({bytes} bytes), one at a time: p50 {call_ms:.3} ms (at most {CALL_MS_MAX}), {:.2} times a bare echo of \
             {echo_ms:.3} ms (at most {CALL_TO_ECHO_MAX})",
            call_ms / echo_ms
        ),
    );
    let rate = calls_per_second(&mut socket);
    bound(
        rate >= CALLS_PER_SECOND_MIN,
        format!(
            "mesh.health, {IN_FLIGHT} in flight: {rate:.0} a second (at least {CALLS_PER_SECOND_MIN:.0})"
        ),
    );
    beyond
}

/// Somebody who says the same to whatever comes.
fn echo(answer: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let text = answer.to_string();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody connects");
        stream.set_nodelay(true).expect("it is connected");
        let mut socket = tungstenite::accept(stream).expect("it upgrades");
        while socket.read().is_ok() && socket.send(Message::text(text.clone())).is_ok() {}
    });
    address
}

fn calls_per_second(socket: &mut Socket) -> f64 {
    let begun = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    while answered < CALLS_IN_FLIGHT {
        while sent < CALLS_IN_FLIGHT && sent - answered < IN_FLIGHT {
            socket.write(Message::text(health_request(sent))).expect("it is open");
            sent += 1;
        }
        socket.flush().expect("it is open");
        if let Message::Text(text) = socket.read().expect("it answers") {
            assert!(!text.contains("\"ok\":false"), "{text}");
            answered += usize::from(text.contains("\"type\":\"res\""));
        }
    }
    answered as f64 / begun.elapsed().as_secs_f64()
}

fn health_request(n: usize) -> String {
    format!(r#"{{"type":"req","id":"h{n}","method":"mesh.health","params":{{}}}}"#)
}

fn median(mut times_ms: Vec<f64>) -> f64 {
    times_ms.sort_by(f64::total_cmp);
    times_ms[times_ms.len() / 2]
}

fn key(n: usize) -> NodeKey {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&(n as u64).to_be_bytes());
    NodeKey::from_secret(&secret)
}

fn all_connected(address: &str) -> Vec<Socket> {
    let deadline = Instant::now() + PATIENCE;
    let mut sockets: Vec<Socket> = Vec::new();
    let mut tended = Instant::now();
    while sockets.len() < GUESTS {
        assert!(Instant::now() < deadline, "only {} guests were let in", sockets.len());
        let socket = connected(address)
            .and_then(|mut socket| shaken(&mut socket, &key(sockets.len())).map(|()| socket));
        match socket {
            Some(socket) => sockets.push(socket),
            // So many of one address are let in each second.
            None => thread::sleep(Duration::from_millis(100)),
        }
        if tended.elapsed() > TEND_EVERY {
            sockets.iter_mut().for_each(tend);
            tended = Instant::now();
        }
    }
    sockets
}

fn connected(address: &str) -> Option<Socket> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    Some(tungstenite::client(format!("ws://{address}/"), stream).ok()?.0)
}

/// The three messages of the handshake; nothing when the node has no time for it now.
fn shaken(socket: &mut Socket, key: &NodeKey) -> Option<()> {
    let challenge =
        asked(socket, &json!({"type": "req", "id": "1", "method": "mesh.challenge", "params": {}}))?;
    let nonce = challenge["payload"]["nonce"].as_str()?.to_owned();
    let (device_id, signed_at_ms) = (key.id().to_string(), unix_ms());
    let text =
        SignedText { device_id: &device_id, signed_at_ms, nonce: &nonce, mesh_id: None, role: Some("field") };
    let params = json!({
        "version": 2, "deviceId": device_id, "publicKey": key_text(&key.public()), "signature": text.sign(key),
        "signedAtMs": signed_at_ms, "nonce": nonce, "clientNonce": "2b1c4d5e-0000-4000-8000-000000000001",
        "role": "field",
    });
    let answer =
        asked(socket, &json!({"type": "req", "id": "2", "method": "mesh.connect", "params": params}))?;
    (answer["ok"] == true).then_some(())
}

fn asked(socket: &mut Socket, request: &Value) -> Option<Value> {
    socket.send(Message::text(request.to_string())).ok()?;
    loop {
        if let Message::Text(text) = socket.read().ok()? {
            let told: Value = serde_json::from_str(&text).ok()?;
            if told["type"] == "res" {
                return Some(told);
            }
        }
    }
}

/// Takes what has come; pings are answered by that.
fn tend(socket: &mut Socket) {
    socket.get_ref().set_nonblocking(true).expect("it is open");
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::Io(fault)) if fault.kind() == ErrorKind::WouldBlock => break,
            Err(fault) => panic!("a guest was put out: {fault}"),
        }
    }
    let flushed = socket.flush();
    assert!(flushed.is_ok(), "{flushed:?}");
    socket.get_ref().set_nonblocking(false).expect("it is open");
}

/// How long each of so many calls takes, milliseconds, and the last answer.
fn healths(socket: &mut Socket, calls: usize) -> (Vec<f64>, Value) {
    let (mut times_ms, mut last) = (Vec::new(), String::new());
    for n in 0..calls {
        let request = health_request(n);
        let begun = Instant::now();
        socket.send(Message::text(request)).expect("it is open");
        loop {
            if let Message::Text(text) = socket.read().expect("it answers")
                && text.contains("\"type\":\"res\"")
            {
                times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
                last = text.to_string();
                break;
            }
        }
    }
    (times_ms, serde_json::from_str(&last).expect("it is JSON"))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(since.as_millis()).expect("it is before the year 500 million")
}

fn resident_mb(pid: u32) -> f64 {
    let status =
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
    kib * 1_024.0 / 1e6
}
