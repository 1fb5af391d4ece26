//! What each failure means for the chain. The only place that knows.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use age::DecryptError;
use credchain_core::files::Refused;
use credchain_core::{Error, Kind};

/// Everything that can go wrong with a store, its identities and the files they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Absent,
    Missing,
    NotAFile,
    Symlink,
    WorldWritable,
    Foreign,
    Refused,
    ReadOnly,
    BadPath,
    DiskFull,
    NoLocks,
    Busy,
    Io,
    TooLarge,
    Corrupt,
    Undecodable,
    Newer,
    ExcessiveWork,
    NoIdentity,
    NobodyToCreateFor,
    LooseIdentity,
    BadIdentity,
    WrongIdentity,
    PassphraseNeeded,
    WrongPassphrase,
    NoRecipients,
    PassphraseStore,
    Exists,
}

/// The kind of a fault, as a table: fault, kind, what happened, what to do next. `{}` is the
/// path concerned.
#[rustfmt::skip]
const TABLE: &[(Fault, Kind, &str, &str)] = {
    use Fault as F;
    use Kind as K;
    &[
        (F::Absent, K::Absent, "there is no store", "`resolve init` creates one"),
        (F::Missing, K::Misconfigured, "there is no store", "`resolve init` creates it, and so does the first `resolve set`"),
        (F::NotAFile, K::Misconfigured, "not a regular file", "set `path` of the age provider to a file"),
        (F::Symlink, K::Misconfigured, "a symbolic link is not written through; nothing was changed", "set `path` of the age provider to the file that it leads to"),
        (F::WorldWritable, K::Misconfigured, "anybody on this machine could have changed it", "`chmod o-w {}`"),
        (F::Foreign, K::Misconfigured, "it belongs to another user", "`ls -ld {}` shows to whom; it has to belong to you or to root"),
        (F::Refused, K::Denied, "the system refuses access", "`ls -ld {}` shows who may read and write it"),
        (F::ReadOnly, K::Misconfigured, "the file system is read-only; nothing was changed", "remount it writable, or set another `path` for the age provider"),
        (F::BadPath, K::Misconfigured, "this path cannot lead to a file", "check `path` and `identity` of the age provider"),
        (F::DiskFull, K::Unavailable, "no space left on the device; nothing was changed", "`df {}` shows what is full"),
        (F::NoLocks, K::Misconfigured, "this file system cannot lock files, so writers could lose each other's writes; nothing was changed", "keep the store on a local disk"),
        (F::Busy, K::Unavailable, "another process keeps the store locked; nothing was changed", "`fuser {}` shows which"),
        (F::Io, K::Unavailable, "it could not be read or written", "check the disk or mount that holds {}"),
        (F::TooLarge, K::Invalid, "the store is larger than `max_size`; nothing was changed", "raise `max_size` of the age provider, or keep large values elsewhere"),
        (F::Corrupt, K::Invalid, "the store is damaged or no age file; nothing was changed", "restore it with `git checkout -- {}` or from a backup"),
        (F::Undecodable, K::Invalid, "the store opens, but its contents are not a credchain document; nothing was changed", "`age -d -i IDENTITY {}` shows the contents"),
        (F::Newer, K::Invalid, "the store was written by a newer release; nothing was changed", "upgrade credchain"),
        (F::ExcessiveWork, K::Invalid, "the file asks for more work on its passphrase than is safe to do", "encrypt it again with the work factor that `age -p` chooses"),
        (F::NoIdentity, K::Unauthenticated, "there is no identity to open the store with", "`resolve init` creates one; in CI set `CREDCHAIN_IDENTITY`"),
        (F::NobodyToCreateFor, K::Misconfigured, "there is neither a store nor an identity to create one for", "`resolve init` creates both"),
        (F::LooseIdentity, K::Misconfigured, "other users can read the identity", "`chmod 600 {}`"),
        (F::BadIdentity, K::Misconfigured, "no usable identity", "an identity is an `AGE-SECRET-KEY-1…` line, an age file with one, or an OpenSSH key (ed25519 or RSA)"),
        (F::WrongIdentity, K::Unauthenticated, "no identity at hand opens the store", "whoever can open it lets you in with `resolve recipients add`"),
        (F::PassphraseNeeded, K::Unauthenticated, "a passphrase is needed", "set `CREDCHAIN_PASSPHRASE`, or run this on a terminal without `--no-input`"),
        (F::WrongPassphrase, K::Unauthenticated, "the passphrase is wrong", "check `CREDCHAIN_PASSPHRASE`, or unset it to be asked"),
        (F::NoRecipients, K::Misconfigured, "the store does not say for whom it is encrypted; nothing was changed", "name them once with `resolve recipients add`"),
        (F::PassphraseStore, K::Unsupported, "the age format allows no other recipient beside a passphrase; nothing was changed", "create a store with recipients and `resolve copy` the values"),
        (F::Exists, K::Conflict, "it exists and is never overwritten", "use it, or move {} away first"),
    ]
};

