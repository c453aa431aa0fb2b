//! The papers of a node: a certificate for the key it has, and the certificate of its mesh, against which links check it.
//!
//! The first node at which a pairing is accepted makes the certificate of the mesh and keeps its key; only that node issues.
//! Nothing here expires: the list of trusted nodes says who may link, and a field node may not know what day it is.

use std::path::Path;

use clawmesh_authority::{NodeId, NodeKey, PublicKey};
use pem::Pem;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::durable_file::{check_secret, create_atomic, read_bounded, write_atomic};
use crate::config::error::ConfigError;
use crate::config::identity::random_secret;
use crate::config::state_dir::StateDir;

const ROOT_KEY: &str = "key of the mesh";
const TAG: &str = "CERTIFICATE";
const ED25519: &str = "1.3.101.112";

/// Two certificates, DER, that were checked against each other and against the key of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// That of the mesh.
    pub root: Vec<u8>,
    /// That of the node, signed with the key of the mesh.
    pub certificate: Vec<u8>,
}

impl Papers {
    /// Checks the two certificates: the one of a mesh of this name, the other for this key and signed by the first.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn checked(
        root: Vec<u8>,
        certificate: Vec<u8>,
        own: &PublicKey,
        mesh_name: &str,
    ) -> Result<Self, String> {
        let of_mesh = parsed(&root).ok_or("the certificate of the mesh is none")?;
        let of_node = parsed(&certificate).ok_or("the certificate of the node is none")?;
        let root_key = key_in(&of_mesh).ok_or("the key of the mesh is no Ed25519 key")?;
        if !is_root(&of_mesh) || !is_signed_by(&of_mesh, &root_key) {
            return Err("the certificate of the mesh is none that issues others".to_owned());
        }
        match common_name(&of_mesh) {
            Some(name) if name == mesh_name => {}
            name => {
                let name = name.unwrap_or_default();
                return Err(format!("they are of the mesh {name:?}, and this node is in {mesh_name:?}"));
            }
        }
        if !is_signed_by(&of_node, &root_key) || of_node.issuer() != of_mesh.subject() || is_root(&of_node) {
            return Err("the certificate of the node is not signed by its mesh".to_owned());
        }
        let is_ours = key_in(&of_node).as_ref() == Some(own)
            && common_name(&of_node) == Some(own.id().to_string().as_str());
        if !is_ours {
            return Err("the certificate is for another node".to_owned());
        }
        Ok(Self { root, certificate })
    }

    /// The certificate of the node and that of the mesh, as PEM.
    #[must_use]
    pub fn as_pem(&self) -> [String; 2] {
        [&self.certificate, &self.root].map(|der| pem::encode(&Pem::new(TAG, der.clone())))
    }
}

/// Reads the papers of the node with this key; `None` when it was never paired.
pub fn load(dir: &StateDir, own: &PublicKey, mesh_name: &str) -> Result<Option<Papers>, ConfigError> {
    let path = dir.papers_file();
    let Some(content) = read_bounded(&path)? else { return Ok(None) };
    let damaged = |why: String| ConfigError::DamagedPapers { why, path: path.clone() };
    let blocks = pem::parse_many(content).map_err(|_| damaged("it is no PEM".to_owned()))?;
    let [certificate, root] = blocks.as_slice() else {
        return Err(damaged(format!("it has {} certificates instead of two", blocks.len())));
    };
    let [certificate, root] = [certificate, root].map(|block| block.contents().to_vec());
    Papers::checked(root, certificate, own, mesh_name).map(Some).map_err(damaged)
}

/// Keeps the papers of this node.
pub fn keep(dir: &StateDir, papers: &Papers) -> Result<(), ConfigError> {
    write_atomic(&dir.papers_file(), papers.as_pem().concat().as_bytes())
}

/// What a node needs to issue papers for its mesh.
#[derive(Debug)]
pub struct MeshRoot {
    key: NodeKey,
    certificate: Vec<u8>,
    mesh_name: String,
}

impl MeshRoot {
    /// Whether this node issues papers, or would once it is asked to. False when it joined the mesh at another node.
    pub fn may_be_here(dir: &StateDir, own: &NodeKey, mesh_name: &str) -> Result<bool, ConfigError> {
        Ok(load(dir, &own.public(), mesh_name)?.is_none() || read_key(&dir.mesh_key_file())?.is_some())
    }

