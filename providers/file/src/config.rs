//! What `[providers.NAME]` with `type = "file"` may say.

use std::path::{Path, PathBuf};

use credchain_core::{Context, Error, Kind, Result, Setting, Setup, Shape};

/// Where container runtimes mount secrets.
const DEFAULT: &str = "/run/secrets";

/// Where systemd says that it put a service's credentials.
const SYSTEMD: &str = "CREDENTIALS_DIRECTORY";

const DEFAULT_MAX_SIZE: u64 = 16 << 20;

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "path",
        Shape::Path,
        "The directory; without it `$CREDENTIALS_DIRECTORY` if that is set.",
    )
    .or("\"/run/secrets\""),
    Setting::new(
        "trim",
        Shape::Bool,
        "Whether one line end at the end of a value is dropped.",
    )
    .or("false"),
    Setting::new("max_size", Shape::Size, "The largest file that is read.").or("\"16MiB\""),
];

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    path: Option<PathBuf>,
    pub(crate) trim: bool,
    pub(crate) max_size: u64,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let path = setup.settings.text("path")?;
        if path.is_some_and(str::is_empty) {
            return Err(
                Error::new(Kind::Misconfigured, "setting `path` names no directory")
                    .with_hint("leave it out, or name a directory such as `path = \"secrets\"`"),
            );
        }
        // Trust was judged by the expanded path, so that is the one to read.
        let path = path.map(|path| setup.project.base().join(setup.project.expand(path)));
        let max_size = setup.settings.size("max_size")?.unwrap_or(DEFAULT_MAX_SIZE);
        if max_size == 0 {
            return Err(Error::new(
                Kind::Misconfigured,
                "setting `max_size` must be above 0",
            ));
        }
        Ok(Self {
            path,
            trim: setup.settings.bool("trim")?.unwrap_or(false),
            max_size,
        })
    }

    /// This directory.
    pub(crate) fn one(path: PathBuf) -> Self {
        Self {
            path: Some(path),
            trim: false,
            max_size: DEFAULT_MAX_SIZE,
        }
    }

    /// Whether somebody asked for one directory and no other.
    pub(crate) fn is_explicit(&self) -> bool {
        self.path.is_some()
    }

    /// The directory that is meant now.
    pub(crate) fn directory(&self, cx: &Context) -> PathBuf {
        let systemd = || {
            cx.env()
                .get(SYSTEMD)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let path = self.path.clone().or_else(systemd);
        path.unwrap_or_else(|| Path::new(DEFAULT).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::{Environment, LinkName, Project, Settings as Table};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("file"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("demo", "/project/deep").with_root("/project"));
        Settings::new(&setup)
    }

    #[test]
    fn wrong_settings_are_misconfigured() {
        for table in [
            json!({"path": ""}),
            json!({"path": 7}),
            json!({"trim": "yes"}),
            json!({"max_size": 0}),
            json!({"max_size": "big"}),
        ] {
            assert_eq!(settings(table).unwrap_err().kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn the_directory_is_the_set_one_then_systemds_then_the_runtimes() {
        let bare = Context::system().with_env(Environment::fixed([("A", "b")]));
        let systemd = |path| Context::system().with_env(Environment::fixed([(SYSTEMD, path)]));
        let set = settings(json!({"path": "secrets/{profile}"})).unwrap();
        assert_eq!(
            set.directory(&systemd("/run/c")),
            Path::new("/project/secrets/default")
        );
        let unset = settings(json!({})).unwrap();
        assert_eq!(unset.directory(&systemd("/run/c")), Path::new("/run/c"));
        assert_eq!(unset.directory(&systemd("relative")), Path::new(DEFAULT));
        assert_eq!(unset.directory(&bare), Path::new(DEFAULT));
    }
}
