//! `world-writable-config` and `configuration`: what is read is what the user wrote.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use credchain::config::FILE_NAME;
use credchain::files::is_world_writable;

use super::{Report, Site, words};
use crate::failure::Failure;

/// Whether others can change a configuration, or put another in its place. Not mended: what
/// others may have written there is to be read first.
pub(crate) fn writable(site: &Site<'_>) -> Report {
    let mut report = Report::default();
    let mut seen = Vec::new();
    for file in files(site) {
        let directory = file.parent().map(Path::to_owned);
        for path in directory.into_iter().chain([file]) {
            if seen.contains(&path) {
                continue;
            }
            if path.metadata().is_ok_and(|found| is_open(&found)) {
                report.problem(
                    format!("`{}` can be changed by everybody", site.shown(&path)),
                    format!(
                        "chmod o-w {}  # after a look at what it says",
                        site.word(&path)
                    ),
                );
            }
            seen.push(path);
        }
    }
    report
}

/// Whether the configuration can be used at all.
pub(crate) fn loads(site: &Site<'_>) -> Report {
    let mut report = Report::default();
    match site.project() {
        Ok(project) if !project.loaded().configured => {
            return Report::skipped("there is none; `resolve init` makes one");
        }
        Ok(_) => {}
        Err(failure @ Failure::Config(_)) => {
            report.problem(words(failure), "resolve config check");
        }
        Err(failure) => report.problem(words(failure), "resolve check"),
    }
    report
}

/// Every file that the configuration is made of, whether it may be read or not.
fn files(site: &Site<'_>) -> Vec<PathBuf> {
    let discovery = site.discovery();
    let here = &discovery.working_directory;
    let found = || {
        let mut above = here.ancestors().map(|above| above.join(FILE_NAME));
        above.find(|file| file.is_file())
    };
    let main = match &discovery.explicit {
        Some(named) => Some(here.join(named)),
        None => discovery.found.clone().or_else(found),
    };
    let local = main.as_ref().map(|main| main.with_extension("local.toml"));
    let user = discovery
        .config_home
        .as_ref()
        .map(|home| home.join("config.toml"));
    let all = [main, local, user].into_iter().flatten();
    all.filter(|file| file.is_file()).collect()
}

/// Whether everybody can change it. In a directory such as `/tmp` everybody can add, and nobody
/// can replace what is somebody else's.
fn is_open(found: &Metadata) -> bool {
    is_world_writable(found) && !(found.is_dir() && is_sticky(found))
}

#[cfg(unix)]
fn is_sticky(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o1000 != 0
}

#[cfg(not(unix))]
fn is_sticky(_: &Metadata) -> bool {
    false
}
