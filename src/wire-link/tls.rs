//! Certificates of `wss://`: ours as a server, and whose we take as a client.
//!
//! A pinned certificate is the only one that is taken, and whoever shows it must have its key. Without a pin, which the
//! rules for ways allow within the site only, the connection is encrypted to whoever answers; who that is the handshake of
//! the protocol shows, by the key of the node.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The certificate or the key is no PEM.
    #[error("the {what} is no PEM ({fault})")]
    Pem {
        /// Which of the two.
        what: &'static str,
        /// What is wrong with it.
        fault: rustls::pki_types::pem::Error,
    },
    /// They do not belong together, or are of a kind we do not know.
    #[error("certificate and key cannot be used ({0})")]
    Pair(#[from] Error),
    /// None could be made.
    #[error("no certificate can be made ({0})")]
    Making(#[from] rcgen::Error),
}

/// The settings of a server with this certificate chain and key, both PEM.
///
/// # Errors
/// What is wrong with them.
pub fn server_config(certificates_pem: &str, key_pem: &str) -> Result<Arc<ServerConfig>, TlsFault> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificates_pem.as_bytes()).collect();
    let certificates = certificates.map_err(no_pem("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(no_pem("key"))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    Ok(Arc::new(config))
}

/// A new key of its own and a certificate for it, both in one PEM, as [`server_config`] takes it twice.
///
/// It is known by its fingerprint, so it names nobody and does not end, in the words of RFC 5280, 4.1.2.5.
///
/// # Errors
/// When the system gives no random bytes.
pub fn self_signed() -> Result<String, TlsFault> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["localhost".to_owned()])?;
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "clawmesh");
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

/// The fingerprint of the first certificate of a PEM, as it is pinned: the SHA-256 of its DER, 64 lower-case hexadecimal digits.
///
/// # Errors
/// When there is none.
pub fn fingerprint(certificates_pem: &str) -> Result<String, TlsFault> {
    let certificate = CertificateDer::from_pem_slice(certificates_pem.as_bytes());
    Ok(fingerprint_of(&certificate.map_err(no_pem("certificate"))?))
}

fn no_pem(what: &'static str) -> impl Fn(rustls::pki_types::pem::Error) -> TlsFault {
    move |fault| TlsFault::Pem { what, fault }
}

/// The settings of a client that takes the certificate with this fingerprint and no other.
///
/// # Errors
/// When the provider has no version of TLS we speak.
pub fn pinned_client_config(fingerprint: &str) -> Result<ClientConfig, TlsFault> {
    client_config(Some(fingerprint))
}

/// The settings of a client that takes the certificate with this fingerprint, or, without one, any certificate.
///
/// # Errors
/// When the provider has no version of TLS we speak.
pub(crate) fn client_config(fingerprint: Option<&str>) -> Result<ClientConfig, TlsFault> {
    let provider = provider();
    let verifier = OneCertificate {
        fingerprint: fingerprint.map(str::to_owned),
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// What is wrong with the certificate, for a failure that is about it and not about the network.
pub(crate) fn refused_certificate(fault: &std::io::Error) -> Option<&'static str> {
    match fault.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::Expired)) => {
            Some("shows a certificate that has expired; renew it there, or pin it here by its fingerprint")
        }
        Some(Error::InvalidCertificate(CertificateError::BadEncoding)) => {
            Some("shows a certificate that cannot be read; make another one there")
        }
        Some(Error::InvalidCertificate(_)) => {
            Some("shows another certificate than the pinned one; compare its fingerprint")
        }
        _ => None,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn fingerprint_of(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a certificate that nobody pinned is not taken at this time. One that does not hold yet is: more often it is our clock that
/// is behind, and what the peer is shows its key.
fn date_fault(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<CertificateError> {
    let Ok((_, read)) = X509Certificate::from_der(certificate) else {
        return Some(CertificateError::BadEncoding);
    };
    let ends_s = read.validity().not_after.timestamp();
    let is_over = u64::try_from(ends_s).map_or(true, |ends_s| ends_s < now.as_secs());
    is_over.then_some(CertificateError::Expired)
}

#[derive(Debug)]
struct OneCertificate {
    fingerprint: Option<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match &self.fingerprint {
            // The pin is stronger than any name or date: it is this one certificate, and a node that does not know the time
            // still reaches it.
            Some(pinned) if *pinned == fingerprint_of(end_entity) => None,
            Some(_) => Some(CertificateError::ApplicationVerificationFailure),
            None => date_fault(end_entity, now),
        };
        refused.map_or_else(|| Ok(ServerCertVerified::assertion()), |why| Err(Error::InvalidCertificate(why)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let fingerprint = fingerprint_of(made.cert.der());
        (made.cert.pem(), made.signing_key.serialize_pem(), fingerprint)
    }

    /// Everything of a TLS handshake that can be done without a socket.
    fn handshake(server: Arc<ServerConfig>, fingerprint: Option<&str>) -> Result<(), Error> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client =
            rustls::ClientConnection::new(Arc::new(client_config(fingerprint).unwrap()), name).unwrap();
        let mut server = rustls::ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut &*bytes).unwrap();
            let _ = server.process_new_packets();
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut &*bytes).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn only_the_pinned_certificate_is_taken_and_without_a_pin_any_is() {
        let (certificate, key, fingerprint) = pair();
        let server = server_config(&certificate, &key).unwrap();
        assert_eq!(handshake(Arc::clone(&server), Some(&fingerprint)), Ok(()));
        assert_eq!(handshake(Arc::clone(&server), None), Ok(()));
        let other = pair().2;
        let refused = handshake(server, Some(&other)).unwrap_err();
        assert!(matches!(refused, Error::InvalidCertificate(_)), "{refused}");
    }

    #[test]
    fn whoever_shows_the_pinned_certificate_without_its_key_is_refused() {
        #[derive(Debug)]
        struct Stolen(Arc<rustls::sign::CertifiedKey>);
        impl rustls::server::ResolvesServerCert for Stolen {
            fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
                Some(Arc::clone(&self.0))
            }
        }
        let (certificate, _, fingerprint) = pair();
        let (_, other_key, _) = pair();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key =
            ring::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(other_key.as_bytes()).unwrap());
        let stolen = rustls::sign::CertifiedKey::new(vec![der], key.unwrap());
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Stolen(Arc::new(stolen))));
        assert!(handshake(Arc::new(server), Some(&fingerprint)).is_err());
    }

    #[test]
    fn a_pair_of_our_own_is_one_text_that_serves_under_its_fingerprint_and_no_two_are_the_same() {
        let (own, other) = (self_signed().unwrap(), self_signed().unwrap());
        let server = server_config(&own, &own).unwrap();
        let pin = fingerprint(&own).unwrap();
        assert_eq!(handshake(Arc::clone(&server), Some(&pin)), Ok(()));
        assert!(pin.len() == 64 && handshake(server, Some(&fingerprint(&other).unwrap())).is_err());
        assert!(server_config(&own, &other).is_err());
        assert!(
            fingerprint("no certificate").unwrap_err().to_string().starts_with("the certificate is no PEM")
        );
    }

    #[test]
    fn what_is_no_certificate_says_which_of_the_two_is_wrong() {
        let (certificate, key, _) = pair();
        for (certificate, key, named) in [
            (&*certificate, "no key", "the key"),
            ("", &*key, "and key"),
            (&*certificate, &*pair().1, "and key"),
        ] {
            let fault = server_config(certificate, key).unwrap_err().to_string();
            assert!(fault.contains(named), "{fault}");
        }
    }
}
