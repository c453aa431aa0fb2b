//! Asking a running node over its gateway.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clawmesh_wire_link::pinned_client_config;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::args::Target;
use super::table::plain;
use crate::config::durable_file::read_bounded;
use crate::config::state_dir::StateDir;
use crate::config::token::{self, GatewayToken};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take that waits for a journal, and maybe for another node.
const PATIENCE_TO_ACT: Duration = Duration::from_secs(20);

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct No {
    /// The code, for programs.
    pub code: String,
    /// The rule that said no, when it was the owner of an actuator.
    pub rule: Option<String>,
    /// What happened and what to do.
    pub sentence: String,
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.rule.as_ref().map(|rule| format!(" by {}", plain(rule))).unwrap_or_default();
        write!(f, "{}{by}: {}", plain(&self.code), plain(&self.sentence))
    }
}

/// A gateway and the token that opens it.
pub struct Client {
    http: reqwest::Client,
    url: String,
    /// Absent for a stop at this machine, which needs none.
    token: Option<GatewayToken>,
    is_pinned: bool,
}

impl Client {
    /// The gateway of `target`, or of the node that keeps its things in the state dir.
    pub fn new(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<Self> {
        let dir = StateDir::find(state_dir)?;
        let Some(url) = &target.url else {
            // Read before anything else is asked: without it there never was a node here.
            let token = token_of(&dir)?;
            return Self::with(format!("http://{}", address_of_running(&dir)?), Some(token), None);
        };
        let url = over_http(url.trim_end_matches('/'));
        let is_loopback = is_loopback(&url)?;
        let pin = pin_for(&url, target.fingerprint.as_deref())?;
        match &target.token_file {
            Some(file) => Self::with(url, Some(token_in(file)?), pin),
            None if address_of_running(&dir).is_ok_and(|address| url == format!("http://{address}")) => {
                Self::with(url, Some(token_of(&dir)?), pin)
            }
            None if is_loopback => bail!(
                "{url} is not where the node of this state dir runs, so it must not learn its token; \
                 name the file of the right token with --token-file"
            ),
            None => bail!(
                "{url} is another machine, which must not learn the token of this state dir; \
                 name a file with its own token with --token-file"
            ),
        }
    }

    /// The gateway to be told to stop: at this machine nobody needs a token for that.
    pub fn to_stop(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<Self> {
        match (Self::new(state_dir, target), target.url.as_deref()) {
            (Err(_), Some(url)) if target.token_file.is_none() && is_loopback(&over_http(url))? => {
                let url = over_http(url.trim_end_matches('/'));
                let pin = pin_for(&url, target.fingerprint.as_deref())?;
                Self::with(url, None, pin)
            }
            (client, _) => client,
        }
    }

    /// The gateway at `url`, with the token of `dir`.
    pub fn at(url: String, dir: &StateDir) -> anyhow::Result<Self> {
        Self::with(url, Some(token_of(dir)?), None)
    }

    /// With a pin only the gateway that shows this certificate gets to see the token.
    fn with(url: String, token: Option<GatewayToken>, pin: Option<&str>) -> anyhow::Result<Self> {
        // A gateway leads nowhere else, and neither does the token.
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
        let http = match pin {
            Some(pin) => http.tls_backend_preconfigured(pinned_client_config(pin)?),
            None => http,
        };
        Ok(Self { http: http.build()?, url, token, is_pinned: pin.is_some() })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for `path` and reads the answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = self.http.get(format!("{}{path}", self.url));
        let (status, body) = self.send(request).await.map_err(|fault| self.unreachable(&fault))?;
        if status == StatusCode::OK {
            return self.read(&body);
        }
        let sentence = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|answer| answer.get("sentence")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| format!("it answered {status}"));
        bail!("{}: {sentence}", self.url)
    }

    /// Brings `body` to `path` and reads the answer; a refusal is one.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Result<T, No>> {
        let request = self.http.post(format!("{}{path}", self.url)).timeout(PATIENCE_TO_ACT);
        let request = request.header(reqwest::header::CONTENT_TYPE, content_type).body(body);
        let (status, body) = self.send(request).await.map_err(|fault| self.without_answer(&fault))?;
        if status == StatusCode::OK {
            return self.read(&body).map(Ok);
        }
        match serde_json::from_slice(&body) {
            Ok(no) => Ok(Err(no)),
            Err(_) => bail!("{}: it answered {status}", self.url),
        }
    }

