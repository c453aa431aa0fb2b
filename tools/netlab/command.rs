//! The lines a lab understands while it runs: one command each.
//! Reads one line and the names of the hosts. Writes a command, or the one sentence that says what is wrong with the line.
//! Invariant: every line is answered; a command that comes out names hosts that are there and values within their bounds.
//! Not here: what a command does (`tap`), the options of the program (`main.rs`).

use std::net::Ipv4Addr;

use crate::plan;
use crate::switch::{LinkChange, Port};

/// The longest delay and jitter.
pub const DELAY_MS_MAX: u32 = 60_000;

/// All of a thousand.
pub const PERMILLE_MAX: u16 = 1_000;

/// The fastest rate that can be set: ten gigabytes in a second.
pub const BYTES_PER_SECOND_MAX: u64 = 10_000_000_000;

/// What a running lab can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Hosts hear each other within a group only.
    Partition(Vec<Vec<Port>>),
    /// All hosts hear each other.
    Heal,
    /// Change one direction between two hosts, or every link.
    Set {
        /// From and to; every link if there is none.
        link: Option<(Port, Port)>,
        /// What to change.
        change: LinkChange,
    },
    /// Give a host another address.
    Readdress {
        /// The host.
        host: Port,
        /// Its new address, and its only one.
        address: Ipv4Addr,
    },
    /// Tell what became of frames.
    Counts,
    /// End and clean up.
    Quit,
}

const COMMANDS: &str = "`partition one,two|three`, `heal`, `set delay-ms=200`, `set one>two loss-permille=50`, `readdress one 10.77.0.99`, \
     `counts` or `quit`";

const SETTINGS: &str = "`delay-ms`, `jitter-ms`, `loss-permille`, `duplicate-permille`, `reorder-permille`, `bytes-per-second` or `udp-port-blocked`";

/// The command in a line.
///
/// # Errors
/// One sentence: what is wrong, where, and what to write instead.
pub fn parse(line: &str, hosts: &[String]) -> Result<Command, String> {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    match (verb, rest.as_slice()) {
        ("partition", groups) => partition(&groups.concat(), hosts).map(Command::Partition),
        ("heal", []) => Ok(Command::Heal),
        ("counts", []) => Ok(Command::Counts),
        ("quit", []) => Ok(Command::Quit),
        ("heal" | "counts" | "quit", [word, ..]) => {
            Err(format!("`{verb}` stands alone, but `{word}` follows it; leave that out"))
        }
        ("set", [link, changes @ ..]) if link.contains('>') => {
            Ok(Command::Set { link: Some(link_of(link, hosts)?), change: change(changes)? })
        }
        ("set", changes) => Ok(Command::Set { link: None, change: change(changes)? }),
        ("readdress", [host, address]) => readdress(host, address, hosts),
        ("readdress", _) => {
            Err("`readdress` takes a host and an address; write `readdress one 10.77.0.99`".to_owned())
        }
        ("", _) => Err(format!("the line is empty; write {COMMANDS}")),
        _ => Err(format!("`{verb}` is no command; write {COMMANDS}")),
    }
}

fn host_of(name: &str, hosts: &[String]) -> Result<Port, String> {
    let unknown = || format!("`{name}` is no host of this lab; its hosts are {}", hosts.join(", "));
    hosts.iter().position(|host| host == name).ok_or_else(unknown)
}

fn partition(text: &str, hosts: &[String]) -> Result<Vec<Vec<Port>>, String> {
    let group = |names: &str| names.split(',').map(|name| host_of(name, hosts)).collect();
    let groups: Vec<Vec<Port>> = text.split('|').map(group).collect::<Result<_, _>>()?;
    for (port, name) in hosts.iter().enumerate() {
        let times = groups.iter().flatten().filter(|member| **member == port).count();
        if times != 1 {
            return Err(format!(
                "`partition {text}` names `{name}` {times} times; name every host once, like `partition one,two|three`"
            ));
        }
    }
    Ok(groups)
}

fn link_of(text: &str, hosts: &[String]) -> Result<(Port, Port), String> {
    let (from, to) = text.split_once('>').unwrap_or((text, ""));
    let link = (host_of(from, hosts)?, host_of(to, hosts)?);
    if link.0 == link.1 {
        return Err(format!("`{text}` leads from a host to itself; name two hosts, like `one>two`"));
    }
    Ok(link)
}

