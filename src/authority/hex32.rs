//! 32 raw bytes as 64 hexadecimal characters, for `#[serde(with)]`.

use serde::{Deserialize, Deserializer, Serializer};

use crate::ids::ContentHash;

// What the bytes are is said by the field; `ContentHash` only lends its text form.

pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&ContentHash(*bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    ContentHash::deserialize(from).map(|hash| hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StringDeserializer};

    struct Shown([u8; 32]);

    impl std::fmt::Display for Shown {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            serialize(&self.0, f)
        }
    }

    #[test]
    fn bytes_survive_their_text_and_other_texts_are_refused() {
        let read = |text: String| {
            let from: StringDeserializer<Error> = text.into_deserializer();
            deserialize(from)
        };
        let text = Shown([0xa7; 32]).to_string();
        assert_eq!(text, "a7".repeat(32));
        assert_eq!(read(text), Ok([0xa7; 32]));
        assert!(read("a7".repeat(31)).is_err());
    }
}
