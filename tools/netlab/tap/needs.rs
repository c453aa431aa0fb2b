//! What a machine must have for a lab, and the line that installs what it lacks.

use std::path::Path;
use std::process::{Command, Stdio};

use super::LabError;

const TUN: &str = "/dev/net/tun";

/// # Errors
/// When something is missing.
pub(super) fn check() -> Result<(), LabError> {
    let is_root = rustix::process::geteuid().is_root();
    let mut ip = Command::new("ip");
    let has_ip = ip.arg("-Version").stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok();
    missing(is_root, Path::new(TUN).exists(), has_ip)
        .map_or(Ok(()), |what| Err(LabError::Missing(what.into())))
}

fn missing(is_root: bool, has_tun: bool, has_ip: bool) -> Option<&'static str> {
    if !has_ip {
        return Some("the program `ip` is missing; install it with `apt-get install iproute2`");
    }
    if !is_root {
        return Some("only root can make network namespaces; run it with `sudo`");
    }
    let tun = "/dev/net/tun is missing; make it with `mkdir -p /dev/net && mknod /dev/net/tun c 10 200`, and if that \
               does not help, `modprobe tun`";
    (!has_tun).then_some(tun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_line_that_installs_it() {
        assert_eq!(missing(true, true, true), None);
        for (is_root, has_tun, has_ip, line) in [
            (false, false, false, "apt-get install iproute2"),
            (false, false, true, "sudo"),
            (true, false, true, "mknod /dev/net/tun c 10 200"),
        ] {
            assert!(missing(is_root, has_tun, has_ip).unwrap().contains(line));
        }
    }
}
