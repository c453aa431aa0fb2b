//! The certificate that the gateway shows on `wss://` and `https://`: one of the node itself, made once, or one of its people.
//!
//! Other nodes know it by its fingerprint and by nothing else, so it is never replaced by itself.

use std::path::Path;
use std::sync::Arc;

use clawmesh_wire_link::{TlsFault, fingerprint, self_signed, server_config};
use rustls::ServerConfig;

use crate::config::durable_file::{check_secret, create_atomic, read_bounded};
use crate::config::error::ConfigError;
use crate::config::settings::tls::{Pair, Tls};
use crate::config::state_dir::StateDir;

const WHAT: &str = "key of the TLS certificate";

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// What others pin.
    pub fingerprint: String,
    /// What a server needs.
    pub server: Arc<ServerConfig>,
}

/// The certificate that these settings want; the one of the node is made when there is none. Nothing without TLS.
pub fn wanted(dir: &StateDir, tls: &Tls) -> Result<Option<Certificate>, ConfigError> {
    match tls {
        Tls::Off => Ok(None),
        Tls::Own => load_or_create(dir).map(Some),
        Tls::Pair(pair) => brought(dir, pair).map(Some),
    }
}

/// The certificate of the node itself; `None` when it never needed one.
pub fn load(dir: &StateDir) -> Result<Option<Certificate>, ConfigError> {
    let path = dir.certificate_file();
    let Some(content) = read_bounded(&path)? else { return Ok(None) };
    check_secret(WHAT, &path)?;
    let damaged = |why: String| ConfigError::DamagedCertificate { why, path: path.clone() };
    let text = String::from_utf8(content).map_err(|_| damaged("it is no text".to_owned()))?;
    of(&text, &text).map(Some).map_err(|fault| damaged(fault.to_string()))
}

fn load_or_create(dir: &StateDir) -> Result<Certificate, ConfigError> {
    if let Some(found) = load(dir)? {
        return Ok(found);
    }
    let path = dir.certificate_file();
    let unmade = |fault: TlsFault| ConfigError::io("make a certificate", &path)(std::io::Error::other(fault));
    create_atomic(&path, self_signed().map_err(unmade)?.as_bytes())?;
    // If somebody else made one in the meantime, theirs counts.
    let why = || "it is a link that leads nowhere".to_owned();
    load(dir)?.ok_or_else(|| ConfigError::DamagedCertificate { why: why(), path })
}

/// The certificate that people have brought.
fn brought(dir: &StateDir, pair: &Pair) -> Result<Certificate, ConfigError> {
    let (cert, key) = (dir.root().join(&pair.cert), dir.root().join(&pair.key));
    let (cert_text, key_text) = (text_of(&cert)?, text_of(&key)?);
    check_secret(WHAT, &key)?;
    of(&cert_text, &key_text).map_err(|fault| ConfigError::UselessCertificate {
        why: fault.to_string(),
        cert,
        key,
    })
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    let failed =
        |kind: std::io::ErrorKind| ConfigError::io("read the file that `tls` names", path)(kind.into());
    let content = read_bounded(path)?.ok_or_else(|| failed(std::io::ErrorKind::NotFound))?;
    String::from_utf8(content).map_err(|_| failed(std::io::ErrorKind::InvalidData))
}

fn of(certificate_pem: &str, key_pem: &str) -> Result<Certificate, TlsFault> {
    let server = server_config(certificate_pem, key_pem)?;
    Ok(Certificate { fingerprint: fingerprint(certificate_pem)?, server })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::durable_file::write_atomic;

    #[test]
    fn a_node_makes_its_certificate_once_and_only_when_it_needs_one() {
        let (_dir, state) = StateDir::temporary();
        assert!(wanted(&state, &Tls::Off).unwrap().is_none() && load(&state).unwrap().is_none());
        let made = wanted(&state, &Tls::Own).unwrap().unwrap();
        let again = wanted(&state, &Tls::Own).unwrap().unwrap();
        assert_eq!(made.fingerprint, again.fingerprint);
        assert_eq!(load(&state).unwrap().unwrap().fingerprint, made.fingerprint);
        let (_dir, other) = StateDir::temporary();
        assert_ne!(wanted(&other, &Tls::Own).unwrap().unwrap().fingerprint, made.fingerprint);
    }

    #[test]
    fn a_damaged_certificate_is_named_and_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        wanted(&state, &Tls::Own).unwrap();
        let good = fs::read(state.certificate_file()).unwrap();
        for damage in [&b""[..], &good[..good.len() / 4], &good[..good.len() / 2], b"garbage", b"\xff\xfe"] {
            write_atomic(&state.certificate_file(), damage).unwrap();
            let error = wanted(&state, &Tls::Own).unwrap_err().to_string();
            assert!(error.starts_with("the TLS certificate of this node is damaged: "), "{error}");
            assert!(error.contains("restore it from a backup") && error.ends_with("tls.pem"), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(fs::read(state.certificate_file()).unwrap(), damage);
        }
    }

    #[test]
    fn a_certificate_of_people_is_found_beside_node_ron_and_what_is_wrong_with_it_names_its_files() {
        let (_dir, state) = StateDir::temporary();
        let pair = |cert: &str, key: &str| Tls::Pair(Pair { cert: cert.into(), key: key.into() });
        let sentence = |tls: &Tls| wanted(&state, tls).unwrap_err().to_string();
        for name in ["a.pem", "b.pem"] {
            write_atomic(&state.root().join(name), self_signed().unwrap().as_bytes()).unwrap();
        }
        let own = wanted(&state, &pair("a.pem", "a.pem")).unwrap().unwrap();
        let absolute = state.root().join("a.pem").to_string_lossy().into_owned();
        assert_eq!(wanted(&state, &pair(&absolute, "a.pem")).unwrap().unwrap().fingerprint, own.fingerprint);
        let mixed = sentence(&pair("a.pem", "b.pem"));
        assert!(
            mixed.contains("a.pem") && mixed.contains("b.pem") && mixed.contains("`tls` of node.ron"),
            "{mixed}"
        );
        let missing = sentence(&pair("a.pem", "c.pem"));
        assert!(
            missing.starts_with("cannot read the file that `tls` names: ") && missing.ends_with("c.pem"),
            "{missing}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        wanted(&state, &Tls::Own).unwrap();
        let path = state.certificate_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let pair = Tls::Pair(Pair { cert: path.clone(), key: path });
        for tls in [Tls::Own, pair] {
            let error = wanted(&state, &tls).unwrap_err().to_string();
            assert!(
                error.contains("the key of the TLS certificate (mode 640)") && error.contains("chmod 600"),
                "{error}"
            );
        }
    }
}
