//! The wire protocol as another implementation could be judged by it.

#![expect(clippy::unwrap_used, reason = "tests; clippy exempts only their outermost functions")]

mod conformance;
