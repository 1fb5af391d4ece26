//! What `[providers.NAME]` with `type = "env"` may say.

use std::path::PathBuf;

use credchain_core::{Error, Kind, Result, Setting, Setup, Shape};

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[Setting::new(
    "prefix",
    Shape::Text,
    "What every variable's name starts with; it is put in front of each relative name.",
)
.or("\"\"")];

/// Settings that are known to be right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    /// Where a relative path in a `NAME_FILE` variable starts.
    pub(crate) working_directory: PathBuf,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let prefix = setup.settings.text("prefix")?.unwrap_or_default();
        if prefix.chars().any(|c| c == '=' || c.is_control()) {
            let message = "setting `prefix` cannot contain `=` or control characters";
            return Err(Error::new(Kind::Misconfigured, message)
                .with_hint("a prefix looks like `PIPELINE_`"));
        }
        let working_directory = setup.project.working_directory.clone();
        Ok(Self {
            prefix: prefix.to_owned(),
            working_directory,
        })
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Settings as Table};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("env")).with_settings(Table::from_json(table));
        Settings::new(&setup)
    }

    #[test]
    fn the_prefix_is_empty_unless_set() {
        assert_eq!(settings(json!({})).unwrap().prefix, "");
        assert_eq!(settings(json!({"prefix": "APP_"})).unwrap().prefix, "APP_");
    }

    #[test]
    fn a_prefix_that_no_variable_can_have_is_misconfigured() {
        for bad in [json!("A=B"), json!("A\n"), json!("\0"), json!(7)] {
            let error = settings(json!({ "prefix": bad })).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
        }
    }
}
