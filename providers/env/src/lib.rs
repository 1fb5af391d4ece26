//! Environment variables for credchain.
