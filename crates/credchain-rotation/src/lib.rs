//! How old credentials are, and new ones in their place.

pub mod target;
