//! Pairing as two people do it: one waits, one goes there, both look at two screens.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use clawmesh_authority::pairing::{About, Hosting, Joining, Meeting, No, Word};
use clawmesh_authority::{Code, NodeKey};
use serde_json::Value;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{Said, id_of, json_on, program, run_on};
use crate::support::node::Node;
use crate::support::wait::until;
use crate::trust::until_peer;

const PATIENCE: Duration = Duration::from_secs(30);

/// A screen and a keyboard with `clawmesh pair` running at it.
struct Side {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Receiver<String>,
}

impl Side {
    fn run(dir: &Path, args: &[&str]) -> Self {
        let mut command = program();
        command.arg("--state-dir").arg(dir).arg("pair").args(args).arg("--json");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary was built for this test");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (shows, screen) = sync_channel(1_000);
        let show = move || lines.map_while(Result::ok).try_for_each(|line| shows.send(line));
        thread::Builder::new()
            .name("screen".to_owned())
            .spawn(show)
            .expect("the system has room for a thread");
        Self { keyboard: child.stdin.take(), child, screen }
    }

    fn accepting(dir: &Path, more: &[&str]) -> (Self, String) {
        let side = Self::run(dir, &[&["--accept", "--listen", "127.0.0.1:0"], more].concat());
        let address = side.shown("  clawmesh pair ");
        (side, address)
    }

