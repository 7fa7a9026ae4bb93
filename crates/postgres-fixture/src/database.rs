use std::{
    cell::RefCell,
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

    /// An empty one in the cluster that all tests of this process share. It goes when the thread
    /// ends that made it, and that is when its test ends: whatever still uses it by then.
    pub fn new() -> Self {
        let database = Cluster::shared().database();
        TEMPORARY.with_borrow_mut(|temporary| temporary.push(Temporary(database.clone())));
        database
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
        self.url_at_any_of(&[port])
    }

    /// The URL with several servers, each with a database of this name.
    pub fn url_at_any_of(&self, ports: &[u16]) -> String {
        let servers: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("postgresql://postgres@{}/{}", servers.join(","), self.name)
    }

    /// Runs SQL, past whatever is tested.
    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }

    /// Runs SQL, and gives its rows with their values joined by `|`.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.try_rows(sql).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn try_rows(&self, sql: &str) -> Result<Vec<String>, String> {
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
        // Where it cannot connect it reads nothing, and says so.
        let sent = input.write_all(sql.as_bytes());
        drop(input);
        let output = psql.wait_with_output().expect("the output of psql");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        sent.expect("the input of psql");
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

thread_local! {
    /// Those that were made by the tests of this thread.
    static TEMPORARY: RefCell<Vec<Temporary>> = const { RefCell::new(Vec::new()) };
}

/// A database that goes with this.
#[derive(Debug)]
struct Temporary(Database);

impl Drop for Temporary {
    fn drop(&mut self) {
        let Database { name, .. } = &self.0;
        let administration = Database { name: "postgres".to_owned(), ..self.0.clone() };
        // Where the server has ended before, the database went with it.
        drop(administration.try_rows(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}
