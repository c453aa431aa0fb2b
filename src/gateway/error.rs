//! Why the door cannot be opened.

use std::io;
use std::net::IpAddr;

use crate::config::TOKEN_BYTES_MIN;

/// Why the gateway does not serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Somebody else listens there.
    #[error("port {port} on {host} is taken; is another node running here? choose another with --port")]
    PortTaken {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// The system keeps this port for privileged programs.
    #[error("this user may not listen on port {port} of {host}; choose one above 1023 with --port")]
    PortForbidden {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// No interface of this machine has the address.
    #[error("this machine has no address {host}; choose one of its own with --host")]
    HostUnknown {
        /// The address.
        host: IpAddr,
    },
    /// Listening failed for another reason.
    #[error("cannot listen on port {port} of {host}: {source}")]
    Listen {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The token is too short, or holds characters that cannot stand in a header.
    #[error(
        "the gateway token needs at least {TOKEN_BYTES_MIN} visible ASCII characters; delete the file gateway.token in the state directory and start again"
    )]
    WeakToken,
    /// Serving ended by itself.
    #[error("the gateway stopped serving: {source}")]
    Serve {
        /// What the system says.
        source: io::Error,
    },
}

impl GatewayError {
    pub(crate) fn from_bind(host: IpAddr, port: u16, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { host, port },
            io::ErrorKind::PermissionDenied => Self::PortForbidden { host, port },
            io::ErrorKind::AddrNotAvailable => Self::HostUnknown { host },
            _ => Self::Listen { host, port, source },
        }
    }
}
