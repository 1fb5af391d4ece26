//! Files that others may try to tamper with: checked when read, replaced as a whole when written.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use credchain_core::{Context, Result};
use tempfile::NamedTempFile;

use crate::error::{Fault, io_error};

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
    let directory = parent(path);
    if !directory.exists() {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .recursive(true)
            .create(&directory)
            .map_err(|error| io_error(&directory, error))?;
    }
    if create(path, bytes)? {
        Ok(())
    } else {
        Err(Fault::Exists.at(path))
    }
}

/// Writes a new store, in a new directory if need be; `false` if there is a file already, which
/// stays as it is.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let directory = parent(path);
    fs::create_dir_all(&directory).map_err(|error| io_error(&directory, error))?;
    check_directory(&directory)?;
    let temporary = write_temporary(path, "-new", |file| file.write_all(bytes))?;
    match temporary.persist_noclobber(path) {
        Ok(_) => sync_directory(&directory).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io_error(path, error.error)),
    }
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

    fn replace_with(&mut self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<bool> {
        let directory = parent(&self.path);
        remove_leftovers(&self.path, &directory);
        let temporary = write_temporary(&self.path, "", fill)?;
        #[cfg(unix)]
        self.keep_mode(temporary.as_file())
            .map_err(|error| io_error(&self.path, error))?;
        if !self.is_current() {
            return Ok(false);
        }
        temporary
            .persist(&self.path)
            .map_err(|error| io_error(&self.path, error.error))?;
        sync_directory(&directory).map(|()| true)
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

    /// Whether the path still leads to the file that was opened.
    #[cfg(unix)]
    fn is_current(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |meta: Metadata| (meta.dev(), meta.ino());
        match (fs::symlink_metadata(&self.path), self.lock.metadata()) {
            (Ok(path), Ok(file)) => identity(path) == identity(file),
            _ => false,
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "the lock file is never replaced")]
    fn is_current(&self) -> bool {
        true
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
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
        options.custom_flags(i32::try_from(nonblocking).unwrap_or_default());
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, error)),
    };
    // Looked at again through the open file: the path may lead elsewhere by now.
    let meta = file.metadata().map_err(|error| io_error(path, error))?;
    if !meta.is_file() {
        return Err(Fault::NotAFile.at(path));
    }
    check_owner(&meta, path)?;
    check_directory(&parent(path))?;
    if let Ok(target) = fs::canonicalize(path)
        && path.is_symlink()
    {
        check_directory(&parent(&target))?;
    }
    Ok(Some(file))
}

#[cfg(unix)]
fn check_owner(meta: &Metadata, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    const STICKY: u32 = 0o1000;
    if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(Fault::Foreign.at(path));
    }
    // In a sticky directory such as `/tmp` others can add files but not replace this one.
    let sticky = meta.is_dir() && meta.mode() & STICKY != 0;
    if meta.mode() & 0o002 != 0 && !sticky {
        return Err(Fault::WorldWritable.at(path));
    }
    Ok(())
}

/// Whether the file comes from a read-only mount, as secrets of containers do: whoever mounted it
/// chose who can read it, and nobody could change its mode.
#[cfg(unix)]
fn is_mounted_read_only(file: &File) -> bool {
    use rustix::fs::{StatVfsMountFlags, fstatvfs};
    fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "permissions are the file system's alone here"
)]
fn check_owner(_: &Metadata, _: &Path) -> Result<()> {
    Ok(())
}

fn check_directory(directory: &Path) -> Result<()> {
    let meta = fs::metadata(directory).map_err(|error| io_error(directory, error))?;
    if !meta.is_dir() {
        return Err(Fault::BadPath.at(directory));
    }
    check_owner(&meta, directory)
}

fn read_whole(file: &mut File, path: &Path, max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file of just the size from a larger one.
    let read = file.take(max.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| io_error(path, error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= max) {
        Ok(bytes)
    } else {
        Err(Fault::TooLarge.at(path))
    }
}

/// Writes a temporary file beside `path`, readable by its owner only from the first byte on. It
/// is removed again unless it is persisted.
fn write_temporary(
    path: &Path,
    mark: &str,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<NamedTempFile> {
    let prefix = temporary_prefix(path, mark);
    let written = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".tmp")
        .tempfile_in(parent(path))
        .and_then(|mut temporary| {
            fill(temporary.as_file_mut())?;
            temporary.as_file().sync_all()?;
            Ok(temporary)
        });
    written.map_err(|error| io_error(path, error))
}

/// Removes what a writer that was killed left behind. Only the holder of the lock makes files
/// of this name, so nobody is using them.
fn remove_leftovers(path: &Path, directory: &Path) {
    let prefix = temporary_prefix(path, "");
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(".tmp") {
            // If it cannot be removed it is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn temporary_prefix(path: &Path, mark: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}{mark}.")
}

/// Makes a rename last through a power failure.
#[cfg_attr(
    not(unix),
    expect(clippy::unnecessary_wraps, reason = "directories are not synced there")
)]
fn sync_directory(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    match File::open(directory).and_then(|file| file.sync_all()) {
        // Some file systems cannot, and need not.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
            return Err(io_error(directory, error));
        }
        _ => {}
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    }
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
