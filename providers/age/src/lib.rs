//! One encrypted file, safe to commit, for credchain.
