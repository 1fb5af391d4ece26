//! The promises of a stream, against a redactor that is too simple to be wrong.

mod bad_input;
mod cuts;
mod naive;
mod random;
mod registering;
mod speed;
