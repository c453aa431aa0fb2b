//! The zenoh session of a node: its settings, its opening with patience, what it declares, its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_core::intake::LinkState;
use zenoh::internal::runtime::{Runtime, RuntimeBuilder};
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber;
use zenoh::query::Queryable;
use zenoh::sample::Locality;
use zenoh::{Config, Session, Wait as _};

use crate::asks::AsksIn;
use crate::backoff::{Backoff, noise};
use crate::config::BridgeConfig;
use crate::deliveries::Deliveries;
use crate::edge::Edge;
use crate::error::BridgeError;
use crate::keys;
use crate::links::{Secured, are_secured};
use crate::presence::Presence;
use crate::readings::ReadingsIn;
use crate::samples::SamplesIn;
use crate::times::TimesIn;
use crate::ways::ZenohWay;

const REOPEN_FIRST: Duration = Duration::from_secs(1);
const REOPEN_LONGEST: Duration = Duration::from_secs(30);
/// How long a session may take to say good-bye.
const CLOSE_PATIENCE: Duration = Duration::from_millis(1_200);

/// How long links may take to end that never came to be a session.
const DROP_PATIENCE: Duration = Duration::from_millis(300);

/// zenoh answers a query with the congestion control and the priority the asking program chose, and blocks for
/// seconds when that is `Block` and the program does not read. So queries are changed as they come in. Their
/// answers are small and get a queue of their own, beside the one that readings may fill.
const ANSWERS_NEVER_WAIT: &str = r#"[{"messages": ["query"], "flows": ["ingress"],
    "overwrite": {"congestion_control": "drop", "priority": "interactive_high"}}]"#;

