//! Files that others may try to tamper with: checked when read, replaced as a whole when written.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use credchain_core::files::{
    Draft, Links, check, directory_of, foreign_owner, is_still_at, is_world_writable,
    make_private_directory, open_with, read_to_limit,
};
use credchain_core::{Context, Result};

use crate::error::{Fault, io_error, refused};

/// How long a writer waits for the others when the caller sets no deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a store: nothing if there is none.
pub(crate) fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    let Some(mut file) = open_checked(path, OpenOptions::new().read(true))? else {
        return Ok(None);
    };
    read_whole(&mut file, path, max).map(Some)
}

/// Reads a file that only its owner may read, or that is mounted read-only: nothing if there is
/// none.
// Not `PrivateDirectory`'s rule: an identity may be root's, behind a link, and lie anywhere.
pub(crate) fn read_private(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    let Some(mut file) = open_checked(path, OpenOptions::new().read(true))? else {
        return Ok(None);
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = file
            .metadata()
            .map_err(|error| io_error(path, error))?
            .mode();
        if mode & 0o077 != 0 && !is_mounted_read_only(&file) {
            return Err(Fault::LooseIdentity.at(path));
        }
    }
    read_whole(&mut file, path, max).map(Some)
}

/// Writes a new file that only its owner may read; what exists is never overwritten.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = directory_of(path);
    make_private_directory(directory).map_err(|error| io_error(directory, error))?;
    if create(path, bytes)? {
        Ok(())
    } else {
        Err(Fault::Exists.at(path))
    }
}

/// Writes a new store, in a new directory if need be; `false` if there is a file already, which
/// stays as it is.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let directory = directory_of(path);
    fs::create_dir_all(directory).map_err(|error| io_error(directory, error))?;
    check_directory(directory)?;
    let created = Draft::private(path, &prefix(path, "-new")).and_then(|mut draft| {
        draft.write_all(bytes)?;
        draft.create()
    });
    created.map_err(|error| io_error(path, error))
}

/// A store that no other writer touches until this is dropped.
///
/// On Unix the lock is on the store's own file, so that nothing has to lie beside it and every
/// user and container that sees the store sees the lock. A writer replaces the file, so whoever
/// waited checks that what it locked is still what the path leads to. On Windows a lock keeps
/// readers out and an open file cannot be replaced, so there it is on a file beside the store.
pub(crate) struct Held {
    path: PathBuf,
    lock: File,
}

impl Held {
    /// Waits for the other writers; nothing if there is no store.
    pub(crate) fn wait(path: &Path, cx: &Context) -> Result<Option<Self>> {
        let patience = cx.remaining().unwrap_or(PATIENCE);
        let mut pause = Duration::from_micros(200);
        let mut waited = Duration::ZERO;
        loop {
            // SECURITY: writing through a link would put the file where somebody else decides.
            if path.is_symlink() {
                return Err(Fault::Symlink.at(path));
            }
            let Some(held) = Self::open(path)? else {
                return Ok(None);
            };
            match held.lock.try_lock() {
                Ok(()) if held.is_current() => return Ok(Some(held)),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(Fault::NoLocks.at(path).with_source(error));
                }
            }
            if waited >= patience {
                return Err(Fault::Busy.at(path));
            }
            // Random, so that of many writers none is always the last.
            let nap = pause.mul_f64(0.5 + cx.fraction());
            thread::sleep(nap);
            waited += nap;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// The contents.
    #[cfg(unix)]
    pub(crate) fn read(&mut self, max: u64) -> Result<Vec<u8>> {
        use std::io::Seek as _;
        self.lock
            .rewind()
            .map_err(|error| io_error(&self.path, error))?;
        read_whole(&mut self.lock, &self.path, max)
    }

    #[cfg(not(unix))]
    pub(crate) fn read(&mut self, max: u64) -> Result<Vec<u8>> {
        read(&self.path, max)?.ok_or_else(|| Fault::Missing.at(&self.path))
    }

    /// Replaces the contents as one step; `false` if somebody who does not lock, such as git,
    /// has replaced the file meanwhile.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> Result<bool> {
        self.replace_with(|file| file.write_all(bytes))
    }

