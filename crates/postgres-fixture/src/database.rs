use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::Cluster;

/// A database in a [`Cluster`], and its superuser.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    port: u16,
    socket_folder: PathBuf,
    psql: PathBuf,
}

impl Database {
    pub(crate) fn named(name: String, cluster: &Cluster) -> Self {
        Self {
            name,
            port: cluster.port(),
            socket_folder: cluster.socket_folder().to_owned(),
            psql: cluster.psql(),
        }
    }

    /// An empty one in the cluster that all tests of this process share.
    pub fn new() -> Self {
        Cluster::shared().database()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL by which its superuser connects.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same by way of another port on 127.0.0.1.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgresql://postgres@127.0.0.1:{port}/{}", self.name)
    }

    /// Runs SQL, past whatever is tested.
    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }

    /// Runs SQL, and gives its rows with their values joined by `|`.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let mut psql = Command::new(&self.psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres"])
            .arg("-h")
            .arg(&self.socket_folder)
            .args(["-p", &self.port.to_string(), "-d", &self.name, "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql");
        let mut input = psql.stdin.take().expect("the input of psql");
        input.write_all(sql.as_bytes()).expect("the input of psql");
        drop(input);
        let output = psql.wait_with_output().expect("the output of psql");
        let problems = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{problems}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}
