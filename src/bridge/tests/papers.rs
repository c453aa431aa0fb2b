//! Links that want certificates of the mesh: who links, who is told what, and what ends a link.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use clawmesh_authority::{Capability, Code, MeshId, NodeId, PublicKey, Unit};
use clawmesh_bridge::{Decoder, Mapping, MeshRoot, Papers};
use clawmesh_core::intake::{InputBody, LinkState};
use crossbeam_channel::after;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, PKCS_ED25519,
    PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};

use crate::support::{Node, Setup, Stranger, envelope_of, frame, id, key, outgoing, readings, sealed};

/// Papers of node `n`, issued with the key `root`.
pub fn papers(root: u8, n: u8) -> Papers {
    MeshRoot::found(key(root), "barn").unwrap().issue(&key(n).public()).unwrap()
}

/// A node with papers that listens here.
pub fn with_papers(root: u8, n: u8, trusted: &[u8], listen: &str) -> Setup {
    let papers = Some(papers(root, n));
    Setup { papers, listen: vec![listen.to_owned()], ..Setup::trusting(trusted) }
}

/// An endpoint on a port that is free now, and that stays the same when the session is opened anew.
pub fn steady(transport: &str) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("{transport}/127.0.0.1:{port}")
}

fn mapping() -> Mapping {
    Mapping {
        key_expr: "farm/shed/t".to_owned(),
        sensor: Capability::new("sensor:t:shed").unwrap(),
        decoder: Decoder::Number,
        quantity: "temperature".to_owned(),
        unit: Unit::Celsius,
        period_ms: 1_000,
        range: None,
        stuck_after_ms: None,
        about: None,
    }
}

/// What node `n` says next on its stream lane.
fn say(node: &Node, sequence: u64) {
    node.commits.commit(sequence);
    node.outbox.offer(outgoing(sequence, sequence, readings())).expect("there is room");
}

/// Until `to` hears `from`: what was said while a link came up may be lost.
pub fn expect_heard(from: &Node, to: &mut Node, first: u64) {
    let mut sequence = first;
    while to.all(|input| envelope_of(input, from.id)).iter().all(|heard| *heard < first) {
        say(from, sequence);
        sequence += 1;
        assert!(sequence < first + 2_000, "it is never heard");
        assert!(after(Duration::from_millis(5)).recv().is_ok());
    }
}

/// Nodes 1 and 2 with papers of one mesh, the first of which listens here.
fn two_that_hear_each_other(listen: &str) -> (Node, Node) {
    let (mut a, _) = Node::open(1, with_papers(9, 1, &[2], listen));
    let (mut b, _) = Node::open(2, with_papers(9, 2, &[1], listen).connecting(listen));
    a.expect_peer(b.id);
    b.expect_peer(a.id);
    expect_heard(&a, &mut b, 1);
    expect_heard(&b, &mut a, 1);
    (a, b)
}

fn opened_anew(node: &mut Node) {
    node.expect("the end of the session", |input| {
        (input.body == InputBody::LinkChanged(LinkState::Connecting)).then_some(())
    });
    node.expect("a new session", |input| {
        matches!(input.body, InputBody::LinkChanged(LinkState::Open { .. })).then_some(())
    });
}

#[test]
fn nodes_with_papers_of_one_mesh_hear_each_other_over_tls_and_over_quic() {
    for transport in ["tls", "quic"] {
        let listen = steady(transport);
        let (mut a, b) = two_that_hear_each_other(&listen);
        b.commits.commit(5_000);
        b.outbox.offer(outgoing(5_000, 0, frame("gate"))).expect("there is room");
        a.expect("a frame", |input| {
            matches!(&input.body, InputBody::Envelope { lane: clawmesh_authority::Lane::State, .. })
                .then_some(())
        });
    }
}

