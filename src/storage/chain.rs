//! The hash chain: every row's value covers the row and the value before it. Pure.
//!
//! The framing is unambiguous, so no two different rows have the same bytes: integers have a fixed width,
//! texts and the record are preceded by their length.

use std::ops::Range;

/// The value of one link.
pub type ChainValue = [u8; 32];

/// Everything a row says beside its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowHead<'a> {
    /// Its place.
    pub sequence: u64,
    /// The tick it belongs to.
    pub tick: u64,
    /// The number of its lane.
    pub lane: u8,
    /// The kind of its record.
    pub kind: &'a str,
    /// Who brought it.
    pub source: &'a str,
}

/// The value before the first row.
#[must_use]
pub fn genesis() -> ChainValue {
    *blake3::hash(b"clawmesh/journal/v1").as_bytes()
}

/// Computes links in one buffer that is used again for every row.
#[derive(Debug, Default)]
pub struct Sealer {
    framed: Vec<u8>,
    record: Range<usize>,
}

impl Sealer {
    /// The value of the row that follows `previous`; `write_record` appends the record to the buffer.
    pub fn seal(
        &mut self,
        previous: &ChainValue,
        head: &RowHead<'_>,
        write_record: impl FnOnce(&mut Vec<u8>),
    ) -> ChainValue {
        let framed = &mut self.framed;
        framed.clear();
        framed.extend_from_slice(previous);
        framed.extend_from_slice(&head.sequence.to_le_bytes());
        framed.extend_from_slice(&head.tick.to_le_bytes());
        framed.push(head.lane);
        put_text(framed, head.kind);
        put_text(framed, head.source);
        let length_at = framed.len();
        framed.extend_from_slice(&[0; 8]);
        let start = framed.len();
        write_record(framed);
        self.record = start..framed.len();
        let length = (framed.len() - start) as u64;
        framed[length_at..start].copy_from_slice(&length.to_le_bytes());
        *blake3::hash(framed).as_bytes()
    }

    /// The record of the row sealed last.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        &self.framed[self.record.clone()]
    }
}

fn put_text(framed: &mut Vec<u8>, text: &str) {
    framed.extend_from_slice(&(text.len() as u64).to_le_bytes());
    framed.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (ChainValue, u64, u64, u8, String, String, Vec<u8>);

    fn value(row: &Row) -> ChainValue {
        let (previous, sequence, tick, lane, kind, source, record) = row;
        let head = RowHead { sequence: *sequence, tick: *tick, lane: *lane, kind, source };
        Sealer::default().seal(previous, &head, |framed| framed.extend_from_slice(record))
    }

    fn row() -> Row {
        (genesis(), 1, 2, 0, "ab".to_owned(), "c".to_owned(), vec![1, 2, 3])
    }

    #[test]
    fn a_byte_that_moves_from_one_field_to_the_next_changes_the_value() {
        let mut moved = row();
        (moved.4, moved.5) = ("a".to_owned(), "bc".to_owned());
        assert_ne!(value(&moved), value(&row()));
        let mut moved = row();
        (moved.5, moved.6) = (String::new(), b"c\x01\x02\x03".to_vec());
        assert_ne!(value(&moved), value(&row()));
    }

    #[test]
    fn the_buffer_of_an_earlier_row_leaves_no_trace() {
        let mut sealer = Sealer::default();
        let head = RowHead { sequence: 1, tick: 1, lane: 1, kind: "kind", source: "source" };
        sealer.seal(&genesis(), &head, |framed| framed.extend_from_slice(&[7; 500]));
        let again = sealer.seal(&genesis(), &head, |framed| framed.push(9));
        assert_eq!(sealer.record(), [9]);
        assert_eq!(again, Sealer::default().seal(&genesis(), &head, |framed| framed.push(9)));
    }

    proptest! {
        #[test]
        fn different_rows_have_different_values(a: Row, b: Row) {
            prop_assert_eq!(a == b, value(&a) == value(&b));
        }
    }
}
