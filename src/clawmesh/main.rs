//! `clawmesh`: one binary, many modes. `cli` reads the command line, `config` the files, and each mode puts
//! the crates together: `headless` runs a node, `cli` also talks to one that runs.

mod cli;
mod clock_evidence;
mod config;
mod headless;
mod moments;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The one TLS provider of the product, named before anything could choose another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
