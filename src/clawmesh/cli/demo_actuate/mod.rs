//! `clawmesh demo-actuate`: one plain command to the mock actuator of another node, as existing ClawMesh nodes send it.
//! Reads the identity of the state dir. Writes the terminal; what moves is up to the node that is told, which judges by its own rules.
//! Invariant: the command says on what it rests, and a refusal is shown as it came and ends with a code other than zero.
//! Not here: the rules of the receiver (`wire::gate`), sockets and the handshake (`wire_link`).

pub mod args;
mod caller;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clawmesh_authority::{MeshId, NodeId};
use clawmesh_wire::Code;
use clawmesh_wire::connect::About;
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{CallFault, Config, Links, PeerState};
use serde::Serialize;
use serde_json::{Value, json};

use super::client::block_on;
use super::table::plain;
use super::terminal::{say, say_json};
use crate::config::identity::{self, random_secret};
use crate::config::node_file::NodeFile;
use crate::config::settings::{NodeConfig, checks};
use crate::config::state_dir::StateDir;
use crate::moments::{now, unix_ms};
use args::DemoActuateArgs;
use caller::Caller;

/// From one look at the connection to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// From one question about the actuator to the next.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long it is asked for at most.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// What this node is for while it calls; it says so itself.
const ROLE: &str = "node";

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    /// True when the other node has carried it out and written it down.
    delivered: bool,
    peer: NodeId,
    target: String,
    operation: String,
    command_id: String,
    message_id: Option<String>,
    /// Why it was refused, for programs.
    code: Option<String>,
    /// Why it was refused, for people.
    sentence: Option<String>,
    /// How the mock actuator stands afterwards, as the other node tells it.
    state: Option<Value>,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &DemoActuateArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    if dir.is_in_use()? {
        bail!(
            "the node of {} runs, and two under one name put each other out; stop it, or use another --state-dir",
            dir.root().display()
        );
    }
    let spec = PeerSpec::read(&args.peer).map_err(|fault| anyhow::anyhow!("--peer: {fault}"))?;
    spec.may_dial().map_err(|way| anyhow::anyhow!("--peer: {way}"))?;
    let Some(key) = identity::load(&dir)? else {
        bail!("there is no node in {} yet; `clawmesh identity` makes one", dir.root().display());
    };
    if key.id() == spec.node {
        bail!("--peer: {} is this node itself; name another one", spec.node);
    }
    let config = NodeConfig::load(&dir, NodeFile::default())?;
    let mesh = match &args.mesh_name {
        Some(name) => checks::name("mesh_name", name)
            .map_err(|fault| anyhow::anyhow!("--mesh-name: {}", fault.sentence))?,
        None => config.mesh_name.value,
    };
    let about = About {
        display_name: Some(config.name.value),
        capabilities: Vec::new(),
        mesh_id: Some(MeshId::of_name(&mesh).to_string()),
        role: Some(ROLE.to_owned()),
    };
    let caller = Caller { key, about: Arc::new(about), called: spec.node };
    let outcome = block_on(told(caller, spec, args))?;
    if args.json {
        say_json(&outcome)?;
    } else {
        show(&outcome)?;
    }
    Ok(if outcome.delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome { target, operation, .. } = outcome;
    if let (Some(code), Some(sentence)) = (&outcome.code, &outcome.sentence) {
        bail!("{} was not moved: {}: {}", plain(target), plain(code), plain(sentence));
    }
    say(&format!("delivered  {} {}", plain(target), plain(operation)));
    say(&format!("at         {}", outcome.peer));
    say(&format!("message    {}", plain(outcome.message_id.as_deref().unwrap_or("-"))));
    let status = outcome.state.as_ref().and_then(|state| state["records"][0]["status"].as_str());
    say(&format!("stands     {}", plain(status.unwrap_or("not told"))));
    Ok(())
}

/// Connects, tells, looks what has become of it, and says goodbye.
async fn told(caller: Caller, spec: PeerSpec, args: &DemoActuateArgs) -> anyhow::Result<Outcome> {
    let own = caller.key.id();
    let until = now() + Duration::from_millis(args.timeout_ms);
    let links = Links::start(Config::default(), Arc::new(caller));
    links.dial(spec.clone());
    let outcome = match connected(&links, own, until).await {
        Ok(()) => command(&links, own, spec.node, args, until).await,
        Err(fault) => Err(fault.context(format!("{} at {}", spec.node.short(), spec.url))),
    };
    links.close().await;
    outcome
}

