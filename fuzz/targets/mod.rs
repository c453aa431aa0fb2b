//! What is fuzzed: each target takes bytes and tells how they were answered, or which promise they broke.
//! Reads an input. Writes an answer: a word or a sentence that differs when the input got further than others.
//! Invariant: a target is a function of its input; its time, keys and random numbers are fixed.
//! Not here: where inputs come from (`run`, `mutate`).

mod asked;
mod audit;
mod bodies;
mod context;
mod envelope;
mod forward;
mod gossip;
mod handshake;
mod journal;
mod messages;
mod model;
mod pairing;
mod samples;
mod site;
mod texts;
mod tick;

use std::path::Path;

use anyhow::Context as _;

use crate::mutate::Shape;

/// The time in all targets, Unix milliseconds.
pub const NOW_MS: u64 = clawmesh_lab::START_MS;

const MIB: usize = 1_024 * 1_024;

/// One thing that is fuzzed.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of the folder of its corpus.
    pub name: &'static str,
    /// What holds for every input, besides that nothing panics, takes too much memory or has no end.
    pub promise: &'static str,
    /// What its inputs are.
    pub shapes: &'static [Shape],
    /// Inputs that the code makes itself, by name: one of each kind there is.
    pub seeds: fn() -> Vec<Seed>,
    /// Tries an input.
    pub check: fn(&[u8]) -> Result<String, String>,
    /// The most memory an input may take, bytes.
    pub memory_bytes_max: usize,
    /// How much more it may take for each of its bytes.
    pub memory_per_byte: usize,
}

/// An input that the code makes itself.
pub type Seed = (&'static str, Vec<u8>);

/// Every target.
pub const ALL: &[Target] = &[
    envelope::TARGET,
    asked::TARGET,
    audit::TARGET,
    pairing::TARGET,
    bodies::TARGET,
    messages::TARGET,
    context::TARGET,
    forward::TARGET,
    handshake::TARGET,
    gossip::TARGET,
    model::TARGET,
    texts::TARGET,
    site::TARGET,
    journal::TARGET,
    tick::TARGET,
];

/// The target with this name.
///
/// # Errors
/// When there is none.
pub fn of_name(name: &str) -> anyhow::Result<&'static Target> {
    let names = || ALL.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    let found = ALL.iter().find(|target| target.name == name);
    found.with_context(|| format!("there is no target {name}; there are {}", names()))
}

/// The file of a seed in the corpus of its target.
#[must_use]
pub fn seed_file(name: &str) -> String {
    format!("seed-{name}")
}

/// Writes the seeds of all targets into `corpus`, over older ones.
///
/// # Errors
/// When a file cannot be written.
pub fn write_seeds(corpus: &Path) -> anyhow::Result<()> {
    for target in ALL {
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, input) in (target.seeds)() {
            let path = folder.join(seed_file(name));
            std::fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The promise `broken` says is broken unless `holds`.
fn promised(holds: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(broken()) }
}

/// A sentence for people has an end: at most so many bytes, whatever it is about.
fn is_brief(sentence: &str, bytes_max: usize) -> Result<(), String> {
    let beginning: String = sentence.chars().take(80).collect();
    promised(sentence.len() <= bytes_max, || {
        format!("a sentence of {} bytes, at most {bytes_max} are promised: {beginning}…", sentence.len())
    })
}

/// An input with one byte of it changed, which byte follows from the input; never the input itself.
fn spoiled(input: &[u8]) -> Vec<u8> {
    let hash = clawmesh_authority::ContentHash::of("spoil", input).0;
    let at = u64::from_le_bytes(std::array::from_fn(|n| hash[n])) % (input.len().max(1) as u64);
    let mut spoiled = input.to_vec();
    if let Some(byte) = usize::try_from(at).ok().and_then(|at| spoiled.get_mut(at)) {
        *byte ^= hash[8].max(1);
    }
    spoiled
}
