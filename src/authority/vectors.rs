//! `docs/approval-format.md` shows the bytes we make: one offer, one approval, one request.

use std::collections::BTreeMap;

use minicbor::bytes::ByteVec;

use crate::approval::{self, Approval, Decision};
use crate::canonical;
use crate::capability::Capability;
use crate::hlc::Hlc;
use crate::ids::{ContentHash, MeshId};
use crate::keys::{NodeKey, OperatorKey};
use crate::level::Level;
use crate::offer::{Offer, nonce_of};
use crate::proposal::{Maker, Proposal, Step};
use crate::reading::Value;
use crate::request::{self, Request, RequestBody};

const PAGE: &str = include_str!("../../docs/approval-format.md");

/// The hexadecimal digits that the page shows for `label`: on its line and on the indented ones below it.
fn shown(label: &str) -> String {
    let digits = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
    let example = PAGE.lines().skip_while(|line| *line != "## Example");
    let mut lines = example.skip_while(|line| line.split_whitespace().next() != Some(label));
    let first = lines.next().unwrap_or_default();
    let rest = lines.take_while(|line| line.starts_with("   ")).map(digits);
    std::iter::once(digits(first.trim_start_matches(label))).chain(rest).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn asker() -> OperatorKey {
    OperatorKey::from_secret(&[1; 32])
}

fn approver() -> OperatorKey {
    OperatorKey::from_secret(&[3; 32])
}

fn proposal() -> Proposal {
    let step = Step {
        actuator: Capability::new("actuator:valve:north").unwrap(),
        operation: "open".to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Value::Number(600.0))]),
    };
    let owner = NodeKey::from_secret(&[7; 32]).id();
    Proposal {
        mesh: MeshId::of_name("barn"),
        owner,
        site: ContentHash::of("site", b"farm"),
        maker: Maker::person(owner, asker().id()),
        steps: vec![step],
        reason: "the bed is dry".to_owned(),
        evidence: vec![ByteVec::from(vec![1, 2, 3])],
        made: Hlc { wall_ms: 1_730_000_000_000, logical: 0 },
    }
}

fn offer() -> Offer {
    let proposal = proposal();
    Offer {
        mesh: proposal.mesh,
        owner: proposal.owner,
        site: proposal.site,
        policy: ContentHash::of("policy", b"careful"),
        proposal: proposal.id(),
        card: ContentHash::of("card", b"pass"),
        nonce: nonce_of(&[9; 32], 0, proposal.id()),
        level: Level::L2,
        steps: proposal.steps,
        expires_after_ms: 120_000,
    }
}

fn request() -> Vec<u8> {
    let proposal = proposal();
    let (mesh, owner, made) = (proposal.mesh, proposal.owner, proposal.made);
    request::seal(&asker(), &Request { mesh, owner, body: RequestBody::Propose(proposal), made })
}

fn approval() -> Vec<u8> {
    let reason = Some("seen".to_owned());
    approval::seal(&approver(), &Approval::answering(&offer(), Decision::Approve, reason, 1_730_000_060_000))
}

#[test]
fn the_page_shows_the_bytes_we_make() {
    for (label, bytes) in [
        ("owner", proposal().owner.0.to_vec()),
        ("asker", asker().id().0.to_vec()),
        ("approver", approver().id().0.to_vec()),
        ("proposal-id", proposal().id().0.to_vec()),
        ("nonce", offer().nonce.to_vec()),
        ("offer-bytes", canonical::encode(&offer())),
        ("approval-bytes", approval()),
        ("request-bytes", request()),
    ] {
        assert_eq!(shown(label), hex(&bytes), "{label} in docs/approval-format.md");
    }
}

#[test]
fn the_bytes_of_the_page_open() {
    let bytes = |label: &str| -> Vec<u8> {
        let digits = shown(label);
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    };
    let offer_shown: Offer = canonical::decode(&bytes("offer-bytes")).unwrap();
    assert_eq!(offer_shown, offer());
    let approved = approval::open(&bytes("approval-bytes")).unwrap();
    assert_eq!((approved.operator(), approved.approval().nonce), (approver().id(), offer().nonce));
    let asked = request::open(&bytes("request-bytes")).unwrap();
    assert_eq!(asked.request().body, RequestBody::Propose(proposal()));
}
