//! Chores of this repository, one module per command of `cargo run -p xtask -- <command>`.
//! Reads the working tree. Writes nothing but its report.
//! Invariant: a chore needs Rust and the repository, nothing else of the machine.
//! Not here: the order in which CI runs things (`.ci/run`).

use std::path::{Path, PathBuf};

pub mod tidy;

/// The top folder of the repository this crate was compiled in.
pub fn repository_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("xtask lives two folders below the root").to_path_buf()
}
