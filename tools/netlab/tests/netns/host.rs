//! Sockets of this process in the namespaces of a lab, and what is left of a lab afterwards.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clawmesh_netlab::plan::LabPlan;
use clawmesh_netlab::sentence;
use clawmesh_netlab::tap::Lab;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

/// How long a datagram may take that is expected to come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing must come before we believe that nothing comes.
pub const SILENCE: Duration = Duration::from_millis(500);

/// Where every socket of these tests listens.
const PORT: u16 = 4_000;

/// A lab that is ready, or the reason why not as the message of the test.
pub fn lab(name: &str, hosts: &[&str]) -> Lab {
    let plan = LabPlan::new(name, hosts.iter().copied()).expect("the names are good");
    Lab::start(plan).unwrap_or_else(|error| panic!("{}", sentence(&error)))
}

/// Obeys, or fails the test.
pub fn tell(lab: &mut Lab, line: &str) {
    let answer = lab.ask(line).expect("the lab goes on");
    assert_eq!(answer["ok"], Value::Bool(true), "{line}: {answer}");
}

pub fn netns_path(netns: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(netns)
}

/// The namespaces of a lab that are there.
pub fn left_of(lab: &str) -> Vec<String> {
    let Ok(folder) = netns_path("").read_dir() else { return Vec::new() };
    let names =
        folder.map(|entry| entry.expect("the folder can be read").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("cm-{lab}-"))).collect()
}

/// A UDP socket of a host; it stays in the namespace of the thread that opened it.
pub fn socket(netns: &str, address: &str) -> UdpSocket {
    let path = netns_path(netns);
    let address: Ipv4Addr = address.parse().expect("an address");
    let open = move || {
        let netns = File::open(path).expect("the namespace is there");
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("a lab runs as root");
        UdpSocket::bind((address, PORT)).expect("the host has the address")
    };
    let thread = thread::Builder::new().name("open-socket".to_owned()).spawn(open).expect("a thread");
    thread.join().expect("the socket is open")
}

/// Sends one datagram and says whether it came.
pub fn reaches(from: &UdpSocket, to: &UdpSocket, patience: Duration) -> bool {
    let address = |socket: &UdpSocket| socket.local_addr().expect("a bound socket has an address");
    let is_sent = from.send_to(b"are you there", address(to)).is_ok();
    is_sent && hears(to, patience) == Some(address(from))
}

/// Who sent the next datagram that comes.
pub fn hears(socket: &UdpSocket, patience: Duration) -> Option<SocketAddr> {
    socket.set_read_timeout(Some(patience)).expect("more than no time");
    socket.recv_from(&mut [0; 64]).ok().map(|(_, sender)| sender)
}
