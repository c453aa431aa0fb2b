//! `publish ENDPOINT KEY`: a CPU temperature (degrees Celsius) once a second; without a thermal zone, the 1-minute load.
use std::{env, fs, thread, time::Duration};

use zenoh::Wait as _;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let [_, endpoint, key] = <[String; 3]>::try_from(env::args().collect::<Vec<_>>())
        .map_err(|_| "two arguments are needed: ENDPOINT KEY, for example tcp/127.0.0.1:7447 farm/cpu")?;
    // `timeout_ms: -1`: wait for the node as long as it takes, so the order of starting does not matter.
    let config = format!(r#"{{ mode: "client", connect: {{ endpoints: ["{endpoint}"], timeout_ms: -1 }} }}"#);
    let session = zenoh::open(zenoh::Config::from_json5(&config)?).wait()?;
    loop {
        session.put(&key, value()?.to_string()).wait()?;
        thread::sleep(Duration::from_secs(1));
    }
}

fn value() -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    match fs::read_to_string("/sys/class/thermal/thermal_zone0/temp") {
        Ok(millidegrees) => Ok(millidegrees.trim().parse::<f64>()? / 1_000.0),
        Err(_) => Ok(fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().parse()?),
    }
}
