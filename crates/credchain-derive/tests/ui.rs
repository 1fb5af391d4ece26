//! What is said of a struct that cannot be right.
//!
//! Here and not beside the facade's tests: the cases are compiled with the features of the crate
//! that they belong to, and this one has none that would bring every provider along.

#[test]
fn a_wrong_struct_is_explained_where_it_is_wrong() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
