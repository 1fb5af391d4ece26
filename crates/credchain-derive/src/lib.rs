//! Derives `credchain::Credentials` for structs of credentials.
//!
//! Use it through the `credchain` crate, with its feature `derive`; the trait's documentation
//! there lists every attribute.

mod attributes;
mod expand;
mod input;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `credchain::Credentials`, and a `Debug` that masks every secret, for a struct with
/// named fields.
///
/// The fields' types and attributes are described at the trait.
#[proc_macro_derive(Credentials, attributes(credentials, credential))]
pub fn credentials(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match input::Struct::parse(&input) {
        Ok(parsed) => expand::expand(&parsed).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
