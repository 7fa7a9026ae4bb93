use crate::{Diagnosis, Server};

#[test]
fn a_server_says_what_it_has() {
    let server = Server::start(&["--store", "memory"], &[("API_KEYS", "key-that-is-long-enough")]);
    let url = format!("http://{}", server.address);
    let folder = server.folder.path();
    let key = [("SESSILE_API_KEY", "key-that-is-long-enough")];
    let diagnosis = Diagnosis::of(&["--server", &url], &key, folder);
    assert_eq!(diagnosis.checks("ok"), ["server", "versions"], "{}", diagnosis.0);
    Diagnosis::of(&["--server", &url], &[], folder)
        .assert_problem("versions", &["401", "--api-key"]);

    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let diagnosis = Diagnosis::of(&["--server", &url], &key, folder.path());
    assert_eq!(diagnosis.checks("problem"), ["server", "versions"], "{}", diagnosis.0);
}
