//! The behaviour suite that every credchain provider must pass.
