//! One host: a namespace, the TAP device in it, and its address.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use tappers::Tap;

use super::LabError;
use super::netns::{self, Namespace};
use crate::plan::{LabPlan, NETWORK_BITS, first_address};

/// What the device is called in every namespace.
const DEVICE: &str = "mesh0";

pub(super) struct Host {
    name: String,
    /// Before the namespace: a device is closed first.
    tap: Tap,
    netns: Namespace,
    address: Ipv4Addr,
    /// Frames that its kernel did not take.
    refused: u64,
}

impl Host {
    /// Makes the device out here and moves it into the namespace: so no thread of ours ever has to go there.
    pub fn open(plan: &LabPlan, index: usize) -> Result<Self, LabError> {
        let name = plan.hosts()[index].clone();
        let device = |source| LabError::Device { host: name.clone(), source };
        let netns = Namespace::create(plan.netns(index))?;
        let mut tap = Tap::new().map_err(device)?;
        tap.set_nonblocking(true).map_err(device)?;
        let first_name = tap.name().map_err(device)?.name().to_string_lossy().into_owned();
        netns::ip(&["link", "set", "dev", &first_name, "netns", netns.name(), "name", DEVICE])?;
        netns.ip(&["link", "set", "dev", "lo", "up"])?;
        // Without IPv6 addresses the kernel says nothing on its own, and the n-th frame is the host's own.
        netns.ip(&["link", "set", "dev", DEVICE, "addrgenmode", "none"])?;
        netns.ip(&["link", "set", "dev", DEVICE, "up"])?;
        let mut host = Self { name, tap, netns, address: first_address(index), refused: 0 };
        host.readdress(host.address)?;
        Ok(host)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn netns(&self) -> &str {
        self.netns.name()
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Gives the host this address instead of the one it has.
    pub fn readdress(&mut self, address: Ipv4Addr) -> Result<(), LabError> {
        self.netns.ip(&["address", "flush", "dev", DEVICE, "scope", "global"])?;
        let with_bits = format!("{address}/{NETWORK_BITS}");
        self.netns.ip(&["address", "add", &with_bits, "broadcast", "+", "dev", DEVICE])?;
        // It went with the last address; programs that look for others by multicast need it.
        self.netns.ip(&["route", "replace", "224.0.0.0/4", "dev", DEVICE])?;
        self.address = address;
        Ok(())
    }

    /// The length of the next frame it sends, none if there is none now.
    pub fn receive(&self, frame: &mut [u8]) -> Result<Option<usize>, LabError> {
        match self.tap.recv(frame) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(LabError::Device { host: self.name.clone(), source }),
        }
    }

    /// Hands it a frame; one that its kernel does not take (the device is down, its queue full) is counted.
    pub fn send(&mut self, frame: &[u8]) {
        self.refused += u64::from(self.tap.send(frame).is_err());
    }

    /// Removes device and namespace.
    pub fn remove(self) -> Result<(), LabError> {
        drop(self.tap);
        self.netns.remove()
    }
}

impl AsFd for Host {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }
}
