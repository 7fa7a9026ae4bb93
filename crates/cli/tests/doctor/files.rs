use std::fs;

use crate::{Diagnosis, Server};

#[test]
fn a_store_that_is_served_is_ready() {
    let server = Server::start(&["--store", "sessions.db"], &[]);
    server.log_in();
    let folder = server.folder.path();
    let diagnosis = Diagnosis::of(&["--store", "sessions.db"], &[], folder);
    let checks = ["file", "wrapping key", "tables", "keys"];
    for check in checks {
        assert_eq!(diagnosis.finding(check)["level"], "ok", "{}", diagnosis.0);
    }
    diagnosis.assert_words("tables", &["with 1 sessions"]);
    assert!(diagnosis.has("space"));
}

#[test]
fn each_problem_of_a_file_is_found() {
    let server = Server::start(&["--store", "sessions.db"], &[]);
    server.log_in();
    let folder = server.folder.path();
    let diagnose = |file: &str| Diagnosis::of(&["--store", file], &[], folder);
    diagnose("other.db").assert_problem("file", &["is not there", "--store"]);
    diagnose(".").assert_problem("file", &["is no file"]);
    assert!(!folder.join("other.db").exists() && !folder.join("other.db.key").exists());

    fs::write(folder.join("text.db"), "no database ".repeat(100)).unwrap();
    fs::copy(folder.join("sessions.db.key"), folder.join("text.db.key")).unwrap();
    diagnose("text.db").assert_problem("tables", &[]);

    let other = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fs::write(folder.join("sessions.db.key"), other).unwrap();
    diagnose("sessions.db").assert_problem("keys", &["another wrapping key"]);
    fs::write(folder.join("sessions.db.key"), "none").unwrap();
    let diagnosis = diagnose("sessions.db");
    assert_eq!(diagnosis.checks("problem"), ["wrapping key", "keys"], "{}", diagnosis.0);
    fs::remove_file(folder.join("sessions.db.key")).unwrap();
    diagnose("sessions.db").assert_words("wrapping key", &["put it back"]);
}