fn change(words: &[&str]) -> Result<LinkChange, String> {
    if words.is_empty() {
        return Err(format!("`set` changes nothing; write `set delay-ms=200`, with {SETTINGS}"));
    }
    let mut change = LinkChange::default();
    for word in words {
        let Some((setting, value)) = word.split_once('=') else {
            return Err(format!("`{word}` in `set` has no value; write `{word}=…`, with {SETTINGS}"));
        };
        match setting {
            "delay-ms" => change.delay_ms = Some(within(setting, value, DELAY_MS_MAX)?),
            "jitter-ms" => change.jitter_ms = Some(within(setting, value, DELAY_MS_MAX)?),
            "loss-permille" => change.loss_permille = Some(within(setting, value, PERMILLE_MAX)?),
            "duplicate-permille" => change.duplicate_permille = Some(within(setting, value, PERMILLE_MAX)?),
            "reorder-permille" => change.reorder_permille = Some(within(setting, value, PERMILLE_MAX)?),
            "bytes-per-second" => {
                change.bytes_per_second = Some(within(setting, value, BYTES_PER_SECOND_MAX)?);
            }
            "udp-port-blocked" => change.udp_port_blocked = Some(within(setting, value, u16::MAX)?),
            _ => return Err(format!("`{setting}` is no setting of a link; write {SETTINGS}")),
        }
    }
    Ok(change)
}

fn within<N: std::str::FromStr + PartialOrd + std::fmt::Display>(
    setting: &str,
    value: &str,
    max: N,
) -> Result<N, String> {
    let number = value.parse().ok().filter(|number| *number <= max);
    number
        .ok_or_else(|| format!("`{setting}={value}` is out of bounds; write a whole number from 0 to {max}"))
}

fn readdress(host: &str, address: &str, hosts: &[String]) -> Result<Command, String> {
    let host = host_of(host, hosts)?;
    let parsed = address.parse().ok().filter(|address| plan::is_host_address(*address));
    let refusal =
        || format!("`{address}` is no address of the lab; write one from 10.77.0.1 to 10.77.255.254");
    Ok(Command::Readdress { host, address: parsed.ok_or_else(refusal)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts() -> Vec<String> {
        ["one", "two", "three"].map(str::to_owned).to_vec()
    }

    #[test]
    fn every_command_of_the_help_is_understood() {
        let delay = LinkChange { delay_ms: Some(200), loss_permille: Some(50), ..LinkChange::default() };
        let all = LinkChange {
            jitter_ms: Some(1),
            duplicate_permille: Some(2),
            reorder_permille: Some(3),
            bytes_per_second: Some(4),
            udp_port_blocked: Some(5),
            ..LinkChange::default()
        };
        for (line, command) in [
            ("partition one,two|three", Command::Partition(vec![vec![0, 1], vec![2]])),
            ("partition one, two | three", Command::Partition(vec![vec![0, 1], vec![2]])),
            ("  heal ", Command::Heal),
            ("set delay-ms=200 loss-permille=50", Command::Set { link: None, change: delay }),
            ("set two>one delay-ms=200 loss-permille=50", Command::Set { link: Some((1, 0)), change: delay }),
            (
                "set jitter-ms=1 duplicate-permille=2 reorder-permille=3 bytes-per-second=4 udp-port-blocked=5",
                Command::Set { link: None, change: all },
            ),
            (
                "readdress three 10.77.0.99",
                Command::Readdress { host: 2, address: Ipv4Addr::new(10, 77, 0, 99) },
            ),
            ("counts", Command::Counts),
            ("quit", Command::Quit),
        ] {
            assert_eq!(parse(line, &hosts()), Ok(command), "{line}");
        }
    }

    #[test]
    fn every_bad_line_is_answered_with_what_to_write_instead() {
        for (line, sentence) in [
            ("", "the line is empty; write `partition"),
            ("isolate one", "`isolate` is no command; write `partition"),
            ("partition", "`` is no host of this lab; its hosts are one, two, three"),
            ("partition one|two", "names `three` 0 times; name every host once"),
            ("partition one,two|three,one", "names `one` 2 times"),
            ("partition one,two|four", "`four` is no host of this lab"),
            ("heal now", "`heal` stands alone, but `now` follows"),
            ("set", "`set` changes nothing; write `set delay-ms=200`"),
            ("set one>two", "`set` changes nothing"),
            ("set one>one delay-ms=1", "`one>one` leads from a host to itself"),
            ("set one>ten delay-ms=1", "`ten` is no host"),
            ("set delay-ms", "`delay-ms` in `set` has no value; write `delay-ms=…`"),
            ("set speed=1", "`speed` is no setting of a link; write `delay-ms`"),
            (
                "set loss-permille=1001",
                "`loss-permille=1001` is out of bounds; write a whole number from 0 to 1000",
            ),
            ("set delay-ms=-1", "from 0 to 60000"),
            ("readdress one", "write `readdress one 10.77.0.99`"),
            ("readdress one 10.78.0.1", "`10.78.0.1` is no address of the lab"),
            ("readdress one here", "`here` is no address of the lab"),
        ] {
            let refusal = parse(line, &hosts()).expect_err(line);
            assert!(refusal.contains(sentence), "{line}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange_to_be_answered(line in ".{0,80}") {
            let _ = parse(&line, &hosts());
        }
    }
}
