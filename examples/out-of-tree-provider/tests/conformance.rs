//! Every promise that a provider makes, against a real file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use credchain_conformance::Planted;
use credchain_core::{Context, Environment, Reference};
use credchain_provider_netrc::Netrc;
use tempfile::TempDir;

/// A home directory of its own for each promise.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    /// Writes entries as people do, in quotes wherever these are needed.
    fn plant(&self, values: &[Planted]) {
        let file = self.0.path().join(".netrc");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .expect("a netrc file");
        for (reference, value) in values {
            let password = std::str::from_utf8(value).expect("the provider claims text only");
            let (machine, password) = (quoted(reference.path()), quoted(password));
            writeln!(file, "machine {machine} login me password {password}").expect("a line");
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

credchain_conformance::suite! {
    name: netrc,
    start: || async { Home::new() },
    provider: |_home: &Home| Arc::new(Netrc::new()),
    seed: async |home: &Home, values: &[Planted]| home.plant(values),
    // The environment is handed in, so that no test touches the one of the process.
    context: |home: &Home| {
        Context::system().with_env(Environment::fixed([("HOME", home.0.path())]))
    },
    // With a field in its references, a field that is missing has to be `NotFound`.
    reference: |name: &str| {
        let place = Reference::new(name).expect("the suite's names are references");
        place.with_field("password").expect("a field")
    },
}
