//! Asking a running node over its gateway.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use super::args::Target;
use crate::config::durable_file::read_bounded;
use crate::config::node_file::NodeFile;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::token;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A gateway and the token that opens it.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    /// The gateway of `target`, or of the node that keeps its things in the state dir.
    pub fn new(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<Self> {
        let dir = StateDir::find(state_dir)?;
        let url = match &target.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", address(&dir)?),
        };
        Self::at(url, &dir)
    }

    /// The gateway at `url`, with the token of `dir`.
    pub fn at(url: String, dir: &StateDir) -> anyhow::Result<Self> {
        let Some(token) = token::load(dir)? else {
            bail!(
                "there is no node in {}; start one with `clawmesh start`, or name another with --state-dir",
                dir.root().display()
            );
        };
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { http, url, token: token.reveal().to_owned() })
    }

    /// Asks for `path` and reads the answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.send().await.map_err(|fault| self.unreachable(&fault))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|fault| self.unreachable(&fault))?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).with_context(|| {
                format!("{} answers, but not like a clawmesh node of this version", self.url)
            });
        }
        let sentence = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|answer| answer.get("sentence")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| format!("it answered {status}"));
        bail!("{}: {sentence}", self.url)
    }

    fn unreachable(&self, fault: &reqwest::Error) -> anyhow::Error {
        if fault.is_timeout() {
            return anyhow::anyhow!("{} did not answer within {} s", self.url, PATIENCE.as_secs());
        }
        anyhow::anyhow!("no node answers at {}; start one with `clawmesh start`", self.url)
    }
}

/// Runs a future to its end on a small runtime of its own.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Where the running node said it listens; without that, where its settings say it would.
fn address(dir: &StateDir) -> anyhow::Result<String> {
    if let Some(written) = read_bounded(&dir.address_file())? {
        return Ok(String::from_utf8_lossy(&written).trim().to_owned());
    }
    let config = NodeConfig::load(dir, NodeFile::default())?;
    Ok(std::net::SocketAddr::new(config.host.value, config.port.value).to_string())
}
