//! Places at which tests end the process.

/// A place of this name.
macro_rules! point {
    ($name:expr) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!($name);
    };
}

pub(crate) use point;
