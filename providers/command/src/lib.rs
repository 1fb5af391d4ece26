//! External commands and plugins for credchain.
