use std::{collections::BTreeMap, fs, path::Path};

/// What is on a disk when the power comes back: names and contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Makes real files of it.
    pub(crate) fn write_to(&self, folder: &Path) {
        for (name, content) in &self.files {
            fs::write(folder.join(name), content).unwrap();
        }
    }
}
