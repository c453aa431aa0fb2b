//! `clawmesh gateways` and `clawmesh gateway-connect`: OpenClaw gateways, which existing nodes could connect to as well.
//! Reads the identity, the saved gateways and the credentials of the state dir. Writes those two when asked to.
//! Invariant: no secret is printed, none stands in the list, and none leaves this machine but to a pinned certificate.
//! Not here: the protocol (`wire::openclaw`), the connection (`wire_link`).

pub mod args;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clawmesh_wire::openclaw::{Login, PROTOCOL};
use clawmesh_wire::peer_spec::PeerUrl;
use clawmesh_wire_link::{GatewayAddress, GatewayFault, greet_gateway};
use serde::Serialize;
use serde_json::Value;

use super::args::Output;
use super::client::block_on;
use super::table::{plain, table};
use super::terminal::{say, say_json};
use crate::config::credentials_file::{self, Credentials, Secret};
use crate::config::gateways_file::{self, SavedGateway};
use crate::config::identity;
use crate::config::node_file::NodeFile;
use crate::config::settings::{NodeConfig, checks};
use crate::config::state_dir::StateDir;
use crate::moments::{system_time, unix_ms};
use args::GatewayConnectArgs;

/// One saved gateway, for programs.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    gateway: SavedGateway,
    has_token: bool,
    has_password: bool,
}

