//! What of a mock actuator outlives a run: the ids of commands that were carried out and would still count. Pure.

use clawmesh_authority::canonical;
use clawmesh_wire::mock::Done;
use minicbor::{Decode, Encode};

const PLACE: &str = "guest-command/";

#[derive(Debug, PartialEq, Eq, Encode, Decode)]
struct KeptCommand {
    #[n(0)]
    command_id: String,
    #[n(1)]
    counts_until_ms: u64,
}

/// The subject of the command in a place.
#[must_use]
pub fn subject_of(place: u16) -> String {
    format!("{PLACE}{place}")
}

/// What is kept of a command.
#[must_use]
pub fn encode(done: &Done) -> Vec<u8> {
    canonical::encode(&KeptCommand {
        command_id: done.command_id.clone(),
        counts_until_ms: done.counts_until_ms,
    })
}

/// Reads what was kept; `None` for what another feature kept.
///
/// # Errors
/// A sentence, when it is damaged.
pub fn read(subject: &str, bytes: &[u8]) -> Option<Result<(u16, Done), String>> {
    let place = subject.strip_prefix(PLACE)?;
    let Some(place) = place.parse().ok().filter(|place| subject_of(*place) == subject) else {
        return Some(Err(format!("{subject} is no place")));
    };
    let kept: Result<KeptCommand, _> = canonical::decode(bytes);
    let done = kept.map(|kept| Done { command_id: kept.command_id, counts_until_ms: kept.counts_until_ms });
    let fault = |fault| format!("what was kept of {subject} cannot be read: {fault}");
    Some(done.map(|done| (place, done)).map_err(fault))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_others_kept_is_left_to_them() {
        let done = Done { command_id: "c-1".to_owned(), counts_until_ms: 7 };
        assert_eq!(read("guest-command/255", &encode(&done)), Some(Ok((255, done.clone()))));
        assert_eq!(read("proposal/1", &encode(&done)), None);
        for bad in ["guest-command/", "guest-command/01", "guest-command/-1", "guest-command/70000"] {
            assert!(matches!(read(bad, &encode(&done)), Some(Err(_))), "{bad}");
        }
        assert!(read("guest-command/1", b"no").unwrap().unwrap_err().contains("cannot be read"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(read("guest-command/1", &bytes).is_some());
        }
    }
}
