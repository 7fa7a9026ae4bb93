//! The database's file, and the two that SQLite keeps beside it.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sessile_core::store::{StoreError, StoreErrorKind};

/// A database file that exists.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
}

impl DatabaseFile {
    /// Finds the file, or creates an empty one that only its owner can read and write. An
    /// existing file is not touched.
    pub(crate) fn find_or_create(path: &Path) -> Result<Self, StoreError> {
        // Closing a file drops all locks that this process has on it, SQLite's too: so no other
        // store may open the file between its creation and the closing of it here.
        static CREATION: Mutex<()> = Mutex::new(());

        let creating = CREATION.lock().unwrap_or_else(PoisonError::into_inner);
        let created = create_new(path);
        drop(creating);
        match created {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(report(path, "creating the database", error));
            }
            _ => {}
        }
        let path =
            fs::canonicalize(path).map_err(|error| report(path, "finding the database", error))?;
        Ok(Self { path })
    }

    /// The absolute path, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all rights but the owner's from the files, should they have any: they hold signing
    /// keys. Files that SQLite makes later get the rights of the database.
    #[cfg(unix)]
    pub(crate) fn make_private(&self) -> Result<(), StoreError> {
        use std::os::unix::fs::PermissionsExt;

        for end in ["", "-wal", "-shm"] {
            let mut path = OsString::from(&self.path);
            path.push(end);
            let path = PathBuf::from(path);
            let tightened = fs::metadata(&path).and_then(|metadata| {
                let mode = metadata.permissions().mode();
                if mode & 0o077 == 0 {
                    return Ok(());
                }
                fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
                tracing::warn!(
                    path = %path.display(),
                    mode = format!("{:o}", mode & 0o777),
                    "the database was open to other users; its mode is 600 now"
                );
                Ok(())
            });
            match tightened {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(report(&path, "taking other users' access from the file", error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Elsewhere, files have the rights that their folder gives them.
    #[cfg(not(unix))]
    pub(crate) fn make_private(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Makes an empty file that only its owner can read and write; fails where there is one.
pub(crate) fn create_new(path: &Path) -> io::Result<()> {
    private_file_options().write(true).create_new(true).open(path).map(drop)
}

fn private_file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn report(path: &Path, task: &'static str, error: io::Error) -> StoreError {
    let (kind, advice) = match error.kind() {
        ErrorKind::NotFound => {
            (StoreErrorKind::Unavailable, "there is no such folder: create it, or correct the path")
        }
        ErrorKind::PermissionDenied => (
            StoreErrorKind::NotWritable,
            "this user may not: give it the right to write to the folder and the file",
        ),
        ErrorKind::ReadOnlyFilesystem => {
            (StoreErrorKind::NotWritable, "the file system is read-only: choose another folder")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (StoreErrorKind::NotWritable, "the disk is full: make room")
        }
        _ => (StoreErrorKind::Unavailable, "the file system failed"),
    };
    StoreError::new(kind, format!("{task} '{}': {advice}", path.display())).with_source(error)
}
