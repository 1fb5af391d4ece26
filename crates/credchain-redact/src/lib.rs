//! Hides registered secrets, in whatever encoding, and what looks like one, in any stream of bytes.

mod finder;
