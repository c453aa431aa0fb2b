//! Requests that make a key count for nothing.

use clawmesh_authority::{Answer, OperatorId, Refused};

use super::Office;
use crate::people::RevocationHeard;

impl Office<'_, '_> {
    /// Whoever asks may, [`may_revoke`](clawmesh_authority::revocation::may_revoke) has said so; the key counts for nothing
    /// before anything else of this tick is judged by it.
    pub(super) fn revoke(&mut self, key: &OperatorId, from: &str, bytes: &[u8]) -> Result<Answer, Refused> {
        self.revocations.has_room(key, self.mover.here.people())?;
        let heard = RevocationHeard { from: from.to_owned(), bytes: bytes.to_vec(), is_asked: true };
        self.revocations_heard.write(heard);
        let name = self.name_of(key);
        let words = if self.revocations.has(key) {
            format!("the key of {name} counted for nothing here already; the other nodes are told again")
        } else {
            format!("the key of {name} counts for nothing here from now on; the other nodes are told")
        };
        Ok(Answer::Taken { proposal: None, words })
    }
}
