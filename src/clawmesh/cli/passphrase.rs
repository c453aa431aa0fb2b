//! The passphrase of a person's key: typed at a terminal, and nowhere else. No flag and no variable holds one.

use anyhow::bail;
use clawmesh_authority::OperatorKey;
use zeroize::Zeroizing;

use super::terminal::ask_secret;
use crate::config::openssh_key::Kept;

/// The key that was kept; whoever locked it is asked for the passphrase.
///
/// # Errors
/// A sentence, when it stays locked.
pub fn unlocked(kept: Kept) -> anyhow::Result<OperatorKey> {
    match kept {
        Kept::Open(key) => Ok(key),
        Kept::Locked(locked) => {
            let typed = ask_secret("Passphrase of your key:")?;
            locked.unlock(&typed).map_err(|why| {
                anyhow::anyhow!(
                    "the operator key stays locked: {why}; nothing was signed or written, type it again"
                )
            })
        }
    }
}

/// A new passphrase, typed twice; `None` where none is wanted.
///
/// # Errors
/// A sentence, when none was typed, or two.
pub fn chosen(wants_none: bool) -> anyhow::Result<Option<Zeroizing<String>>> {
    if wants_none {
        return Ok(None);
    }
    let first = ask_secret("A passphrase for your key:")?;
    if first.is_empty() {
        bail!(
            "nothing was typed, and a key without a passphrase signs for whoever reads its file; \
             nothing was written, type one or say --no-passphrase"
        );
    }
    if first != ask_secret("The same once more:")? {
        bail!("the two are not the same; nothing was written, type them again");
    }
    Ok(Some(first))
}
