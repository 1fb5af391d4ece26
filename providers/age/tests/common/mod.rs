//! A project and a home of its own for each test.

#![allow(dead_code, reason = "not every test uses every helper")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use credchain_core::{
    Context, Environment, Error, Provider as _, Reference, Secret, SetOptions, Version,
};
use credchain_provider_age::{Age, Protection, Recipient, StoreSettings, generate_identity};

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) identity: PathBuf,
    pub(crate) recipient: Recipient,
}

impl World {
    /// An identity, and no store yet.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = directory.path().join("home/identity");
        let recipient = generate_identity(&identity, None).unwrap();
        fs::create_dir(directory.path().join("project")).unwrap();
        Self {
            directory,
            identity,
            recipient,
        }
    }

    /// An identity and an empty store.
    pub(crate) async fn with_store() -> Self {
        let world = Self::new();
        create(&world.age(), &[&world.recipient]).await;
        world
    }

    /// An identity and a store with one value.
    pub(crate) async fn with_value(value: &str) -> Self {
        let world = Self::new();
        set(&world.age(), "default/api_key", value.as_bytes())
            .await
            .unwrap();
        world
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.project().join("credchain.age")
    }

    /// A new instance, which remembers nothing.
    pub(crate) fn age(&self) -> Age {
        self.age_with(&self.identity)
    }

    pub(crate) fn age_with(&self, identity: &Path) -> Age {
        Age::new(StoreSettings::new(self.path()).with_identity(identity))
    }

    /// Another person's identity.
    pub(crate) fn other(&self, name: &str) -> (PathBuf, Recipient) {
        let path = self.directory.path().join("home").join(name);
        let recipient = generate_identity(&path, None).unwrap();
        (path, recipient)
    }

    /// What lies in the project besides the store.
    pub(crate) fn litter(&self) -> Vec<String> {
        let names = fs::read_dir(self.project()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "credchain.age").collect()
    }
}

/// The system's clock, and no variables but these.
pub(crate) fn world(variables: &[(&str, &str)]) -> Context {
    Context::system().with_env(Environment::fixed(variables.iter().copied()))
}

pub(crate) fn at(reference: &str) -> Reference {
    reference.parse().unwrap()
}

pub(crate) async fn set(age: &Age, reference: &str, value: &[u8]) -> Result<Version, Error> {
    age.set(
        &at(reference),
        &Secret::new(value),
        &SetOptions::default(),
        &world(&[]),
    )
    .await
}

pub(crate) async fn get(age: &Age, reference: &str) -> Result<Vec<u8>, Error> {
    age.get(&at(reference), &world(&[]))
        .await
        .map(|secret| secret.expose().to_vec())
}

pub(crate) async fn create(age: &Age, recipients: &[&Recipient]) {
    let recipients = recipients.iter().map(|one| (*one).clone()).collect();
    age.create_store(Protection::Recipients(recipients))
        .await
        .unwrap();
}

/// Runs a tool that has to be installed.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("`{program}` is needed: {error}"));
    assert!(
        output.status.success(),
        "`{program} {arguments:?}`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
