use std::{fs, net::TcpListener, sync::Arc, thread};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::support::Server;

/// A core behind TLS, whose certificate nobody knows who is not told of it. It answers every
/// request with its first line.
struct Upstream {
    url: String,
    certificate: String,
}

impl Upstream {
    fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // One that does not trust the certificate goes away.
                let _ = answer(StreamOwned::new(connection, stream));
            }
        });
        Self { url, certificate: made.cert.pem() }
    }
}

fn answer(mut stream: impl std::io::Read + std::io::Write) -> std::io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        asked.extend(byte);
    }
    let asked = String::from_utf8_lossy(&asked);
    let line = asked.lines().next().unwrap_or_default();
    let length = line.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{line}"
    )?;
    stream.flush()
}

#[test]
fn a_core_behind_https_is_asked_if_its_certificate_is_trusted() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    fs::write(&trusted, &upstream.certificate).unwrap();
    let arguments = ["--store", "memory", "--forward", &upstream.url];
    let server = Server::with(&arguments, &[("SSL_CERT_FILE", &trusted)]);
    let answer = server.call("GET", "/users?limit=1", "", "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}\n{}", server.log());
    assert!(answer.ends_with("\r\n\r\nGET /users?limit=1 HTTP/1.1"), "{answer}");

    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&trusted, stranger.cert.pem()).unwrap();
    let server = Server::with(&arguments, &[("SSL_CERT_FILE", &trusted)]);
    let answer = server.call("GET", "/users?limit=1", "", "");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let log = server.log();
    assert!(log.contains("a request cannot be forwarded") && log.contains("certificate"), "{log}");
}