/// Lists the saved gateways.
pub fn list(state_dir: Option<PathBuf>, output: Output) -> anyhow::Result<ExitCode> {
    #[derive(Serialize)]
    struct Answer {
        gateways: Vec<Row>,
    }
    let dir = StateDir::find(state_dir)?;
    let secrets = credentials_file::load(&dir)?;
    let row = |gateway: SavedGateway| Row {
        has_token: secrets.contains_key(&gateway.token_key()),
        has_password: secrets.contains_key(&gateway.password_key()),
        gateway,
    };
    let answer = Answer { gateways: gateways_file::load(&dir)?.into_values().map(row).collect() };
    if output.json {
        say_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    if answer.gateways.is_empty() {
        say("no gateway is saved; `clawmesh gateway-connect NAME --url ws://HOST:PORT --save` saves one");
        return Ok(ExitCode::SUCCESS);
    }
    let cells = |row: &Row| {
        let kept = [(row.has_token, "token"), (row.has_password, "password")];
        let kept: Vec<&str> = kept.into_iter().filter(|(has, _)| *has).map(|(_, what)| what).collect();
        let SavedGateway { name, url, role, fingerprint } = &row.gateway;
        let pinned = if fingerprint.is_some() { "yes" } else { "no" };
        let kept = if kept.is_empty() { "-".to_owned() } else { kept.join(", ") };
        vec![plain(name), plain(url), pinned.to_owned(), plain(role), kept]
    };
    let rows: Vec<_> = answer.gateways.iter().map(cells).collect();
    say(&table(&["name", "at", "pinned", "role", "credentials"], &rows));
    Ok(ExitCode::SUCCESS)
}

/// What a gateway has answered, for programs.
#[derive(Serialize)]
struct Greeted {
    url: String,
    /// What it has answered, but for secrets; null when it has refused us.
    answer: Option<Value>,
    /// Why it has refused us, for programs.
    code: Option<String>,
    /// Why it has refused us, for people.
    sentence: Option<String>,
    saved_as: Option<String>,
}

/// Everything that a connection needs.
struct Wanted {
    gateway: SavedGateway,
    url: PeerUrl,
    token: Option<Secret>,
    password: Option<Secret>,
    display_name: String,
}

/// Connects to a gateway once, and says what it has answered.
pub fn connect(state_dir: Option<PathBuf>, args: &GatewayConnectArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    let Some(key) = identity::load(&dir)? else {
        bail!("there is no node in {} yet; `clawmesh identity` makes one", dir.root().display());
    };
    let wanted = wanted(&dir, args)?;
    let login = Login {
        role: &wanted.gateway.role,
        scopes: &[],
        display_name: &wanted.display_name,
        version: env!("CARGO_PKG_VERSION"),
        token: wanted.token.as_ref().map(Secret::reveal),
        password: wanted.password.as_ref().map(Secret::reveal),
    };
    let at = GatewayAddress { url: &wanted.url, fingerprint: wanted.gateway.fingerprint.as_deref() };
    let timeout = Duration::from_millis(args.timeout_ms);
    let met = block_on(async { Ok(greet_gateway(at, &key, &login, unix_ms(), timeout).await) })?;
    let none =
        Greeted { url: wanted.gateway.url.clone(), answer: None, code: None, sentence: None, saved_as: None };
    match met {
        Ok(answer) => {
            let answer = without_secrets(serde_json::from_str(answer.get())?);
            let saved_as = args.save.then(|| save(&dir, &wanted)).transpose()?;
            tell(&Greeted { answer: Some(answer), saved_as, ..none }, args.json)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(GatewayFault::Refused(refusal)) if args.json => {
            let (code, sentence) = (Some(refusal.code), Some(refusal.message));
            tell(&Greeted { code, sentence, ..none }, true)?;
            Ok(ExitCode::FAILURE)
        }
        Err(fault) => bail!("{}", plain(&fault.to_string())),
    }
}

/// The answer of a gateway without what it has given us to come back with.
fn without_secrets(mut answer: Value) -> Value {
    if let Some(auth) = answer.get_mut("auth") {
        *auth = Value::from("not shown");
    }
    answer
}

/// What was typed, and otherwise what is saved.
fn wanted(dir: &StateDir, args: &GatewayConnectArgs) -> anyhow::Result<Wanted> {
    let name = args.gateway.as_deref().map(gateways_file::name_of).transpose().map_err(anyhow::Error::msg)?;
    let saved = name.as_ref().map(|name| gateways_file::load(dir).map(|mut all| all.remove(name)));
    let saved = saved.transpose()?.flatten();
    let Some(url) = args.url.clone().or_else(|| saved.as_ref().map(|saved| saved.url.clone())) else {
        bail!(
            "no gateway is saved as {:?}; give its address with --url, or see `clawmesh gateways`",
            name.unwrap_or_default()
        );
    };
    let url = address(&url)?;
    // A pin belongs to an address.
    let saved_there = saved.as_ref().filter(|saved| saved.url == url);
    let pin = saved_there.and_then(|saved| saved.fingerprint.clone());
    // What was kept for one address is not for another one that somebody types under the same name.
    let is_kept_for_it = saved.is_none() || saved_there.is_some();
    let role = args.role.clone().or_else(|| saved.map(|saved| saved.role));
    let gateway = SavedGateway {
        name: name.clone().unwrap_or_else(|| "unnamed".to_owned()),
        url,
        fingerprint: args.fingerprint.clone().or(pin),
        role: role.unwrap_or_else(|| "node".to_owned()),
    };
    let gateway = gateway.checked().map_err(anyhow::Error::msg)?;
    let kept =
        if is_kept_for_it && name.is_some() { credentials_file::load(dir)? } else { Credentials::new() };
    let secret = |typed: &Option<String>, key: &str| match typed {
        Some(typed) => Secret::new(typed).map(Some).map_err(anyhow::Error::msg),
        None => Ok(kept.get(key).map(|credential| credential.value.clone())),
    };
    let token = secret(&args.token, &gateway.token_key())?;
    let password = secret(&args.password, &gateway.password_key())?;
    let url = PeerUrl::read(&gateway.url)?;
    if token.is_some() || password.is_some() {
        may_carry_a_secret(&url, gateway.fingerprint.is_some())?;
    }
    let display_name = match &args.name {
        Some(name) => {
            checks::name("name", name).map_err(|fault| anyhow::anyhow!("--name: {}", fault.sentence))?
        }
        None => NodeConfig::load(dir, NodeFile::default())?.name.value,
    };
    Ok(Wanted { gateway, url, token, password, display_name })
}

/// An address as it is saved, however somebody has typed it.
fn address(typed: &str) -> anyhow::Result<String> {
    if typed.contains(['?', '#']) {
        bail!(
            "an address with a query would be shown and saved with it; keep a token with `clawmesh credential set`"
        );
    }
    Ok(PeerUrl::read(typed.trim_end_matches('/'))?.to_string())
}

/// A secret goes to this machine, or to the one certificate that is pinned.
fn may_carry_a_secret(url: &PeerUrl, is_pinned: bool) -> anyhow::Result<()> {
    let is_here = url.host == "localhost" || url.host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback());
    if is_here || (url.is_tls && is_pinned) {
        return Ok(());
    }
    bail!(
        "{url} is beyond this machine, and a secret goes there only over wss:// to a pinned certificate; give --fingerprint, or \
         use a tunnel"
    )
}

fn save(dir: &StateDir, wanted: &Wanted) -> anyhow::Result<String> {
    let Wanted { gateway, token, password, .. } = wanted;
    for (key, secret) in [(gateway.token_key(), token), (gateway.password_key(), password)] {
        match secret {
            Some(secret) => credentials_file::set(dir, &key, secret.clone(), None, system_time())?,
            // It was for another address, or there is none.
            None => credentials_file::delete(dir, &key)?,
        };
    }
    gateways_file::save(dir, gateway.clone())?;
    Ok(gateway.name.clone())
}

fn tell(greeted: &Greeted, json: bool) -> anyhow::Result<()> {
    if json {
        return say_json(greeted);
    }
    let answer = greeted.answer.as_ref();
    let text = |pointer: &str| answer.and_then(|answer| answer.pointer(pointer)?.as_str()).map(plain);
    let protocol = answer.and_then(|answer| answer["protocol"].as_u64()).unwrap_or(u64::from(PROTOCOL));
    say(&format!("connected  {}", plain(&greeted.url)));
    say(&format!("protocol   {protocol}"));
    say(&format!("server     {}", text("/server/version").unwrap_or_else(|| "not told".to_owned())));
    greeted.saved_as.iter().for_each(|name| say(&format!("saved as   {name}")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_leaves_this_machine_only_to_a_pinned_certificate() {
        for (url, is_pinned, may) in [
            ("ws://127.0.0.1:1", false, true),
            ("ws://localhost:1", false, true),
            ("ws://[::1]:1", false, true),
            ("ws://192.0.2.7:1", false, false),
            ("ws://192.0.2.7:1", true, false),
            ("wss://farm.example", false, false),
            ("wss://farm.example", true, true),
            ("ws://localhost.example:1", false, false),
        ] {
            let url = PeerUrl::read(url).unwrap();
            assert_eq!(may_carry_a_secret(&url, is_pinned).is_ok(), may, "{url} {is_pinned}");
        }
    }
}
