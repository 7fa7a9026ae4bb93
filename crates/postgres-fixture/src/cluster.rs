use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    database::Database,
    programs::{Owner, command, folder},
    small_disk::SmallDisk,
};

/// Obeys one word a line. When the other end is closed, the server ends and its folder goes.
const WATCHER: &str = r#"
trap '' INT
while read -r order; do
  case $order in
    start) "$PROGRAMS/pg_ctl" start -w -t 60 -s -D "$DATA" -l "$DATA/log" </dev/null >/dev/null 2>&1 ;;
    promote) "$PROGRAMS/pg_ctl" promote -w -t 60 -s -D "$DATA" >/dev/null 2>&1 ;;
    *) "$PROGRAMS/pg_ctl" stop -w -t 60 -s -m "$order" -D "$DATA" >/dev/null 2>&1 ;;
  esac
  echo $?
done
"$PROGRAMS/pg_ctl" stop -w -t 60 -s -m immediate -D "$DATA" >/dev/null 2>&1
rm -rf "$FOLDER"
"#;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shutdown {
    /// What is being done is undone, and everything else kept.
    Fast,
    /// As if it had crashed: it has to recover when it is started again.
    Immediate,
}

#[derive(Debug)]
struct Watcher {
    shell: Child,
    answers: BufReader<ChildStdout>,
}

/// A PostgreSQL server.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    owner: Option<Owner>,
    programs: PathBuf,
    watcher: Mutex<Watcher>,
    databases: AtomicU32,
}

