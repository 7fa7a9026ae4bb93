//! https, with a certificate that is made for the test.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs,
    pki_types::CertificateDer,
};

use crate::support::{Server, failure, folder};

const FILES: [(&str, &str); 2] =
    [("SESSILE_TLS_CERTIFICATE_FILE", "certificate.pem"), ("SESSILE_TLS_KEY_FILE", "key.pem")];

/// Makes a certificate for `localhost` and its key, in files.
fn make_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// A connection of a client that trusts this certificate alone.
fn connect(
    server: &Server,
    certificate: CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(&server.address).unwrap())
}

#[test]
fn it_speaks_https_and_stops_in_its_midst() {
    let folder = folder();
    let certificate = make_certificate(folder.path());
    let deny = ("IP_DENY_REGEX", r"10\..*");
    let variables = [FILES[0], FILES[1], deny];
    let mut server = Server::start(folder.path(), &["--host", "localhost"], &variables);
    assert!(server.line.starts_with("Sessile serves on https://127.0.0.1:"), "{}", server.line);
    let mut connection = connect(&server, certificate.clone());
    write!(connection, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello\n"), "{answer}");

    // A client that does not know TLS gets no HTTP.
    let mut plain = TcpStream::connect(&server.address).unwrap();
    plain.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut refused = Vec::new();
    let _ = plain.read_to_end(&mut refused);
    assert!(!refused.starts_with(b"HTTP/"), "{refused:?}");

    // One in its handshake and one that is idle hold nothing up.
    let silent = TcpStream::connect(&server.address).unwrap();
    let mut idle = connect(&server, certificate);
    write!(idle, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    #[cfg(unix)]
    assert!(server.stop().success());
    drop((silent, idle));
}

#[test]
fn files_that_cannot_be_used_stop_the_start() {
    let folder = folder();
    let path = folder.path();
    make_certificate(path);
    fs::create_dir(path.join("other")).unwrap();
    make_certificate(&path.join("other"));
    fs::write(path.join("empty.pem"), "").unwrap();
    let damaged = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    fs::write(path.join("damaged.pem"), damaged).unwrap();
    for (certificate, key, expected) in [
        ("missing.pem", "key.pem", "'sessile_tls_certificate_file': missing.pem has no"),
        ("empty.pem", "key.pem", "'sessile_tls_certificate_file': empty.pem has no"),
        ("damaged.pem", "key.pem", "'sessile_tls_certificate_file': damaged.pem has no"),
        ("key.pem", "key.pem", "'sessile_tls_certificate_file': key.pem has no certificate"),
        ("certificate.pem", "missing.pem", "'sessile_tls_key_file': missing.pem has no"),
        ("certificate.pem", "certificate.pem", "'sessile_tls_key_file': certificate.pem has no"),
        (
            "certificate.pem",
            "other/key.pem",
            "'sessile_tls_key_file' and 'sessile_tls_certificate_file' do not fit",
        ),
    ] {
        let variables = [(FILES[0].0, certificate), (FILES[1].0, key)];
        let said = failure(path, &["--port", "0", "--store", "memory"], &variables);
        assert!(said.contains(expected), "{said}");
    }
    let said = failure(path, &[], &[FILES[0]]);
    assert!(said.contains("'sessile_tls_key_file' must be set too"), "{said}");
}
