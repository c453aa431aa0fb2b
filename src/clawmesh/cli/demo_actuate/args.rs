//! The options of `demo-actuate`.

use clap::Args;

/// `demo-actuate`
#[derive(Debug, Args)]
pub struct DemoActuateArgs {
    /// Whom to tell, `<deviceId>=<url>[|<fingerprint>[|<label>]]`, for example `<deviceId>=ws://192.0.2.7:18789`
    #[arg(long, value_name = "SPEC")]
    pub peer: String,
    /// What to move; plain commands reach nothing but a mock actuator
    #[arg(long, value_name = "CAPABILITY", default_value = "actuator:mock:valve-1")]
    pub target: String,
    /// What to do with it
    #[arg(long, default_value = "open")]
    pub operation: String,
    /// For how many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub duration_sec: Option<u32>,
    /// Words for people
    #[arg(long)]
    pub note: Option<String>,
    /// The name of the mesh of that node [default: the mesh of this state dir]
    #[arg(long)]
    pub mesh_name: Option<String>,
    /// Say that only a language model stands behind it, to see it refused
    #[arg(long)]
    pub llm_only: bool,
    /// How long to wait for connection and answer, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 12_000,
          value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub timeout_ms: u64,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}