    /// The root of the mesh this node is in, made when the mesh has none; `None` when another node issues in this mesh.
    pub fn open(dir: &StateDir, own: &NodeKey, mesh_name: &str) -> Result<Option<Self>, ConfigError> {
        let papers = load(dir, &own.public(), mesh_name)?;
        let path = dir.mesh_key_file();
        let (key, certificate) = match (read_key(&path)?, papers) {
            (Some(key), Some(papers)) if parsed(&papers.root).is_some_and(|root| is_of(&root, &key)) => {
                (key, papers.root)
            }
            (Some(_), Some(_)) => {
                let why = "it is not the key of the mesh this node is paired with".to_owned();
                return Err(ConfigError::DamagedPapers { why, path });
            }
            (None, Some(_)) => return Ok(None),
            // A mesh without papers is a new one, also when a crash came between the key and the papers.
            (Some(key), None) => (key.clone(), root_certificate(key, mesh_name, &path)?),
            (None, None) => {
                let key = new_key(&path)?;
                (key.clone(), root_certificate(key, mesh_name, &path)?)
            }
        };
        let root = Self { key, certificate, mesh_name: mesh_name.to_owned() };
        if load(dir, &own.public(), mesh_name)?.is_none() {
            keep(dir, &root.issue(&own.public()).map_err(|fault| unmade(&path, fault))?)?;
        }
        Ok(Some(root))
    }

    /// Papers for the node with this key.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn issue(&self, to: &PublicKey) -> Result<Papers, rcgen::Error> {
        let issuer = Issuer::new(root_params(&self.mesh_name), Signing::with(self.key.clone()));
        let certificate = node_params(to.id()).signed_by(&Raw(to.clone()), &issuer)?;
        Ok(Papers { root: self.certificate.clone(), certificate: certificate.der().to_vec() })
    }
}

fn read_key(path: &Path) -> Result<Option<NodeKey>, ConfigError> {
    let Some(content) = read_bounded(path)? else { return Ok(None) };
    check_secret(ROOT_KEY, path)?;
    let key = std::str::from_utf8(&content).ok().and_then(NodeKey::from_pem);
    let why = || "it holds no Ed25519 key in PKCS#8 PEM".to_owned();
    key.map(Some).ok_or_else(|| ConfigError::DamagedPapers { why: why(), path: path.to_owned() })
}

fn new_key(path: &Path) -> Result<NodeKey, ConfigError> {
    let key = NodeKey::from_secret(&random_secret(ROOT_KEY)?);
    let pem = key
        .to_pem()
        .ok_or_else(|| ConfigError::io("encode the key", path)(std::io::ErrorKind::OutOfMemory.into()))?;
    if create_atomic(path, pem.as_bytes())? {
        return Ok(key);
    }
    // Another command made one in the meantime; theirs counts.
    read_key(path)?.ok_or_else(|| ConfigError::io("read the file", path)(std::io::ErrorKind::NotFound.into()))
}

fn root_certificate(key: NodeKey, mesh_name: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let made = root_params(mesh_name).self_signed(&Signing::with(key));
    made.map(|made: Certificate| made.der().to_vec()).map_err(|fault| unmade(path, fault))
}

fn unmade(path: &Path, fault: rcgen::Error) -> ConfigError {
    ConfigError::io("make a certificate", path)(std::io::Error::other(fault))
}

/// What does not end, in the words of RFC 5280, 4.1.2.5; and it began before every clock that was never set.
fn endless() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params.use_authority_key_identifier_extension = true;
    params
}

fn root_params(mesh_name: &str) -> CertificateParams {
    let mut params = endless();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "clawmesh");
    params.distinguished_name.push(DnType::CommonName, mesh_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn node_params(id: NodeId) -> CertificateParams {
    let mut params = endless();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id.to_string());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A key of ours, as the encoder of certificates signs with it.
struct Signing {
    key: NodeKey,
    public: PublicKey,
}

impl Signing {
    fn with(key: NodeKey) -> Self {
        Self { public: key.public(), key }
    }
}

impl PublicKeyData for Signing {
    fn der_bytes(&self) -> &[u8] {
        self.public.raw()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Signing {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_vec())
    }
}

/// A public key of ours, as the encoder of certificates takes one.
struct Raw(PublicKey);

impl PublicKeyData for Raw {
    fn der_bytes(&self) -> &[u8] {
        self.0.raw()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, certificate)| certificate)
}

fn key_in(certificate: &X509Certificate<'_>) -> Option<PublicKey> {
    let info = certificate.public_key();
    let raw = <&[u8; 32]>::try_from(&*info.subject_public_key.data).ok()?;
    (info.algorithm.algorithm.to_id_string() == ED25519).then(|| PublicKey::from_raw(raw)).flatten()
}

fn is_of(certificate: &X509Certificate<'_>, key: &NodeKey) -> bool {
    key_in(certificate).is_some_and(|found| found == key.public())
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.is_ca()
}

