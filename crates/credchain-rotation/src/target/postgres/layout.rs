//! Whether two accounts in turn are the same to everything but their passwords.
//!
//! What one of them creates belongs to it, and the other cannot use it: the first rotation breaks
//! programs that worked for months. So both act as a third role, which nobody can log in as and
//! which owns everything.

use std::collections::{BTreeMap, BTreeSet};

use credchain_core::{Context, Error, Result};

use super::super::wrong;
use super::config::Config;
use super::connect::Session;
use super::error::Failure;
use super::rights::{Role, unreadable};
use super::{literal, quoted};

/// Since release 16 a member may be kept from acting as the role: `SET FALSE`.
const MEMBERSHIPS: &str = "
    SELECT m.member, g.rolname::text, bool_or(m.admin_option),
           bool_or(coalesce((to_jsonb(m) ->> 'set_option')::bool, true))
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = ANY($1) GROUP BY 1, 2";

const SETTINGS: &str = "
    SELECT s.setrole, coalesce(d.datname::text, ''), s.setconfig
    FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE s.setrole = ANY($1)";

/// Default privileges are left out: they belong to whom they are about, and cannot be handed on.
const OWNED: &str = "
    SELECT d.refobjid, coalesce(b.datname::text, ''), d.deptype = 'o'
    FROM pg_shdepend d LEFT JOIN pg_database b ON b.oid = d.dbid
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY($1)
      AND d.classid <> 'pg_default_acl'::regclass AND d.deptype IN ('o', 'a')
    GROUP BY 1, 2, 3";

const OWNER: &str = "SELECT rolcanlogin FROM pg_roles WHERE rolname::text = $1";

/// Settings that are lists, whose values are kept as they are written.
const LISTS: [&str; 4] = [
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
];

/// One of the two, and what is known of it.
#[derive(Debug, Default)]
struct Side {
    role: Role,
    /// The roles it is a member of.
    memberships: BTreeMap<String, Membership>,
    /// By database, which is empty for all of them, and name.
    settings: BTreeMap<(String, String), String>,
    /// The databases in which it owns something; empty for what is in none.
    owns: BTreeSet<String>,
    /// Whether it has privileges of its own.
    granted: bool,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, Default)]
struct Membership {
    /// Make others members.
    admin: bool,
    /// Act as the role.
    set: bool,
}

/// The role that is to own everything.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    name: String,
    /// Whether it can log in; nothing if it does not exist.
    logs_in: Option<bool>,
}

/// What is wrong, and the statements against it.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<String>,
    repair: Vec<String>,
}

/// Finds out whether the two are alike.
///
/// # Errors
/// [`Kind::Misconfigured`](credchain_core::Kind::Misconfigured) with the SQL that makes them so.
pub(super) async fn check(
    config: &Config,
    roles: &[Role],
    session: &Session,
    cx: &Context,
) -> Result<()> {
    let [a, b] = roles else {
        return Ok(());
    };
    let at = |failure: Failure| failure.at(&config.primary);
    let mut sides = [Side::new(a), Side::new(b)];
    let oids = [a.oid, b.oid];
    let oids = &oids[..];
    let memberships = session.rows(MEMBERSHIPS, &[&oids], cx).await.map_err(at)?;
    let settings = session.rows(SETTINGS, &[&oids], cx).await.map_err(at)?;
    let owned = session.rows(OWNED, &[&oids], cx).await.map_err(at)?;
    let read = fill(&mut sides, &memberships, &settings, &owned);
    read.map_err(|_| unreadable(config))?;
    let [a, b] = &sides;
    let name = owner_of(a, b, &config.database);
    let rows = session.rows(OWNER, &[&name], cx).await.map_err(at)?;
    let logs_in = rows.first().map(|row| row.try_get(0)).transpose();
    let logs_in = logs_in.map_err(|_| unreadable(config))?;
    match diagnose(a, b, &Owner { name, logs_in }, &config.database) {
        None => Ok(()),
        Some(findings) => Err(findings.into_error(a, b)),
    }
}