    /// What stands behind these words on the screen, once it does.
    fn shown(&self, words: &str) -> String {
        loop {
            let line = self.screen.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|why| panic!("{words:?} was not shown: {why}"));
            if let Some((_, rest)) = line.split_once(words) {
                return rest.trim().to_owned();
            }
        }
    }

    fn code(&self) -> String {
        let code = self.shown("code ");
        assert!(code.len() == 6 && code.chars().all(|c| c.is_ascii_digit()), "{code:?}");
        code
    }

    fn types(&mut self, text: &str) {
        // Whoever was told that it is over does not listen any more.
        let _ = writeln!(self.keyboard.as_mut().expect("it is piped"), "{text}");
    }

    fn end(mut self) -> Said {
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().expect("it is piped");
        stdout.read_to_string(&mut out).expect("the binary prints UTF-8");
        let code = self.child.wait().expect("it was started").code();
        let err: Vec<String> = self.screen.iter().collect();
        Said { code, out, err: err.join("\n") }
    }

    fn paired(self) -> Value {
        let said = self.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {said:?}"))
    }

    fn refused(self, code: &str) {
        let said = self.end();
        let last = said.err.lines().last().unwrap_or_default();
        assert!(said.code == Some(1) && last.contains(code), "not {code}: {said:?}");
        assert_eq!(said.out, "");
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pairs two nodes, the first of which accepts.
fn pair(host: &Path, joiner: &Path) {
    let (mut host, address) = Side::accepting(host, &[]);
    let mut joiner = Side::run(joiner, &[&address]);
    let (at_host, at_joiner) = (host.code(), joiner.code());
    host.types(&at_joiner);
    joiner.types(&at_host);
    host.paired();
    joiner.paired();
}

/// Two nodes with a name each, in the same mesh.
fn two() -> [(tempfile::TempDir, std::path::PathBuf); 2] {
    ["office", "pump"].map(|name| {
        let (folder, dir) = empty();
        fs::write(dir.join("node.ron"), format!("(name: \"{name}\", mesh_name: \"barn\")")).expect("ours");
        (folder, dir)
    })
}

fn expect_unchanged(dirs: &[&Path]) {
    for dir in dirs {
        for file in ["trust.ron", "identity/papers.pem", "identity/mesh.pem"] {
            assert!(!dir.join(file).exists(), "{file} in {}", dir.display());
        }
    }
}

fn trusted(dir: &Path) -> Vec<(String, String)> {
    let list = json_on(dir, &["trust", "list"]);
    let nodes = list["nodes"].as_array().expect("a list of nodes").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    nodes
        .filter(|node| node["is_trusted"] == true)
        .map(|node| (text(&node["id"]), text(&node["name"])))
        .collect()
}

#[test]
fn two_people_who_see_one_code_make_their_nodes_trust_each_other() {
    let [(_a, office), (_b, pump)] = two();
    let (mut host, address) = Side::accepting(&office, &[]);
    let mut joiner = Side::run(&pump, &[&address, "--name", "head office"]);
    let (at_office, at_pump) = (host.code(), joiner.code());
    assert_eq!(at_office, at_pump);
    joiner.types(&at_office);
    joiner.shown("waiting for the person at the other side");
    expect_unchanged(&[&office, &pump]);
    host.types(&format!("{} {}", &at_pump[..3], &at_pump[3..]));
    let (host, joiner) = (host.paired(), joiner.paired());
    assert_eq!((&host["peer"], &host["is_issuer"]), (&id_of(&pump).into(), &true.into()), "{host}");
    assert_eq!((&joiner["peer"], &joiner["is_issuer"]), (&id_of(&office).into(), &false.into()), "{joiner}");
    assert_eq!((&host["code"], &joiner["code"]), (&at_office.clone().into(), &at_office.into()));
    assert_eq!(trusted(&office), [(id_of(&pump), "pump".to_owned())]);
    assert_eq!(trusted(&pump), [(id_of(&office), "head office".to_owned())]);
    let papers = |dir: &Path| fs::read_to_string(dir.join("identity/papers.pem")).expect("papers were kept");
    let root = |papers: String| papers.split_once("-----END").expect("two certificates").1.to_owned();
    assert_ne!(papers(&office), papers(&pump));
    assert_eq!(root(papers(&office)), root(papers(&pump)));
    assert!(office.join("identity/mesh.pem").exists() && !pump.join("identity/mesh.pem").exists());

    // Who joined the mesh does not let others in; who founded it does, and again.
    let said = run_on(&pump, &["pair", "--accept", "--listen", "127.0.0.1:0"]);
    expect_sentence(
        &said,
        &["another node issues the papers of the mesh \"barn\"", "clawmesh pair --accept"],
    );
    pair(&office, &pump);
    assert_eq!(trusted(&pump), [(id_of(&office), "office".to_owned())]);
}

#[test]
fn nothing_is_changed_when_a_person_says_no_or_sees_another_code() {
    let [(_a, office), (_b, pump)] = two();
    let (mut host, address) = Side::accepting(&office, &[]);
    let mut joiner = Side::run(&pump, &[&address]);
    let code = host.code();
    joiner.code();
    joiner.types("no");
    joiner.refused("PAIRING_REJECTED");
    // The host goes on waiting: whoever comes first need not be the right one.
    assert!(host.shown("PAIRING_REJECTED: the other side says").contains("still waiting"));

    let joiner = Side::run(&pump, &[&address]);
    assert_ne!(host.code(), code, "each code is made once");
    joiner.code();
    host.types(&code);
    host.refused("PAIRING_SAS_MISMATCH");
    joiner.refused("PAIRING_SAS_MISMATCH");

    // An end of the input is no yes either, and after the first yes there is still the other person.
    let (mut host, address) = Side::accepting(&office, &[]);
    let mut joiner = Side::run(&pump, &[&address]);
    let code = joiner.code();
    // What is typed before a code is shown is an answer to nothing.
    assert_eq!(host.code(), code);
    host.types(&code);
    host.shown("waiting for the person at the other side");
    joiner.keyboard = None;
    joiner.refused("PAIRING_REJECTED");
    host.shown("PAIRING_REJECTED");
    drop(host);
    expect_unchanged(&[&office, &pump]);
}

#[test]
fn the_time_ends_for_both() {
    let [(_a, office), (_b, pump)] = two();
    let (host, address) = Side::accepting(&office, &["--window", "5"]);
    let mut joiner = Side::run(&pump, &[&address]);
    let code = host.code();
    assert_eq!(joiner.code(), code);
    joiner.types(&code);
    host.refused("PAIRING_TIMEOUT");
    joiner.refused("PAIRING_TIMEOUT");
    let (host, _) = Side::accepting(&office, &["--window", "5"]);
    host.refused("PAIRING_TIMEOUT");
    expect_unchanged(&[&office, &pump]);
}

#[test]
fn a_wrong_address_another_mesh_and_the_same_node_are_refused() {
    let [(_a, office), (_b, pump)] = two();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let said = run_on(&pump, &["pair", &free]);
    assert!(
        said.err.starts_with("clawmesh: PAIRING_NOT_ACTIVE") && said.err.contains("--accept"),
        "{said:?}"
    );

    let (host, address) = Side::accepting(&office, &[]);
    fs::write(pump.join("node.ron"), "(name: \"pump\", mesh_name: \"field\")").unwrap();
    let joiner = Side::run(&pump, &[&address]);
    assert!(host.shown("MESH_ID_MISMATCH").contains("\"field\""));
    joiner.refused("MESH_ID_MISMATCH");
    let itself = Side::run(&office, &[&address]);
    host.shown("INVALID_PARAMS");
    itself.refused("INVALID_PARAMS");
    drop(host);
    expect_unchanged(&[&office, &pump]);
}

#[test]
fn strangers_do_not_end_the_window_and_a_second_caller_is_told_to_wait() {
    let [(_a, office), (_b, pump)] = two();
    let (_c, late) = empty();
    fs::write(late.join("node.ron"), "(mesh_name: \"barn\")").unwrap();
    let (mut host, address) = Side::accepting(&office, &[]);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 9_000], &[0, 0], b""] {
        let mut stranger = TcpStream::connect(&address).unwrap();
        let _ = stranger.write_all(garbage);
        drop(stranger);
        host.shown("refused 127.0.0.1: ");
    }
    let mut joiner = Side::run(&pump, &[&address]);
    let code = joiner.code();
    assert_eq!(host.code(), code);
    host.types(&code);
    host.shown("waiting for the person at the other side");
    Side::run(&late, &[&address]).refused("PAIRING_NOT_ACTIVE");
    joiner.types(&code);
    host.paired();
    joiner.paired();
    expect_unchanged(&[&late]);
}

