//! The content of one file: what was synced, and what was done to it since.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::survival::Survival;

/// What a disk writes wholly or not at all.
const SECTOR_SIZE: u64 = 512;

/// A change that no sync has followed yet.
#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
}

/// A file, whatever its name is.
#[derive(Debug, Default)]
pub(crate) struct Content {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    size: u64,
}

impl Content {
    /// A file that is on the disk already.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { size: length(&bytes), synced: bytes, unsynced: Vec::new() }
    }

    /// Its size to whoever reads it now.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.size = self.size.max(offset + length(bytes));
        self.unsynced.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn resize(&mut self, size: u64) {
        self.size = size;
        self.unsynced.push(Change::Resize(size));
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.synced, &change);
        }
    }

    /// What may be on the disk after a loss of power.
    ///
    /// The system writes a sector from its cache, at some moment or never: so each sector is as it
    /// was after some number of the changes, and has all of those before. The size is a matter of
    /// its own, and a sector that was never written, but that the size includes, has anything.
    pub(crate) fn after_loss_of_power(&self, survival: Survival, rng: &mut Rng) -> Vec<u8> {
        let changes = self.unsynced.len();
        if changes == 0 {
            return self.synced.clone();
        }
        let sizes = self.sizes();
        let largest = sizes.iter().copied().max().unwrap_or_default();
        let reached = self.reached(survival, largest, rng);

        let mut image = self.synced.clone();
        let filling = if rng.bool() { 0 } else { rng.u8(..) };
        image.resize(index(largest), filling);
        for (number, change) in self.unsynced.iter().enumerate() {
            for sector in sectors(change, largest) {
                if reached.get(&sector).is_some_and(|&reached| number < reached) {
                    apply_to_sector(&mut image, change, sector);
                }
            }
        }
        image.resize(index(sizes[survival.of_metadata(changes, rng)]), filling);
        image
    }

    /// The size after none, one, two and so on of the changes.
    fn sizes(&self) -> Vec<u64> {
        let mut size = length(&self.synced);
        let mut sizes = vec![size];
        for change in &self.unsynced {
            size = match change {
                Change::Write { offset, bytes } => size.max(offset + length(bytes)),
                Change::Resize(size) => *size,
            };
            sizes.push(size);
        }
        sizes
    }

    /// How many of the changes each sector has seen that any of them touched.
    fn reached(&self, survival: Survival, largest: u64, rng: &mut Rng) -> BTreeMap<u64, usize> {
        let changes = self.unsynced.len();
        let mut reached = BTreeMap::new();
        let whole = survival.of_whole_changes(changes, rng);
        for (number, change) in self.unsynced.iter().enumerate() {
            for sector in sectors(change, largest) {
                match &whole {
                    Some(survives) if survives[number] => {
                        reached.insert(sector, number + 1);
                    }
                    Some(_) => {}
                    None => {
                        reached.entry(sector).or_insert_with(|| survival.of_sector(changes, rng));
                    }
                }
            }
        }
        reached
    }
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let (start, end) = (index(*offset), index(*offset) + bytes.len());
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..end].copy_from_slice(bytes);
        }
        Change::Resize(size) => file.resize(index(*size), 0),
    }
}

/// The sectors of a file of at most `largest` bytes that the change touches.
fn sectors(change: &Change, largest: u64) -> std::ops::Range<u64> {
    let (start, end) = match change {
        Change::Write { offset, bytes } => (*offset, offset + length(bytes)),
        Change::Resize(size) => (*size, largest.max(*size)),
    };
    start / SECTOR_SIZE..end.div_ceil(SECTOR_SIZE)
}

/// Does to one sector what the change does to it. The file is as large as it ever was.
fn apply_to_sector(file: &mut [u8], change: &Change, sector: u64) {
    let file_size = length(file);
    let (start, end) = (sector * SECTOR_SIZE, ((sector + 1) * SECTOR_SIZE).min(file_size));
    match change {
        Change::Write { offset, bytes } => {
            let (from, to) = (start.max(*offset), end.min(offset + length(bytes)));
            file[index(from)..index(to)]
                .copy_from_slice(&bytes[index(from - offset)..index(to - offset)]);
        }
        Change::Resize(size) => file[index(start.max(*size).min(end))..index(end)].fill(0),
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All that may be left of a file of two sectors of which the first was synced, and then both
    /// were written twice.
    fn images() -> BTreeSet<Vec<u8>> {
        let mut content = Content::of(vec![1; 512]);
        content.write(0, &[2; 1024]);
        content.sync();
        content.write(0, &[3; 1024]);
        content.write(256, &[4; 512]);
        let mut rng = Rng::with_seed(7);
        let image = |_| content.after_loss_of_power(Survival::choose(&mut rng), &mut rng);
        (0..2_000).map(image).collect()
    }

    #[test]
    fn a_sector_is_what_it_was_at_some_moment_since_the_sync() {
        let images = images();
        let half = |one, other| [[one; 256], [other; 256]].concat();
        let first = [half(2, 2), half(3, 3), half(3, 4)];
        let second = [half(2, 2), half(3, 3), half(4, 3)];
        let every = first.iter().flat_map(|one| {
            second.iter().map(move |other| [one.as_slice(), other.as_slice()].concat())
        });
        assert_eq!(images, every.collect(), "in every combination, and nothing else");
    }

    #[test]
    fn what_was_synced_is_there_whatever_happens() {
        let mut content = Content::default();
        content.write(100, b"kept");
        content.resize(2_000);
        content.sync();
        let mut rng = Rng::with_seed(7);
        for _ in 0..100 {
            let survival = Survival::choose(&mut rng);
            let image = content.after_loss_of_power(survival, &mut rng);
            assert_eq!((image.len(), &image[100..104]), (2_000, b"kept".as_slice()));
        }
    }

    #[test]
    fn a_size_that_was_not_synced_may_be_any_of_those_since() {
        let mut content = Content::of(vec![1; 600]);
        content.resize(0);
        content.write(0, &[2; 100]);
        let mut rng = Rng::with_seed(7);
        let image = |_| content.after_loss_of_power(Survival::choose(&mut rng), &mut rng).len();
        let sizes: BTreeSet<_> = (0..2_000).map(image).collect();
        assert_eq!(sizes, BTreeSet::from([0, 100, 600]));
    }
}
