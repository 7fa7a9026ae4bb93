use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::programs::{Owner, is_root, own_ids};

/// Takes the disk away when the other end is closed.
const WATCHER: &str = r#"
trap '' INT
read -r _
$BY umount -l "$FOLDER"
rmdir "$FOLDER"
"#;

/// A small file system in memory, to be really full. It goes with this, and with the process at the
/// latest. Whoever is not root needs the right to call `sudo mount`.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    watcher: Child,
}

impl SmallDisk {
    /// One of that size, in MiB, that belongs to the user who runs the servers.
    pub fn new(size: u32) -> Self {
        let (user, group) = Owner::find().map_or_else(own_ids, |owner| (owner.user, owner.group));
        let folder = tempfile::Builder::new().prefix("sessile-disk-").tempdir().expect("a folder");
        // The watcher removes it.
        let folder = folder.keep();
        let by: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
        let mut mount = [by, &["mount", "-t", "tmpfs", "-o"]].concat();
        let options = format!("size={size}m,mode=0700,uid={user},gid={group}");
        mount.extend([options.as_str(), "tmpfs"]);
        let mounted = Command::new(mount[0]).args(&mount[1..]).arg(&folder).output();
        let mounted = mounted.expect("the program 'mount', or 'sudo' for whoever is not root");
        assert!(
            mounted.status.success(),
            "a disk that can be filled is mounted by root, or by who may call sudo: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        let watcher = Command::new("/bin/sh")
            .args(["-c", WATCHER])
            .env("BY", by.join(" "))
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            // Whatever ends this process and all of its group must not end the watcher.
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self { folder, watcher }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).expect("a file");
        let page = [0; 4096];
        let refusal = loop {
            if let Err(error) = filler.write_all(&page) {
                break error;
            }
        };
        assert_eq!(refusal.kind(), ErrorKind::StorageFull, "{refusal}");
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("the file that takes the room");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        drop(self.watcher.wait());
    }
}