#[test]
fn paired_nodes_link_encrypted_and_one_that_runs_takes_a_new_one_at_once() {
    let [(_a, office), (_b, pump)] = two();
    let (_c, gate) = empty();
    fs::write(gate.join("node.ron"), "(name: \"gate\", mesh_name: \"barn\", port: 0)").unwrap();
    // Ports that stay the same: a session is opened anew whenever other nodes are trusted.
    let free = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [at_field, at_desk, at_gate] =
        free.map(|free| format!("tls/{}", free.local_addr().expect("it is bound")));
    let start = |dir: &Path, listen: &str, more: &[&str]| {
        Node::start_at("start", dir, &[&["--port", "0", "--listen", listen], more].concat())
    };
    // A node without papers runs, and says what it needs.
    let mut field = start(&pump, &at_field, &["--host-sensors"]);
    until("it says what it needs", PATIENCE, || {
        let said = run_on(&pump, &["status", "--json"]).out;
        (said.contains("no papers") && said.contains("clawmesh pair")).then_some(())
    });
    pair(&office, &pump);
    field.endpoint();
    let mut desk = start(&office, &at_desk, &["--connect", &at_field]);
    desk.endpoint();
    until_peer(&desk, &id_of(&pump), |peer| peer["name"] == "pump" && peer["trusted"] == true);
    pair(&office, &gate);
    let third = start(&gate, &at_gate, &["--connect", &at_desk]);
    until_peer(&desk, &id_of(&gate), |peer| peer["name"] == "gate" && peer["trusted"] == true);
    until_peer(&third, &id_of(&office), |peer| peer["name"] == "office" && peer["trusted"] == true);
    field.stop();
    desk.stop();
    third.stop();
    let leak = [
        "start",
        "--no-discovery",
        "--port",
        "0",
        "--listen",
        "tls/127.0.0.1:0",
        "--listen",
        "tcp/0.0.0.0:0",
    ];
    expect_sentence(&run_on(&office, &leak), &["tcp/0.0.0.0:0 is in clear", "write tls/ or quic/ instead"]);
}

