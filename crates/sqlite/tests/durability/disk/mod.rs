//! A disk that forgets: SQLite's files in one folder, with a record of what was synced.
//!
//! The files are real, so SQLite reads what it wrote. What a loss of power would leave of them is
//! worked out from the record; the real disk is never waited for.

mod content;
mod directory;
mod faults;
mod image;
mod survival;
mod synchronous;
mod vfs;

use std::{
    collections::BTreeMap,
    ffi::c_int,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread,
};

use fastrand::Rng;
use rusqlite::ffi;
use tempfile::TempDir;

use self::{
    content::Content,
    directory::{Directory, FileNumber},
    faults::{FULL, Faults},
    survival::Survival,
};
pub(crate) use self::{faults::Operation, image::Image};
use crate::folder::wait_until_closed;

/// All disks, by their folder.
static DISKS: RwLock<BTreeMap<PathBuf, Arc<Disk>>> = RwLock::new(BTreeMap::new());

/// What becomes of syncs.
#[derive(Clone, Copy)]
pub(crate) enum Syncs {
    /// They are done.
    Done,
    /// They are not done, and nobody is told, for those files.
    Ignored(fn(&str) -> bool),
    /// SQLite asks for none.
    Off,
}

impl Syncs {
    fn are_done(self, name: &str) -> bool {
        match self {
            Self::Done | Self::Off => true,
            Self::Ignored(are_ignored) => !are_ignored(name),
        }
    }
}

/// Takes what a cut leaves, at the moment of the cut: no file changes meanwhile.
type Witness = Box<dyn FnMut(Image) + Send>;

/// The losses of power to come.
struct Cuts {
    rng: Rng,
    left: usize,
    /// The most operations between one and the next.
    widest_gap: u64,
    gap: u64,
    witness: Witness,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    directory: Directory,
    faults: Faults,
    cuts: Option<Cuts>,
    index_regions: c_int,
    /// How many syncs SQLite has asked for.
    syncs: usize,
}

/// The files of one folder.
pub(crate) struct Disk {
    syncs: Syncs,
    state: Mutex<State>,
}

impl Disk {
    /// The disk that a file is on, and its name there.
    fn of(path: &Path) -> Option<(Arc<Self>, String)> {
        let disks = DISKS.read().unwrap_or_else(PoisonError::into_inner);
        let disk = disks.get(path.parent()?)?;
        Some((Arc::clone(disk), path.file_name()?.to_str()?.to_owned()))
    }

    /// Whether there are cuts to come.
    pub(crate) fn has_cuts_left(&self) -> bool {
        self.lock().cuts.as_ref().is_some_and(|cuts| cuts.left > 0)
    }

    /// How many syncs SQLite has asked for.
    pub(crate) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    /// Lets the files grow by so many bytes from now on; `None` for as many as they like.
    pub(crate) fn set_room(&self, room: Option<u64>) {
        self.lock().faults.room = room;
    }

    /// Fails these operations with these codes of SQLite's, and no others, from now on.
    pub(crate) fn refuse(&self, operations: &[(Operation, c_int)]) {
        self.lock().faults.refused = operations.to_vec();
    }

    /// Lets files be opened for reading only, from now on.
    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        self.lock().faults.is_read_only = is_read_only;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `operation`, after which the power may be cut.
    fn operate(&self, operation: impl FnOnce(&mut State) -> c_int) -> c_int {
        let mut state = self.lock();
        let code = operation(&mut state);
        state.cut_if_due();
        code
    }

