//! Bytes in, lines out: commands come in whatever pieces a pipe hands over.

/// A longer line is refused and skipped to its end.
pub(super) const LINE_BYTES_MAX: usize = 4_096;

#[derive(Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    is_too_long: bool,
}

/// A line, or the sentence that refuses it.
type Line = Result<String, String>;

impl Lines {
    /// The lines that these bytes complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => lines.push(self.take()),
                _ if self.pending.len() >= LINE_BYTES_MAX => self.is_too_long = true,
                _ => self.pending.push(*byte),
            }
        }
        lines
    }

    /// The last line, if the input ended without ending it.
    pub fn finish(&mut self) -> Option<Line> {
        (!self.pending.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.pending);
        if std::mem::take(&mut self.is_too_long) {
            return Err(format!("the line has more than {LINE_BYTES_MAX} bytes; write a shorter one"));
        }
        String::from_utf8(bytes).map_err(|_| "the line is not UTF-8; write it in plain letters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_refused_and_the_next_one_is_read() {
        let mut lines = Lines::default();
        let mut bytes = vec![b'x'; LINE_BYTES_MAX + 1];
        bytes.extend(b"\nheal\n\xff\nquit");
        let found = lines.push(&bytes);
        assert!(found[0].as_ref().unwrap_err().contains("more than 4096 bytes"));
        assert_eq!(found[1], Ok("heal".to_owned()));
        assert!(found[2].as_ref().unwrap_err().contains("not UTF-8"));
        assert_eq!(found.len(), 3);
        assert_eq!(lines.finish(), Some(Ok("quit".to_owned())));
        assert_eq!(lines.finish(), None);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_in_whatever_pieces_they_come(text in "([a-z]{0,5}\n){0,9}[a-z]{0,5}", piece in 1..9_usize) {
            let (mut whole, mut pieces) = (Lines::default(), Lines::default());
            let mut at_once = whole.push(text.as_bytes());
            at_once.extend(whole.finish());
            let mut in_pieces: Vec<Line> =
                text.as_bytes().chunks(piece).flat_map(|bytes| pieces.push(bytes)).collect();
            in_pieces.extend(pieces.finish());
            prop_assert_eq!(at_once, in_pieces);
        }
    }
}
