//! Derives Credentials for structs of credchain secrets.