/// Somebody on the network answers both sides with keys of their own.
#[test]
fn whoever_stands_in_between_shows_two_codes_and_gains_nothing() {
    let [(_a, office), (_b, pump)] = two();
    let (mut host, address) = Side::accepting(&office, &[]);
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut joiner = Side::run(&pump, &[&between.local_addr().unwrap().to_string()]);
    let (mut to_pump, _) = between.accept().unwrap();
    let mut to_office = TcpStream::connect(&address).unwrap();
    let seen_by_office = meet_as_pump(&mut to_office);
    let seen_by_pump = meet_as_office(&mut to_pump);
    let (at_office, at_pump) = (host.code(), joiner.code());
    assert_eq!(
        (&seen_by_office.code().to_string(), &seen_by_pump.code().to_string()),
        (&at_office, &at_pump)
    );
    assert_ne!(at_office, at_pump);
    // Whatever they pass on, both people type what they see on the other screen.
    host.types(&at_pump);
    joiner.types(&at_office);
    host.refused("PAIRING_SAS_MISMATCH");
    joiner.refused("PAIRING_SAS_MISMATCH");
    expect_unchanged(&[&office, &pump]);
}

/// Somebody who joins to learn codes, one after the other, and what they say of them ends nothing.
#[test]
fn a_window_shows_three_codes_and_no_more() {
    let [(_a, office), _] = two();
    let (host, address) = Side::accepting(&office, &[]);
    for code in 1..=3 {
        let mut stream = TcpStream::connect(&address).unwrap();
        let meeting = meet_as_pump(&mut stream);
        assert_eq!(host.code(), meeting.code().to_string());
        let no = No { code: Code::PairingSasMismatch, sentence: "another".to_owned() };
        send(&mut stream, &meeting.say(Word::No(no)));
        if code < 3 {
            assert!(
                host.shown("PAIRING_SAS_MISMATCH: the other side says: another").contains("still waiting")
            );
        }
    }
    host.refused("PAIRING_SAS_MISMATCH");
    assert!(TcpStream::connect(&address).is_err(), "the window is closed");
    expect_unchanged(&[&office]);
}

/// A node that has papers of another root of the mesh keeps them, and neither side trusts the other.
#[test]
fn two_roots_of_one_mesh_are_not_mixed() {
    let [(_a, office), (_b, pump)] = two();
    let (_c, gate) = empty();
    fs::write(gate.join("node.ron"), "(name: \"gate\", mesh_name: \"barn\")").unwrap();
    pair(&pump, &gate);
    let before = fs::read(pump.join("identity/papers.pem")).unwrap();
    let (mut host, address) = Side::accepting(&office, &[]);
    let mut joiner = Side::run(&pump, &[&address]);
    let (at_office, at_pump) = (host.code(), joiner.code());
    host.types(&at_pump);
    // More than one line, and then the end of the input: one answer counts.
    joiner.types(&format!("{at_office}\nno"));
    joiner.keyboard = None;
    host.shown("of another root of the mesh");
    joiner.refused("of another root of the mesh");
    assert_eq!(fs::read(pump.join("identity/papers.pem")).unwrap(), before);
    assert!(trusted(&office).is_empty());
    assert_eq!(trusted(&pump), [(id_of(&gate), "gate".to_owned())]);
}

fn meet_as_pump(office: &mut TcpStream) -> Meeting {
    let about = About { mesh_name: "barn".to_owned(), name: "pump".to_owned() };
    let joining = Joining::new(NodeKey::from_secret(&[5; 32]), about, [6; 32]);
    send(office, joining.hello());
    let joined = joining.answer(&receive(office)).expect("an answer of ours");
    send(office, joined.reveal());
    joined.meet(&receive(office)).expect("an answer of ours")
}

fn meet_as_office(pump: &mut TcpStream) -> Meeting {
    let about = About { mesh_name: "barn".to_owned(), name: "office".to_owned() };
    let hello = receive(pump);
    let hosting =
        Hosting::new(NodeKey::from_secret(&[7; 32]), &about, [8; 32], &hello).expect("a hello of ours");
    send(pump, hosting.welcome());
    let (reveal, meeting) = hosting.meet(&receive(pump)).expect("an answer of ours");
    send(pump, &reveal);
    meeting
}

fn send(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).expect("messages are short");
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).expect("they listen");
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("they answer");
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).expect("they answer");
    message
}