impl Cluster {
    /// The one that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Starts one with these settings, named as in `postgresql.conf`.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_with(settings, &[])
    }

    /// Starts a standby of this one, which from then on waits for it before it acknowledges a
    /// commit.
    pub fn start_standby(&self) -> Self {
        let copy = |programs: &Path, owner: Option<Owner>, data: &Path| {
            let mut copy = command(&programs.join("pg_basebackup"), owner);
            copy.args(["-h", "127.0.0.1", "-U", "postgres", "-c", "fast", "--no-sync"])
                .args(["-p", &self.port.to_string(), "-D"])
                .arg(data);
            succeed(copy);
            fs::write(data.join("standby.signal"), "").expect("the mark of a standby");
        };
        let primary = format!("host=127.0.0.1 port={} user=postgres", self.port);
        let standby = Self::start_in(copy, &[("primary_conninfo", &primary)]);
        let administration = self.administration();
        administration.run("ALTER SYSTEM SET synchronous_standby_names = '*'");
        administration.run("SELECT pg_reload_conf()");
        while administration.rows("SELECT sync_state FROM pg_stat_replication") != ["sync"] {}
        standby
    }

    /// Makes a standby take writes, as when its primary is gone.
    pub fn promote(&self) {
        assert!(self.order("promote"), "the standby is not promoted: {}", self.log());
    }

    /// Starts one whose write-ahead log is on that disk, in segments of 1 MB, and only grows.
    pub fn start_with_log_on(disk: &SmallDisk) -> Self {
        let log = format!("--waldir={}", disk.path().join("log").display());
        Self::start_with(
            // Nothing of it is given up, so that it grows until there is no room.
            &[("min_wal_size", "2MB"), ("max_wal_size", "1GB"), ("wal_keep_size", "1GB")],
            &[&log, "--wal-segsize=1"],
        )
    }

    fn start_with(settings: &[(&str, &str)], arguments: &[&str]) -> Self {
        let make = |programs: &Path, owner: Option<Owner>, data: &Path| {
            let mut make = command(&programs.join("initdb"), owner);
            make.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
                .arg("--no-sync")
                .args(arguments)
                .arg("-D")
                .arg(data);
            succeed(make);
        };
        Self::start_in(make, settings)
    }

    /// Starts one in a folder whose data is made by that.
    fn start_in(make: impl FnOnce(&Path, Option<Owner>, &Path), settings: &[(&str, &str)]) -> Self {
        let (programs, owner) = (folder(), Owner::find());
        // The watcher removes it.
        let folder = tempfile::Builder::new().prefix("sessile-pg-").tempdir().expect("a folder");
        let folder = folder.keep();
        if let Some(owner) = owner {
            chown(&folder, Some(owner.user), Some(owner.group)).expect("a folder of the owner's");
        }
        let data = folder.join("data");
        make(&programs, owner, &data);

        let mut shell = command(Path::new("/bin/sh"), owner)
            .args(["-c", WATCHER])
            .env("PROGRAMS", &programs)
            .env("DATA", &data)
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Whatever ends this process and all of its group must not end the watcher.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let answers = BufReader::new(shell.stdout.take().expect("the watcher's output"));
        let mut cluster = Self {
            folder,
            port: 0,
            owner,
            programs,
            watcher: Mutex::new(Watcher { shell, answers }),
            databases: AtomicU32::new(0),
        };
        // Another program may take the port before the server does.
        for _ in 0..8 {
            cluster.port = free_port();
            cluster.configure(settings);
            if cluster.order("start") {
                return cluster;
            }
        }
        panic!("PostgreSQL does not start: {}", cluster.log());
    }

    fn configure(&self, settings: &[(&str, &str)]) {
        let mut text = format!(
            "listen_addresses = '127.0.0.1'
            port = {}
            unix_socket_directories = '{}'
            max_connections = 200
            shared_preload_libraries = 'pg_stat_statements'
            # The operating system lives on when a test lets the server crash.
            fsync = off
            # What is written for a recovery would take more room than the databases.
            min_wal_size = '32MB'
            max_wal_size = '64MB'
            ",
            self.port,
            self.folder.display()
        );
        for (name, value) in settings {
            let _ = writeln!(text, "{name} = '{value}'");
        }
        let path = self.folder.join("data/postgresql.auto.conf");
        fs::write(&path, text).expect("the settings");
        self.give_to_owner(&path);
    }

    /// Puts a file into the folder of the server's data, for the server alone to read.
    pub fn add_file(&self, name: &str, content: &[u8]) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let path = self.folder.join("data").join(name);
        fs::write(&path, content).expect("a file for the server");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        self.give_to_owner(&path);
        path
    }

    fn give_to_owner(&self, path: &Path) {
        if let Some(owner) = self.owner {
            chown(path, Some(owner.user), Some(owner.group)).expect("a file of the owner's");
        }
    }

    /// Changes settings, named as in `postgresql.conf`; they hold from the next start on.
    pub fn set(&self, settings: &[(&str, &str)]) {
        self.configure(settings);
    }

    /// Stops the server.
    pub fn stop(&self, shutdown: Shutdown) {
        let order = match shutdown {
            Shutdown::Fast => "fast",
            Shutdown::Immediate => "immediate",
        };
        assert!(self.order(order), "PostgreSQL does not stop: {}", self.log());
    }

    /// Starts the server again.
    pub fn start_again(&self) {
        assert!(self.order("start"), "PostgreSQL does not start: {}", self.log());
    }

    /// Starts the server again, whether it has ended by itself or not.
    pub fn restart(&self) {
        self.order("immediate");
        self.start_again();
    }

    fn order(&self, order: &str) -> bool {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = watcher.shell.stdin.as_mut().expect("the watcher's input");
        writeln!(orders, "{order}").expect("the watcher");
        let mut answer = String::new();
        watcher.answers.read_line(&mut answer).expect("the watcher");
        answer.trim() == "0"
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("data/log")).unwrap_or_default()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the server's socket.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// Makes an empty database.
    pub fn database(&self) -> Database {
        let database = self.next_database();
        self.administration().run(&format!("CREATE DATABASE {}", database.name()));
        database
    }

    /// Makes an empty database whose tables are on that disk, and nothing else of it.
    pub fn database_on(&self, disk: &SmallDisk) -> Database {
        let (database, administration) = (self.next_database(), self.administration());
        let (name, path) = (database.name(), disk.path().display());
        administration.run(&format!("CREATE TABLESPACE {name} LOCATION '{path}'"));
        administration.run(&format!("CREATE DATABASE {name} TABLESPACE {name}"));
        database
    }

    fn next_database(&self) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        Database::named(format!("test_{number}"), self)
    }

    fn administration(&self) -> Database {
        Database::named("postgres".to_owned(), self)
    }

    pub(crate) fn psql(&self) -> PathBuf {
        self.programs.join("psql")
    }
}

impl Drop for Cluster {
    /// The shared one is never dropped: the watcher sees that its process has ended.
    fn drop(&mut self) {
        let watcher = self.watcher.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(watcher.shell.stdin.take());
        drop(watcher.shell.wait());
    }
}

fn succeed(mut program: Command) {
    let output = program.output().expect("a program of PostgreSQL's");
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}