impl Fault {
    /// The kind of this fault; [`Kind::Internal`] only if the table lost its row.
    pub(crate) fn kind(self) -> Kind {
        self.row().map_or(Kind::Internal, |row| row.1)
    }

    /// The error for this fault at `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = shown(path);
        let (message, hint) = self.row().map_or(("unexpected", ""), |row| (row.2, row.3));
        Error::new(self.kind(), format!("`{path}`: {message}")).with_hint(hint.replace("{}", &path))
    }

    /// The error for this fault where no file is concerned.
    pub(crate) fn plain(self) -> Error {
        let (message, hint) = self.row().map_or(("unexpected", ""), |row| (row.2, row.3));
        Error::new(self.kind(), message).with_hint(hint)
    }

    fn row(self) -> Option<&'static (Self, Kind, &'static str, &'static str)> {
        TABLE.iter().find(|row| row.0 == self)
    }
}

/// What a failed system call means.
pub(crate) fn fault_of_io(error: &io::Error) -> Fault {
    use io::ErrorKind as E;
    match error.kind() {
        E::NotFound => Fault::Missing,
        E::PermissionDenied => Fault::Refused,
        E::StorageFull | E::QuotaExceeded | E::FileTooLarge => Fault::DiskFull,
        E::ReadOnlyFilesystem => Fault::ReadOnly,
        E::IsADirectory => Fault::NotAFile,
        E::NotADirectory | E::InvalidFilename | E::InvalidInput => Fault::BadPath,
        E::AlreadyExists => Fault::Exists,
        _ => Fault::Io,
    }
}

/// The error for a failed system call on `path`.
pub(crate) fn io_error(path: &Path, error: io::Error) -> Error {
    fault_of_io(&error).at(path).with_source(error)
}

/// The error for a file at `path` that is not used.
pub(crate) fn refused(path: &Path, reason: Refused) -> Error {
    match reason {
        Refused::Io(error) => io_error(path, error),
        Refused::NotRegular(_) => Fault::NotAFile.at(path),
        Refused::WorldWritable => Fault::WorldWritable.at(path),
        Refused::ForeignOwner(_) => Fault::Foreign.at(path),
        Refused::TooLarge => Fault::TooLarge.at(path),
    }
}

/// What a failed decryption means. `passphrase`: whether it was tried with a passphrase.
pub(crate) fn fault_of_decrypt(error: &DecryptError, passphrase: bool) -> Fault {
    match error {
        DecryptError::NoMatchingKeys => Fault::WrongIdentity,
        DecryptError::KeyDecryptionFailed => Fault::WrongPassphrase,
        DecryptError::DecryptionFailed if passphrase => Fault::WrongPassphrase,
        DecryptError::ExcessiveWork { .. } => Fault::ExcessiveWork,
        // What is read is in memory already, so even `Io` is about the bytes.
        _ => Fault::Corrupt,
    }
}

