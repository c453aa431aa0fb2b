//! One node of the demo: its state dir, its process, its gateway.

use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clawmesh_authority::NodeId;

use crate::cli::client::Client;
use crate::config::durable_file::read_bounded;
use crate::config::farm;
use crate::config::identity;
use crate::config::state_dir::StateDir;
use crate::config::token;
use crate::moments::now;

const STOP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A node of the demo, prepared or running.
pub struct Child {
    /// The id of the node.
    pub id: NodeId,
    name: &'static str,
    dir: StateDir,
    process: Option<Process>,
}

impl Child {
    /// Makes the state dir and the identity, so that the other node can be told whom to trust.
    pub fn prepare(name: &'static str, folder: &Path) -> anyhow::Result<Self> {
        let dir = StateDir::locate(Some(folder.join(name)))?;
        let id = identity::load_or_create(&dir)?.key.id();
        Ok(Self { id, name, dir, process: None })
    }

    /// Gives it the farm of the demo, in which these nodes have their places.
    pub fn give_site(&self, nodes: &[(&str, NodeId)]) -> anyhow::Result<()> {
        Ok(farm::create_for_demo(&self.dir, nodes)?)
    }

    /// Where it keeps its things.
    pub fn root(&self) -> &Path {
        self.dir.root()
    }

    /// Starts the process with this command. It ends when we do, however we end: its standard input is a pipe of ours.
    pub fn start(mut self, mode: &[&str], trust: NodeId, connect: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--state-dir").arg(self.dir.root()).args(["--log", "warn,zenoh=error"]).args(mode);
        command.args(["--name", self.name, "--mesh-name", "demo", "--port", "0"]);
        command.args(["--no-discovery", "--listen", "tcp/127.0.0.1:0", "--trust", &trust.to_string()]);
        for endpoint in connect {
            command.arg("--connect").arg(endpoint);
        }
        command.arg("--stop-with-stdin").stdin(Stdio::piped()).stdout(Stdio::null());
        let process = command.spawn().with_context(|| format!("cannot start the {}", self.name))?;
        self.process = Some(process);
        Ok(self)
    }

    /// A client of its gateway, once it listens.
    pub fn client(&self) -> anyhow::Result<Option<Client>> {
        match self.url()? {
            Some(url) => Ok(Some(Client::at(url, &self.dir)?)),
            None => Ok(None),
        }
    }

    /// The address of its page, with the token where only the browser sees it.
    pub fn page(&self) -> anyhow::Result<String> {
        let url = self.url()?.context("the node has no gateway")?;
        let token = token::load(&self.dir)?.context("the node has no token")?;
        Ok(format!("{url}/#token={}", token.reveal()))
    }

    fn url(&self) -> anyhow::Result<Option<String>> {
        let written = read_bounded(&self.dir.address_file())?;
        Ok(written.map(|address| format!("http://{}", String::from_utf8_lossy(&address).trim())))
    }

    /// Asks the process to end and waits; gives its state dir.
    pub fn stop(mut self) -> anyhow::Result<PathBuf> {
        let mut process = self.process.take().context("the node was not started")?;
        drop(process.stdin.take());
        let begun = now();
        loop {
            if let Some(status) = process.try_wait()? {
                if !status.success() {
                    bail!("the {} ended with {status}", self.name);
                }
                return Ok(self.dir.root().to_owned());
            }
            if begun.elapsed() > STOP_PATIENCE {
                process.kill()?;
                bail!("the {} did not end within {} s and was killed", self.name, STOP_PATIENCE.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Child {
    /// An error on the way leaves no process behind.
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