fn fill(
    sides: &mut [Side; 2],
    memberships: &[tokio_postgres::Row],
    settings: &[tokio_postgres::Row],
    owned: &[tokio_postgres::Row],
) -> Result<(), tokio_postgres::Error> {
    let mut side = |oid: u32, change: &mut dyn FnMut(&mut Side)| {
        sides
            .iter_mut()
            .filter(|side| side.role.oid == oid)
            .for_each(change);
    };
    for row in memberships {
        let role: String = row.try_get(1)?;
        let membership = Membership {
            admin: row.try_get(2)?,
            set: row.try_get(3)?,
        };
        side(row.try_get(0)?, &mut |side| {
            side.memberships.insert(role.clone(), membership);
        });
    }
    for row in settings {
        let (database, entries): (String, Vec<String>) = (row.try_get(1)?, row.try_get(2)?);
        side(row.try_get(0)?, &mut |side| {
            for entry in &entries {
                let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
                let key = (database.clone(), name.to_owned());
                side.settings.insert(key, value.to_owned());
            }
        });
    }
    for row in owned {
        let (database, owns): (String, bool) = (row.try_get(1)?, row.try_get(2)?);
        side(row.try_get(0)?, &mut |side| {
            if owns {
                side.owns.insert(database.clone());
            } else {
                side.granted = true;
            }
        });
    }
    Ok(())
}

impl Side {
    fn new(role: &Role) -> Self {
        Self {
            role: role.clone(),
            ..Self::default()
        }
    }

    /// The role that it acts as in this database, and where that is set.
    fn acts_as(&self, database: &str) -> Option<(&str, &str)> {
        let set = |database: &str| {
            let key = (database.to_owned(), "role".to_owned());
            self.settings.get_key_value(&key)
        };
        let ((at, _), role) = set(database).or_else(|| set(""))?;
        (role != "none").then_some((role, at))
    }

    /// Its settings, but for who it acts as.
    fn others(&self, database: &str) -> BTreeMap<&(String, String), &String> {
        let role =
            |key: &&(String, String)| key.1 == "role" && (key.0.is_empty() || key.0 == database);
        self.settings.iter().filter(|(key, _)| !role(key)).collect()
    }
}

/// The role that owns everything, or should.
fn owner_of(a: &Side, b: &Side, database: &str) -> String {
    let set = a.acts_as(database).or_else(|| b.acts_as(database));
    if let Some((role, _)) = set {
        return role.to_owned();
    }
    let name: String = a.role.name.chars().take(14).collect();
    format!("{name}_owner")
}

fn diagnose(a: &Side, b: &Side, owner: &Owner, database: &str) -> Option<Findings> {
    let mut found = Findings::default();
    found.owner(a, b, owner);
    for side in [a, b] {
        found.acts(side, owner, database);
    }
    found.memberships(a, b, owner);
    found.settings(a, b, database);
    found.attributes(&a.role, &b.role);
    for side in [a, b].into_iter().filter(|side| !side.owns.is_empty()) {
        let name = &side.role.name;
        let statement = format!(
            "REASSIGN OWNED BY {} TO {}",
            quoted(name),
            quoted(&owner.name)
        );
        found.add(format!("`{name}` owns objects itself"), statement);
    }
    (!found.problems.is_empty()).then_some(found)
}

impl Findings {
    fn add(&mut self, problem: String, statement: String) {
        self.problems.push(problem);
        self.repair.push(statement);
    }

    fn owner(&mut self, a: &Side, b: &Side, owner: &Owner) {
        let (name, role) = (&owner.name, quoted(&owner.name));
        match owner.logs_in {
            None => self.add(
                "there is no role that owns what they make".into(),
                format!("CREATE ROLE {role} NOLOGIN"),
            ),
            Some(true) => self.add(
                format!("`{name}`, which owns what they make, can log in itself"),
                format!("ALTER ROLE {role} NOLOGIN"),
            ),
            Some(false) => {}
        }
        for side in [a, b] {
            let member = &side.role.name;
            let with = match side.memberships.get(name) {
                Some(membership) if membership.set => continue,
                Some(_) => " WITH SET TRUE",
                None => "",
            };
            let statement = format!("GRANT {role} TO {}{with}", quoted(member));
            self.add(format!("`{member}` cannot act as `{name}`"), statement);
        }
    }

