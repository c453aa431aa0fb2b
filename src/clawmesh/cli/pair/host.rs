//! The side that accepts: it waits for a while, and issues the papers of whoever joins.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use clawmesh_authority::pairing::{self, Hosting, Meeting, Word};
use clawmesh_authority::{Code, NodeKey, Refused};
use clawmesh_bridge::Papers;
use crossbeam_channel::{Receiver, SendTimeoutError, at, bounded, select};

use super::line::{Line, late};
use super::talk::{Keyboard, Talk, out_of_turn};
use super::{Own, Paired};
use crate::cli::table::plain;
use crate::cli::terminal::complain;
use crate::config::papers;
use crate::moments::now;

/// How long somebody who connects may take for each message before there is a code.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a caller waits while the one before is being sent away.
const BETWEEN_CALLERS: Duration = Duration::from_millis(500);
/// How often a code is shown: each time a stranger in between has one try in a million.
const CODES_MAX: usize = 3;
/// How many who come to no code are told of.
const STRANGERS_TOLD: usize = 20;
/// How long the other side may take to write down what it was given.
const KEEP_PATIENCE: Duration = Duration::from_secs(10);

/// Waits at `listen` until one node is paired, or the time is over.
pub fn accept(own: &Own, listen: SocketAddr) -> anyhow::Result<Paired> {
    if !papers::may_issue(&own.dir, &own.key, &own.about.mesh_name)? {
        return Err(issued_elsewhere(own));
    }
    let listener = TcpListener::bind(listen).map_err(|fault| {
        anyhow::anyhow!("cannot wait at {listen} ({fault}); choose another address with --listen")
    })?;
    let address = listener.local_addr()?;
    let callers = callers(listener, own.key.clone())?;
    let keyboard = Keyboard::listen()?;
    tell(address, own);
    let mut strangers = 0;
    let mut codes = 0;
    loop {
        let (stream, from) = select! {
            recv(callers) -> caller => caller?,
            recv(at(own.until)) -> _ => return Err(late().into()),
        };
        match meet(own, stream) {
            Ok(met) => match welcome(own, met, &keyboard) {
                Ok(paired) => return Ok(paired),
                Err(refused) => {
                    codes += 1;
                    // What the other side says of the time and of the code ends nothing here.
                    let is_over = matches!(refused.rule, "pairing.code" | "pairing.window");
                    if is_over || codes == CODES_MAX {
                        return Err(refused.into());
                    }
                    complain(&format!("{}: {}; still waiting", refused.code, plain(&refused.sentence)));
                }
            },
            Err(refused) => {
                strangers += 1;
                if strangers <= STRANGERS_TOLD {
                    let sentence = plain(&refused.sentence);
                    complain(&format!("refused {}: {}: {sentence}", from.ip(), refused.code));
                }
            }
        }
    }
}

/// Says where to go from the other node.
fn tell(at: SocketAddr, own: &Own) {
    let window = own.until.saturating_duration_since(now()).as_secs_f32().round();
    complain(&format!("{} waits to be paired for {window} s. At the other node:", plain(&own.about.name)));
    for ip in addresses(at) {
        complain(&format!("  clawmesh pair {}", SocketAddr::new(ip, at.port())));
    }
}

/// Where others reach this machine.
fn addresses(at: SocketAddr) -> Vec<std::net::IpAddr> {
    if !at.ip().is_unspecified() {
        return vec![at.ip()];
    }
    let networks = sysinfo::Networks::new_with_refreshed_list();
    let all = networks
        .iter()
        .flat_map(|networks| networks.values())
        .flat_map(|network| network.ip_networks())
        .map(|network| network.addr);
    let mut found: Vec<_> = all.filter(|ip| !ip.is_loopback() && ip.is_ipv4() == at.is_ipv4()).collect();
    found.sort_unstable();
    if found.is_empty() {
        found.push(at.ip());
    }
    found
}