    /// Opens the file of that name with `perform`, which is told whether it may write; gives the
    /// file, where it went well.
    fn open(
        &self,
        path: &Path,
        name: &str,
        operation: Option<Operation>,
        perform: impl FnOnce(bool) -> c_int,
    ) -> Result<FileNumber, c_int> {
        let mut state = self.lock();
        if let Some(operation) = operation {
            state.faults.check(operation)?;
        }
        if state.faults.is_read_only && !path.exists() {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        match perform(!state.faults.is_read_only) {
            ffi::SQLITE_OK => {}
            code => return Err(code),
        }
        let number = match state.directory.find(name) {
            Some(number) => number,
            None => state.add(name, fs::read(path).unwrap_or_default()),
        };
        state.cut_if_due();
        Ok(number)
    }

    fn delete(&self, name: &str, syncs_folder: bool, perform: impl FnOnce() -> c_int) -> c_int {
        self.operate(|state| {
            let code = perform();
            if code == ffi::SQLITE_OK
                && let Some(number) = state.directory.find(name)
            {
                state.faults.give_room(state.files[number].size());
                state.directory.set(name, None);
            }
            if syncs_folder && self.syncs.are_done(name) {
                state.directory.sync();
            }
            code
        })
    }

    fn write(
        &self,
        number: FileNumber,
        name: &str,
        offset: u64,
        bytes: &[u8],
        perform: impl FnOnce(&[u8]) -> c_int,
    ) -> c_int {
        self.operate(|state| {
            if let Err(code) = state.faults.check(Operation::Write) {
                return code;
            }
            if !name.ends_with("-wal")
                && let Err(code) = state.faults.check(Operation::WriteDatabase)
            {
                return code;
            }
            let length = u64::try_from(bytes.len()).unwrap();
            let growth = (offset + length).saturating_sub(state.files[number].size());
            let missing = growth - state.faults.take_room(growth);
            // A disk takes what it has room for.
            let fitting = usize::try_from(length.saturating_sub(missing)).unwrap();
            let bytes = &bytes[..fitting];
            if !bytes.is_empty() {
                match perform(bytes) {
                    ffi::SQLITE_OK => state.files[number].write(offset, bytes),
                    code => return code,
                }
            }
            if missing == 0 { ffi::SQLITE_OK } else { FULL }
        })
    }

    fn truncate(&self, number: FileNumber, size: u64, perform: impl FnOnce() -> c_int) -> c_int {
        self.operate(|state| {
            if let Err(code) = state.faults.check(Operation::Truncate) {
                return code;
            }
            let code = perform();
            if code == ffi::SQLITE_OK {
                let freed = state.files[number].size().saturating_sub(size);
                state.faults.give_room(freed);
                state.files[number].resize(size);
            }
            code
        })
    }

    fn sync(&self, number: FileNumber, name: &str, syncs_folder: bool) -> c_int {
        // Whoever waits for a disk lets others go on.
        thread::yield_now();
        self.operate(|state| {
            state.syncs += 1;
            if let Err(code) = state.faults.check(Operation::Sync) {
                return code;
            }
            if self.syncs.are_done(name) {
                state.files[number].sync();
                if syncs_folder {
                    state.directory.sync();
                }
            }
            ffi::SQLITE_OK
        })
    }

    fn map_index(&self, region: c_int, extends: bool, perform: impl FnOnce() -> c_int) -> c_int {
        let mut state = self.lock();
        if extends && region >= state.index_regions {
            if let Err(code) = state.faults.check(Operation::GrowIndex) {
                return code;
            }
            state.index_regions = region + 1;
        }
        drop(state);
        perform()
    }
}

impl State {
    /// A file that SQLite sees for the first time. One with something in it was there before; an
    /// empty one was made a moment ago, by whomever.
    fn add(&mut self, name: &str, bytes: Vec<u8>) -> FileNumber {
        let is_old = !bytes.is_empty();
        let number = self.files.len();
        self.files.push(Content::of(bytes));
        self.directory.set(name, Some(number));
        if is_old {
            self.directory.sync();
        }
        number
    }

    fn cut_if_due(&mut self) {
        let Some(mut cuts) = self.cuts.take() else { return };
        if cuts.gap > 0 {
            cuts.gap -= 1;
        } else if cuts.left > 0 {
            cuts.left -= 1;
            cuts.gap = cuts.rng.u64(..=cuts.widest_gap);
            (cuts.witness)(self.image(&mut cuts.rng));
        }
        self.cuts = Some(cuts);
    }

    fn image(&self, rng: &mut Rng) -> Image {
        let survival = Survival::choose(rng);
        let mut image = Image::default();
        for (name, number) in self.directory.after_loss_of_power(survival, rng) {
            let content = self.files[number].after_loss_of_power(survival, rng);
            image.files.insert(name, content);
        }
        // Nothing of the index of the log is ever synced, and nothing may be read from it.
        if rng.bool() {
            let noise = (0..32 * 1024).map(|_| rng.u8(..)).collect();
            image.files.insert("sessions.db-shm".into(), noise);
        }
        image
    }
}

/// A [`Disk`] in a new folder, for as long as this lives.
pub(crate) struct MountedDisk {
    _folder: TempDir,
    path: PathBuf,
    disk: Arc<Disk>,
}

impl MountedDisk {
    pub(crate) fn new() -> Self {
        Self::with(Syncs::Done)
    }

    pub(crate) fn with(syncs: Syncs) -> Self {
        vfs::register();
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        let disk = Arc::new(Disk { syncs, state: Mutex::default() });
        let mut disks = DISKS.write().unwrap_or_else(PoisonError::into_inner);
        disks.insert(path.clone(), Arc::clone(&disk));
        Self { _folder: folder, path, disk }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.path
    }

    /// The database.
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join("sessions.db")
    }

    /// Waits for the threads of dropped stores, but not for ever.
    pub(crate) fn wait_until_closed(&self) {
        wait_until_closed(&self.file());
    }

    /// Cuts the power `number` times at random, and shows what is left to `witness`. The one who
    /// is cut off does not notice.
    pub(crate) fn cut_power(
        &self,
        number: usize,
        widest_gap: u64,
        mut rng: Rng,
        witness: impl FnMut(Image) + Send + 'static,
    ) {
        let gap = rng.u64(..=widest_gap);
        let witness = Box::new(witness);
        self.disk.lock().cuts = Some(Cuts { rng, left: number, widest_gap, gap, witness });
    }

    /// The disk itself, for whoever outlives this.
    pub(crate) fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.disk)
    }

    /// The bytes that the file of that name has now; 0 where there is none.
    pub(crate) fn size_of(&self, name: &str) -> u64 {
        fs::metadata(self.path.join(name)).map_or(0, |metadata| metadata.len())
    }
}

impl Deref for MountedDisk {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.disk
    }
}

impl Drop for MountedDisk {
    fn drop(&mut self) {
        self.disk.lock().faults = Faults::default();
        self.wait_until_closed();
        DISKS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}