    fn replace_with(&mut self, fill: impl FnOnce(&mut Draft) -> io::Result<()>) -> Result<bool> {
        remove_leftovers(&self.path);
        let failed = |error| io_error(&self.path, error);
        let mut draft = Draft::private(&self.path, &prefix(&self.path, "")).map_err(failed)?;
        fill(&mut draft).map_err(failed)?;
        #[cfg(unix)]
        self.keep_mode(draft.file()).map_err(failed)?;
        // Before the look at the path, so that nothing slow lies between that and the rename.
        draft.file().sync_all().map_err(failed)?;
        if !self.is_current() {
            return Ok(false);
        }
        draft.replace().map_err(failed).map(|()| true)
    }

    /// The file is replaced by one with the permissions it had, except for strangers' writing.
    #[cfg(unix)]
    fn keep_mode(&self, temporary: &File) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = self.lock.metadata()?.permissions().mode() & 0o775;
        temporary.set_permissions(fs::Permissions::from_mode(mode))
    }

    #[cfg(unix)]
    fn open(path: &Path) -> Result<Option<Self>> {
        let file = open_checked(path, OpenOptions::new().read(true).write(true))?;
        Ok(file.map(|lock| Self {
            path: path.to_owned(),
            lock,
        }))
    }

    #[cfg(not(unix))]
    fn open(path: &Path) -> Result<Option<Self>> {
        if open_checked(path, OpenOptions::new().read(true))?.is_none() {
            return Ok(None);
        }
        let beside = path.with_extension("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&beside);
        let lock = lock.map_err(|error| io_error(&beside, error))?;
        Ok(Some(Self {
            path: path.to_owned(),
            lock,
        }))
    }

    /// Whether the path still leads to the file that was opened. Where that is a file beside the
    /// store, it does: it is never replaced.
    fn is_current(&self) -> bool {
        is_still_at(&self.lock, &self.path)
    }
}

/// Opens a regular file that nobody else can have tampered with: nothing if there is none.
fn open_checked(path: &Path, options: &mut OpenOptions) -> Result<Option<File>> {
    // Looked at before it is opened: opening a FIFO or a device has effects.
    let before = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, error)),
    };
    if !before.is_file() {
        return Err(Fault::NotAFile.at(path));
    }
    let file = match open_with(path, options, Links::Follow) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, error)),
    };
    // Looked at again through the open file: the path may lead elsewhere by now.
    let regular = check(file).map_err(|reason| refused(path, reason))?;
    check_directory(directory_of(path))?;
    if let Ok(target) = fs::canonicalize(path)
        && path.is_symlink()
    {
        check_directory(directory_of(&target))?;
    }
    Ok(Some(regular.into_file()))
}

