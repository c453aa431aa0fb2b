//! Opening the door, and closing it without cutting anybody off in the middle of an answer.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::{GatewayConfig, GatewayPorts};
use crate::connection::BoundedListener;
use crate::error::GatewayError;
use crate::router::{Shared, routes};
use crate::secured::TlsTerms;
use crate::upgrade::From;

/// How long answers under way may take once the node shuts down.
const GRACE: Duration = Duration::from_secs(3);

/// A door that listens and does not answer yet.
pub struct BoundGateway {
    config: GatewayConfig,
    listener: TcpListener,
    address: SocketAddr,
}

/// Takes the port.
///
/// # Errors
/// One sentence for people: the port is taken or forbidden, the address is not ours, the token is too short.
pub async fn bind(config: GatewayConfig) -> Result<BoundGateway, GatewayError> {
    config.check_token()?;
    let (host, port) = (config.host, config.port);
    let fault = |source| GatewayError::from_bind(host, port, source);
    let listener = TcpListener::bind((host, port)).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    if !address.ip().is_loopback() && config.tls.is_none() {
        tracing::warn!(%address, "the gateway is plain http on a network address; its token can be read on the way, `--tls` prevents it");
    }
    Ok(BoundGateway { config, listener, address })
}

impl BoundGateway {
    /// Where it listens; with port 0 this is how to learn the real one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is ready, then ends the event streams and lets other answers finish.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(
        self,
        ports: GatewayPorts,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), GatewayError> {
        let shared = Arc::new(Shared::new(&self.config, self.address, ports));
        let closer = Arc::clone(&shared);
        let signal = async move {
            shutdown.await;
            closer.close();
        };
        let app = routes(Arc::clone(&shared)).into_make_service_with_connect_info::<From>();
        let tls = self.config.tls.map(|tls| TlsTerms::new(tls, Arc::clone(&shared.refused)));
        let listener = BoundedListener::new(self.listener, Arc::clone(&shared.refused), tls);
        let serving = axum::serve(listener, app).with_graceful_shutdown(signal);
        tokio::select! {
            outcome = async { serving.await } => outcome.map_err(|source| GatewayError::Serve { source }),
            () = grace_is_over(&shared) => Ok(()),
        }
    }
}

async fn grace_is_over(shared: &Shared) {
    shared.closed().await;
    tokio::time::sleep(GRACE).await;
}
