//! Finding PostgreSQL's programs, and running them as a user whom they accept.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The user and group that run the server, where this process' own cannot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Owner {
    /// The system user `postgres`, if this process is root's.
    pub(crate) fn find() -> Option<Self> {
        if !is_root() {
            return None;
        }
        Some(Self { user: id(&["-u", "postgres"]), group: id(&["-g", "postgres"]) })
    }
}

pub(crate) fn is_root() -> bool {
    own_ids().0 == 0
}

/// The user and group of this process.
pub(crate) fn own_ids() -> (u32, u32) {
    (id(&["-u"]), id(&["-g"]))
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().expect("the program 'id'");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        panic!("PostgreSQL does not run as root, and there is no user 'postgres' to run it as")
    })
}

const PROGRAMS: [&str; 5] = ["initdb", "pg_basebackup", "pg_ctl", "postgres", "psql"];

/// The folder with PostgreSQL's programs.
pub(crate) fn folder() -> PathBuf {
    let in_path = env::var_os("PATH");
    let in_path = in_path.iter().flat_map(env::split_paths);
    // The newest of Debian's.
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = debian.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    let has_all = |folder: &PathBuf| PROGRAMS.iter().all(|name| folder.join(name).exists());
    debian.into_iter().rev().chain(in_path).find(has_all).unwrap_or_else(|| {
        panic!("PostgreSQL is not installed: these tests need {}", PROGRAMS.join(", "))
    })
}

/// The program, as the owner's, in a folder that the owner can read.
pub(crate) fn command(program: &Path, owner: Option<Owner>) -> Command {
    let mut command = Command::new(program);
    if let Some(owner) = owner {
        command.gid(owner.group).uid(owner.user);
    }
    command.current_dir("/");
    command
}
