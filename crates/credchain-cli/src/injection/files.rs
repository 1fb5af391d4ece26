//! Values that a program gets as a file: in memory, for this user, for as long as it runs.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::path::{Path, PathBuf};

use credchain::files::create_private;
#[cfg(target_os = "linux")]
use credchain::files::is_private;
use credchain::{Environment, Error, Kind, Name, Secret};

/// The files of one run. On a memory file system of the user's own they lie in a directory that
/// is removed when this is dropped; without one they are anonymous and live as long as the
/// process that holds them open.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    runtime: Option<PathBuf>,
    directory: Option<tempfile::TempDir>,
    #[cfg(target_os = "linux")]
    anonymous: Vec<File>,
}

impl SecretFiles {
    pub(super) fn new(env: &Environment) -> Self {
        let runtime = env.text("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtime = runtime.filter(|path| path.is_absolute() && is_private_memory(path));
        Self {
            runtime,
            directory: None,
            #[cfg(target_os = "linux")]
            anonymous: Vec::new(),
        }
    }

    /// Whether something has to be removed when the program is done.
    pub(crate) fn need_cleaning(&self) -> bool {
        self.directory.is_some()
    }

    /// Puts a value into a file and tells its path.
    pub(super) fn add(&mut self, name: &Name, secret: &Secret) -> Result<Vec<u8>, Error> {
        let failed = |error: std::io::Error| {
            Error::new(Kind::Unavailable, "its file cannot be written")
                .for_credential(name)
                .with_source(error)
        };
        let path = match &self.runtime {
            Some(runtime) => {
                let runtime = runtime.clone();
                let directory = self.directory(&runtime).map_err(failed)?;
                in_directory(directory, name, secret).map_err(failed)?
            }
            None => self.anonymous(name, secret).map_err(failed)?,
        };
        path.into_os_string()
            .into_string()
            .map(String::into_bytes)
            .map_err(|_| {
                Error::new(Kind::Misconfigured, "`XDG_RUNTIME_DIR` is not UTF-8")
                    .for_credential(name)
            })
    }

    fn directory(&mut self, runtime: &Path) -> std::io::Result<&Path> {
        if self.directory.is_none() {
            let mut builder = tempfile::Builder::new();
            builder.prefix("credchain-");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                builder.permissions(std::fs::Permissions::from_mode(0o700));
            }
            self.directory = Some(builder.tempdir_in(runtime)?);
        }
        self.directory
            .as_ref()
            .map(tempfile::TempDir::path)
            .ok_or_else(|| std::io::Error::other("no directory was made"))
    }

    #[cfg(target_os = "linux")]
    fn anonymous(&mut self, name: &Name, secret: &Secret) -> std::io::Result<PathBuf> {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;

        // Without MFD_CLOEXEC: the program inherits it. Its path goes through this process's
        // number, which stays the same when the program takes its place, so that the program's
        // own children can open it, too.
        let file = rustix::fs::memfd_create(name.as_str(), rustix::fs::MemfdFlags::empty())?;
        let mut file = File::from(file);
        rustix::fs::fchmod(&file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
        file.write_all(secret.expose())?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        self.anonymous.push(file);
        Ok(path.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn anonymous(&mut self, name: &Name, secret: &Secret) -> std::io::Result<PathBuf> {
        // No memory file system to be had: the user's temporary directory, mode 0700.
        let temporary = std::env::temp_dir();
        let directory = self.directory(&temporary)?;
        in_directory(directory, name, secret)
    }
}

fn in_directory(directory: &Path, name: &Name, secret: &Secret) -> std::io::Result<PathBuf> {
    let path = directory.join(name.as_str());
    create_private(&path, secret.expose())?;
    Ok(path)
}

/// Whether a directory is this user's alone and kept in memory. Anything else would leave the
/// value on a disk or within reach of others.
#[cfg(target_os = "linux")]
fn is_private_memory(path: &Path) -> bool {
    let own = std::fs::metadata(path).is_ok_and(|found| found.is_dir() && is_private(&found));
    own && crate::files::is_memory(path)
}

#[cfg(not(target_os = "linux"))]
fn is_private_memory(_: &Path) -> bool {
    false
}