    async fn send(&self, request: RequestBuilder) -> reqwest::Result<(StatusCode, Vec<u8>)> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status();
        Ok((status, response.bytes().await?.to_vec()))
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> anyhow::Result<T> {
        let read = serde_json::from_slice(body);
        read.with_context(|| format!("{} answers, but not like a clawmesh node of this version", self.url))
    }

    /// What was brought may have arrived although no answer came back.
    fn without_answer(&self, fault: &reqwest::Error) -> anyhow::Error {
        if fault.is_connect() {
            return self.nobody();
        }
        let what = if fault.is_timeout() {
            format!("did not answer within {} s", PATIENCE_TO_ACT.as_secs())
        } else {
            "hung up before it answered".to_owned()
        };
        anyhow::anyhow!(
            "{} {what}; whether it took what was asked is not known, so look before you repeat it",
            self.url
        )
    }

    fn unreachable(&self, fault: &reqwest::Error) -> anyhow::Error {
        if fault.is_timeout() {
            return anyhow::anyhow!("{} did not answer within {} s", self.url, PATIENCE.as_secs());
        }
        self.nobody()
    }

    fn nobody(&self) -> anyhow::Error {
        if self.is_pinned {
            return anyhow::anyhow!("no node with the certificate of --fingerprint answers at {}", self.url);
        }
        nobody_at(&self.url)
    }
}

/// What the gateway at `url` has to show: nobody vouches for the certificate of a node but whoever has read its fingerprint.
fn pin_for<'a>(url: &str, fingerprint: Option<&'a str>) -> anyhow::Result<Option<&'a str>> {
    let is_tls = Url::parse(url).is_ok_and(|url| url.scheme() == "https");
    match (is_tls, fingerprint) {
        (true, None) => bail!(
            "{url} shows a certificate that only its fingerprint tells from another; name it with --fingerprint, as \
             `clawmesh identity` prints it over there"
        ),
        (false, Some(_)) => {
            bail!("{url} shows no certificate, so --fingerprint would protect nothing; write https://")
        }
        (_, pin) => Ok(pin),
    }
}

fn nobody_at(url: &str) -> anyhow::Error {
    anyhow::anyhow!("no node answers at {url}; start one with `clawmesh start`")
}

/// A path with these questions behind it, in the form in which they travel.
pub fn with_query(path: &str, questions: &[(&str, Option<String>)]) -> anyhow::Result<String> {
    let asked = questions.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let url = Url::parse_with_params("http://node/", asked)?;
    Ok(url
        .query()
        .filter(|query| !query.is_empty())
        .map_or_else(|| path.to_owned(), |q| format!("{path}?{q}")))
}

/// Runs a future to its end on a small runtime of its own.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

fn token_of(dir: &StateDir) -> anyhow::Result<GatewayToken> {
    token::load(dir)?.with_context(|| {
        format!(
            "there is no node in {}; start one with `clawmesh start`, or name another with --state-dir",
            dir.root().display()
        )
    })
}

fn token_in(file: &Path) -> anyhow::Result<GatewayToken> {
    token::read(file)?.with_context(|| format!("there is no token file here: {}", file.display()))
}

/// Where the running node said it listens. The token goes nowhere else: once its node is gone, anybody on this
/// machine may listen on an address that was left behind.
fn address_of_running(dir: &StateDir) -> anyhow::Result<String> {
    let written = read_bounded(&dir.address_file())?;
    let written = written.map(|address| String::from_utf8_lossy(&address).trim().to_owned());
    let place = dir.root().display();
    match (dir.is_in_use()?, written) {
        (true, Some(address)) => Ok(address),
        (true, None) => {
            bail!("the node in {place} is starting and does not answer yet; ask again in a moment")
        }
        (false, Some(address)) => Err(nobody_at(&format!("http://{address}"))),
        (false, None) => bail!("no node runs in {place}; start one with `clawmesh start`"),
    }
}

