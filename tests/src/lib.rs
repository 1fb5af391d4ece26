//! End-to-end tests of credchain and the harness that starts real servers.
