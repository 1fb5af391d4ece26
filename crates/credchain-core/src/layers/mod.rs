//! Wrappers around a provider, each with one concern.
