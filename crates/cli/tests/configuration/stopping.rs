//! The file that says that a server runs.

#![cfg(unix)]

use std::{fs, path::Path};

use crate::support::{Server, failure, folder};

fn names(folder: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(name).collect()
}

#[test]
fn it_is_there_while_the_server_runs() {
    let folder = folder();
    let started = folder.path().join(".started");
    let variables = [("SESSILE_STARTED_FOLDER", "."), ("BASE_PATH", "/some//path/")];
    let mut server = Server::start(folder.path(), &["--host", "localhost"], &variables);
    let name = format!("localhost-{}", server.port());
    assert_eq!(names(&started), [name.as_str()]);
    let told = fs::read_to_string(started.join(&name)).unwrap();
    assert_eq!(told, format!("{}\n/some/path", server.process_id()));
    assert!(server.stop().success());
    assert_eq!(names(&started), [""; 0]);
    assert_eq!(names(folder.path()).len(), 2, "the log, and the folder that it was asked for");
}

#[test]
fn without_a_folder_there_is_none() {
    let folder = folder();
    let server = Server::start(folder.path(), &[], &[]);
    assert_eq!(names(folder.path()), ["log"]);
    drop(server);
}

#[test]
fn a_folder_that_cannot_be_written_to_stops_the_start() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    let variables = [("SESSILE_STARTED_FOLDER", "file"), ("SESSILE_STORE", "memory")];
    let said = failure(folder.path(), &["--port", "0"], &variables);
    assert!(said.contains("'sessile_started_folder': file cannot be written to"), "{said}");
}
