//! The systems whose credentials are replaced, besides those that providers themselves offer.
//!
//! | type | what it is | feature |
//! |---|---|---|
//! | [`command`](Command) | programs of the user's own | |
//! | `http` | an HTTP API, described in the configuration | `http` |
//! | `postgres` | the roles of a Postgres server | `postgres` |
//!
//! Each is built from the table `[rotation.targets.NAME]`, see [`build`].

mod command;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "postgres")]
mod postgres;

use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::{
    CredentialSource, Error, Issued, Kind, NoCredentials, Project, Result, Settings, Target,
};
use serde_json::Value;

pub use self::command::Command;
#[cfg(feature = "http")]
pub use self::http::Http;
#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;

/// Everything that a target is built from, besides its own table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Where the secrets come from that it logs in with itself, such as an administrator's.
    pub credentials: Arc<dyn CredentialSource>,
    /// The project it is built for: relative paths start in its directory.
    pub project: Project,
    /// Environment variables that no program it starts gets to see.
    pub withheld: Vec<String>,
}

impl Setup {
    /// A set-up for a project, with no secrets of its own and nothing withheld.
    pub fn new(project: Project) -> Self {
        Self {
            credentials: Arc::new(NoCredentials),
            project,
            withheld: Vec::new(),
        }
    }

    /// The same, with a source for the target's own secrets.
    pub fn with_credentials(mut self, credentials: Arc<dyn CredentialSource>) -> Self {
        self.credentials = credentials;
        self
    }

    /// The same, keeping these environment variables from programs that the target starts.
    pub fn withholding(mut self, variables: Vec<String>) -> Self {
        self.withheld = variables;
        self
    }
}

/// Builds the target that a table `[rotation.targets.NAME]` describes; `type_name` is its `type`.
/// Touches neither network nor files: that waits for the first use.
///
/// ```
/// use credchain_core::{Project, Settings};
/// use credchain_rotation::target::{Setup, build};
///
/// let settings = Settings::from_json(serde_json::json!({
///     "verify": ["./hook", "verify"],
///     "apply": ["./hook", "apply"],
/// }));
/// let target = build("command", &settings, &Setup::new(Project::new("app", "/srv/app")))?;
/// assert!(!target.abilities().disable);
/// # Ok::<(), credchain_core::Error>(())
/// ```
///
/// # Errors
/// [`Kind::Misconfigured`] for settings that contradict each other, [`Kind::Unsupported`] for a
/// type that this build does not have.
pub fn build(type_name: &str, settings: &Settings, setup: &Setup) -> Result<Arc<dyn Target>> {
    match type_name {
        "command" => Ok(Arc::new(Command::new(settings, setup)?)),
        #[cfg(feature = "http")]
        "http" => Ok(Arc::new(Http::new(settings, setup)?)),
        #[cfg(feature = "postgres")]
        "postgres" => Ok(Arc::new(Postgres::new(settings, setup)?)),
        #[cfg(not(feature = "http"))]
        "http" => Err(left_out("http")),
        #[cfg(not(feature = "postgres"))]
        "postgres" => Err(left_out("postgres")),
        other => Err(Error::new(
            Kind::Unsupported,
            format!("there are no targets of the type `{other}` here"),
        )),
    }
}

#[cfg(not(all(feature = "http", feature = "postgres")))]
fn left_out(type_name: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("this build has no targets of the type `{type_name}`"),
    )
    .with_hint(format!(
        "a build with the feature `{type_name}` of `credchain-rotation` has them"
    ))
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Misconfigured, message)
}

/// What a description of the user's own has to say so that a rotation can come to its end.
fn check_actions(settings: &Settings) -> Result<()> {
    let has = |key| settings.has(key);
    if !has("verify") {
        return Err(wrong("setting `verify` is missing").with_hint(
            "without it nobody knows whether a value works, and rotation believes nothing else",
        ));
    }
    if has("issue") == has("apply") {
        return Err(wrong("one of `apply` and `issue` has to be set")
            .with_hint("`apply` takes a value that we make, `issue` makes one itself"));
    }
    if has("issue") && !(has("issued") && has("revoke")) {
        return Err(wrong("`issue` needs `issued` and `revoke` beside it").with_hint(
            "a key whose secret was lost on the way is found by `issued`, and ended by `revoke`",
        ));
    }
    if has("disable") != has("enable") {
        return Err(
            wrong("`disable` and `enable` belong together").with_hint("either undoes the other")
        );
    }
    Ok(())
}

