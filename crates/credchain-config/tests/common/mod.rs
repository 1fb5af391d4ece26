//! A directory to load configurations from, and provider types to load them with.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test program uses its own part"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_config::{Diagnostics, Discovery, Loaded, load};
use credchain_core::{
    Capabilities, Environment, Memory, Provider, Registration, Registry, Result, Setting, Setup,
    Shape, TrustNeed, register_provider,
};

#[expect(
    clippy::unnecessary_wraps,
    reason = "registrations take functions of this form"
)]
fn build(_: Setup) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(Memory::new()))
}

const READ: Capabilities = Capabilities::read_only();

register_provider!(
    Registration::new("env", "environment variables", READ, build)
        .with_trust(TrustNeed::Never)
        .with_settings(&[Setting::new(
            "prefix",
            Shape::Text,
            "Stands before every variable's name."
        ),])
);
register_provider!(
    Registration::new("dotenv", "`.env` files", READ, build)
        .with_trust(TrustNeed::OutsideProject)
        .with_settings(&[Setting::new(
            "files",
            Shape::List(&Shape::Path),
            "The files, the first that has the name wins.",
        )
        .or("[\".env\"]")])
);
register_provider!(
    Registration::new("age", "an encrypted file", READ, build)
        .with_trust(TrustNeed::OutsideProject)
        .with_settings(&[
            Setting::new("file", Shape::Path, "The store."),
            Setting::new("max_size", Shape::Size, "The largest value."),
        ])
);
register_provider!(
    Registration::new("command", "other programs", READ, build).with_settings(&[
        Setting::new("program", Shape::Program, "What to run."),
        Setting::new("args", Shape::List(&Shape::Text), "Its arguments."),
        Setting::new("env", Shape::Map(&Shape::Text), "Its variables."),
        Setting::new(
            "max_processes",
            Shape::Integer { min: 1, max: 64 },
            "How many at once."
        ),
    ])
);
register_provider!(
    Registration::new("vault", "HashiCorp Vault", READ, build).with_settings(&[
        Setting::new("address", Shape::Url, "Where the server is.").required(),
        Setting::new("mount", Shape::Text, "The mount.").or("\"secret\""),
        Setting::new("path", Shape::Text, "The path."),
        Setting::new(
            "kv_version",
            Shape::Choice(&["v1", "v2"]),
            "The mount's version."
        ),
        Setting::new(
            "revoke_on_exit",
            Shape::Bool,
            "Whether leases end with the program."
        ),
        Setting::new(
            "auth",
            Shape::Tagged {
                tag: "method",
                variants: &[
                    (
                        "token",
                        &[Setting::new("token", Shape::Credential, "The token.")]
                    ),
                    (
                        "approle",
                        &[
                            Setting::new("role_id", Shape::Text, "The role.").required(),
                            Setting::new("secret_id", Shape::Credential, "Its secret."),
                        ],
                    ),
                ],
            },
            "How to log in.",
        ),
    ])
);

/// The provider types above.
pub fn registry() -> Registry {
    Registry::collect(&["env", "dotenv", "age", "command", "vault"]).unwrap()
}

/// A home, and a project `pipeline` inside it.
pub struct World {
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            home: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        std::fs::create_dir(world.project()).unwrap();
        world
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn project(&self) -> PathBuf {
        self.home.path().join("pipeline")
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes the user's own file.
    pub fn write_user(&self, text: &str) {
        self.write("../.config/credchain/config.toml", text);
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn discovery(&self) -> Discovery {
        let home = (
            "HOME".to_owned(),
            self.home.path().to_str().unwrap().to_owned(),
        );
        let variables = self.variables.iter().cloned().chain([home]);
        Discovery::new(self.project(), Environment::fixed(variables))
    }

    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        load(&self.discovery(), &registry())
    }

    pub fn load_in(&self, profile: &str) -> Result<Loaded, Diagnostics> {
        load(&self.discovery().with_profile(profile), &registry())
    }

    /// Loads what must be right.
    pub fn loaded(&self) -> Loaded {
        self.load()
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
    }
}
