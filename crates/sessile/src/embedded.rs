use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sessile_core::{
    Error, Sessions, SessionsBuilder, WrappingKey,
    random::SystemRandom,
    store::{StoreError, StoreErrorKind},
};
use sessile_sqlite::SqliteStore;

use crate::WRAPPING_KEY_VARIABLE;

/// Sessions in one SQLite file, which is made if it is not there.
///
/// The signing keys in it are sealed under a wrapping key, so that the database file alone, a
/// backup for instance, gives nobody the means to make a token. That key is in
/// [`WRAPPING_KEY_VARIABLE`], or else in a file beside the database, `<path>.key`, which is made
/// with it. Both files can be read by their owner alone. Whoever loses the key loses the
/// sessions: everybody logs in again.
///
/// Opening the file blocks for a few milliseconds; call it at the start.
///
/// # Errors
/// [`Error::General`]: the file cannot be opened or written, is not Sessile's or of a newer
/// version, or its key file is missing or unreadable.
pub fn embedded(path: impl AsRef<Path>) -> Result<SessionsBuilder<SqliteStore>, Error> {
    let path = path.as_ref();
    let key = wrapping_key_of(path)?;
    Ok(Sessions::builder(SqliteStore::open(path)?).wrapping_key(key))
}

/// The wrapping key of a database as [`embedded`] finds or makes it, for who opens the store with
/// other options. Ask for it before opening the store: once the database is there, a missing key
/// is not made but is an error.
///
/// # Errors
/// As [`embedded`], for the key.
pub fn wrapping_key_of(database: impl AsRef<Path>) -> Result<WrappingKey, Error> {
    match std::env::var(WRAPPING_KEY_VARIABLE) {
        Ok(text) if !text.is_empty() => Ok(WrappingKey::from_text(&text)?),
        _ => key_beside(database.as_ref()),
    }
}

/// The file that holds the wrapping key of a database: `<path>.key`.
pub fn key_file_of(database: impl AsRef<Path>) -> PathBuf {
    let mut name = database.as_ref().as_os_str().to_owned();
    name.push(".key");
    name.into()
}

fn failure(doing: &str, path: &Path, source: io::Error) -> Error {
    let text = format!("{doing} {}", path.display());
    StoreError::new(StoreErrorKind::NotWritable, text).with_source(source).into()
}

fn key_beside(database: &Path) -> Result<WrappingKey, Error> {
    let path = key_file_of(database);
    match fs::read_to_string(&path) {
        Ok(text) => return Ok(WrappingKey::from_text(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failure("reading the key file", &path, error)),
    }
    if fs::metadata(database).is_ok_and(|metadata| metadata.len() > 0) {
        let text = format!(
            "{} is there, but its key file {} is not: put it back, or set {WRAPPING_KEY_VARIABLE} \
             to the key",
            database.display(),
            path.display()
        );
        return Err(StoreError::new(StoreErrorKind::Incompatible, text).into());
    }
    let key = WrappingKey::generate(&SystemRandom)?;
    match write_new(&path, &key) {
        Ok(()) => Ok(key),
        // Another process that starts at the same time was first: its key counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(&path)
                .map_err(|error| failure("reading the key file", &path, error))?;
            Ok(WrappingKey::from_text(&text)?)
        }
        Err(error) => Err(failure("making the key file", &path, error)),
    }
}

/// Writes the key so that the file is there wholly or not at all, and outlives a power failure.
fn write_new(path: &Path, key: &WrappingKey) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let result = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(key.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // A link, unlike a rename, never replaces the key that another process has just made.
        fs::hard_link(&temporary, path)
    })();
    // Whatever happened, the temporary name is not needed any more.
    drop(fs::remove_file(&temporary));
    result?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
