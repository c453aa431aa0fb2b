//! What only a real socket shows: the port, a connection, the way out.

use std::time::Duration;

use clawmesh_gateway::{GatewayConfig, GatewayError, bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::rig::{TOKEN, config, ports};

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