/// A path as it may stand in a message or a command to copy: no control characters, quoted if a
/// shell would take it apart.
pub(crate) fn shown(path: &Path) -> String {
    let text: String = path
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    let safe = |c: char| c.is_alphanumeric() || "/._-+:,@%~".contains(c);
    if text.chars().all(safe) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// An error of this crate's own making, without a file.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fault once: a new one does not compile until it is added here and in the table.
    const fn exit_code(fault: Fault) -> u8 {
        use Fault as F;
        match fault {
            F::Absent => 3,
            F::Refused
            | F::NoIdentity
            | F::WrongIdentity
            | F::PassphraseNeeded
            | F::WrongPassphrase => 4,
            F::DiskFull | F::Busy | F::Io => 5,
            F::Missing
            | F::NotAFile
            | F::Symlink
            | F::WorldWritable
            | F::Foreign
            | F::ReadOnly
            | F::BadPath
            | F::NoLocks
            | F::TooLarge
            | F::Corrupt
            | F::Undecodable
            | F::Newer
            | F::ExcessiveWork
            | F::NobodyToCreateFor
            | F::LooseIdentity
            | F::BadIdentity
            | F::NoRecipients => 6,
            F::PassphraseStore | F::Exists => 1,
        }
    }

    #[test]
    fn every_fault_has_the_exit_code_that_its_row_promises() {
        assert_eq!(
            TABLE.len(),
            Fault::Exists as usize + 1,
            "one row for each fault"
        );
        for (at, (fault, ..)) in TABLE.iter().enumerate() {
            assert_eq!(at, *fault as usize, "{fault:?} stands out of order");
            assert_eq!(fault.kind().exit_code(), exit_code(*fault), "{fault:?}");
            let error = fault.at(Path::new("/x/credchain.age"));
            assert!(
                error
                    .hint()
                    .is_some_and(|hint| !hint.is_empty() && !hint.contains("{}"))
            );
            assert!(error.message().contains("`/x/credchain.age`"));
        }
    }

    #[test]
    fn system_errors_are_mapped_row_by_row() {
        use io::ErrorKind as E;
        for (kind, fault) in [
            (E::NotFound, Fault::Missing),
            (E::PermissionDenied, Fault::Refused),
            (E::StorageFull, Fault::DiskFull),
            (E::QuotaExceeded, Fault::DiskFull),
            (E::FileTooLarge, Fault::DiskFull),
            (E::ReadOnlyFilesystem, Fault::ReadOnly),
            (E::IsADirectory, Fault::NotAFile),
            (E::NotADirectory, Fault::BadPath),
            (E::InvalidFilename, Fault::BadPath),
            (E::AlreadyExists, Fault::Exists),
            (E::TimedOut, Fault::Io),
        ] {
            assert_eq!(fault_of_io(&kind.into()), fault, "{kind:?}");
        }
    }

    #[test]
    fn refused_files_are_mapped_row_by_row() {
        let path = Path::new("/x/credchain.age");
        for (reason, fault) in [
            (Refused::NotRegular("a pipe"), Fault::NotAFile),
            (Refused::WorldWritable, Fault::WorldWritable),
            (Refused::ForeignOwner(4711), Fault::Foreign),
            (Refused::TooLarge, Fault::TooLarge),
            (
                Refused::Io(io::ErrorKind::PermissionDenied.into()),
                Fault::Refused,
            ),
        ] {
            let error = refused(path, reason);
            assert_eq!(error.message(), fault.at(path).message());
            assert_eq!(error.kind(), fault.kind());
        }
    }

    #[test]
    fn decryption_errors_are_mapped_row_by_row() {
        use DecryptError as D;
        for (error, passphrase, fault) in [
            (D::NoMatchingKeys, false, Fault::WrongIdentity),
            (D::DecryptionFailed, true, Fault::WrongPassphrase),
            (D::DecryptionFailed, false, Fault::Corrupt),
            (D::KeyDecryptionFailed, false, Fault::WrongPassphrase),
            (
                D::ExcessiveWork {
                    required: 60,
                    target: 18,
                },
                true,
                Fault::ExcessiveWork,
            ),
            (D::InvalidHeader, false, Fault::Corrupt),
            (D::InvalidMac, true, Fault::Corrupt),
            (D::UnknownFormat, false, Fault::Corrupt),
            (
                D::Io(io::ErrorKind::UnexpectedEof.into()),
                false,
                Fault::Corrupt,
            ),
        ] {
            assert_eq!(fault_of_decrypt(&error, passphrase), fault, "{error:?}");
        }
    }

    #[test]
    fn a_hostile_path_can_be_copied_into_a_shell() {
        assert_eq!(shown(Path::new("a b;rm -rf'")), r"'a b;rm -rf'\'''");
        assert!(!shown(Path::new("a\u{1b}[31m")).contains('\u{1b}'));
    }
}
