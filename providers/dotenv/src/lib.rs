//! .env files for credchain.
