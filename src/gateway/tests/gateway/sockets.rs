//! What only a real socket shows: the port, a connection, the way out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::HeaderMap;
use clawmesh_gateway::{
    GatewayConfig, GatewayError, GatewayPorts, LinksView, NoWebSocket, Serve, WebSockets, bind,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::rig::{Latch, TOKEN, config, ports};

fn any_port() -> GatewayConfig {
    GatewayConfig { port: 0, ..config() }
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let first = bind(any_port()).await.unwrap();
    let port = first.address().port();
    let fault = bind(GatewayConfig { port, ..config() }).await.err().unwrap();
    assert_eq!(
        fault.to_string(),
        format!(
            "port {port} on 127.0.0.1 is taken; is another node running here? choose another with --port"
        )
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    let host = [192, 0, 2, 1].into();
    let fault = bind(GatewayConfig { host, ..any_port() }).await.err().unwrap();
    assert!(matches!(fault, GatewayError::HostUnknown { .. }), "{fault}");
    assert!(fault.to_string().contains("192.0.2.1") && fault.to_string().contains("--host"));
}

#[tokio::test]
async fn a_weak_token_takes_no_port() {
    let fault = bind(GatewayConfig { token: String::new(), ..any_port() }).await.err().unwrap();
    assert!(matches!(fault, GatewayError::WeakToken));
}

#[tokio::test]
async fn the_door_answers_over_tcp_and_shutdown_ends_an_open_stream() {
    let gateway = bind(any_port()).await.unwrap();
    let address = gateway.address();
    let (ports, _feeder, _inboxes, _commits) = ports(Default::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(gateway.serve(ports, async { drop(stopped.await) }));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /api/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    stop.send(()).unwrap();
    timeout(Duration::from_secs(10), serving).await.unwrap().unwrap().unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_is_at_the_machine_stops_it_without_a_token_and_does_nothing_else() {
    let gateway = bind(any_port()).await.unwrap();
    let address = gateway.address();
    let (ports, _feeder, _inboxes, _commits) = ports(Default::default());
    let latch = Arc::<Latch>::default();
    let ports = GatewayPorts { stop: latch.clone(), ..ports };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(gateway.serve(ports, async { drop(stopped.await) }));
    let asked = async |method: &str, path: &str, more: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = "{\"why\":\"smoke\"}";
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        head_of(&mut stream).await.split(' ').nth(1).unwrap().to_owned()
    };
    // What a page of somebody else sends through a browser, and what a proxy brings from elsewhere.
    for (more, expected) in [
        ("origin: http://evil.example\r\n", "403"),
        ("origin: null\r\n", "403"),
        ("x-forwarded-for: 192.0.2.1\r\n", "401"),
        ("forwarded: for=192.0.2.1\r\n", "401"),
        ("via: 1.1 proxy\r\n", "401"),
        ("x-real-ip: 192.0.2.1\r\n", "401"),
    ] {
        assert_eq!(asked("POST", "/api/stop", more).await, expected, "{more}");
    }
    assert_eq!(asked("POST", "/api/observations", "").await, "401");
    assert_eq!(asked("GET", "/api/status", "").await, "401");
    assert_eq!(asked("GET", "/api/stop", "").await, "405");
    assert_eq!(latch.stops.load(Ordering::SeqCst), 0);
    assert_eq!(asked("POST", "/api/stop", "").await, "200");
    assert_eq!(latch.stops.load(Ordering::SeqCst), 1);
    stop.send(()).unwrap();
    timeout(Duration::from_secs(10), serving).await.unwrap().unwrap().unwrap();
}

/// Takes WebSockets of whoever brings the right word, and sends back what comes.
struct Echo;

impl WebSockets for Echo {
    fn admit(&self, headers: &HeaderMap, from: SocketAddr) -> Result<Serve, NoWebSocket> {
        assert!(from.ip().is_loopback(), "{from}");
        if headers.get("authorization").is_none_or(|word| word != "please") {
            return Err(NoWebSocket { status: 403, sentence: "say please".to_owned() });
        }
        Ok(Box::new(|mut stream| {
            tokio::spawn(async move {
                let mut bytes = [0; 4];
                while stream.read_exact(&mut bytes).await.is_ok() && stream.write_all(&bytes).await.is_ok() {}
            });
        }))
    }

    fn view(&self) -> LinksView {
        LinksView::default()
    }
}

async fn upgrade(address: SocketAddr, path: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A name the page would not answer to, and another origin: who may come is for whoever takes them to say.
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: barn.example\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(Duration::from_secs(10), stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn web_sockets_at_the_root_go_to_whoever_takes_them_and_to_nobody_else() {
    let gateway = bind(any_port()).await.unwrap();
    let address = gateway.address();
    let (ports, _feeder, _inboxes, _commits) = ports(Default::default());
    let ports = GatewayPorts { web_sockets: Some(Arc::new(Echo)), ..ports };
    let (_stop, stopped) = oneshot::channel::<()>();
    let _serving = tokio::spawn(gateway.serve(ports, async { drop(stopped.await) }));

    let mut taken = upgrade(address, "/", "authorization: please\r\n").await;
    let head = head_of(&mut taken).await;
    // The answer to this key is the one of RFC 6455, section 1.3.
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    taken.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    timeout(Duration::from_secs(10), taken.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"ping");

    let mut refused = upgrade(address, "/", "").await;
    let head = head_of(&mut refused).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    // Elsewhere an upgrade is a request like any other, and the name it calls is not ours.
    let mut elsewhere = upgrade(address, "/api/status", "authorization: please\r\n").await;
    let head = head_of(&mut elsewhere).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}
