//! What cargo knows about the packages in the graph.

use serde_json::Value;

use crate::run::{Failure, Outcome, cargo, output};

/// The part of `cargo metadata` that the checks read.
pub(super) struct Metadata {
    /// Every package for the systems that this machine stands for, all features on.
    pub(super) packages: Vec<Package>,
}

/// A package in the graph.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: Option<String>,
    pub(super) is_ours: bool,
    pub(super) dependencies: Vec<Dependency>,
}

/// A dependency as a manifest states it, optional ones included.
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) for_tests: bool,
}

impl Metadata {
    /// Asks cargo. What other systems need is left out: its packages are not on this machine.
    pub(super) fn read() -> Outcome<Self> {
        let host = host_triple()?;
        let text = output(&mut cargo(&[
            "metadata",
            "--format-version=1",
            "--all-features",
            "--filter-platform",
            &host,
        ]))?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("cargo metadata: {error}")))?;
        let packages = list(&json["packages"]).map(package).collect();
        Ok(Self { packages })
    }

    /// The packages of this workspace.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_ours)
    }

    /// The packages of others.
    pub(super) fn others(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !package.is_ours)
    }
}

fn package(json: &Value) -> Package {
    Package {
        name: text(&json["name"]),
        version: text(&json["version"]),
        licence: json["license"].as_str().map(str::to_owned),
        // Everything that lies in this repository, and nothing else, has no source.
        is_ours: json["source"].is_null(),
        dependencies: list(&json["dependencies"])
            .map(|dependency| Dependency {
                name: text(&dependency["name"]),
                for_tests: dependency["kind"] == "dev",
            })
            .collect(),
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn host_triple() -> Outcome<String> {
    let about = output(std::process::Command::new("rustc").arg("-vV"))?;
    about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("rustc does not say what it builds for"))
}
