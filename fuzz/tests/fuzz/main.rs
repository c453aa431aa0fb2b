//! The fuzzer itself: every target is tried, its seeds are what the code makes, and a broken promise is told.

mod corpus;
mod program;