/// Whether the file comes from a read-only mount, as secrets of containers do: whoever mounted it
/// chose who can read it, and nobody could change its mode.
#[cfg(unix)]
fn is_mounted_read_only(file: &File) -> bool {
    use rustix::fs::{StatVfsMountFlags, fstatvfs};
    fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn check_directory(directory: &Path) -> Result<()> {
    let meta = fs::metadata(directory).map_err(|error| io_error(directory, error))?;
    if !meta.is_dir() {
        return Err(Fault::BadPath.at(directory));
    }
    if foreign_owner(&meta).is_some() {
        return Err(Fault::Foreign.at(directory));
    }
    if is_world_writable(&meta) && !is_sticky(&meta) {
        return Err(Fault::WorldWritable.at(directory));
    }
    Ok(())
}

/// In a sticky directory such as `/tmp` others can add files but not replace this one.
#[cfg(unix)]
fn is_sticky(meta: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    const STICKY: u32 = 0o1000;
    meta.mode() & STICKY != 0
}

#[cfg(not(unix))]
fn is_sticky(_: &Metadata) -> bool {
    false
}

fn read_whole(file: &mut File, path: &Path, max: u64) -> Result<Vec<u8>> {
    let length = file
        .metadata()
        .map_err(|error| io_error(path, error))?
        .len();
    read_to_limit(file, length, max).map_err(|reason| refused(path, reason))
}

/// Removes what a writer that was killed left behind. Only the holder of the lock makes files
/// of this name, so nobody is using them.
fn remove_leftovers(path: &Path) {
    let prefix = prefix(path, "");
    for entry in fs::read_dir(directory_of(path))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(".tmp") {
            // If it cannot be removed it is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// How the names of drafts begin.
fn prefix(path: &Path, mark: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}{mark}.")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use credchain_core::Kind;

    use super::*;

    fn store() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credchain.age");
        assert!(create(&path, b"old").unwrap());
        (directory, path)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_nothing_else() {
        let (directory, path) = store();
        let mut held = Held::wait(&path, &Context::system()).unwrap().unwrap();
        let error = held
            .replace_with(|file| {
                file.write_all(b"half")?;
                Err(io::ErrorKind::StorageFull.into())
            })
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("nothing was changed"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["credchain.age"]);
    }

    #[test]
    fn the_second_writer_sees_what_the_first_wrote() {
        let (_directory, path) = store();
        let cx = Context::system();
        let mut first = Held::wait(&path, &cx).unwrap().unwrap();
        let (started, waiting) = std::sync::mpsc::channel();
        let other = {
            let (path, cx) = (path.clone(), cx.clone());
            thread::spawn(move || {
                started.send(()).unwrap();
                let mut second = Held::wait(&path, &cx).unwrap().unwrap();
                second.read(100).unwrap()
            })
        };
        waiting.recv().unwrap();
        assert!(first.replace(b"new").unwrap());
        drop(first);
        assert_eq!(other.join().unwrap(), b"new");
    }

    #[test]
    fn a_writer_gives_up_at_its_deadline() {
        let (_directory, path) = store();
        let _held = Held::wait(&path, &Context::system()).unwrap().unwrap();
        let hurried = Context::system().with_timeout(Duration::ZERO);
        let error = Held::wait(&path, &hurried).err().unwrap();
        assert_eq!(error.kind(), Kind::Unavailable);
    }

    #[test]
    fn a_file_replaced_without_the_lock_is_not_written_over() {
        let (directory, path) = store();
        let mut held = Held::wait(&path, &Context::system()).unwrap().unwrap();
        let checkout = directory.path().join("checkout");
        fs::write(&checkout, b"from git").unwrap();
        fs::rename(&checkout, &path).unwrap();
        assert!(!held.replace(b"new").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"from git");
    }

    #[test]
    fn leftovers_of_a_killed_writer_are_removed_by_the_next() {
        let (directory, path) = store();
        fs::write(directory.path().join(".credchain.age.Xy12Zw.tmp"), b"half").unwrap();
        fs::write(directory.path().join(".credchain.age.keep"), b"other").unwrap();
        let mut held = Held::wait(&path, &Context::system()).unwrap().unwrap();
        assert!(held.replace(b"new").unwrap());
        let mut left = names(directory.path());
        left.sort();
        assert_eq!(left, [".credchain.age.keep", "credchain.age"]);
    }

    #[test]
    fn of_many_creators_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let path = Arc::new(directory.path().join("credchain.age"));
        let threads: Vec<_> = (0..8_u8)
            .map(|number| {
                let path = path.clone();
                thread::spawn(move || create(&path, &[number]).unwrap())
            })
            .collect();
        let won = threads.into_iter().map(|one| one.join().unwrap());
        assert_eq!(won.filter(|won| *won).count(), 1);
        assert_eq!(names(directory.path()), ["credchain.age"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_created_is_private_and_a_replaced_file_keeps_its_mode() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("home/identity");
        create_private(&path, b"old").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut held = Held::wait(&path, &Context::system()).unwrap().unwrap();
        assert!(held.replace(b"new").unwrap());
        assert_eq!(mode(&path), 0o644);
    }
}
