//! What `[providers.NAME]` with `type = "dotenv"` may say, and which files that means.

use std::path::{Path, PathBuf};

use credchain_core::{Error, Kind, Project, Result, Setting, Setup, Shape};

/// The file that is read when nothing else is said.
const DEFAULT: &str = ".env";

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "files",
        Shape::List(&Shape::Path),
        "The files to read; what an earlier one says counts.",
    )
    .or("[\".env\"]"),
    Setting::new(
        "prefix",
        Shape::Text,
        "What every key starts with; it is put in front of each relative name.",
    )
    .or("\"\""),
];

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// As written; the earlier one wins.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) prefix: String,
    /// Whether somebody asked for this provider.
    pub(crate) explicit: bool,
    project: Project,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let files = setup
            .settings
            .texts("files")?
            .unwrap_or_else(|| vec![DEFAULT.to_owned()]);
        if files.is_empty()
            || files
                .iter()
                .any(|file| file.is_empty() || file.contains('\0'))
        {
            return Err(
                Error::new(Kind::Misconfigured, "setting `files` must name files")
                    .with_hint("for example `files = [\".env.local\", \".env\"]`"),
            );
        }
        let prefix = setup.settings.text("prefix")?.unwrap_or_default();
        if prefix.chars().any(|c| c == '=' || c.is_control()) {
            let message = "setting `prefix` cannot contain `=` or control characters";
            return Err(Error::new(Kind::Misconfigured, message)
                .with_hint("a prefix looks like `PIPELINE_`"));
        }
        Ok(Self {
            // Trust was judged by the expanded path, so that is the one to read.
            files: files
                .iter()
                .map(|file| setup.project.expand(file).into())
                .collect(),
            prefix: prefix.to_owned(),
            explicit: setup.explicit,
            project: setup.project.clone(),
        })
    }

    /// One file, wherever it is.
    pub(crate) fn one(file: PathBuf) -> Self {
        Self {
            files: vec![file],
            prefix: String::new(),
            explicit: true,
            project: Project::new("default", "."),
        }
    }

    /// Where each of the files is, or would be.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| self.place(file)).collect()
    }

    /// Whether a file found in a repository is a link out of it, where no configuration that
    /// could be trusted names it.
    // SECURITY: a cloned repository may hold a link to the `.env` of another project, or to a
    // private key, whose lines would be taken for names and shown.
    pub(crate) fn leads_out(&self, path: &Path) -> bool {
        if self.project.root.is_some() {
            return false;
        }
        let start = self.start();
        let repository = directories_of_repository(&start)
            .and_then(|above| above.last().copied())
            .filter(|repository| path.starts_with(repository));
        let inside = |repository: &Path| {
            let repository = repository.canonicalize().ok()?;
            Some(path.canonicalize().ok()?.starts_with(repository))
        };
        path.is_symlink() && repository.is_some_and(|repository| inside(repository) != Some(true))
    }

    fn start(&self) -> PathBuf {
        std::path::absolute(&self.project.working_directory)
            .unwrap_or_else(|_| self.project.working_directory.clone())
    }

    fn place(&self, file: &Path) -> PathBuf {
        if let Some(root) = &self.project.root {
            return root.join(file);
        }
        let start = self.start();
        if file.is_absolute() {
            return file.to_owned();
        }
        let above = directories_of_repository(&start).unwrap_or_default();
        let mut candidates = above.iter().map(|directory| directory.join(file));
        candidates
            .find(|path| path.symlink_metadata().is_ok())
            .unwrap_or_else(|| start.join(file))
    }
}

/// From `start` up to the directory with `.git`; nothing outside of any repository.
fn directories_of_repository(start: &Path) -> Option<Vec<&Path>> {
    let depth = start
        .ancestors()
        .position(|directory| directory.join(".git").exists())?;
    Some(start.ancestors().take(depth + 1).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use credchain_core::{LinkName, Settings as Table};
    use serde_json::json;

    use super::*;

    fn setup(table: serde_json::Value) -> Setup {
        Setup::new(LinkName::literal("dotenv")).with_settings(Table::from_json(table))
    }

    #[test]
    fn wrong_settings_are_misconfigured() {
        for table in [
            json!({"files": []}),
            json!({"files": [""]}),
            json!({"files": [7]}),
            json!({"prefix": "A="}),
        ] {
            let error = Settings::new(&setup(table)).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn with_a_project_files_start_at_its_root() {
        let project = Project::new("demo", "/home/u/demo/deep").with_root("/home/u/demo");
        let project = project.with_profile("prod");
        let table = json!({"files": [".env.{profile}", "/etc/{project}.env"]});
        let settings = setup(table).in_project(project);
        let places = Settings::new(&settings).unwrap().places();
        assert_eq!(
            places,
            [
                Path::new("/home/u/demo/.env.prod"),
                Path::new("/etc/demo.env")
            ]
        );
    }

    #[test]
    fn without_one_the_nearest_file_up_to_the_repository_root_is_taken() {
        let temporary = tempfile::tempdir().unwrap();
        let repository = temporary.path().join("outer/repository");
        let deep = repository.join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let places = |directory: &Path| {
            let project = Project::new("demo", directory);
            Settings::new(&Setup::new(LinkName::literal("dotenv")).in_project(project))
                .unwrap()
                .places()
        };

        fs::write(temporary.path().join("outer/.env"), "").unwrap();
        fs::write(repository.join(".env"), "").unwrap();
        assert_eq!(
            places(&deep),
            [deep.join(".env")],
            "outside of any repository"
        );

        fs::create_dir(repository.join(".git")).unwrap();
        assert_eq!(places(&deep), [repository.join(".env")]);
        fs::write(repository.join("a/.env"), "").unwrap();
        assert_eq!(places(&deep), [repository.join("a/.env")]);

        fs::remove_file(repository.join("a/.env")).unwrap();
        fs::remove_file(repository.join(".env")).unwrap();
        assert_eq!(
            places(&deep),
            [deep.join(".env")],
            "never above the repository"
        );
    }
}