    fn acts(&mut self, side: &Side, owner: &Owner, database: &str) {
        let acts_as = side.acts_as(database);
        if acts_as.is_some_and(|(role, _)| role == owner.name) {
            return;
        }
        let (name, role) = (&side.role.name, quoted(&owner.name));
        let place = match acts_as {
            Some((_, at)) if !at.is_empty() => format!(" IN DATABASE {}", quoted(at)),
            _ => String::new(),
        };
        // Whoever acts as another role has that one's privileges, and no longer its own.
        for group in side
            .memberships
            .keys()
            .filter(|group| **group != owner.name)
        {
            let grant = format!("GRANT {} TO {role}", quoted(group));
            if !self.repair.contains(&grant) {
                self.repair.push(grant);
            }
        }
        self.add(
            format!("`{name}` does not act as `{}`", owner.name),
            format!("ALTER ROLE {}{place} SET role = {role}", quoted(name)),
        );
    }

    fn memberships(&mut self, a: &Side, b: &Side, owner: &Owner) {
        for (has, lacks) in [(a, b), (b, a)] {
            for (group, membership) in &has.memberships {
                let other = lacks.memberships.get(group);
                if *group == owner.name && other.is_none() {
                    continue;
                }
                if other.is_some_and(|other| other.admin >= membership.admin) {
                    continue;
                }
                let with = if membership.admin {
                    " WITH ADMIN OPTION"
                } else {
                    ""
                };
                let (one, other) = (&has.role.name, &lacks.role.name);
                self.add(
                    format!("`{one}` is a member of `{group}` as `{other}` is not"),
                    format!("GRANT {} TO {}{with}", quoted(group), quoted(other)),
                );
            }
        }
    }

    fn settings(&mut self, a: &Side, b: &Side, database: &str) {
        let (first, second) = (a.others(database), b.others(database));
        for (has, lacks, from, to) in [(&first, &second, a, b), (&second, &first, b, a)] {
            for (key, value) in has {
                let other = lacks.get(key);
                // Where both have one, that of the first counts.
                let same = other == Some(value);
                if same || (other.is_some() && from.role.oid == b.role.oid) {
                    continue;
                }
                let (from, to, name) = (&from.role.name, &to.role.name, &key.1);
                let problem = format!("`{from}` has another `{name}` than `{to}`");
                match setting(to, key, value) {
                    Some(statement) => self.add(problem, statement),
                    None => self.problems.push(problem),
                }
            }
        }
    }

    fn attributes(&mut self, a: &Role, b: &Role) {
        let mut words = Vec::new();
        for (first, second, word) in [
            (a.superuser, b.superuser, "SUPERUSER"),
            (a.creates_databases, b.creates_databases, "CREATEDB"),
            (a.creates_roles, b.creates_roles, "CREATEROLE"),
            (a.inherits, b.inherits, "INHERIT"),
            (a.replicates, b.replicates, "REPLICATION"),
            (a.bypasses_rls, b.bypasses_rls, "BYPASSRLS"),
        ] {
            if first != second {
                let no = if first { "" } else { "NO" };
                words.push(format!("{no}{word}"));
            }
        }
        if a.connections != b.connections {
            words.push(format!("CONNECTION LIMIT {}", a.connections));
        }
        if !words.is_empty() {
            let words = words.join(" ");
            self.add(
                format!(
                    "`{}` has other attributes than `{}`: {words}",
                    a.name, b.name
                ),
                format!("ALTER ROLE {} {words}", quoted(&b.name)),
            );
        }
    }

    fn into_error(self, a: &Side, b: &Side) -> Error {
        let message = format!(
            "what `{}` makes, `{}` could not use, or the other way round: {}",
            a.role.name,
            b.role.name,
            self.problems.join("; ")
        );
        let mut hint = String::new();
        let databases: BTreeSet<_> = a.owns.union(&b.owns).filter(|it| !it.is_empty()).collect();
        if !databases.is_empty() {
            let databases: Vec<_> = databases.into_iter().map(|it| format!("`{it}`")).collect();
            hint = format!(
                "`REASSIGN OWNED` has to be run in each of {}; ",
                databases.join(", ")
            );
        }
        if a.granted || b.granted {
            hint.push_str("grant the owner, too, what the two were granted themselves; ");
        }
        hint.push_str(&format!(
            "run as an administrator: {};",
            self.repair.join("; ")
        ));
        wrong(message).with_hint(hint)
    }
}

