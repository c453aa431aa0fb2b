//! Why a bridge could not be started. Everything later is an input: a link state or a refusal.

use clawmesh_authority::Capability;

/// Why [`crate::spawn`] gave no bridge.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// A row of the mapping table makes no sense.
    #[error("the mapping of `{key_expr}` is wrong: {fault}")]
    Mapping {
        /// The key expression of the row.
        key_expr: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Two rows feed one sensor, so that nobody could tell whose sample it was.
    #[error("two mappings feed `{sensor}`; give each its own sensor")]
    SensorTwice {
        /// The sensor.
        sensor: Capability,
    },
    /// zenoh does not take a setting, most often an endpoint that is none.
    #[error("zenoh does not take `{setting}` = {value}: {why}")]
    Setting {
        /// The setting, as zenoh names it.
        setting: &'static str,
        /// The value, as JSON.
        value: String,
        /// What zenoh says.
        why: String,
    },
    /// Links are encrypted, and one endpoint would let others in or out in clear.
    #[error(
        "{endpoint} is in clear and may leave this machine, while other endpoints are encrypted; write tls/ or quic/ instead, \
         or tcp/127.0.0.1 for programs of this machine"
    )]
    Clear {
        /// The endpoint.
        endpoint: String,
    },
    /// The operating system gave no thread or no event queue.
    #[error("cannot start the threads of the bridge")]
    Threads {
        /// What it says.
        #[from]
        source: std::io::Error,
    },
}
