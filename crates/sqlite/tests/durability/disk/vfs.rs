//! The way from SQLite to a [`Disk`]: a file layer on top of SQLite's own.

#![expect(unsafe_code, reason = "SQLite calls a file layer through pointers")]

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    mem::{align_of, size_of},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr, slice,
    sync::{
        Arc, Once, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use super::{Disk, FileNumber, Operation, Syncs, synchronous};

/// SQLite's own file layer, as it was before ours was registered.
static SYSTEM: OnceLock<System> = OnceLock::new();

struct System {
    vfs: sqlite3_vfs,
    /// Where the [`Extension`] of a file begins.
    extension_offset: usize,
}

// SAFETY: the pointers inside lead to the name and the settings of SQLite's own file layer, which
// are constants of SQLite.
unsafe impl Send for System {}
// SAFETY: as above; nobody changes them.
unsafe impl Sync for System {}

/// What follows SQLite's own part of a file that is on a [`Disk`]. `methods`, which SQLite calls,
/// are those of its own layer but for a few that call ours; those call on with the same pointer,
/// because SQLite's own part comes first in the same memory.
struct Extension {
    methods: sqlite3_io_methods,
    system: *const sqlite3_io_methods,
    disk: Arc<Disk>,
    number: FileNumber,
    name: String,
    /// SQLite syncs the folder once, with the first sync of a file that it may have made.
    syncs_folder: AtomicBool,
}

/// Makes ours the file layer of every connection of this process. Files that are on no disk are
/// left to SQLite's own.
pub(super) fn register() {
    static REGISTRATION: Once = Once::new();
    REGISTRATION.call_once(|| {
        // SAFETY: SQLite finds its default file layer by the null name, and keeps it for ever. The
        // copy of it differs in functions of the same types, and in a larger size of its files;
        // its functions use no more of it than the settings that the copy has too. It is leaked,
        // because SQLite keeps the pointer and writes to it.
        unsafe {
            let system = *ffi::sqlite3_vfs_find(ptr::null());
            let own = usize::try_from(system.szOsFile).unwrap();
            let extension_offset = own.next_multiple_of(align_of::<Extension>());
            SYSTEM.get_or_init(|| System { vfs: system, extension_offset });
            let size = extension_offset + size_of::<Extension>();
            let ours = Box::leak(Box::new(sqlite3_vfs {
                szOsFile: c_int::try_from(size).unwrap(),
                pNext: ptr::null_mut(),
                zName: c"forgetful".as_ptr(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..system
            }));
            assert_eq!(ffi::sqlite3_vfs_register(ours, 1), ffi::SQLITE_OK);
        }
        synchronous::register();
    });
}

fn system() -> &'static System {
    SYSTEM.get().unwrap()
}

/// # Safety
/// `name` is null or a C string.
unsafe fn disk_of(name: *const c_char) -> Option<(Arc<Disk>, String, PathBuf)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    let (disk, name) = Disk::of(&path)?;
    Some((disk, name, path))
}

/// # Safety
/// `file` was opened by [`open`], on a [`Disk`].
unsafe fn extension<'a>(file: *mut sqlite3_file) -> &'a Extension {
    // SAFETY: `open` has put an extension there, which stays until `close`; and SQLite closes no
    // file that it still uses. `file` has the alignment of any allocation of SQLite's, 8.
    unsafe { &*file.byte_add(system().extension_offset).cast::<Extension>() }
}

