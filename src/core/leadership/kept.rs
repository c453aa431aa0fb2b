//! What of terms outlives a run: the highest claim that was seen. Pure.

use clawmesh_authority::canonical;
use clawmesh_authority::leadership::Claim;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The subject under which it is kept.
pub const SUBJECT: &str = "leadership";

/// What of terms a run leaves to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct KeptTerms {
    /// The highest claim to lead that the node has heard or said.
    #[n(0)]
    pub highest_seen: Option<Claim>,
}

/// Reads what was kept; `None` for what another feature kept.
///
/// # Errors
/// A sentence, when it is damaged.
pub fn read(subject: &str, bytes: &[u8]) -> Option<Result<KeptTerms, String>> {
    let fault = |fault| format!("what was kept of {subject} cannot be read: {fault}");
    (subject == SUBJECT).then(|| canonical::decode(bytes).map_err(fault))
}

#[cfg(test)]
mod tests {
    use clawmesh_authority::NodeId;
    use clawmesh_authority::leadership::Term;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terms_that_are_kept_are_read_again_and_what_others_kept_is_left_to_them() {
        let claim = Claim { term: Term(4), holder: NodeId([2; 32]) };
        for kept in [KeptTerms::default(), KeptTerms { highest_seen: Some(claim) }] {
            assert_eq!(read(SUBJECT, &canonical::encode(&kept)), Some(Ok(kept)));
            assert_eq!(read("asked", &canonical::encode(&kept)), None);
        }
        let damaged = read(SUBJECT, b"no").unwrap().unwrap_err();
        assert!(damaged.starts_with("what was kept of leadership cannot be read"), "{damaged}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
            prop_assert!(read(SUBJECT, &bytes).is_some());
        }
    }
}
