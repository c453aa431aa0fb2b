//! The plant as a whole: what its sensors show when its devices are switched, and what its faults do.
#![expect(clippy::unwrap_used, reason = "tests; clippy exempts only their outermost functions")]

mod bench;
mod faults;
mod names;
mod runs;
mod water;
