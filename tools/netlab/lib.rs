//! A network of hosts on one machine for tests: every frame passes a link that delays, loses, doubles or parts under a seed.
//! Reads frames of TAP devices and lines of commands. Writes frames, one line of JSON per command, network namespaces.
//! Invariant: what happens to the n-th frame of a link follows from seed, link and n; every queue is bounded, every drop is counted.
//! Not here: what the hosts run (`ip netns exec`), what they say to each other.

pub mod command;
pub mod plan;
pub mod switch;
#[cfg(target_os = "linux")]
pub mod tap;

/// The error and everything that led to it, in one line.
#[must_use]
pub fn sentence(error: &dyn std::error::Error) -> String {
    let (mut sentence, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        sentence = format!("{sentence}: {cause}");
        source = cause.source();
    }
    sentence
}