/// The settings of the session. zenoh checks each of them here, so that a wrong endpoint is found at once.
pub fn settings(config: &BridgeConfig) -> Result<Config, BridgeError> {
    let discovery = config.discovery.to_string();
    let mut settings = Config::default();
    for (setting, value) in [
        ("mode", json_text(config.mode.as_str()).as_str()),
        ("listen/endpoints", &json_list(&config.listen)),
        // A port that is taken is an error to report, not to be silent about.
        ("listen/exit_on_failure", "true"),
        ("listen/timeout_ms", "0"),
        ("connect/endpoints", &json_list(&config.connect)),
        // Opening never waits for the others: they are connected to in the background, for ever.
        ("connect/exit_on_failure", "false"),
        ("connect/timeout_ms", "-1"),
        ("connect/retry", r#"{"period_init_ms": 500, "period_max_ms": 4000, "period_increase_factor": 2}"#),
        ("open/return_conditions/connect_scouted", "false"),
        ("scouting/delay", "0"),
        ("scouting/multicast/enabled", &discovery),
        // Peers relay nothing for each other, so whoever is linked to one must learn where the others are.
        ("scouting/gossip/enabled", "true"),
        ("transport/link/tx/lease", "2000"),
        // Large enough to see a message that is far too large and to say who sent it.
        ("transport/link/rx/max_message_size", "16777216"),
        ("adminspace/enabled", "false"),
        ("qos/network", ANSWERS_NEVER_WAIT),
        // In batches of 64 KiB: room for a full window of deliveries on a link however slow, as couriers do not wait; and for
        // one that passes on to others, where it has the priority of what comes in.
        ("transport/link/tx/queue/size/data_high", "16"),
        ("transport/link/tx/queue/size/interactive_high", "16"),
        // The same for the largest request.
        ("transport/link/tx/queue/size/interactive_low", "16"),
    ] {
        settings.insert_json5(setting, value).map_err(|why| BridgeError::Setting {
            setting,
            value: value.to_owned(),
            why: why.to_string(),
        })?;
    }
    Ok(settings)
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_list(endpoints: &[String]) -> String {
    serde_json::Value::from(endpoints).to_string()
}

/// What listens on a session.
pub struct Ears {
    /// Readings of other nodes.
    pub readings: Arc<ReadingsIn>,
    /// Frames of other nodes.
    pub deliveries: Arc<Deliveries>,
    /// What is signed for us as an owner.
    pub asks: Arc<AsksIn>,
    /// Questions for the time.
    pub times: Arc<TimesIn>,
    /// Tokens of other nodes.
    pub presence: Arc<Presence>,
    /// Samples of foreign programs.
    pub samples: Vec<Arc<SamplesIn>>,
}

impl Ears {
    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        self.readings.follow(trusted);
        self.deliveries.follow(trusted);
        self.asks.follow(trusted);
        self.times.follow(trusted);
        self.presence.follow(trusted);
    }
}

/// An open session and everything that is declared on it.
pub struct OpenSession {
    /// The session.
    pub session: Session,
    /// What is below it: the links.
    pub links: Links,
    subscribers: Vec<Subscriber<()>>,
    queryables: Vec<Queryable<()>>,
    token: LivelinessToken,
}

/// Opens the session, however long it takes, and says how it goes.
pub async fn open_patiently(
    edge: &Edge,
    config: &BridgeConfig,
    settings: &Config,
    ears: &Ears,
) -> OpenSession {
    let mut backoff = Backoff::new(REOPEN_FIRST, REOPEN_LONGEST);
    let mut news = edge.trust.follow();
    loop {
        news.mark_unchanged();
        let opened = match secured(edge, config, settings) {
            Ok(settings) => {
                open(edge, settings, ears).await.map_err(|fault| failure(&config.listen, &fault.to_string()))
            }
            Err(sentence) => Err(sentence),
        };
        match opened {
            Ok(open) => {
                let locators = open.locators().await;
                let own_way =
                    ZenohWay::of_session(&config.listen, &locators, &open.session.zid().to_string());
                edge.ways.tell_own(own_way);
                // With no address but the loopback one, what we were told is the best answer.
                let listen = if locators.is_empty() { config.listen.clone() } else { locators };
                tracing::info!(?listen, "the zenoh session is open");
                edge.own_inputs.offer_link(LinkState::Open { listen });
                return open;
            }
            Err(sentence) => {
                tracing::warn!(%sentence, "the zenoh session is not open");
                edge.own_inputs.offer_link(LinkState::Failed { sentence });
                // Whoever was just paired does not wait for the rest of a long pause.
                let wait = backoff.wait_with_jitter(noise(edge.now_ns()));
                let _ = tokio::time::timeout(wait, news.changed()).await;
            }
        }
    }
}

/// The settings with what is known only now: the papers, and whom we trust.
fn secured(edge: &Edge, config: &BridgeConfig, settings: &Config) -> Result<Config, String> {
    let mut settings = settings.clone();
    if are_secured(config) {
        let (papers, key) = edge.papers_and_key()?;
        let (trusted, parts) = (edge.trust.nodes(), edge.trust.parts());
        let secured = Secured { papers: &papers, key: &key, own: edge.own, trusted: &trusted, parts: &parts };
        secured.put_into(&mut settings, config)?;
    }
    Ok(settings)
}

async fn open(edge: &Edge, settings: Config, ears: &Ears) -> zenoh::Result<OpenSession> {
    // As `zenoh::open` does it, which keeps the links to itself.
    let mut links = Links(RuntimeBuilder::new(settings).build().await?);
    let session = zenoh::session::init(links.0.clone().into()).await?;
    links.0.start().await?;
    let subscribers = subscribe(edge, &session, ears).await?;
    let queryables = serve(edge, &session, ears).await?;
    // Last, so that whoever sees us finds everything in place.
    let token = session.liveliness().declare_token(keys::alive(edge.mesh, edge.own)).await?;
    Ok(OpenSession { session, links, subscribers, queryables, token })
}

async fn subscribe(edge: &Edge, session: &Session, ears: &Ears) -> zenoh::Result<Vec<Subscriber<()>>> {
    let mut subscribers = Vec::new();
    for samples in &ears.samples {
        let samples = Arc::clone(samples);
        let key_expr = samples.key_expr().to_owned();
        let subscriber = session.declare_subscriber(key_expr);
        subscribers.push(subscriber.callback(move |sample| samples.take(&sample)).await?);
    }
    let readings = Arc::clone(&ears.readings);
    let subscriber =
        session.declare_subscriber(keys::readings_of_all(edge.mesh)).allowed_origin(Locality::Remote);
    subscribers.push(subscriber.callback(move |sample| readings.take(&sample)).await?);
    let presence = Arc::clone(&ears.presence);
    let tokens = session.liveliness().declare_subscriber(keys::alive_of_all(edge.mesh)).history(true);
    subscribers.push(tokens.callback(move |sample| presence.take(&sample)).await?);
    Ok(subscribers)
}

async fn serve(edge: &Edge, session: &Session, ears: &Ears) -> zenoh::Result<Vec<Queryable<()>>> {
    let deliveries = Arc::clone(&ears.deliveries);
    let deliver =
        session.declare_queryable(keys::deliver(edge.mesh, edge.own)).allowed_origin(Locality::Remote);
    let deliver = deliver.callback(move |query| deliveries.deliver(&query)).await?;
    let deliveries = Arc::clone(&ears.deliveries);
    let heard = session.declare_queryable(keys::heard(edge.mesh, edge.own)).allowed_origin(Locality::Remote);
    let heard = heard.callback(move |query| deliveries.heard(&query)).await?;
    let asks = Arc::clone(&ears.asks);
    let ask = session.declare_queryable(keys::ask(edge.mesh, edge.own)).allowed_origin(Locality::Remote);
    let ask = ask.callback(move |query| asks.ask(&query)).await?;
    let times = Arc::clone(&ears.times);
    let clock = session.declare_queryable(keys::clock(edge.mesh, edge.own)).allowed_origin(Locality::Remote);
    let clock = clock.callback(move |query| times.ask(&query)).await?;
    Ok(vec![deliver, heard, ask, clock])
}

/// The links of a session. They end when it is closed, or when this is dropped because it never came to be open.
pub struct Links(Runtime);

impl Links {
    /// What zenoh calls them.
    pub fn runtime(&self) -> Runtime {
        self.0.clone()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if self.0.is_closed() {
            return;
        }
        if let Err(fault) = self.0.close().timeout(DROP_PATIENCE).wait() {
            tracing::warn!(%fault, "the links of a zenoh session did not close");
        }
    }
}

impl OpenSession {
    /// Where others reach us.
    async fn locators(&self) -> Vec<String> {
        self.session.info().locators().await.iter().map(ToString::to_string).collect()
    }

    /// Says good-bye first, so that others see us go at once and not when a lease runs out.
    pub async fn close(self) {
        let farewell = async {
            let token = self.token.undeclare().await;
            drop((self.subscribers, self.queryables));
            let session = token.and(self.session.close().await);
            session.and(self.links.0.close().await)
        };
        match tokio::time::timeout(CLOSE_PATIENCE, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!(%fault, "the zenoh session did not close cleanly"),
            Err(_) => tracing::warn!("the zenoh session did not close in time"),
        }
    }
}

/// Why the session is not open, in one sentence that names the endpoint and what to do.
fn failure(listen: &[String], why: &str) -> String {
    // zenoh also says at which lines of its own it failed.
    let said: Vec<&str> = why.split(" at ").filter(|part| !part.contains(".rs:")).collect();
    let why: String = said.join(" at ").chars().take(300).collect();
    // Of TLS it names the address only.
    let address = |endpoint: &str| {
        let behind_transport = endpoint.split_once('/').map_or(endpoint, |(_, address)| address);
        behind_transport.split(['?', '#']).next().unwrap_or_default().to_owned()
    };
    let Some(endpoint) = listen.iter().find(|endpoint| why.contains(&address(endpoint))) else {
        return format!(
            "the zenoh session cannot be opened ({why}); check `listen` and `connect` in node.ron"
        );
    };
    if why.contains("in use") {
        return format!(
            "cannot listen on {endpoint}: another program has that port; \
             stop it, or choose another port in `listen` of node.ron"
        );
    }
    format!("cannot listen on {endpoint} ({why}); correct `listen` in node.ron")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clawmesh_authority::MeshId;
    use crossbeam_channel::bounded;
    use zenoh::qos::{CongestionControl, Priority};
    use zenoh::query::Query;

    use super::*;
    use crate::config::{BridgeLimits, ZenohMode};

    fn listening() -> BridgeConfig {
        BridgeConfig {
            mesh: MeshId::of_name("barn"),
            mode: ZenohMode::Peer,
            listen: vec!["tcp/127.0.0.1:0".to_owned()],
            connect: Vec::new(),
            discovery: false,
            trusted: BTreeSet::new(),
            parts: BTreeMap::new(),
            mappings: Vec::new(),
            limits: BridgeLimits::default(),
            marks: BTreeMap::new(),
            people: clawmesh_authority::Roster::default(),
        }
    }

    #[test]
    fn no_query_can_make_its_answer_wait() {
        let ours = zenoh::open(settings(&listening()).unwrap()).wait().unwrap();
        let connect = vec![ours.info().locators().wait().first().unwrap().to_string()];
        let config = BridgeConfig { connect, listen: Vec::new(), ..listening() };
        let stranger = zenoh::open(settings(&config).unwrap()).wait().unwrap();
        let (answered_with, answers) = bounded(1);
        let queryable = ours.declare_queryable("a/question").callback(move |query: Query| {
            answered_with.send((query.congestion_control(), query.priority())).unwrap();
        });
        let queryable = queryable.wait().unwrap();
        let query = stranger.declare_querier("a/question").congestion_control(CongestionControl::Block);
        let query = query.wait().unwrap();
        let beat = crossbeam_channel::tick(Duration::from_millis(20));
        let asked =
            (0..500).map(|_| beat.recv()).find(|_| query.matching_status().wait().unwrap().matching());
        assert!(asked.is_some(), "no link");
        query.get().wait().unwrap();
        let answer = answers.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(answer, (CongestionControl::Drop, Priority::InteractiveHigh));
        drop(queryable);
    }

    #[test]
    fn a_failure_names_the_endpoint_and_what_to_do() {
        let listen = ["tcp/127.0.0.1:7447#iface=lo".to_owned(), "tcp/10.0.0.9:7447".to_owned()];
        for (why, endpoint, words) in [
            (
                "listener bound to tcp/127.0.0.1:7447#iface=lo: [Address already in use (os error 98)]",
                "tcp/127.0.0.1:7447#iface=lo",
                "another program",
            ),
            (
                "listener bound to tcp/10.0.0.9:7447: [Cannot assign requested address]",
                "tcp/10.0.0.9:7447",
                "correct `listen`",
            ),
            (
                "Can not create a new TLS listener on 10.0.0.9:7447: 10.0.0.9:7447: Address already in use (os error 98) \
                 at /x/tcp.rs:61. at /x/unicast.rs:432.",
                "tcp/10.0.0.9:7447",
                "another program",
            ),
            ("no idea at /x/y.rs:7.", "opened (no idea);", "check `listen` and `connect`"),
        ] {
            let sentence = failure(&listen, why);
            assert!(sentence.contains(endpoint) && sentence.contains(words), "{sentence}");
        }
    }
}