#[test]
fn papers_of_another_root_and_no_papers_give_no_link() {
    let listen = steady("tls");
    let (mut a, _) = Node::open(1, with_papers(9, 1, &[2, 3], &listen));
    // It has the key of a node that is trusted, takes the certificate of the listener, and shows one of its own making.
    let forged = Papers { root: papers(9, 3).root, certificate: papers(8, 3).certificate };
    let setup = Setup { papers: Some(forged), ..with_papers(8, 3, &[1], &listen) };
    let (mut forger, _) = Node::open(3, setup.connecting(&listen));
    say(&forger, 1);
    a.expect_none("no link", |input| {
        matches!(&input.body, InputBody::PeerAppeared(_) | InputBody::Refused { .. })
            || envelope_of(input, id(3)).is_some()
    });
    forger.expect_none("no link", |input| matches!(&input.body, InputBody::PeerAppeared(_)));
    forger.close();
    let [_, root] = papers(9, 3).as_pem();
    assert!(Stranger::encrypted(&listen, &root, None).is_none(), "without a certificate");
    // The same ways with papers of the mesh.
    assert!(Stranger::encrypted(&listen, &root, Some((&papers(9, 4), 4))).is_some());
    let (forger, _) = Node::open(3, with_papers(9, 3, &[1], &listen).connecting(&listen));
    a.expect_peer(forger.id);
}

/// The key of the mesh, as whoever has it may sign certificates with any date.
struct Root;

impl PublicKeyData for Root {
    fn der_bytes(&self) -> &[u8] {
        static RAW: LazyLock<PublicKey> = LazyLock::new(|| key(9).public());
        RAW.raw()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Root {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(key(9).sign(message).to_vec())
    }
}

/// Papers of node `n` in the mesh of `papers(9, _)` that ended with this year.
fn papers_until(year: i32, n: u8) -> Papers {
    struct Own(PublicKey);
    impl PublicKeyData for Own {
        fn der_bytes(&self) -> &[u8] {
            self.0.raw()
        }
        fn algorithm(&self) -> &'static SignatureAlgorithm {
            &PKCS_ED25519
        }
    }
    let mut of_mesh = CertificateParams::default();
    of_mesh.distinguished_name = DistinguishedName::new();
    of_mesh.distinguished_name.push(DnType::OrganizationName, "clawmesh");
    of_mesh.distinguished_name.push(DnType::CommonName, "barn");
    let mut of_node = CertificateParams::default();
    of_node.distinguished_name = DistinguishedName::new();
    of_node.distinguished_name.push(DnType::CommonName, id(n).to_string());
    of_node.not_before = date_time_ymd(1970, 1, 1);
    of_node.not_after = date_time_ymd(year, 12, 31);
    of_node.is_ca = IsCa::ExplicitNoCa;
    of_node.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let issued = of_node.signed_by(&Own(key(n).public()), &Issuer::new(of_mesh, Root)).unwrap();
    Papers { root: papers(9, n).root, certificate: issued.der().to_vec() }
}

#[test]
fn expired_papers_of_the_right_root_give_no_link_and_are_not_taken_as_ones_own() {
    let listen = steady("tls");
    let (mut a, _) = Node::open(1, with_papers(9, 1, &[3], &listen));
    let ended = papers_until(2020, 3);
    let setup = Setup { papers: Some(ended.clone()), ..with_papers(9, 3, &[1], &listen) };
    let (mut late, _) = Node::open(3, setup.connecting(&listen));
    say(&late, 1);
    a.expect_none("no link", |input| {
        matches!(&input.body, InputBody::PeerAppeared(_)) || envelope_of(input, id(3)).is_some()
    });
    late.expect_none("no link", |input| matches!(&input.body, InputBody::PeerAppeared(_)));
    late.close();
    // The same but for the date.
    let setup = Setup { papers: Some(papers_until(9998, 3)), ..with_papers(9, 3, &[1], &listen) };
    let (late, _) = Node::open(3, setup.connecting(&listen));
    a.expect_peer(late.id);
    let Papers { root, certificate } = ended;
    let why = Papers::checked(root, certificate, &key(3).public(), "barn").unwrap_err();
    assert_eq!(why, "they end on 2020-12-31, and those that clawmesh issues never do");
}

