//! Finds registered values in a stream.
//!
//! [`filter`] looks at a few bytes in every stride of the text and says where a needle may begin;
//! [`needles`], all of them in order, says with one binary search which needles begin there. Only
//! around cuts of the stream, and in text that was made to be slow, [`machine`] takes over, which
//! looks at every byte once. [`wrapped`] finds base64 over line breaks. [`scan`] is what puts them
//! together.

pub(crate) mod filter;
pub(crate) mod layer;
pub(crate) mod machine;
pub(crate) mod needles;
pub(crate) mod scan;
pub(crate) mod wrapped;
