//! The door of existing nodes on the port of the gateway, which is open before the links are there.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::http::HeaderMap;
use clawmesh_core::mesh::Asking;
use clawmesh_gateway::{
    Abilities, AbilityView, Chains, DialledView, Events, History, LinksView, NearbyView, NoHistory,
    NoWebSocket, Serve, WantedChains, WantedEvents, WebSockets,
};
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{Head, Links, PeerState, PeerView};
use tokio::runtime::Handle;

use super::discovery::{Found, Nearby};
use super::host::GuestHost;

/// Hands WebSockets to the links once they are there.
#[derive(Default)]
pub struct GuestDoor {
    links: OnceLock<(Links, Handle)>,
    host: OnceLock<Arc<GuestHost>>,
    /// Who was found in the local network.
    pub nearby: Nearby,
}

impl GuestDoor {
    /// The links and what is behind them are there, and `tasks` runs what they serve. A node has them once in its life.
    pub fn came(&self, links: Links, host: Arc<GuestHost>, tasks: Handle) {
        let _ = self.host.set(host);
        let _ = self.links.set((links, tasks));
    }

    /// The links, and what runs their tasks, once they are there.
    pub fn links(&self) -> Option<&(Links, Handle)> {
        self.links.get()
    }
}

impl History for GuestDoor {
    fn events(&self, wanted: &WantedEvents) -> Result<Events, NoHistory> {
        self.host.get().ok_or(NoHistory::Starting)?.events(wanted)
    }

    fn chains(&self, wanted: WantedChains) -> Asking<Result<Chains, NoHistory>> {
        match self.host.get() {
            Some(host) => host.chains(wanted),
            None => Box::pin(async { Err(NoHistory::Starting) }),
        }
    }
}

impl Abilities for GuestDoor {
    fn who_can(&self, pattern: &str, rows_max: usize) -> Option<(Vec<AbilityView>, usize)> {
        self.host.get()?.routes().who_can(pattern, rows_max)
    }
}

impl WebSockets for GuestDoor {
    fn admit(&self, headers: &HeaderMap, from: SocketAddr) -> Result<Serve, NoWebSocket> {
        let Some((links, tasks)) = self.links.get().cloned() else {
            let sentence = "this node is starting; connect again in a moment".to_owned();
            return Err(NoWebSocket { status: 503, sentence });
        };
        let turned = |turned: clawmesh_wire_link::TurnedAway| NoWebSocket {
            status: turned.status,
            sentence: turned.sentence,
        };
        let ticket = links.admit(&Head::of(headers), from).map_err(turned)?;
        Ok(Box::new(move |stream| {
            tasks.spawn(async move {
                let why = links.serve_admitted(stream, ticket).await;
                tracing::debug!(%from, "a connection of the wire protocol has ended: {why}");
            });
        }))
    }

    fn view(&self) -> LinksView {
        let (Some((links, _)), Some(host)) = (self.links.get(), self.host.get()) else {
            return LinksView::default();
        };
        let counts = links.counts();
        let counts = counts.iter().chain(host.routes().counts());
        LinksView {
            connections: links.connections(),
            counts: counts.map(|(name, many)| (name.to_owned(), many)).collect(),
            dialled: links.peers().into_iter().map(dialled).collect(),
            nearby: self.nearby.all().into_iter().map(|found| nearby(found, links)).collect(),
            knocks: host.knocks().all(),
        }
    }
}

fn nearby(Found { name, spec, .. }: Found, links: &Links) -> NearbyView {
    NearbyView { id: spec.node, name, url: spec.url.to_string(), trusted: links.trusts(spec.node) }
}

fn dialled(view: PeerView) -> DialledView {
    let (state, until_ms) = match view.state {
        PeerState::Connecting => ("connecting", None),
        PeerState::Connected => ("connected", None),
        PeerState::Waiting { until_ms, .. } => ("waiting", Some(until_ms)),
        PeerState::Refused { until_ms, .. } => ("refused", until_ms),
    };
    let (cause, sentence) =
        view.trouble.map(|trouble| (trouble.cause.as_str().to_owned(), trouble.sentence)).unzip();
    let posture = view.spec.posture().as_str().to_owned();
    let PeerSpec { node, url, label, .. } = view.spec;
    let (url, state) = (url.to_string(), state.to_owned());
    DialledView { id: node, url, label, posture, is_static: view.is_static, state, until_ms, cause, sentence }
}
