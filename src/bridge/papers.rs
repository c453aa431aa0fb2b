//! The papers of a node: a certificate for the key it has, and the certificate of its mesh, against which links check it.
//!
//! Nothing here expires: the list of trusted nodes says who may link, and a field node may not know what day it is.

use clawmesh_authority::{NodeId, NodeKey, PublicKey};
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const TAG: &str = "CERTIFICATE";
/// The year in which ends what never ends.
const ENDLESS_YEAR: i32 = 9999;
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
        if let Some(end) = [&of_mesh, &of_node].into_iter().find_map(end_of) {
            return Err(format!("they end on {end}, and those that clawmesh issues never do"));
        }
        Ok(Self { root, certificate })
    }

    /// Reads the certificate of the node and that of the mesh, in this order, and checks them.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn from_pem(text: &[u8], own: &PublicKey, mesh_name: &str) -> Result<Self, String> {
        let blocks = pem::parse_many(text).map_err(|_| "it is no PEM".to_owned())?;
        let [certificate, root] = blocks.as_slice() else {
            return Err(format!("it has {} certificates instead of two", blocks.len()));
        };
        let [certificate, root] = [certificate, root].map(|block| block.contents().to_vec());
        Self::checked(root, certificate, own, mesh_name)
    }

    /// The certificate of the node and that of the mesh, as PEM.
    #[must_use]
    pub fn as_pem(&self) -> [String; 2] {
        [&self.certificate, &self.root].map(|der| pem::encode(&Pem::new(TAG, der.clone())))
    }
}

/// What a node needs to issue papers for its mesh.
#[derive(Debug)]
pub struct MeshRoot {
    key: NodeKey,
    certificate: Vec<u8>,
    mesh_name: String,
}

impl MeshRoot {
    /// The root of a new mesh, with this key.
    ///
    /// # Errors
    /// What the encoder of certificates says.
    pub fn found(key: NodeKey, mesh_name: &str) -> Result<Self, String> {
        let made = root_params(mesh_name).self_signed(&Signing::with(key.clone()));
        let certificate = made.map_err(|fault| fault.to_string())?.der().to_vec();
        Ok(Self { key, certificate, mesh_name: mesh_name.to_owned() })
    }

    /// The root that these papers are of; `None` when it has another key.
    #[must_use]
    pub fn of(papers: &Papers, key: NodeKey, mesh_name: &str) -> Option<Self> {
        let is_its_key = parsed(&papers.root).and_then(|root| key_in(&root)) == Some(key.public());
        is_its_key.then(|| Self { key, certificate: papers.root.clone(), mesh_name: mesh_name.to_owned() })
    }

    /// Papers for the node with this key.
    ///
    /// # Errors
    /// What the encoder of certificates says.
    pub fn issue(&self, to: &PublicKey) -> Result<Papers, String> {
        let issuer = Issuer::new(root_params(&self.mesh_name), Signing::with(self.key.clone()));
        let made = node_params(to.id()).signed_by(&Raw(to.clone()), &issuer);
        let certificate = made.map_err(|fault| fault.to_string())?.der().to_vec();
        Ok(Papers { root: self.certificate.clone(), certificate })
    }
}

/// What does not end, in the words of RFC 5280, 4.1.2.5; and it began before every clock that was never set.
fn endless() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(ENDLESS_YEAR, 12, 31);
    params.use_authority_key_identifier_extension = true;
    params
}

fn root_params(mesh_name: &str) -> CertificateParams {
    let mut params = endless();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "clawmesh");
    params.distinguished_name.push(DnType::CommonName, mesh_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn node_params(id: NodeId) -> CertificateParams {
    let mut params = endless();
    params.distinguished_name = DistinguishedName::new();
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

/// The date on which a certificate ends, unless it is the one that stands for never.
fn end_of(certificate: &X509Certificate<'_>) -> Option<String> {
    let end = certificate.validity().not_after.to_datetime();
    (end.year() < ENDLESS_YEAR).then(|| end.date().to_string())
}

fn key_in(certificate: &X509Certificate<'_>) -> Option<PublicKey> {
    let info = certificate.public_key();
    let raw = <&[u8; 32]>::try_from(&*info.subject_public_key.data).ok()?;
    (info.algorithm.algorithm.to_id_string() == ED25519).then(|| PublicKey::from_raw(raw)).flatten()
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
    use super::*;

    const MESH: &str = "barn";

    fn key(n: u8) -> NodeKey {
        NodeKey::from_secret(&[n; 32])
    }

    fn root(n: u8) -> MeshRoot {
        MeshRoot::found(key(n), MESH).unwrap()
    }

    fn said(papers: &Papers, own: u8, mesh_name: &str) -> Result<(), String> {
        let Papers { root, certificate } = papers.clone();
        Papers::checked(root, certificate, &key(own).public(), mesh_name).map(drop)
    }

    #[test]
    fn papers_are_for_one_node_of_one_mesh_and_come_back_from_pem() {
        let papers = root(9).issue(&key(2).public()).unwrap();
        assert_eq!(said(&papers, 2, MESH), Ok(()));
        let text = papers.as_pem().concat();
        assert_eq!(Papers::from_pem(text.as_bytes(), &key(2).public(), MESH).as_ref(), Ok(&papers));
        let again = MeshRoot::of(&papers, key(9), MESH).unwrap().issue(&key(3).public()).unwrap();
        assert_eq!((said(&again, 3, MESH), &again.root), (Ok(()), &papers.root));
        assert!(MeshRoot::of(&papers, key(8), MESH).is_none());
    }

    #[test]
    fn papers_of_another_node_mesh_or_root_are_refused() {
        let papers = root(9).issue(&key(2).public()).unwrap();
        let foreign = root(8).issue(&key(2).public()).unwrap();
        let own = root(9).issue(&key(1).public()).unwrap();
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
            let sentence = said(papers, own, mesh_name).unwrap_err();
            assert!(sentence.contains(words), "{sentence}");
        }
        for at in [0, 40, papers.certificate.len() / 2, papers.certificate.len() - 1] {
            let mut flipped = papers.clone();
            flipped.certificate[at] ^= 1;
            assert!(said(&flipped, 2, MESH).is_err(), "byte {at}");
        }
        for (text, words) in [(&b""[..], "0 certificates instead of two"), (b"garbage", "0 certificates")] {
            let sentence = Papers::from_pem(text, &key(2).public(), MESH).unwrap_err();
            assert!(sentence.contains(words), "{sentence}");
        }
    }
}
