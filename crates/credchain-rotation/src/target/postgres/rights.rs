//! Whether whoever changes passwords may change these.

use credchain_core::{Context, Error, Kind, Result};

use super::super::wrong;
use super::config::{Accounts, Config};
use super::connect::Session;
use super::error::Failure;
use super::quoted;

/// The release that ties the right to change roles to `ADMIN OPTION`.
const ADMIN_OPTION: i32 = 160_000;

/// Who asks, and what for a server it is.
const WHO: &str = "
    SELECT current_setting('server_version_num')::int4, pg_is_in_recovery(), r.rolname::text,
           r.rolsuper, r.rolcreaterole, pg_has_role('pg_signal_backend', 'USAGE')
    FROM pg_roles r WHERE r.rolname = current_user";

const ROLES: &str = "
    SELECT oid, rolname::text, rolsuper, rolreplication, rolcanlogin, rolinherit, rolcreaterole,
           rolcreatedb, rolbypassrls, rolconnlimit,
           rolvaliduntil IS NOT NULL AND rolvaliduntil <= now(),
           pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'), pg_has_role(oid, 'USAGE')
    FROM pg_roles WHERE rolname::text = ANY($1)";

/// Who changes passwords.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "so is a role")]
struct Who {
    version: i32,
    standby: bool,
    name: String,
    superuser: bool,
    creates_roles: bool,
    signals: bool,
}

/// One of the roles that are rotated.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "so is a role")]
pub(super) struct Role {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) superuser: bool,
    pub(super) replicates: bool,
    logs_in: bool,
    pub(super) inherits: bool,
    pub(super) creates_roles: bool,
    pub(super) creates_databases: bool,
    pub(super) bypasses_rls: bool,
    pub(super) connections: i32,
    expired: bool,
    /// Whether whoever asks has `ADMIN OPTION` on it.
    administered: bool,
    /// Whether whoever asks has its privileges.
    usable: bool,
}

/// The roles that are rotated, in their order, if everything that is to come is allowed.
///
/// # Errors
/// [`Kind::Denied`] if it is not; [`Kind::Misconfigured`] for roles that could not be rotated.
pub(super) async fn check(config: &Config, session: &Session, cx: &Context) -> Result<Vec<Role>> {
    let at = |failure: Failure| failure.at(&config.primary);
    let rows = session.rows(WHO, &[], cx).await.map_err(at)?;
    let who = rows.first().and_then(|row| {
        Some(Who {
            version: row.try_get(0).ok()?,
            standby: row.try_get(1).ok()?,
            name: row.try_get(2).ok()?,
            superuser: row.try_get(3).ok()?,
            creates_roles: row.try_get(4).ok()?,
            signals: row.try_get(5).ok()?,
        })
    });
    let who = who.ok_or_else(|| unreadable(config))?;
    if who.standby {
        return Err(Failure::Sql("25006".into()).at(&config.primary));
    }
    let names = config.accounts.names();
    let rows = session.rows(ROLES, &[&names], cx).await.map_err(at)?;
    let found: Option<Vec<_>> = rows.iter().map(role).collect();
    let found = found.ok_or_else(|| unreadable(config))?;
    let mut roles = Vec::new();
    for name in names {
        let Some(role) = found.iter().find(|role| role.name == *name) else {
            return Err(wrong(format!("there is no role `{name}`")));
        };
        judge(config, &who, role)?;
        roles.push(role.clone());
    }
    Ok(roles)
}

fn role(row: &tokio_postgres::Row) -> Option<Role> {
    Some(Role {
        oid: row.try_get(0).ok()?,
        name: row.try_get(1).ok()?,
        superuser: row.try_get(2).ok()?,
        replicates: row.try_get(3).ok()?,
        logs_in: row.try_get(4).ok()?,
        inherits: row.try_get(5).ok()?,
        creates_roles: row.try_get(6).ok()?,
        creates_databases: row.try_get(7).ok()?,
        bypasses_rls: row.try_get(8).ok()?,
        connections: row.try_get(9).ok()?,
        expired: row.try_get(10).ok()?,
        administered: row.try_get(11).ok()?,
        usable: row.try_get(12).ok()?,
    })
}

/// A catalogue that is another than Postgres's.
pub(super) fn unreadable(config: &Config) -> Error {
    wrong(format!(
        "`{}`: it does not answer as PostgreSQL does",
        config.primary
    ))
}

