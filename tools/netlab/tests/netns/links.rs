//! What links do to real datagrams.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use clawmesh_netlab::tap::Lab;

use crate::host::{PATIENCE, SILENCE, hears, lab, reaches, socket, tell};

/// Datagrams sent at once; a socket holds more than twice as many.
const LOT: usize = 100;

fn pair(name: &str) -> (Lab, UdpSocket, UdpSocket) {
    let lab = lab(name, &["one", "two"]);
    let one = socket(&lab.netns(0), "10.77.0.1");
    let two = socket(&lab.netns(1), "10.77.0.2");
    assert!(
        reaches(&one, &two, PATIENCE) && reaches(&two, &one, PATIENCE),
        "both know the way before it gets bad"
    );
    (lab, one, two)
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is the clock of the machine")]
fn round_trip(one: &UdpSocket, two: &UdpSocket) -> Duration {
    let begin = Instant::now();
    assert!(reaches(one, two, PATIENCE) && reaches(two, one, PATIENCE));
    begin.elapsed()
}

/// Sends that many and says how many came. In lots that a socket can hold: nothing is lost but on the link.
fn arrived_of(datagrams: usize, one: &UdpSocket, two: &UdpSocket) -> usize {
    let to = two.local_addr().expect("a bound socket has an address");
    let mut arrived = 0;
    for lot in (0..datagrams).step_by(LOT) {
        for _ in lot..datagrams.min(lot + LOT) {
            one.send_to(b"one of many", to).expect("the way is known");
        }
        arrived += std::iter::from_fn(|| hears(two, SILENCE / 5)).count();
    }
    arrived + std::iter::from_fn(|| hears(two, SILENCE)).count()
}

#[test]
fn a_partition_stops_datagrams_and_healing_lets_them_pass() {
    let mut lab = lab("parted", &["one", "two", "three"]);
    let [one, two, three] = [(0, "10.77.0.1"), (1, "10.77.0.2"), (2, "10.77.0.3")]
        .map(|(host, address)| socket(&lab.netns(host), address));
    assert!(reaches(&one, &two, PATIENCE) && reaches(&three, &two, PATIENCE));
    tell(&mut lab, "partition one,two|three");
    assert!(reaches(&one, &two, PATIENCE), "within the group");
    assert!(!reaches(&three, &two, SILENCE), "across");
    tell(&mut lab, "heal");
    assert!(reaches(&three, &two, PATIENCE), "healed");
    let counts = lab.ask("counts").unwrap();
    let link = counts["links"]
        .as_array()
        .unwrap()
        .iter()
        .find(|link| link["from"] == "three" && link["to"] == "two");
    assert!(link.unwrap()["partitioned"].as_u64().unwrap() > 0, "{counts}");
    lab.end().unwrap();
}

#[test]
fn a_loss_of_three_hundred_permille_takes_nearly_that_many_and_only_one_way() {
    let (mut lab, one, two) = pair("lossy");
    tell(&mut lab, "set one>two loss-permille=300");
    let arrived = arrived_of(1_000, &one, &two);
    assert!((650..=750).contains(&arrived), "{arrived} of 1000 arrived");
    assert_eq!(arrived_of(200, &two, &one), 200, "the other way loses nothing");
    tell(&mut lab, "set loss-permille=1000");
    assert_eq!(arrived_of(20, &one, &two), 0);
}

#[test]
fn a_delay_shows_in_the_round_trip_of_both_ways() {
    let (mut lab, one, two) = pair("slow");
    let before = round_trip(&one, &two);
    assert!(before < Duration::from_millis(100), "{before:?} without a delay");
    tell(&mut lab, "set delay-ms=100 jitter-ms=10");
    let slow = round_trip(&one, &two);
    assert!((Duration::from_millis(180)..Duration::from_millis(400)).contains(&slow), "{slow:?}");
    tell(&mut lab, "set two>one delay-ms=0 jitter-ms=0");
    let half = round_trip(&one, &two);
    assert!((Duration::from_millis(90)..Duration::from_millis(180)).contains(&half), "{half:?}");
}

#[test]
fn duplicates_arrive_twice() {
    let (mut lab, one, two) = pair("double");
    tell(&mut lab, "set one>two duplicate-permille=1000");
    assert_eq!(arrived_of(50, &one, &two), 100);
}

#[test]
fn frames_that_are_held_back_arrive_after_later_ones() {
    let (mut lab, one, two) = pair("mixed");
    tell(&mut lab, "set one>two reorder-permille=200");
    for number in 0..50_u8 {
        one.send_to(&[number], two.local_addr().unwrap()).unwrap();
    }
    two.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut byte = [0];
    let mut arrived: Vec<u8> = (0..50).map(|_| two.recv(&mut byte).map(|_| byte[0]).unwrap()).collect();
    assert!(!arrived.is_sorted(), "{arrived:?}");
    arrived.sort_unstable();
    assert!(arrived.into_iter().eq(0..50), "each once");
}

#[test]
fn a_host_answers_at_its_new_address_and_no_longer_at_the_old_one() {
    let (mut lab, one, two) = pair("moved");
    tell(&mut lab, "readdress two 10.77.0.99");
    let moved = socket(&lab.netns(1), "10.77.0.99");
    assert!(reaches(&one, &moved, PATIENCE), "at the new address");
    assert!(reaches(&moved, &one, PATIENCE), "and from it");
    assert!(!reaches(&one, &two, SILENCE), "at the old address");
    let refused = lab.ask("readdress one 10.77.0.99").unwrap();
    assert_eq!(refused["error"], "`10.77.0.99` is the address of `two`; choose one that is free");
}

#[test]
fn multicast_reaches_every_other_host() {
    let lab = lab("many", &["one", "two", "three"]);
    let group = [224, 0, 0, 224].into();
    // Without an address of its own the kernel needs a route to find one.
    let one = socket(&lab.netns(0), "0.0.0.0");
    let listeners = [(1, "10.77.0.2"), (2, "10.77.0.3")].map(|(host, address)| {
        let listener = socket(&lab.netns(host), "0.0.0.0");
        listener.join_multicast_v4(&group, &address.parse().unwrap()).unwrap();
        listener
    });
    one.send_to(b"who is there", (group, 4_000)).unwrap();
    for listener in &listeners {
        assert_eq!(hears(listener, PATIENCE), Some(([10, 77, 0, 1], 4_000).into()));
    }
}