fn is_signed_by(certificate: &X509Certificate<'_>, key: &PublicKey) -> bool {
    let is_ed25519 = certificate.signature_algorithm.algorithm.to_id_string() == ED25519;
    is_ed25519 && key.verifies(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
}

fn common_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    certificate.subject().iter_common_name().next()?.as_str().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MESH: &str = "barn";

    fn key(n: u8) -> NodeKey {
        NodeKey::from_secret(&[n; 32])
    }

    fn root(state: &StateDir) -> MeshRoot {
        MeshRoot::open(state, &key(1), MESH).unwrap().unwrap()
    }

    fn said(papers: &Papers, own: &NodeKey, mesh_name: &str) -> Result<(), String> {
        let Papers { root, certificate } = papers.clone();
        Papers::checked(root, certificate, &own.public(), mesh_name).map(drop)
    }

    #[test]
    fn the_first_node_founds_the_mesh_once_and_issues_for_it() {
        let (_dir, state) = StateDir::temporary();
        assert!(load(&state, &key(1).public(), MESH).unwrap().is_none());
        assert!(MeshRoot::may_be_here(&state, &key(1), MESH).unwrap());
        let first = root(&state).issue(&key(2).public()).unwrap();
        let again = root(&state).issue(&key(2).public()).unwrap();
        assert_eq!(first.root, again.root);
        assert_eq!(said(&first, &key(2), MESH), Ok(()));
        let own = load(&state, &key(1).public(), MESH).unwrap().unwrap();
        assert_eq!(own.root, first.root);
        assert!(MeshRoot::may_be_here(&state, &key(1), MESH).unwrap());
    }

    #[test]
    fn who_joined_keeps_papers_and_issues_none() {
        let ((_a, founder), (_b, member)) = (StateDir::temporary(), StateDir::temporary());
        let papers = root(&founder).issue(&key(2).public()).unwrap();
        keep(&member, &papers).unwrap();
        assert_eq!(load(&member, &key(2).public(), MESH).unwrap(), Some(papers));
        assert!(!MeshRoot::may_be_here(&member, &key(2), MESH).unwrap());
        assert!(MeshRoot::open(&member, &key(2), MESH).unwrap().is_none());
        assert!(!member.mesh_key_file().exists());
    }

    #[test]
    fn a_crash_between_the_key_of_the_mesh_and_the_papers_is_made_good() {
        let (_dir, state) = StateDir::temporary();
        drop(root(&state));
        let key_before = fs::read(state.mesh_key_file()).unwrap();
        fs::remove_file(state.papers_file()).unwrap();
        let papers = root(&state).issue(&key(2).public()).unwrap();
        assert_eq!(said(&papers, &key(2), MESH), Ok(()));
        assert_eq!(fs::read(state.mesh_key_file()).unwrap(), key_before);
    }

    #[test]
    fn papers_of_another_node_mesh_or_root_are_refused() {
        let ((_a, state), (_b, other)) = (StateDir::temporary(), StateDir::temporary());
        let papers = root(&state).issue(&key(2).public()).unwrap();
        let elsewhere = MeshRoot::open(&other, &key(3), MESH).unwrap().unwrap();
        let foreign = elsewhere.issue(&key(2).public()).unwrap();
        let own = load(&state, &key(1).public(), MESH).unwrap().unwrap();
        let mixed = Papers { certificate: foreign.certificate, ..papers.clone() };
        let swapped = Papers { root: papers.certificate.clone(), certificate: papers.root.clone() };
        let of_root = Papers { certificate: papers.root.clone(), ..papers.clone() };
        for (papers, own, mesh_name, words) in [
            (&papers, 3, MESH, "for another node"),
            (&own, 2, MESH, "for another node"),
            (&papers, 2, "field", "of the mesh \"barn\", and this node is in \"field\""),
            (&mixed, 2, MESH, "not signed by its mesh"),
            (&swapped, 2, MESH, "none that issues others"),
            (&of_root, 2, MESH, "not signed by its mesh"),
        ] {
            let sentence = said(papers, &key(own), mesh_name).unwrap_err();
            assert!(sentence.contains(words), "{sentence}");
        }
        for at in [0, 40, papers.certificate.len() / 2, papers.certificate.len() - 1] {
            let mut flipped = papers.clone();
            flipped.certificate[at] ^= 1;
            assert!(said(&flipped, &key(2), MESH).is_err(), "byte {at}");
        }
    }

    #[test]
    fn damaged_papers_are_named_and_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        drop(root(&state));
        let good = fs::read(state.papers_file()).unwrap();
        for (damage, words) in [
            (&b""[..], "0 certificates instead of two"),
            (&good[..good.len() / 2], ""),
            (b"garbage", "0 certificates"),
        ] {
            write_atomic(&state.papers_file(), damage).unwrap();
            let error = MeshRoot::open(&state, &key(1), MESH).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("papers.pem"), "{error}");
            assert_eq!(fs::read(state.papers_file()).unwrap(), damage);
        }
        write_atomic(&state.papers_file(), &good).unwrap();
        write_atomic(&state.mesh_key_file(), key(9).to_pem().unwrap().as_bytes()).unwrap();
        let error = MeshRoot::open(&state, &key(1), MESH).unwrap_err().to_string();
        assert!(error.contains("not the key of the mesh"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_of_the_mesh_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        drop(root(&state));
        let path = state.mesh_key_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = MeshRoot::open(&state, &key(1), MESH).unwrap_err().to_string();
        assert!(error.contains("the key of the mesh") && error.contains("chmod 600"), "{error}");
    }
}