/// Somebody of the mesh whom nobody trusts is refused where it says something, is not seen, and speaks for no program.
#[test]
fn who_has_papers_and_is_not_trusted_says_no_samples_and_hears_nothing() {
    let listen = steady("tls");
    let setup = Setup { mappings: vec![mapping()], ..with_papers(9, 1, &[2], &listen) };
    let (mut node, _) = Node::open(1, setup);
    let [_, root] = papers(9, 4).as_pem();
    let stranger = Stranger::encrypted(&listen, &root, Some((&papers(9, 4), 4))).unwrap();
    let _token = stranger.appear(&format!("clawmesh/{}/{}/alive", MeshId::of_name("barn"), id(2)));
    stranger.put("farm/shed/t", "21.5");
    stranger.say_as(4, sealed(4, 1, readings()));
    node.expect_refused(Code::UntrustedPeer);
    node.expect_none("nothing else", |input| {
        matches!(input.body, InputBody::PeerAppeared(_) | InputBody::Sampled(_))
    });
}

#[test]
fn who_is_trusted_no_longer_may_link_again_and_is_told_nothing() {
    let listen = steady("tls");
    let (mut a, mut b) = two_that_hear_each_other(&listen);
    a.trust(&[]);
    b.expect_no_peer(a.id);
    opened_anew(&mut a);
    b.close();
    // It has papers, so it links again, here with a program that says things whether anybody listens or not.
    let [_, root] = papers(9, 2).as_pem();
    let link = || Stranger::encrypted(&listen, &root, Some((&papers(9, 2), 2))).unwrap();
    let removed = link();
    let ears = removed.ears();
    removed.say_as(2, sealed(2, 1_000_000, readings()));
    a.expect("a refusal", |input| refused_from(&input.body, id(2)));
    (10_000..10_005).for_each(|sequence| say(&a, sequence));
    a.expect_none("it is not seen", |input| input.body == InputBody::PeerAppeared(id(2)));
    assert!(ears.is_empty(), "it is told nothing");
    // Trusted again it hears again.
    a.trust(&[2]);
    opened_anew(&mut a);
    let trusted = link();
    let ears = trusted.ears();
    for sequence in 20_000..22_000 {
        if !ears.is_empty() {
            return;
        }
        say(&a, sequence);
        assert!(after(Duration::from_millis(5)).recv().is_ok());
    }
    panic!("it hears nothing");
}

fn refused_from(body: &InputBody, from: NodeId) -> Option<()> {
    let InputBody::Refused { refusal, .. } = body else { return None };
    (refusal.code == Code::UntrustedPeer && refusal.from == from.to_string()).then_some(())
}

#[test]
fn without_papers_there_is_no_session_until_the_node_is_paired() {
    let listen = steady("tls");
    let mut node = Node::start(1, Setup { papers: None, ..with_papers(9, 1, &[], &listen) });
    let sentence = node.expect("why not", |input| match &input.body {
        InputBody::LinkChanged(LinkState::Failed { sentence }) => Some(sentence.clone()),
        _ => None,
    });
    assert!(sentence.contains("no papers") && sentence.contains("clawmesh pair"), "{sentence}");
    *node.held.papers.lock().unwrap() = Some(papers(9, 1));
    node.look_at_papers();
    node.expect("a session", |input| {
        matches!(input.body, InputBody::LinkChanged(LinkState::Open { .. })).then_some(())
    });
    // And other papers at once, too.
    *node.held.papers.lock().unwrap() = Some(papers(8, 1));
    node.look_at_papers();
    opened_anew(&mut node);
}

#[test]
fn a_program_of_this_machine_says_its_samples_without_papers_and_nothing_else() {
    let (tls, tcp) = (steady("tls"), steady("tcp"));
    let setup = with_papers(9, 1, &[2], &tls);
    let setup = Setup { listen: vec![tls, tcp.clone()], mappings: vec![mapping()], ..setup };
    let (mut node, _) = Node::open(1, setup);
    let program = Stranger::connecting(&tcp);
    program.say_as(2, sealed(2, 1, readings()));
    let _token = program.appear(&format!("clawmesh/{}/{}/alive", MeshId::of_name("barn"), id(2)));
    program.put("farm/shed/t", "21.5");
    node.expect("a sample", |input| matches!(&input.body, InputBody::Sampled(_)).then_some(()));
    node.expect_none("nothing else", |input| {
        matches!(input.body, InputBody::PeerAppeared(_) | InputBody::Refused { .. })
            || envelope_of(input, id(2)).is_some()
    });
}
