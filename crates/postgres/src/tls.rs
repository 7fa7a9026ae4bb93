//! TLS, as libpq's `sslmode` means it.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::url::{InvalidSettings, Settings};

/// How a connection is encrypted.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    pub(crate) connector: MakeRustlsConnect,
}

/// What of the server's certificate is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verification {
    Nothing,
    Issuer,
    IssuerAndName,
}

impl Tls {
    /// Takes what is about TLS out of the settings, and reads the files that they name.
    pub(crate) fn take(settings: &mut Settings) -> Result<Self, InvalidSettings> {
        let root = settings.remove("sslrootcert");
        let client = (settings.remove("sslcert"), settings.remove("sslkey"));
        let mode = settings.remove("sslmode").unwrap_or_else(|| "prefer".to_owned());
        let (mode, verification) = match mode.as_str() {
            "disable" => (SslMode::Disable, Verification::Nothing),
            "allow" | "prefer" => (SslMode::Prefer, Verification::Nothing),
            // With a root certificate, libpq takes it for `verify-ca`.
            "require" if root.is_some() => (SslMode::Require, Verification::Issuer),
            "require" => (SslMode::Require, Verification::Nothing),
            "verify-ca" => (SslMode::Require, Verification::Issuer),
            "verify-full" => (SslMode::Require, Verification::IssuerAndName),
            _ => {
                return Err(InvalidSettings(
                    "sslmode must be disable, allow, prefer, require, verify-ca or verify-full"
                        .into(),
                ));
            }
        };
        let config = client_config(verification, root.as_deref(), client)?;
        Ok(Self { mode, connector: MakeRustlsConnect::new(config) })
    }
}

fn client_config(
    verification: Verification,
    root: Option<&str>,
    client: (Option<String>, Option<String>),
) -> Result<ClientConfig, InvalidSettings> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match verification {
        Verification::Nothing => Arc::new(AnyCertificate(Arc::clone(&provider))),
        Verification::Issuer => Arc::new(AnyName(issuers(root, &provider)?)),
        Verification::IssuerAndName => issuers(root, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidSettings(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match client {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", &certificate)?;
            let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| {
                InvalidSettings(format!("the file '{key}' of sslkey cannot be read: {error}"))
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                InvalidSettings(format!("sslcert and sslkey do not go together: {error}"))
            })
        }
        _ => Err(InvalidSettings("sslcert and sslkey are given together or not at all".into())),
    }
}

/// Those who may have issued the certificate: the file's, or whom the operating system trusts.
fn issuers(
    root: Option<&str>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, InvalidSettings> {
    let mut store = RootCertStore::empty();
    match root {
        Some(path) if path != "system" => {
            for certificate in certificates("sslrootcert", path)? {
                store.add(certificate).map_err(|error| {
                    InvalidSettings(format!("a certificate in '{path}' is unusable: {error}"))
                })?;
            }
        }
        _ => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|_| {
            InvalidSettings(
                "no root certificates are known: name a file of them with sslrootcert".into(),
            )
        })
}

fn certificates(
    setting: &str,
    path: &str,
) -> Result<Vec<CertificateDer<'static>>, InvalidSettings> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| {
        InvalidSettings(format!("the file '{path}' of {setting} cannot be read: {error}"))
    })
}

/// Takes any certificate, as libpq's `require` and `prefer` do: nobody can listen, and who answers
/// is not known.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes a certificate of a known issuer, whatever name is in it: libpq's `verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