/// Whoever calls, one after the other; while one is being paired the others are told so.
fn callers(listener: TcpListener, key: NodeKey) -> std::io::Result<Receiver<(TcpStream, SocketAddr)>> {
    let (calls, callers) = bounded(0);
    let take = move || {
        for stream in listener.incoming().flatten() {
            let Ok(from) = stream.peer_addr() else { continue };
            match calls.send_timeout((stream, from), BETWEEN_CALLERS) {
                Ok(()) => {}
                Err(SendTimeoutError::Timeout((stream, _))) => send_away(stream, &key),
                Err(SendTimeoutError::Disconnected(_)) => break,
            }
        }
    };
    thread::Builder::new().name("callers".to_owned()).spawn(take)?;
    Ok(callers)
}

fn send_away(stream: TcpStream, key: &NodeKey) {
    let sentence = "another node is being paired there at the moment; try again when that is done";
    let busy = Refused::new(Code::PairingNotActive, "pairing.window", sentence);
    // Whoever does not wait for the answer does not need it.
    let _ = Line::over(stream).map(|mut line| line.send(&pairing::end(key, &busy)));
}

/// Somebody with whom there is a code, which they learn with the message that has not been sent yet.
struct Met {
    line: Line,
    meeting: Meeting,
    reveal: Vec<u8>,
}

/// From the first message to a code.
fn meet(own: &Own, stream: TcpStream) -> Result<Met, Refused> {
    let mut line = Line::over(stream).map_err(|fault| unusable(&fault))?;
    let by = || (now() + MESSAGE_PATIENCE).min(own.until);
    let mut met = || {
        let nonce = own
            .nonce()
            .map_err(|fault| Refused::new(Code::InvalidParams, "pairing.nonce", fault.to_string()))?;
        let hosting = Hosting::new(own.key.clone(), &own.about, nonce, &line.receive(by())?)?;
        line.send(hosting.welcome())?;
        hosting.meet(&line.receive(by())?)
    };
    match met() {
        Ok((reveal, meeting)) => Ok(Met { line, meeting, reveal }),
        Err(refused) => {
            let _ = line.send(&pairing::end(&own.key, &refused));
            Err(refused)
        }
    }
}

fn unusable(fault: &std::io::Error) -> Refused {
    Refused::new(Code::PairingNotActive, "pairing.connection", fault.to_string())
}

/// From the code to the papers.
fn welcome(own: &Own, met: Met, keyboard: &Keyboard) -> Result<Paired, Refused> {
    let Met { mut line, meeting, reveal } = met;
    line.send(&reveal)?;
    let mut talk = Talk::over(line, meeting, own.until).map_err(|fault| unusable(&fault))?;
    talk.confirm(keyboard, true)?;
    let papers = issued(own, &talk).map_err(|fault| {
        talk.end(Refused::new(Code::InvalidParams, "pairing.papers", format!("{fault:#}")))
    })?;
    talk.say(Word::Papers { root: papers.root, certificate: papers.certificate })?;
    let Word::Kept = talk.word(now() + KEEP_PATIENCE)? else { return Err(talk.end(out_of_turn())) };
    own.trusting(&talk.meeting, true).map_err(|fault| {
        let sentence = format!(
            "{fault:#}; the other node has its papers and trusts this one: run `clawmesh trust add {}` here",
            talk.meeting.peer().id()
        );
        Refused::new(Code::InvalidParams, "pairing.trust", sentence)
    })
}

/// The papers of the other side, once both people have said yes.
fn issued(own: &Own, talk: &Talk) -> anyhow::Result<Papers> {
    let root = papers::root(&own.dir, &own.key, &own.about.mesh_name)?;
    let root = root.ok_or_else(|| issued_elsewhere(own))?;
    root.issue(talk.meeting.peer()).map_err(anyhow::Error::msg)
}

fn issued_elsewhere(own: &Own) -> anyhow::Error {
    anyhow::anyhow!(
        "another node issues the papers of the mesh {:?}, the one at which this node joined it; run `clawmesh pair --accept` \
         there",
        own.about.mesh_name
    )
}
