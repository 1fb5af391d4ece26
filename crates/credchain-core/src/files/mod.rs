//! Files that hold secrets, for everything here that keeps or reads one.
//!
//! - [`open`], [`check`] and [`Regular::read`] read a file that somebody else may have put there:
//!   opening has no effects, what is no regular file is refused, and so is what a stranger owns or
//!   everybody can write. Why not is a [`Refused`], which each caller turns into the
//!   [`Kind`](crate::Kind) that it means there.
//! - A [`Draft`] replaces a file as a whole: nobody ever reads half of it, also after a crash.
//! - A [`PrivateDirectory`] keeps what must be this user's alone, such as tokens, keys and journals.
//!
//! All of it blocks, so asynchronous code calls it from a thread where that is allowed. Owners and
//! modes are checked on Unix; elsewhere the file system's permissions are all there is.
//!
//! ```
//! use std::io::Write as _;
//!
//! use credchain_core::files::{self, Draft, Refused};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("tokens");
//! let mut draft = Draft::private(&path, ".tokens-")?;
//! draft.write_all(b"s3cret")?;
//! draft.replace()?;
//! assert_eq!(files::open(&path)?.read(1024)?, b"s3cret");
//! assert!(matches!(files::open(&path)?.read(5), Err(Refused::TooLarge)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod open;
mod private;
mod write;

pub use self::open::{
    Links, Refused, Regular, check, foreign_owner, is_still_at, is_world_writable, open, open_with,
    read_to_limit, what_it_is,
};
pub use self::private::{PrivateDirectory, create_private, is_private, make_private_directory};
pub use self::write::{Draft, directory_of, occupant, sync_directory};