/// What such a description can do.
fn abilities(settings: &Settings) -> Result<credchain_core::Abilities> {
    let mut abilities = if settings.has("issue") {
        credchain_core::Abilities::issuing()
    } else {
        credchain_core::Abilities::accepting()
    };
    if settings.has("disable") {
        abilities = abilities.disabling();
    }
    if let Some(time) = settings.duration("settling")? {
        abilities = abilities.settling(time);
    }
    if let Some(limit) = settings.integer("limit")? {
        let limit = usize::try_from(limit).map_err(|_| wrong("setting `limit` is negative"))?;
        abilities = abilities.limited(limit);
    }
    Ok(abilities)
}

/// The id of the key with this tag, for issuers that print a value alone.
fn tagged(keys: Vec<Issued>, tag: &str) -> String {
    let mut keys = keys
        .into_iter()
        .filter(|key| key.tag.as_deref() == Some(tag));
    match (keys.next(), keys.next()) {
        (Some(key), None) => key.id,
        _ => String::new(),
    }
}

/// A moment as programs and APIs write it: RFC 3339, or seconds (or milliseconds) since 1970.
fn moment(value: &Value) -> Option<SystemTime> {
    /// In seconds this is the year 5138, in milliseconds 1973.
    const MILLISECONDS: u64 = 100_000_000_000;
    let number = match value {
        Value::String(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return crate::zone::Zone::utc().parse(text).ok(),
        },
        // Some write a fraction of a second.
        Value::Number(number) => number.as_u64().or_else(|| {
            let seconds = std::time::Duration::try_from_secs_f64(number.as_f64()?).ok()?;
            Some(seconds.as_secs())
        })?,
        _ => return None,
    };
    let since = if number >= MILLISECONDS {
        std::time::Duration::from_millis(number)
    } else {
        std::time::Duration::from_secs(number)
    };
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// An id that is text or a number.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn setup() -> Setup {
        Setup::new(Project::new("p", "/"))
    }

    #[test]
    fn a_type_that_nobody_has_is_unsupported() {
        let error = build("abacus", &Settings::default(), &setup()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("`abacus`"));
    }

    #[test]
    fn a_description_that_could_not_come_to_an_end_is_misconfigured() {
        let hook = json!(["hook"]);
        for (settings, ok) in [
            (json!({"apply": hook}), false),
            (json!({"verify": hook}), false),
            (json!({"verify": hook, "apply": hook, "issue": hook}), false),
            (json!({"verify": hook, "issue": hook}), false),
            (
                json!({"verify": hook, "issue": hook, "issued": hook}),
                false,
            ),
            (
                json!({"verify": hook, "apply": hook, "disable": hook}),
                false,
            ),
            (
                json!({"verify": hook, "apply": hook, "enable": hook}),
                false,
            ),
            (json!({"verify": hook, "apply": hook}), true),
            (
                json!({"verify": hook, "issue": hook, "issued": hook, "revoke": hook}),
                true,
            ),
        ] {
            let built = build("command", &Settings::from_json(settings.clone()), &setup());
            let kind = built.map(drop).map_err(|error| error.kind());
            let expected = if ok { Ok(()) } else { Err(Kind::Misconfigured) };
            assert_eq!(kind, expected, "{settings}");
        }
    }

    #[test]
    fn abilities_are_those_that_are_described() {
        let settings = Settings::from_json(json!({
            "issue": [], "disable": [], "settling": "10s", "limit": 2,
        }));
        let expected = credchain_core::Abilities::issuing()
            .disabling()
            .settling(Duration::from_secs(10))
            .limited(2);
        assert_eq!(abilities(&settings).unwrap(), expected);
    }

    #[test]
    fn a_moment_is_a_date_or_a_number() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for value in [
            json!("2026-01-02T03:04:05Z"),
            json!("2026-01-02T04:04:05+01:00"),
            json!(1_767_323_045),
            json!("1767323045"),
            json!(1_767_323_045_000_u64),
            json!(1_767_323_045.25),
        ] {
            assert_eq!(moment(&value), at(1_767_323_045), "{value}");
        }
        for value in [
            json!("soon"),
            json!(null),
            json!([]),
            json!(-1),
            json!(1e300),
        ] {
            assert_eq!(moment(&value), None, "{value}");
        }
    }
}
