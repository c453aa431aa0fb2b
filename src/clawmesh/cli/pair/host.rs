//! The side that accepts: it waits for a while, and issues the papers of whoever joins.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use clawmesh_authority::pairing::{self, Hosting, Word};
use clawmesh_authority::{Code, NodeKey, Refused};
use crossbeam_channel::{Receiver, TrySendError, at, bounded, select};

use super::line::{Line, late};
use super::talk::{Keyboard, Talk, out_of_turn};
use super::{Own, Paired};
use crate::cli::table::plain;
use crate::cli::terminal::complain;
use crate::config::papers::{MeshRoot, Papers};
use crate::moments::now;

/// How long somebody who connects may take for each message before there is a code.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(5);
/// How often a code is shown: each time a stranger in between has one try in a million.
const CODES_MAX: usize = 3;
/// How many who come to no code are told of.
const STRANGERS_TOLD: usize = 20;
/// How long the other side may take to write down what it was given.
const KEEP_PATIENCE: Duration = Duration::from_secs(10);

/// Waits at `listen` until one node is paired, or the time is over.
pub fn accept(own: &Own, listen: SocketAddr) -> anyhow::Result<Paired> {
    if !MeshRoot::may_be_here(&own.dir, &own.key, &own.about.mesh_name)? {
        return Err(issued_elsewhere(own));
    }
    let listener = TcpListener::bind(listen).map_err(|fault| {
        anyhow::anyhow!("cannot wait at {listen} ({fault}); choose another address with --listen")
    })?;
    tell(listener.local_addr()?, own);
    let callers = callers(listener, own.key.clone())?;
    let keyboard = Keyboard::listen()?;
    let mut strangers = 0;
    let mut codes = 0;
    loop {
        let (stream, from) = select! {
            recv(callers) -> caller => caller?,
            recv(at(own.until)) -> _ => return Err(late().into()),
        };
        match meet(own, stream) {
            Ok(talk) => match welcome(own, talk, &keyboard) {
                Ok(paired) => return Ok(paired),
                Err(refused) => {
                    codes += 1;
                    let is_over = matches!(refused.code, Code::PairingSasMismatch | Code::PairingTimeout);
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
            match calls.try_send((stream, from)) {
                Ok(()) => {}
                Err(TrySendError::Full((stream, _))) => send_away(stream, &key),
                Err(TrySendError::Disconnected(_)) => break,
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

/// From the first message to a code.
fn meet(own: &Own, stream: TcpStream) -> Result<Talk, Refused> {
    let unusable =
        |fault: std::io::Error| Refused::new(Code::PairingNotActive, "pairing.connection", fault.to_string());
    let mut line = Line::over(stream).map_err(unusable)?;
    let met = (|| {
        let by = || (now() + MESSAGE_PATIENCE).min(own.until);
        let nonce = own
            .nonce()
            .map_err(|fault| Refused::new(Code::InvalidParams, "pairing.nonce", fault.to_string()))?;
        let hosting = Hosting::new(own.key.clone(), &own.about, nonce, &line.receive(by())?)?;
        line.send(hosting.welcome())?;
        hosting.meet(&line.receive(by())?)
    })();
    match met {
        Ok(meeting) => Talk::over(line, meeting, own.until).map_err(unusable),
        Err(refused) => {
            let _ = line.send(&pairing::end(&own.key, &refused));
            Err(refused)
        }
    }
}

/// From the code to the papers.
fn welcome(own: &Own, mut talk: Talk, keyboard: &Keyboard) -> Result<Paired, Refused> {
    talk.confirm(keyboard, true)?;
    let (papers, mut paired) = issued(own, &talk).map_err(|fault| {
        talk.end(Refused::new(Code::InvalidParams, "pairing.papers", format!("{fault:#}")))
    })?;
    talk.say(Word::Papers { root: papers.root, certificate: papers.certificate })?;
    match talk.word(now() + KEEP_PATIENCE) {
        Ok(Word::Kept) => {}
        Ok(_) => return Err(talk.end(out_of_turn())),
        Err(refused) => {
            paired.notes.push(format!(
                "the other side has not said that it has kept its papers ({}); if it says so itself, pair again",
                refused.sentence
            ));
        }
    }
    Ok(paired)
}

/// The papers of the other side. Both people have said yes, so this side may trust before the other has written anything down.
fn issued(own: &Own, talk: &Talk) -> anyhow::Result<(Papers, Paired)> {
    let root = MeshRoot::open(&own.dir, &own.key, &own.about.mesh_name)?;
    let papers = root.ok_or_else(|| issued_elsewhere(own))?.issue(talk.meeting.peer())?;
    Ok((papers, own.trusting(&talk.meeting, true)?))
}

fn issued_elsewhere(own: &Own) -> anyhow::Error {
    anyhow::anyhow!(
        "another node issues the papers of the mesh {:?}, the one at which this node joined it; run `clawmesh pair --accept` \
         there",
        own.about.mesh_name
    )
}
