//! TLS, with a certificate and a key from files.

use std::{io, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use sessile_server::{Handshake, Settings};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The server's side of TLS.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// What the settings say of TLS, if anything: TLS 1.2 and 1.3, and HTTP/1.1 over it.
    pub(crate) fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let files = settings.tls_certificate_file.as_deref().zip(settings.tls_key_file.as_deref());
        let Some((certificate_file, key_file)) = files else { return Ok(None) };
        let certificates = certificates(certificate_file).with_context(|| {
            let file = certificate_file.display();
            format!("'sessile_tls_certificate_file': {file} has no certificate that can be read")
        })?;
        let key = PrivateKeyDer::from_pem_file(key_file).with_context(|| {
            let file = key_file.display();
            format!("'sessile_tls_key_file': {file} has no private key that can be read")
        })?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(certificates, key)
                .context("'sessile_tls_key_file' and 'sessile_tls_certificate_file' do not fit")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self(TlsAcceptor::from(Arc::new(config)))))
    }
}

/// The certificates of a file, of which there must be one.
fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_file_iter(file)?.collect();
    let certificates = certificates?;
    ensure!(!certificates.is_empty(), "there is none in PEM");
    Ok(certificates)
}

impl Handshake for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn secure(&self, connection: TcpStream) -> io::Result<Self::Stream> {
        self.0.accept(connection).await
    }
}
