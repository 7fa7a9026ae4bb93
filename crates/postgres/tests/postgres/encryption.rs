use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sessile_core::store::{Store, StoreErrorKind};
use sessile_postgres::{PostgresOptions, PostgresStore};
use sessile_postgres_fixture::{Cluster, Database, Shutdown};

use crate::{app, session};

/// A server with a certificate for `localhost`, and a folder with those who may have issued it.
struct Encrypted {
    cluster: Cluster,
    database: Database,
    folder: tempfile::TempDir,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Encrypted {
    fn start() -> Self {
        let (issuer, stranger) = (authority("issuer"), authority("stranger"));
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();

        let cluster = Cluster::start(&[]);
        cluster.add_file("server.crt", certificate.pem().as_bytes());
        cluster.add_file("server.key", key.serialize_pem().as_bytes());
        cluster
            .add_file("pg_hba.conf", b"local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
        cluster.set(&[("ssl", "on")]);
        cluster.stop(Shutdown::Fast);
        cluster.start_again();

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("issuer"), issuer.pem()).unwrap();
        std::fs::write(folder.path().join("stranger"), stranger.pem()).unwrap();
        let database = cluster.database();
        Self { cluster, database, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self, host: &str, mode: &str, issuer: Option<&str>) -> PostgresOptions {
        let (port, name) = (self.cluster.port(), self.database.name());
        let url = format!("postgresql://postgres@{host}:{port}/{name}?sslmode={mode}");
        let options = PostgresOptions::from_url(&url).unwrap();
        match issuer {
            Some(issuer) => {
                options.setting("sslrootcert", self.file(issuer).to_str().unwrap()).unwrap()
            }
            None => options,
        }
    }
}

async fn works(store: PostgresStore) {
    store.insert_session(&app(), session()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_encrypted_and_verified_as_libpq_would() {
    let server = Encrypted::start();
    let unverified = Some("stranger");
    for (host, mode, issuer) in [
        ("127.0.0.1", "prefer", None),
        ("127.0.0.1", "require", None),
        ("127.0.0.1", "verify-ca", Some("issuer")),
        ("127.0.0.1", "require", Some("issuer")),
        ("localhost", "verify-full", Some("issuer")),
    ] {
        let opened = server.options(host, mode, issuer).open().await;
        works(opened.unwrap_or_else(|error| panic!("{mode} {issuer:?}: {error}"))).await;
    }
    for (host, mode, issuer) in [
        // The server takes no connection that is not encrypted, so those above are.
        ("127.0.0.1", "disable", None),
        ("127.0.0.1", "verify-full", Some("issuer")),
        ("localhost", "verify-full", unverified),
        ("127.0.0.1", "verify-ca", unverified),
        ("127.0.0.1", "require", unverified),
        ("localhost", "verify-full", None),
    ] {
        let opened = server.options(host, mode, issuer).open().await;
        let error = opened.err().unwrap_or_else(|| panic!("{mode} {issuer:?} is refused"));
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{mode} {issuer:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_the_server_has_not_is_missed_only_where_it_is_required() {
    let database = Database::new();
    let open =
        async |mode: &str| crate::options(&database).setting("sslmode", mode).unwrap().open().await;
    works(open("prefer").await.unwrap()).await;
    works(open("disable").await.unwrap()).await;
    assert!(open("require").await.is_err());
}
