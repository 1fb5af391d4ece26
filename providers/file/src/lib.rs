//! A directory of files, one secret each, for credchain.
