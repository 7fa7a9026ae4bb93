use std::{path::Path, thread};

/// Waits until the threads of dropped stores have closed the database, and says whether they have:
/// the write-ahead log goes with the last connection. A damaged file's may stay.
pub(crate) fn wait_until_closed(database: &Path) -> bool {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let log = Path::new(&log);
    (0..100_000).any(|_| {
        thread::yield_now();
        !log.exists()
    })
}
