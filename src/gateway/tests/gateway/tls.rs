//! The door with a certificate: TLS for everybody, plain HTTP for this machine, and nobody waits for a handshake of others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_core::intake::InboxLimits;
use clawmesh_core::publish::SnapshotSink as _;
use clawmesh_gateway::{GatewayConfig, Status, bind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rig::{TOKEN, config, ports, snapshot};

const PATIENCE: Duration = Duration::from_secs(10);

struct Door {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    _stop: oneshot::Sender<()>,
}

async fn door() -> Door {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let certificate = made.cert.der().clone();
    let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let gateway = bind(GatewayConfig { port: 0, tls: Some(Arc::new(tls)), ..config() }).await.unwrap();
    let address = gateway.address();
    let (ports, feeder, _inboxes, _commits) = ports(InboxLimits::default());
    feeder.publish(Arc::new(snapshot()));
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(gateway.serve(ports, async { drop(stopped.await) }));
    Door { address, certificate, _stop }
}

impl Door {
    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(client)).connect(name, self.plain().await);
        timeout(PATIENCE, connecting).await.unwrap().unwrap()
    }

    /// The answer to a question for the status, with this origin if one is given.
    async fn status(&self, stream: impl AsyncRead + AsyncWrite + Unpin, origin: Option<&str>) -> String {
        let origin = origin.map(|origin| format!("origin: {origin}\r\n")).unwrap_or_default();
        let port = self.address.port();
        let request = format!(
            "GET /api/status HTTP/1.1\r\nhost: localhost:{port}\r\nauthorization: Bearer {TOKEN}\r\n{origin}\
             connection: close\r\n\r\n"
        );
        said(stream, request.as_bytes()).await
    }

    async fn refused(&self, code: &str) -> Option<u64> {
        let answer = self.status(self.plain().await, None).await;
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<Status>(body).unwrap().gateway.refused.get(code).copied()
    }
}

/// Everything that is answered.
async fn said(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is answered in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn over_tls_and_in_clear_from_this_machine_the_same_door_answers() {
    let door = door().await;
    for answer in [door.status(door.tls().await, None).await, door.status(door.plain().await, None).await] {
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"barn\""), "{answer}");
    }
}

#[tokio::test]
async fn a_page_that_came_over_tls_may_ask_over_tls_and_no_other_page_may() {
    let door = door().await;
    let port = door.address.port();
    let (secure, clear) = (format!("https://localhost:{port}"), format!("http://localhost:{port}"));
    let answer = door.status(door.tls().await, Some(&secure)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for foreign in [&clear, "https://evil.example", "https://localhost:1"] {
        let answer = door.status(door.tls().await, Some(foreign)).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("CROSS_ORIGIN"),
            "{foreign}: {answer}"
        );
    }
    let answer = door.status(door.plain().await, Some(&secure)).await;
    assert!(answer.contains("CROSS_ORIGIN"), "{answer}");
    let answer = door.status(door.plain().await, Some(&clear)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn handshakes_that_stall_keep_nobody_waiting_and_those_that_fail_are_counted() {
    let door = door().await;
    let mut stalled = Vec::new();
    for n in 0..40 {
        let mut stream = door.plain().await;
        // Some say nothing at all, some stop within the handshake.
        stream.write_all(&b"\x16\x03\x01\x02"[..n % 5]).await.unwrap();
        stalled.push(stream);
    }
    let answer = door.status(door.tls().await, None).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(door.refused("TLS_FAILED").await, None);
    let answer = said(door.plain().await, b"\x16GET / HTTP/1.1\r\n\r\n").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    assert_eq!(door.refused("TLS_FAILED").await, Some(1));
}
