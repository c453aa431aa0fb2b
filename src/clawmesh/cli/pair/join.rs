//! The side that joins: it goes to the other one and is given its papers there.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clawmesh_authority::pairing::{self, Joining, Word};
use clawmesh_authority::{Code, Refused};
use clawmesh_bridge::Papers;

use super::args::PORT;
use super::line::Line;
use super::talk::{Keyboard, Talk, out_of_turn};
use super::{Own, Paired};
use crate::cli::terminal::complain;
use crate::config::papers;
use crate::moments::now;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Joins the node that waits at `address`.
pub fn join(own: &Own, address: &str) -> anyhow::Result<Paired> {
    let mut line = connect(address)?;
    let joining = Joining::new(own.key.clone(), own.about.clone(), own.nonce()?);
    line.send(joining.hello())?;
    complain(&format!("waiting for the answer of {address}"));
    let welcome = line.receive(own.until)?;
    let joined = match joining.answer(&welcome) {
        Ok(joined) => joined,
        Err(refused) => {
            // Its answer will not do, which it cannot know; if it has said no itself, it does not listen any more.
            let _ = line.send(&pairing::end(&own.key, &refused));
            return Err(refused.into());
        }
    };
    line.send(joined.reveal())?;
    let meeting = joined.meet(&line.receive(own.until)?)?;
    let mut talk = Talk::over(line, meeting, own.until)?;
    talk.confirm(&Keyboard::listen()?, false)?;
    talk.say(Word::Yes)?;
    complain("confirmed here; waiting for the person at the other side");
    let Word::Papers { root, certificate } = talk.word(talk.until())? else {
        return Err(talk.end(out_of_turn()).into());
    };
    let mut paired = kept(own, &talk, root, certificate).map_err(|fault| {
        let sentence = format!("{fault:#}");
        talk.end(Refused::new(Code::InvalidParams, "pairing.papers", sentence))
    })?;
    if let Err(refused) = talk.say(Word::Kept) {
        let sentence = refused.sentence;
        paired
            .notes
            .push(format!("the other side could not be told and does not trust this node: {sentence}"));
    }
    Ok(paired)
}

fn kept(own: &Own, talk: &Talk, root: Vec<u8>, certificate: Vec<u8>) -> anyhow::Result<Paired> {
    let mesh_name = &own.about.mesh_name;
    let new = Papers::checked(root, certificate, &own.key.public(), mesh_name).map_err(anyhow::Error::msg)?;
    let before = papers::load(&own.dir, &own.key.public(), mesh_name)?;
    if before.is_some_and(|before| before.root != new.root) {
        anyhow::bail!(
            "this node has papers of another root of the mesh {mesh_name:?} already; to join this one instead, move away {} \
             (and {}, if it is there) and pair again",
            own.dir.papers_file().display(),
            own.dir.mesh_key_file().display()
        );
    }
    // Papers alone do no harm, should the disk refuse what comes after them.
    papers::keep(&own.dir, &new)?;
    own.trusting(&talk.meeting, false)
}

fn connect(address: &str) -> Result<Line, Refused> {
    let full = if address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        format!("[{address}]:{PORT}")
    } else if address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        address.to_owned()
    } else {
        format!("{address}:{PORT}")
    };
    let not_there = |why: String| {
        let sentence = format!(
            "nobody waits to be paired at {full} ({why}); run `clawmesh pair --accept` at the other node and give the \
             address it shows"
        );
        Refused::new(Code::PairingNotActive, "pairing.address", sentence)
    };
    let found = full.to_socket_addrs().map_err(|fault| not_there(fault.to_string()))?;
    let mut why = "no such address".to_owned();
    let begun = now();
    for address in found {
        let left = CONNECT_PATIENCE.saturating_sub(begun.elapsed()).max(Duration::from_millis(100));
        match TcpStream::connect_timeout(&address, left).and_then(Line::over) {
            Ok(line) => return Ok(line),
            Err(fault) => why = fault.to_string(),
        }
    }
    Err(not_there(why))
}
