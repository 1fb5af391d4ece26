//! `dotenv-mode` and `private-modes`: what is one user's is closed to all others.

use std::path::PathBuf;

use super::ignored::is_dotenv;
use super::mode;
use super::tree::Tree;
use super::{Report, Site};

/// As deep as anything of credchain's own lies.
const DEPTH: usize = 8;

/// Whether others can read a file with variables.
pub(crate) fn dotenv(site: &Site<'_>) -> Report {
    let mut report = Report::default();
    let files = site.tree().files().filter(|path| is_dotenv(path));
    report.extend(files.filter_map(|path| mode::problem(site, path)));
    report.notes.extend(site.tree().caveat());
    report
}

/// Whether others can look into what credchain keeps for itself: private keys, tokens, what is
/// trusted, journals.
pub(crate) fn private(site: &Site<'_>) -> Report {
    let mut report = Report::default();
    let identities = identities(site, &mut report);
    for path in &identities {
        // A key in a directory of credchain's own lies beside nothing else.
        let own = site.discovery().config_home.as_deref();
        let directory = path.parent().filter(|parent| Some(*parent) == own);
        report.extend(directory.and_then(|directory| mode::problem(site, directory)));
        // A secret that was mounted read-only has the mode that its mount gave it.
        if !mode::is_mounted_read_only(path) {
            report.extend(mode::problem(site, path));
        }
    }
    if let Some(state) = &site.discovery().state_home {
        report.extend(mode::problem(site, state));
        let kept = Tree::below(state, DEPTH);
        let all = kept.directories().chain(kept.files());
        report.extend(all.filter_map(|path| mode::problem(site, path)));
    }
    report
}

/// Every private key that is there. Where the configuration cannot be read, the usual one.
fn identities(site: &Site<'_>, report: &mut Report) -> Vec<PathBuf> {
    let mut files = Vec::new();
    match site.project() {
        Ok(project) => files.extend(project.identity_files()),
        Err(_) => {
            report.note("only the usual places were looked at: the configuration has mistakes");
        }
    }
    let usual = site.discovery().config_home.as_ref();
    files.extend(usual.map(|home| home.join("identity")));
    files.retain(|path| path.symlink_metadata().is_ok());
    files.sort_unstable();
    files.dedup();
    files
}
