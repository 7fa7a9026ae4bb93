//! Telling by a file that a server runs, as SuperTokens' core does.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::Context as _;

/// A file that is there as long as this value is.
#[derive(Debug)]
pub(crate) struct Started(PathBuf);

impl Started {
    /// Makes `.started/<host>-<port>` in `folder`, with the id of this process and, in the next
    /// line, the base path. One that is there already was left behind by a process that was killed:
    /// the port was free.
    pub(crate) fn tell(
        folder: &Path,
        host: &str,
        port: u16,
        base_path: &str,
    ) -> anyhow::Result<Self> {
        let told = folder.join(".started").join(format!("{host}-{port}"));
        let process_id = process::id();
        // Whoever waits for the file reads it at once, so it comes with its content.
        let prepared = folder.join(format!(".started-{process_id}"));
        fs::create_dir_all(folder.join(".started"))
            .and_then(|()| fs::write(&prepared, format!("{process_id}\n{base_path}")))
            .and_then(|()| fs::rename(&prepared, &told))
            .with_context(|| {
                let folder = folder.display();
                format!("'sessile_started_folder': {folder} cannot be written to")
            })?;
        Ok(Self(told))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, "{} cannot be removed", self.0.display());
        }
    }
}