fn judge(config: &Config, who: &Who, role: &Role) -> Result<()> {
    let (name, quoted_role, quoted_who) = (&role.name, quoted(&role.name), quoted(&who.name));
    if role.expired {
        return Err(wrong(format!(
            "the passwords of `{name}` are expired, new ones too"
        ))
        .with_hint(format!("ALTER ROLE {quoted_role} VALID UNTIL 'infinity'")));
    }
    if !role.logs_in && matches!(config.accounts, Accounts::One(_)) {
        return Err(wrong(format!("the role `{name}` may not log in"))
            .with_hint(format!("ALTER ROLE {quoted_role} LOGIN")));
    }
    let own = config.admin.is_none() && who.name == role.name;
    if who.superuser || own {
        return Ok(());
    }
    let denied = |why: &str, hint: String| {
        let message = format!("the role `{}` may not change `{name}`: {why}", who.name);
        Err(Error::new(Kind::Denied, message).with_hint(hint))
    };
    if role.superuser || (role.replicates && who.version < ADMIN_OPTION) {
        let hint = "set `admin` to a superuser, or take the attribute from the account";
        return denied("only a superuser may", hint.into());
    }
    if !who.creates_roles {
        return denied(
            "it has no CREATEROLE",
            format!("ALTER ROLE {quoted_who} CREATEROLE"),
        );
    }
    if who.version >= ADMIN_OPTION && !role.administered {
        return denied(
            "it has no ADMIN OPTION on it",
            format!("GRANT {quoted_role} TO {quoted_who} WITH ADMIN OPTION"),
        );
    }
    if config.end_sessions && !who.signals && !role.usable {
        return denied(
            "it may not end its sessions",
            format!("GRANT pg_signal_backend TO {quoted_who}"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use credchain_core::{Project, Settings};
    use serde_json::json;

    use super::super::super::Setup;
    use super::*;

    fn config(end_sessions: bool) -> Config {
        let settings = Settings::from_json(json!({
            "url": "postgres://h/d", "users": ["a", "b"], "admin": "adm",
            "end_sessions": end_sessions,
        }));
        Config::new(&settings, &Setup::new(Project::new("p", "/"))).unwrap()
    }

    fn admin(version: i32) -> Who {
        Who {
            version,
            standby: false,
            name: "adm".into(),
            superuser: false,
            creates_roles: true,
            signals: false,
        }
    }

    fn account() -> Role {
        Role {
            name: "a".into(),
            logs_in: true,
            ..Role::default()
        }
    }

    /// What comes of it, and the hint.
    fn judged(who: &Who, role: &Role, end_sessions: bool) -> Option<(Kind, String)> {
        let error = judge(&config(end_sessions), who, role).err()?;
        Some((error.kind(), error.hint().unwrap_or_default().to_owned()))
    }

    #[test]
    fn each_right_that_is_missing_is_named_with_its_remedy() {
        let denied = |hint: &str| Some((Kind::Denied, hint.to_owned()));
        let old = admin(150_000);
        assert_eq!(judged(&old, &account(), false), None);
        let none = Who {
            creates_roles: false,
            ..old.clone()
        };
        assert_eq!(
            judged(&none, &account(), false),
            denied("ALTER ROLE \"adm\" CREATEROLE")
        );
        let new = admin(160_000);
        assert_eq!(
            judged(&new, &account(), false),
            denied("GRANT \"a\" TO \"adm\" WITH ADMIN OPTION")
        );
        let administered = Role {
            administered: true,
            ..account()
        };
        assert_eq!(judged(&new, &administered, false), None);
        assert_eq!(
            judged(&new, &administered, true),
            denied("GRANT pg_signal_backend TO \"adm\"")
        );
        let signals = Who {
            signals: true,
            ..new.clone()
        };
        assert_eq!(judged(&signals, &administered, true), None);
    }

    #[test]
    fn a_superuser_is_changed_by_superusers_only() {
        let target = Role {
            superuser: true,
            administered: true,
            ..account()
        };
        let (kind, _) = judged(&admin(170_000), &target, false).unwrap();
        assert_eq!(kind, Kind::Denied);
        let superuser = Who {
            superuser: true,
            ..admin(170_000)
        };
        assert_eq!(judged(&superuser, &target, true), None);
        let replicates = Role {
            replicates: true,
            administered: true,
            ..account()
        };
        assert!(judged(&admin(150_000), &replicates, false).is_some());
        assert!(judged(&admin(160_000), &replicates, false).is_none());
    }

    #[test]
    fn an_account_whose_passwords_are_expired_is_misconfigured() {
        let expired = Role {
            expired: true,
            ..account()
        };
        let (kind, hint) = judged(&admin(150_000), &expired, false).unwrap();
        assert_eq!(kind, Kind::Misconfigured);
        assert!(hint.contains("VALID UNTIL"));
    }
}
