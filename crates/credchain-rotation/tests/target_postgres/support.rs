//! What the tests need besides a server.

use std::path::Path;
use std::sync::Arc;

use credchain_core::{
    Account, Context, CredentialSource, Error, Name, Project, Result, Secret, Settings, Target,
    Verdict, async_trait,
};
use credchain_rotation::target::{self, Setup};
use credchain_tests::servers::{Postgres, fresh_secret};
use serde_json::{Value, json};

/// A source that has the administrator's password and nothing else.
#[derive(Debug)]
struct Admin(Secret);

#[async_trait]
impl CredentialSource for Admin {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        if name.as_str() == "admin_password" {
            Ok(self.0.clone())
        } else {
            Err(Error::not_found())
        }
    }
}

/// A role that may create roles, and its password.
pub(crate) struct Administrator {
    pub(crate) password: String,
}

/// The settings for one server, with an administrator `adm`.
pub(crate) fn settings(server: &Postgres) -> Value {
    json!({
        "url": format!("postgres://{}:{}/postgres", server.host(), server.port()),
        "admin": "adm",
        "admin_password": {"credential": "admin_password"},
    })
}

/// The same settings with others added; `null` takes one away.
pub(crate) fn with(mut settings: Value, changes: Value) -> Value {
    if let (Value::Object(settings), Value::Object(changes)) = (&mut settings, changes) {
        settings.extend(changes);
        settings.retain(|_, value| !value.is_null());
    }
    settings
}

/// Makes the administrator `adm`.
pub(crate) fn administrator(server: &Postgres, attributes: &str) -> Administrator {
    let password = fresh_secret("adm");
    server.sql(&format!(
        "CREATE ROLE adm LOGIN {attributes} PASSWORD '{password}'"
    ));
    Administrator { password }
}

pub(crate) fn build(settings: &Value, admin: &Administrator) -> Arc<dyn Target> {
    try_build(settings, admin).unwrap()
}

pub(crate) fn try_build(settings: &Value, admin: &Administrator) -> Result<Arc<dyn Target>> {
    let setup = Setup::new(Project::new("p", Path::new("/")))
        .with_credentials(Arc::new(Admin(Secret::new(admin.password.clone()))));
    target::build("postgres", &Settings::from_json(settings.clone()), &setup)
}

/// A role that can log in, as SQL writes its name, and its login.
pub(crate) fn role(server: &Postgres, name: &str) -> Account {
    let password = fresh_secret("role");
    let quoted = quoted(name);
    server.sql(&format!("CREATE ROLE {quoted} LOGIN PASSWORD '{password}'"));
    Account::new(name, Secret::new(password))
}

/// The same role with another password, which the server has not heard of.
pub(crate) fn renewed(account: &Account) -> Account {
    Account::new(account.id.clone(), Secret::new(fresh_secret("new")))
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) async fn verdict(target: &Arc<dyn Target>, account: &Account) -> Verdict {
    target.probe(account, &Context::system()).await.unwrap()
}

/// A connection of the account's own, and the task that ends with it.
pub(crate) async fn session(
    server: &Postgres,
    account: &Account,
) -> (tokio_postgres::Client, tokio::task::JoinHandle<()>) {
    let mut config = tokio_postgres::Config::new();
    config
        .host(server.host())
        .port(server.port())
        .dbname("postgres")
        .user(&account.id)
        .password(account.secret.expose());
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    (client, driver)
}

/// Runs SQL as an account.
pub(crate) async fn sql_as(server: &Postgres, account: &Account, sql: &str) -> String {
    let (client, _driver) = session(server, account).await;
    let mut answer = String::new();
    for message in client.simple_query(sql).await.unwrap() {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            answer.push_str(row.get(0).unwrap_or_default());
        }
    }
    answer
}

/// Replaces what the server asks for at the door, and waits until it does.
pub(crate) fn set_hba(server: &Postgres, rules: &[&str]) {
    let before = server.sql("SELECT pg_conf_load_time()");
    let rules: Vec<_> = [
        "host all postgres all scram-sha-256",
        "host all adm all scram-sha-256",
    ]
    .iter()
    .chain(rules)
    .map(|rule| format!("('{rule}')"))
    .collect();
    let file = server.sql("SHOW hba_file");
    server.sql(&format!("COPY (VALUES {}) TO '{file}'", rules.join(", ")));
    server.sql("SELECT pg_reload_conf()");
    while server.sql("SELECT pg_conf_load_time()") == before {}
}

/// Changes the server's settings, and waits until it knows them.
pub(crate) fn set_system(server: &Postgres, settings: &[(&str, &str)]) {
    let before = server.sql("SELECT pg_conf_load_time()");
    for (name, value) in settings {
        server.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
    }
    server.sql("SELECT pg_reload_conf()");
    while server.sql("SELECT pg_conf_load_time()") == before {}
}

/// What is kept of a role's password.
pub(crate) fn verifier(server: &Postgres, name: &str) -> String {
    let name = name.replace('\'', "''");
    server.sql(&format!(
        "SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'"
    ))
}