/// The statement that sets a setting for a role.
fn setting(role: &str, (database, name): &(String, String), value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if !name.chars().all(plain) {
        return None;
    }
    let place = if database.is_empty() {
        String::new()
    } else {
        format!(" IN DATABASE {}", quoted(database))
    };
    let value = if LISTS.contains(&name.as_str()) && !value.is_empty() {
        value.to_owned()
    } else {
        literal(value)
    };
    Some(format!(
        "ALTER ROLE {}{place} SET {name} = {value}",
        quoted(role)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: Membership = Membership {
        admin: false,
        set: true,
    };

    fn side(oid: u32, name: &str) -> Side {
        let mut side = Side::default();
        side.role.oid = oid;
        side.role.name = name.into();
        side.memberships.insert("own".into(), MEMBER);
        side.settings
            .insert((String::new(), "role".into()), "own".into());
        side
    }

    fn owner() -> Owner {
        Owner {
            name: "own".into(),
            logs_in: Some(false),
        }
    }

    fn repair(a: &Side, b: &Side) -> Vec<String> {
        let found = diagnose(a, b, &owner(), "d");
        found.map(|found| found.repair).unwrap_or_default()
    }

    #[test]
    fn two_that_are_alike_need_nothing() {
        assert_eq!(repair(&side(1, "a"), &side(2, "b")), [""; 0]);
    }

    #[test]
    fn each_difference_has_its_statement() {
        let setting = |database: &str, name: &str| (database.to_owned(), name.to_owned());
        let mut a = side(1, "a");
        let mut b = side(2, "b");
        a.memberships.insert(
            "r\"".into(),
            Membership {
                admin: true,
                ..MEMBER
            },
        );
        a.settings.insert(setting("d", "work_mem"), "1'MB".into());
        a.settings
            .insert(setting("", "search_path"), "\"$user\", x".into());
        b.settings.insert(setting("", "search_path"), "y".into());
        b.settings.insert(setting("", "my.param"), String::new());
        a.role.connections = -1;
        b.role.inherits = true;
        b.owns.insert("d".into());
        assert_eq!(
            repair(&a, &b),
            [
                "GRANT \"r\"\"\" TO \"b\" WITH ADMIN OPTION",
                "ALTER ROLE \"b\" SET search_path = \"$user\", x",
                "ALTER ROLE \"b\" IN DATABASE \"d\" SET work_mem = '1''MB'",
                "ALTER ROLE \"a\" SET my.param = ''",
                "ALTER ROLE \"b\" NOINHERIT CONNECTION LIMIT -1",
                "REASSIGN OWNED BY \"b\" TO \"own\"",
            ]
        );
    }

    #[test]
    fn a_layout_is_made_from_nothing() {
        let mut a = Side::default();
        a.role.name = "a".into();
        a.memberships.insert("readers".into(), MEMBER);
        let mut b = Side::default();
        b.role.name = "b".into();
        b.memberships.insert("readers".into(), MEMBER);
        let name = owner_of(&a, &b, "d");
        let owner = Owner {
            name,
            logs_in: None,
        };
        assert_eq!(
            diagnose(&a, &b, &owner, "d").unwrap().repair,
            [
                "CREATE ROLE \"a_owner\" NOLOGIN",
                "GRANT \"a_owner\" TO \"a\"",
                "GRANT \"a_owner\" TO \"b\"",
                "GRANT \"readers\" TO \"a_owner\"",
                "ALTER ROLE \"a\" SET role = \"a_owner\"",
                "ALTER ROLE \"b\" SET role = \"a_owner\"",
            ]
        );
    }

    #[test]
    fn a_member_that_may_not_act_as_the_owner_is_allowed_to() {
        let mut a = side(1, "a");
        a.memberships.insert("own".into(), Membership::default());
        let statement = "GRANT \"own\" TO \"a\" WITH SET TRUE";
        assert_eq!(repair(&a, &side(2, "b")), [statement]);
    }

    #[test]
    fn a_role_for_one_database_counts_there_only() {
        let key = |database: &str| (database.to_owned(), "role".to_owned());
        let mut a = side(1, "a");
        a.settings.insert(key("d"), "other".into());
        assert_eq!(a.acts_as("d"), Some(("other", "d")));
        assert_eq!(a.acts_as("e"), Some(("own", "")));
        assert_eq!(
            repair(&a, &side(2, "b")),
            ["ALTER ROLE \"a\" IN DATABASE \"d\" SET role = \"own\""]
        );
    }
}
