//! Which file has which name, synced and since.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::survival::Survival;

/// A file by the order in which it was made.
pub(crate) type FileNumber = usize;

/// What a name stands for: a file, or none.
type Entry = Option<FileNumber>;

#[derive(Debug, Default)]
struct History {
    synced: Entry,
    since: Vec<Entry>,
}

impl History {
    fn now(&self) -> Entry {
        self.since.last().copied().unwrap_or(self.synced)
    }
}

/// A folder. Making and removing a file are unsynced until the folder is synced.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    names: BTreeMap<String, History>,
}

impl Directory {
    pub(crate) fn find(&self, name: &str) -> Entry {
        self.names.get(name).and_then(History::now)
    }

    pub(crate) fn set(&mut self, name: &str, entry: Entry) {
        self.names.entry(name.to_owned()).or_default().since.push(entry);
    }

    pub(crate) fn sync(&mut self) {
        for history in self.names.values_mut() {
            history.synced = history.now();
            history.since.clear();
        }
    }

    /// The files that may have a name after a loss of power.
    pub(crate) fn after_loss_of_power(
        &self,
        survival: Survival,
        rng: &mut Rng,
    ) -> Vec<(String, FileNumber)> {
        let survivor = |(name, history): (&String, &History)| {
            let entry = match survival.of_metadata(history.since.len(), rng) {
                0 => history.synced,
                reached => history.since[reached - 1],
            };
            entry.map(|file| (name.clone(), file))
        };
        self.names.iter().filter_map(survivor).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_file_may_be_lost_or_come_back_until_the_folder_is_synced() {
        let mut directory = Directory::default();
        directory.set("kept", Some(0));
        directory.set("removed", Some(1));
        directory.sync();
        directory.set("removed", None);
        directory.set("made", Some(2));
        let mut rng = Rng::with_seed(7);
        let mut image = |directory: &Directory| {
            directory.after_loss_of_power(Survival::choose(&mut rng), &mut rng)
        };
        let images: BTreeSet<_> = (0..200).map(|_| image(&directory)).collect();
        let (kept, made, removed) = (("kept".into(), 0), ("made".into(), 2), ("removed".into(), 1));
        let expected: [Vec<(String, FileNumber)>; 4] = [
            vec![kept.clone()],
            vec![kept.clone(), made.clone()],
            vec![kept.clone(), made.clone(), removed.clone()],
            vec![kept.clone(), removed],
        ];
        assert_eq!(images, BTreeSet::from(expected));
        directory.sync();
        assert_eq!(image(&directory), [kept, made]);
    }
}