/// The same door by the words of existing nodes, which ask over a WebSocket.
fn over_http(url: &str) -> String {
    for (theirs, ours) in [("ws://", "http://"), ("wss://", "https://")] {
        if let Some(rest) = url.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    url.to_owned()
}

/// Whether what is sent to `url` stays on this machine; an error when it is no address of a gateway.
fn is_loopback(url: &str) -> anyhow::Result<bool> {
    let parsed = Url::parse(url).ok().filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
    let Some(host) = parsed.as_ref().and_then(Url::host_str) else {
        bail!("{url} is no address of a gateway; write for example http://127.0.0.1:18789");
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    Ok(host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_an_existing_node_is_the_same_door() {
        for (url, expected) in [
            ("ws://localhost:18789", "http://localhost:18789"),
            ("wss://barn:18789", "https://barn:18789"),
            ("http://localhost:18789", "http://localhost:18789"),
        ] {
            assert_eq!(over_http(url), expected);
        }
    }

    #[test]
    fn a_question_travels_whole_whatever_is_in_it() {
        let asked = |questions| with_query("/api/world", questions).unwrap();
        assert_eq!(asked(&[("limit", None)]), "/api/world");
        let odd = asked(&[("containing", Some("a&limit=1 #é".to_owned())), ("limit", Some("2".to_owned()))]);
        assert_eq!(odd, "/api/world?containing=a%26limit%3D1+%23%C3%A9&limit=2");
    }

    #[test]
    fn only_what_stays_on_this_machine_is_loopback() {
        for (url, is_here) in [
            ("http://127.0.0.1:18789", true),
            ("http://127.8.9.10", true),
            ("http://[::1]:18789", true),
            ("http://localhost:18789", true),
            ("https://LOCALHOST", true),
            ("http://10.0.0.7:18789", false),
            ("http://[2001:db8::1]:18789", false),
            ("http://barn.local", false),
            ("http://127.0.0.1@barn.local:18789", false),
            ("http://127.0.0.1.barn.local", false),
        ] {
            assert_eq!(is_loopback(url).unwrap(), is_here, "{url}");
        }
    }

    #[test]
    fn a_pin_goes_with_tls_and_tls_with_a_pin() {
        let pin = "ab".repeat(32);
        for url in ["https://barn:18789", "HTTPS://barn:18789"] {
            assert_eq!(pin_for(url, Some(&pin)).unwrap(), Some(pin.as_str()));
            assert!(pin_for(url, None).unwrap_err().to_string().contains("--fingerprint"), "{url}");
        }
        assert_eq!(pin_for("http://barn:18789", None).unwrap(), None);
        let sentence = pin_for("http://barn:18789", Some(&pin)).unwrap_err().to_string();
        assert!(sentence.contains("would protect nothing"), "{sentence}");
    }

    #[test]
    fn what_is_no_address_is_told() {
        for url in ["no url", "http:", "http://[::1", "127.0.0.1:1", "ftp://127.0.0.1:1", "file:///etc"] {
            let sentence = is_loopback(url).unwrap_err().to_string();
            assert!(sentence.starts_with(&format!("{url} is no address of a gateway; ")), "{sentence}");
        }
    }

    #[test]
    fn an_address_counts_only_while_its_node_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(folder.path().join("state"))).unwrap();
        let sentence = |dir: &StateDir| address_of_running(dir).unwrap_err().to_string();
        assert!(sentence(&dir).starts_with("no node runs in "), "{}", sentence(&dir));
        std::fs::write(dir.address_file(), "127.0.0.1:18789\n").unwrap();
        assert!(sentence(&dir).starts_with("no node answers at http://127.0.0.1:18789; "));
        let _held = dir.lock().unwrap();
        assert_eq!(address_of_running(&dir).unwrap(), "127.0.0.1:18789");
        std::fs::remove_file(dir.address_file()).unwrap();
        assert!(sentence(&dir).contains(" is starting and does not answer yet; "), "{}", sentence(&dir));
    }
}
