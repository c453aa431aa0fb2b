//! Throws damaged and hostile input at everything that reads bytes from outside: envelopes, wire frames, papers, journals, the
//! tick.
//! Reads `corpus/<target>/`. Writes an input that breaks a promise into a file, and says how to run it again.
//! Invariant: a finding is an input: run alone, on any machine, it breaks the same promise again.
//! Not here: what is private to a crate; that has its own property tests at the foot of its file.
//!
//! Why a driver of our own: engines that follow coverage (libFuzzer, AFL) want a build of their own with a nightly compiler or its
//! sanitizers, and `bolero` without one throws random bytes, of which a signature or a strict decoder refuses every one in its
//! first line. Here inputs are changed as what they are (JSON, CBOR, signed bytes that are signed again, steps of a talk), and
//! an input that is answered in a way not seen before is kept and changed further.

pub mod cpu_clock;
pub mod finding;
pub mod flight_recorder;
pub mod memory;
pub mod mutate;
pub mod pool;
pub mod run;
pub mod supervise;
pub mod targets;