/// Waits for the one connection there is to be.
async fn connected(links: &Links, own: NodeId, until: Instant) -> anyhow::Result<()> {
    loop {
        match links.peers().into_iter().next().map(|peer| peer.state) {
            Some(PeerState::Connected) => return Ok(()),
            Some(PeerState::Waiting { sentence, .. }) => bail!("{}", plain(&sentence)),
            Some(PeerState::Refused { sentence, .. }) => {
                let is_strange = sentence.contains(Code::UntrustedPeer.as_str());
                let what = format!("; over there it takes `clawmesh trust add {own}`");
                bail!("{}{}", plain(&sentence), if is_strange { what } else { String::new() })
            }
            Some(PeerState::Connecting) | None => {}
        }
        if now() >= until {
            bail!("no connection in time; --timeout-ms gives it longer");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn command(
    links: &Links,
    own: NodeId,
    peer: NodeId,
    args: &DemoActuateArgs,
    until: Instant,
) -> anyhow::Result<Outcome> {
    let command_id = random_id()?;
    let left = || until.saturating_duration_since(now());
    let said = message(own, &command_id, args);
    let answer = links.call(peer, "mesh.message.forward", &said, left()).await;
    let outcome = Outcome {
        delivered: answer.is_ok(),
        peer,
        target: args.target.clone(),
        operation: args.operation.clone(),
        command_id,
        message_id: None,
        code: None,
        sentence: None,
        state: None,
    };
    match answer {
        Ok(payload) => {
            let payload: Value = serde_json::from_str(payload.get()).context("its answer is no JSON")?;
            let message_id = payload["messageId"].as_str().map(str::to_owned);
            let state = state_with(links, peer, &outcome, until).await;
            Ok(Outcome { message_id, state, ..outcome })
        }
        Err(CallFault::Theirs(refusal)) => {
            Ok(Outcome { code: Some(refusal.code), sentence: Some(refusal.message), ..outcome })
        }
        Err(CallFault::Ours(refusal)) => bail!(
            "{refusal}; whether {} was moved is not known, so look before you repeat it",
            plain(&args.target)
        ),
    }
}

/// How the mock actuator stands once the command is seen in it: a node shows pictures of its world, a moment old. That it does not
/// tell changes nothing about what was carried out.
async fn state_with(links: &Links, peer: NodeId, done: &Outcome, until: Instant) -> Option<Value> {
    let asked = json!({ "targetRef": done.target });
    let until = until.min(now() + SEEN_WITHIN);
    loop {
        let left = until.saturating_duration_since(now());
        let state = links.call(peer, "clawmesh.mock.actuator.state", &asked, left).await.ok()?;
        let state: Value = serde_json::from_str(state.get()).ok()?;
        let history = state["history"].as_array()?;
        if history.iter().any(|record| record["commandId"] == done.command_id.as_str()) {
            return Some(state);
        }
        if now() >= until {
            return None;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn random_id() -> anyhow::Result<String> {
    let random = random_secret("name of the command")?;
    Ok(random[..8].iter().fold("demo-".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

/// The message as existing nodes send it when a person asks at the command line.
fn message(own: NodeId, command_id: &str, args: &DemoActuateArgs) -> Value {
    let trust = trust(args.llm_only);
    let params = args.duration_sec.map_or_else(|| json!({}), |seconds| json!({ "durationSec": seconds }));
    let mut command = json!({
        "version": 1,
        "kind": "clawmesh.command",
        "commandId": command_id,
        "createdAtMs": unix_ms(),
        "source": { "nodeId": own, "role": ROLE },
        "target": { "kind": "capability", "ref": args.target },
        "operation": { "name": args.operation, "params": params },
        "trust": trust,
    });
    if let Some(note) = &args.note {
        command["note"] = json!(note);
    }
    json!({
        "channel": "clawmesh",
        "to": args.target,
        "originGatewayId": own,
        "idempotencyKey": command_id,
        "command": command,
        "trust": trust,
    })
}

/// On what it rests: on a person at this terminal and a sensor, or on a model alone.
fn trust(is_llm_only: bool) -> Value {
    if is_llm_only {
        return json!({
            "action_type": "actuation",
            "evidence_sources": ["llm"],
            "evidence_trust_tier": "T0_planning_inference",
            "minimum_trust_tier": "T2_operational_observation",
            "verification_required": "none",
        });
    }
    json!({
        "action_type": "actuation",
        "evidence_sources": ["sensor", "human"],
        "evidence_trust_tier": "T3_verified_action_evidence",
        "minimum_trust_tier": "T2_operational_observation",
        "verification_required": "human",
        "verification_satisfied": true,
        "approved_by": ["operator:local-cli"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use clawmesh_wire::gate::{self, Allowed};

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: DemoActuateArgs,
    }

    fn judged(more: &[&str]) -> Result<Allowed, Code> {
        let typed = Typed::parse_from([&["x", "--peer", "p"], more].concat());
        let said = message(NodeId([7; 32]), "demo-1", &typed.args);
        let raw = serde_json::value::to_raw_value(&said).unwrap();
        gate::judge(Some(&raw), NodeId([8; 32]), unix_ms()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn what_is_sent_passes_the_gate_and_what_only_a_model_says_does_not() {
        let judged_well = judged(&["--operation", "close", "--duration-sec", "5", "--note", "by hand"]);
        let Ok(Allowed::Actuation(forward)) = judged_well else { panic!("{judged_well:?}") };
        let command = forward.command.unwrap();
        assert_eq!((&*command.target_ref, &*command.operation.name), ("actuator:mock:valve-1", "close"));
        assert_eq!(command.operation.params.unwrap().get(), "{\"durationSec\":5}");
        assert_eq!(command.note.as_deref(), Some("by hand"));
        assert_eq!(judged(&["--llm-only"]).unwrap_err(), Code::LlmOnlyActuationBlocked);
    }
}