/// # Safety
/// As SQLite calls it: `file` has room for the size that the layer names.
unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let system_open = system().vfs.xOpen.unwrap();
    // SAFETY: SQLite names a file by a C string, or a temporary one by null.
    let Some((disk, name_on_disk, path)) = (unsafe { disk_of(name) }) else {
        // SAFETY: these are SQLite's own arguments.
        return unsafe { system_open(vfs, name, file, flags, flags_out) };
    };
    let operation = match flags {
        _ if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 => Some(Operation::OpenDatabase),
        _ if flags & ffi::SQLITE_OPEN_WAL != 0 => Some(Operation::OpenLog),
        _ => None,
    };
    let opened = disk.open(&path, &name_on_disk, operation, |may_write| {
        let flags = if may_write {
            flags
        } else {
            flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE)
                | ffi::SQLITE_OPEN_READONLY
        };
        // SAFETY: SQLite's own arguments, but for flags that it might have given as well.
        unsafe { system_open(vfs, name, file, flags, flags_out) }
    });
    let number = match opened {
        Ok(number) => number,
        Err(code) => {
            // SAFETY: `file` is SQLite's. Without methods, it closes nothing.
            unsafe { (*file).pMethods = ptr::null() };
            return code;
        }
    };
    // SQLite's own layer decides so: it has to, for what a commit rests on.
    let made =
        ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let syncs_folder = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & made != 0;
    // SAFETY: the system's layer has opened the file, so its methods are there. Behind its own
    // part, SQLite has allocated the size of an extension, which nobody else uses. The methods
    // that are pointed to live in it, as long as the file is open.
    unsafe {
        let system_methods = (*file).pMethods;
        let place = file.byte_add(system().extension_offset).cast::<Extension>();
        place.write(Extension {
            methods: sqlite3_io_methods {
                // Without memory maps, through which a file could be written past this layer.
                iVersion: 2,
                xClose: Some(close),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                xFileControl: Some(control),
                xShmMap: Some(map_index),
                ..*system_methods
            },
            system: system_methods,
            disk,
            number,
            name: name_on_disk,
            syncs_folder: AtomicBool::new(syncs_folder),
        });
        (*file).pMethods = &raw const (*place).methods;
    }
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls it: `name` is a C string.
unsafe extern "C" fn delete(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    syncs_folder: c_int,
) -> c_int {
    let system_delete = system().vfs.xDelete.unwrap();
    // SAFETY: SQLite names the file by a C string.
    match unsafe { disk_of(name) } {
        // SAFETY: SQLite's own arguments, but that nobody waits for the real disk.
        Some((disk, name_on_disk, _)) => {
            disk.delete(&name_on_disk, syncs_folder != 0, || unsafe { system_delete(vfs, name, 0) })
        }
        // SAFETY: SQLite's own arguments.
        None => unsafe { system_delete(vfs, name, syncs_folder) },
    }
}

/// # Safety
/// As SQLite calls it: `file` is open, and is not used any more.
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: `open` has put an extension there. It is taken out once, because a file is closed
    // once, and nothing refers to it after its methods have been replaced.
    unsafe {
        let place = file.byte_add(system().extension_offset).cast::<Extension>();
        let extension = place.read();
        (*file).pMethods = extension.system;
        (*extension.system).xClose.unwrap()(file)
    }
}

/// # Safety
/// As SQLite calls it: `file` is open, and `length` bytes can be read at `data`.
unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: `open` has given this method to this file.
    let extension = unsafe { extension(file) };
    // SAFETY: the bytes are SQLite's, which leaves them alone until this returns.
    let bytes =
        unsafe { slice::from_raw_parts(data.cast::<u8>(), usize::try_from(length).unwrap()) };
    let start = u64::try_from(offset).unwrap();
    extension.disk.write(extension.number, &extension.name, start, bytes, |bytes| {
        let length = c_int::try_from(bytes.len()).unwrap();
        // SAFETY: the file's own methods, with as many of its bytes as there are here.
        unsafe { (*extension.system).xWrite.unwrap()(file, bytes.as_ptr().cast(), length, offset) }
    })
}

/// # Safety
/// As SQLite calls it: `file` is open.
unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: `open` has given this method to this file.
    let extension = unsafe { extension(file) };
    extension.disk.truncate(extension.number, u64::try_from(size).unwrap(), || {
        // SAFETY: the file's own methods, with SQLite's own arguments.
        unsafe { (*extension.system).xTruncate.unwrap()(file, size) }
    })
}

/// # Safety
/// As SQLite calls it: `file` is open.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: `open` has given this method to this file.
    let extension = unsafe { extension(file) };
    let syncs_folder = extension.syncs_folder.load(Ordering::Relaxed);
    let code = extension.disk.sync(extension.number, &extension.name, syncs_folder);
    if code == ffi::SQLITE_OK {
        extension.syncs_folder.store(false, Ordering::Relaxed);
    }
    code
}

/// # Safety
/// As SQLite calls it: `file` is open, and `address` can be written.
unsafe extern "C" fn map_index(
    file: *mut sqlite3_file,
    region: c_int,
    size: c_int,
    extends: c_int,
    address: *mut *mut c_void,
) -> c_int {
    // SAFETY: `open` has given this method to this file.
    let extension = unsafe { extension(file) };
    extension.disk.map_index(region, extends != 0, || {
        // SAFETY: the file's own methods, with SQLite's own arguments.
        unsafe { (*extension.system).xShmMap.unwrap()(file, region, size, extends, address) }
    })
}

/// # Safety
/// As SQLite calls it: `file` is open, and `argument` is what belongs to `operation`.
unsafe extern "C" fn control(
    file: *mut sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: `open` has given this method to this file.
    let extension = unsafe { extension(file) };
    // SAFETY: SQLite's own arguments.
    let is_turned_on = unsafe { synchronous::is_turned_on(operation, argument) };
    if is_turned_on && matches!(extension.disk.syncs, Syncs::Off) {
        // To SQLite, the file has taken care of it.
        return ffi::SQLITE_OK;
    }
    // SAFETY: the file's own methods, with SQLite's own arguments.
    unsafe { (*extension.system).xFileControl.unwrap()(file, operation, argument) }
}
