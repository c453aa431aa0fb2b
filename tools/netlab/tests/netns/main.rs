//! Real hosts on one machine: network namespaces, TAP devices, sockets. Needs root, /dev/net/tun, iproute2 and python3;
//! what is missing fails the tests with the line that installs it.

mod host;
mod life;
mod links;
mod program;
