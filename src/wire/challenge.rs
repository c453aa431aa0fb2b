//! The number a listener gives to whoever wants to connect: for one connection, for one use, for a minute.
//!
//! It lives in the state of its connection, so that no other connection can use it, nobody's flood takes another's place,
//! and there is one for each connection at most.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use crate::auth::{CHALLENGE_BYTES, challenge_text};
use crate::code::{Code, Refusal};

/// How long a challenge may be answered.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(60);

/// The one challenge of one connection.
#[derive(Debug, Default)]
pub struct Challenge {
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    nonce: String,
    issued_at: Duration,
}

impl Challenge {
    /// Makes a new challenge of `random` bytes nobody can guess; an earlier one is void.
    ///
    /// `elapsed` is the time on any clock that only goes forward, the same one for all calls.
    pub fn issue(&mut self, random: &[u8; CHALLENGE_BYTES], elapsed: Duration) -> String {
        let nonce = challenge_text(random);
        self.pending = Some(Pending { nonce: nonce.clone(), issued_at: elapsed });
        nonce
    }

    /// Takes an answer. The right one uses the challenge up; a wrong guess does not.
    ///
    /// # Errors
    /// `AUTH_NONCE_INVALID` when none was given, it is another one, or older than [`CHALLENGE_LIFE`].
    pub fn consume(&mut self, nonce: &str, elapsed: Duration) -> Result<(), Refusal> {
        let refused = |sentence: &str| Refusal::new(Code::AuthNonceInvalid, sentence);
        let Some(pending) = &self.pending else {
            return Err(refused("this connection has no open challenge; ask for one with mesh.challenge"));
        };
        if elapsed.saturating_sub(pending.issued_at) > CHALLENGE_LIFE {
            self.pending = None;
            return Err(refused("the challenge is older than 60 s; ask for a new one with mesh.challenge"));
        }
        if !bool::from(pending.nonce.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(refused("this is not the challenge of this connection; sign the one it was given"));
        }
        self.pending = None;
        Ok(())
    }

    /// True while a challenge waits for its answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pending.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Duration = Duration::from_secs(1_000);

    fn after(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_challenge_is_used_once_on_its_own_connection() {
        let (mut ours, mut other) = (Challenge::default(), Challenge::default());
        let nonce = ours.issue(&[1; 24], START);
        other.issue(&[2; 24], START);
        assert_eq!(nonce.len(), 32);
        assert_eq!(other.consume(&nonce, after(1)).unwrap_err().code, Code::AuthNonceInvalid);
        assert!(ours.consume(&nonce, after(1)).is_ok());
        assert_eq!(ours.consume(&nonce, after(1)).unwrap_err().code, Code::AuthNonceInvalid);
    }

    #[test]
    fn a_new_challenge_makes_the_old_one_void() {
        let mut challenge = Challenge::default();
        let (old, new) = (challenge.issue(&[1; 24], START), challenge.issue(&[2; 24], START));
        assert!(challenge.consume(&old, START).is_err());
        assert!(challenge.consume(&new, START).is_ok());
    }

    #[test]
    fn a_wrong_guess_leaves_the_challenge_as_it_is() {
        let mut challenge = Challenge::default();
        let nonce = challenge.issue(&[1; 24], START);
        for guess in ["", "x", &nonce[..31]] {
            assert!(challenge.consume(guess, START).is_err());
        }
        assert!(challenge.consume(&nonce, START).is_ok());
    }

    #[test]
    fn after_a_minute_a_challenge_is_gone() {
        let mut challenge = Challenge::default();
        let nonce = challenge.issue(&[1; 24], START);
        assert!(challenge.consume(&nonce, after(61)).unwrap_err().message.contains("60 s"));
        assert!(!challenge.is_open(), "it is deleted");
        let nonce = challenge.issue(&[1; 24], START);
        assert!(challenge.consume(&nonce, after(60)).is_ok());
    }

    proptest! {
        #[test]
        fn no_guess_panics_or_is_taken(guess in ".{0,64}", seconds in 0_u64..200) {
            let mut challenge = Challenge::default();
            challenge.issue(&[7; 24], START);
            prop_assert!(challenge.consume(&guess, after(seconds)).is_err());
        }
    }
}
