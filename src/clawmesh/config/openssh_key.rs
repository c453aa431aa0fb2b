//! The key of a person as an OpenSSH private key: the file that `ssh-keygen` and `ssh-add` know too.

use clawmesh_authority::{OperatorKey, PublicKey};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{Cipher, Kdf, LineEnding, PrivateKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::error::ConfigError;
use crate::config::identity::random_secret;

const WHAT: &str = "operator key";

/// Rounds of bcrypt for a passphrase, as many as `ssh-keygen` takes: what one guess costs.
const ROUNDS: u32 = 16;
/// A file that asks for more would keep its reader busy for minutes.
const ROUNDS_MAX: u32 = 1024;
const SALT_BYTES: usize = 16;

/// What a key file of a person holds.
#[derive(Debug)]
pub enum Kept {
    /// A key that whoever reads the file can sign with.
    Open(OperatorKey),
    /// A key that signs for nobody who does not know its passphrase.
    Locked(LockedKey),
}

impl Kept {
    /// The public half, which no passphrase hides.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Open(key) => key.public(),
            Self::Locked(locked) => locked.public.clone(),
        }
    }
}

/// A key behind a passphrase.
#[derive(Debug)]
pub struct LockedKey {
    file: Box<PrivateKey>,
    public: PublicKey,
}

impl LockedKey {
    /// The key, for whoever knows its passphrase.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn unlock(&self, passphrase: &str) -> Result<OperatorKey, &'static str> {
        let opened = self.file.decrypt(passphrase).map_err(|_| "this is not its passphrase")?;
        let key = key_in(&opened)?;
        // The public half stands outside of what the passphrase locks, where anybody can change it.
        if key.public() == self.public { Ok(key) } else { Err("its public half is that of another key") }
    }
}

/// The text of a key file, locked by `passphrase`, if there is one.
pub fn write(key: &OperatorKey, passphrase: Option<&str>) -> Result<Zeroizing<String>, ConfigError> {
    let mut secret = key.secret();
    let private = Ed25519PrivateKey::from_bytes(&secret);
    let pair =
        KeypairData::Ed25519(Ed25519Keypair { public: Ed25519PublicKey(*key.public().raw()), private });
    secret.zeroize();
    let comment = format!("clawmesh operator {}", key.id().short());
    let open = PrivateKey::new(pair, comment).map_err(encoding)?;
    let Some(passphrase) = passphrase else { return open.to_openssh(LineEnding::LF).map_err(encoding) };
    let random = random_secret(WHAT)?;
    let (salt, rest) = random.split_at(SALT_BYTES);
    let check = rest.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte));
    let kdf = Kdf::Bcrypt { salt: salt.to_vec(), rounds: ROUNDS };
    let locked = open.encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase).map_err(encoding)?;
    locked.to_openssh(LineEnding::LF).map_err(encoding)
}

/// Reads the text of a key file.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(text: &str) -> Result<Kept, &'static str> {
    let file = PrivateKey::from_openssh(text.trim_end()).map_err(|_| "it holds no OpenSSH private key")?;
    if !file.is_encrypted() {
        return key_in(&file).map(Kept::Open);
    }
    if matches!(file.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > ROUNDS_MAX) {
        return Err("its passphrase takes more than 1024 rounds of bcrypt");
    }
    let raw = file.public_key().key_data().ed25519().ok_or(NO_ED25519)?;
    let public = PublicKey::from_raw(&raw.0).ok_or(NO_ED25519)?;
    Ok(Kept::Locked(LockedKey { file: Box::new(file), public }))
}

const NO_ED25519: &str = "it holds a key of another kind than Ed25519";

fn key_in(file: &PrivateKey) -> Result<OperatorKey, &'static str> {
    let pair = file.key_data().ed25519().ok_or(NO_ED25519)?;
    let mut secret = pair.private.to_bytes();
    let key = OperatorKey::from_secret(&secret);
    secret.zeroize();
    if key.public().raw() == &pair.public.0 { Ok(key) } else { Err("its halves do not belong together") }
}

fn encoding(fault: ssh_key::Error) -> ConfigError {
    ConfigError::OperatorKeyEncoding { why: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> OperatorKey {
        OperatorKey::from_secret(&[7; 32])
    }

    #[test]
    fn a_key_without_a_passphrase_is_read_as_it_was_written() {
        let Kept::Open(read) = read(&write(&key(), None).unwrap()).unwrap() else {
            panic!("nothing locks it")
        };
        assert_eq!(read.secret(), key().secret());
    }

    #[test]
    fn a_locked_key_shows_its_public_half_and_opens_with_its_passphrase_only() {
        let text = write(&key(), Some("a quiet barn")).unwrap();
        assert_ne!(text, write(&key(), Some("a quiet barn")).unwrap(), "each time another salt");
        let kept = read(&text).unwrap();
        assert_eq!(kept.public(), key().public());
        let Kept::Locked(locked) = kept else { panic!("a passphrase locks it") };
        assert_eq!(locked.unlock("a quiet barn").map(|key| key.secret()), Ok([7; 32]));
        for wrong in ["", "a quiet barn ", "A quiet barn"] {
            assert_eq!(
                locked.unlock(wrong).map(|key| key.id()),
                Err("this is not its passphrase"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_changed_public_half_is_noticed_when_the_key_is_opened() {
        let Kept::Locked(mut locked) = read(&write(&key(), Some("barn")).unwrap()).unwrap() else {
            panic!("locked")
        };
        locked.public = OperatorKey::from_secret(&[8; 32]).public();
        assert!(locked.unlock("barn").unwrap_err().contains("another key"));
    }

    #[test]
    fn a_file_that_asks_for_endless_work_is_refused_before_the_work() {
        let open = PrivateKey::from_openssh(write(&key(), None).unwrap().as_str()).unwrap();
        let kdf = Kdf::Bcrypt { salt: vec![1; 16], rounds: 1 };
        let cheap = open.encrypt_with(Cipher::Aes256Ctr, kdf, 5, "barn").unwrap();
        let bytes = cheap.to_bytes().unwrap();
        let rounds = bytes.windows(4).position(|four| four == [0, 0, 0, 1]).unwrap();
        let mut endless = bytes.to_vec();
        endless[rounds..rounds + 4].copy_from_slice(&[0xff; 4]);
        let endless = PrivateKey::from_bytes(&endless).unwrap().to_openssh(LineEnding::LF).unwrap();
        assert!(read(&endless).unwrap_err().contains("1024 rounds"));
    }
}
