//! What the black-box tests and the tests with real peers share: the command line, a running node, waiting.
//! Reads what the binary prints and the state dirs of the tests. Writes temporary folders only.
//! Invariant: no process outlives its test; every wait has an end.
//! Not here: a test, or anything only one of the two binaries needs.

pub mod cli;
pub mod node;
pub mod wait;
