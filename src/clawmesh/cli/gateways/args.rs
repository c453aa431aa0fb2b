//! The options of `gateways` and `gateway-connect`.

use clap::Args;

/// `gateway-connect`
#[derive(Debug, Args)]
pub struct GatewayConnectArgs {
    /// A saved gateway, or under which name to save one
    #[arg(value_name = "NAME", required_unless_present = "url")]
    pub gateway: Option<String>,
    /// Where the gateway is, for example `ws://127.0.0.1:18789`
    #[arg(long)]
    pub url: Option<String>,
    /// The SHA-256 of its certificate; without it no secret goes beyond this machine
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// Its token [default: the credential gateway/NAME/token]
    #[arg(long)]
    pub token: Option<String>,
    /// Its password [default: the credential gateway/NAME/password]
    #[arg(long)]
    pub password: Option<String>,
    /// As what to connect [default: as it was saved, or node]
    #[arg(long)]
    pub role: Option<String>,
    /// What to be called there [default: the name of this node]
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Save it under NAME once it has let us in, its secrets as credentials
    #[arg(long, requires = "gateway")]
    pub save: bool,
    /// How long to wait, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 15_000,
          value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub timeout_ms: u64,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}
