//! What `[providers.NAME]` with `type = "netrc"` may say.

use std::path::PathBuf;

use credchain_core::{Error, Kind, Result, Setting, Setup, Shape};

/// Every key of the provider's table: the configuration is checked against it, and the reference
/// page and the JSON schema are made from it.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "file",
        Shape::Path,
        "The file to read, relative to the project's directory. Default: `$NETRC`, else `~/.netrc`.",
    ),
    Setting::new(
        "use_default",
        Shape::Bool,
        "Whether a machine that is not listed gets the `default` entry.",
    )
    .or("false"),
];

/// Settings that are known to be right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The file, if the configuration names one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) use_default: bool,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let file = setup.settings.path("file")?;
        if file
            .as_ref()
            .is_some_and(|file| file.as_os_str().is_empty())
        {
            return Err(
                Error::new(Kind::Misconfigured, "setting `file` cannot be empty")
                    .with_hint("leave it out to read `~/.netrc`"),
            );
        }
        Ok(Self {
            file: file.map(|file| setup.project.base().join(file)),
            use_default: setup.settings.bool("use_default")?.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Project, Settings as Table};
    use serde_json::{Value, json};

    use super::*;

    fn settings(table: Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("netrc"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project"));
        Settings::new(&setup)
    }

    #[test]
    fn nothing_has_to_be_set() {
        let settings = settings(json!({})).unwrap();
        assert!(settings.file.is_none() && !settings.use_default);
    }

    #[test]
    fn a_relative_file_starts_at_the_project() {
        let settings = settings(json!({"file": "ci/netrc", "use_default": true})).unwrap();
        assert_eq!(settings.file.unwrap(), PathBuf::from("/project/ci/netrc"));
        assert!(settings.use_default);
    }

    #[test]
    fn a_mistake_is_misconfigured() {
        for table in [
            json!({"file": ""}),
            json!({"file": 7}),
            json!({"use_default": "yes"}),
        ] {
            assert_eq!(settings(table).unwrap_err().kind(), Kind::Misconfigured);
        }
    }
}
