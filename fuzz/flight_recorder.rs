//! The input that is being tried, in a file: it outlives a process that ends without a word, as after a stack overflow.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The file of one process.
#[derive(Debug)]
pub struct FlightRecorder(File);

impl FlightRecorder {
    /// Begins a record, over any earlier one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        File::create(path).map(Self)
    }

    /// Writes down what is about to be tried. The file may be longer than that: its head says how much counts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, input: &[u8]) -> std::io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        let mut record = Vec::with_capacity(8 + input.len());
        record.extend_from_slice(&(input.len() as u64).to_le_bytes());
        record.extend_from_slice(input);
        self.0.write_all(&record)
    }

    /// The last thing that was tried, by a process that has ended; `None` when nothing was.
    #[must_use]
    pub fn last(path: &Path) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path).ok()?.read_to_end(&mut bytes).ok()?;
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*head)).ok()?;
        rest.get(..length).map(<[u8]>::to_vec)
    }
}
