//! The roles of a real Postgres server as a target of rotation.

#![cfg(all(unix, feature = "postgres"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "target_postgres/logged.rs"]
mod logged;
#[path = "target_postgres/relay.rs"]
mod relay;
#[path = "target_postgres/support.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Account, Context, Kind, Memory, Provider as _, Secret, Target, Verdict};
use credchain_rotation::{Form, How, Journal, Quiet, Rotation, Store, Strategy};
use credchain_tests::faults::{Behaviour, Proxy};
use credchain_tests::servers::{Postgres, fresh_secret};
use serde_json::json;

use self::logged::Logged;
use self::relay::{Lose, Relay, contains};
use self::support::{
    Administrator, administrator, build, quoted, renewed, role, session, set_hba, set_system,
    settings, sql_as, try_build, verdict, verifier, with,
};

fn cx() -> Context {
    Context::system()
}

fn address(server: &Postgres) -> std::net::SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, server.port()).into()
}

fn at_port(port: u16) -> serde_json::Value {
    json!({"url": format!("postgres://127.0.0.1:{port}/postgres")})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_in_no_log_and_on_no_wire() {
    let password = fresh_secret("super");
    let server = Logged::start(&password);
    let upstream = (std::net::Ipv4Addr::LOCALHOST, server.port).into();
    let relay = Relay::start(upstream, Lose::Nothing);
    let admin = Administrator { password };
    let one = with(
        at_port(relay.port()),
        json!({"user": "app", "admin": "postgres",
        "admin_password": {"credential": "admin_password"}}),
    );
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user("postgres");
    config.dbname("postgres").password(&admin.password);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE ROLE app LOGIN").await.unwrap();

    let target = build(&one, &admin);
    let first = Account::new("app", Secret::new(fresh_secret("first")));
    let second = renewed(&first);
    for account in [&first, &second] {
        target.preflight(account, Some("app"), &cx()).await.unwrap();
        target.apply(account, &cx()).await.unwrap();
        assert_eq!(verdict(&target, account).await, Verdict::Accepted);
    }
    assert_eq!(verdict(&target, &first).await, Verdict::Refused);

    let (log, wire) = (server.log(), relay.said());
    let statement = [
        "statement: ALTER ROLE \"app\" PASSWORD",
        " 'SCRAM-SHA-256$4096:",
    ]
    .concat();
    assert_eq!(log.matches(&statement).count(), 2);
    assert!(contains(&wire, b"ALTER ROLE"));
    for secret in [
        first.secret.expose(),
        second.secret.expose(),
        admin.password.as_bytes(),
    ] {
        assert!(!contains(log.as_bytes(), secret) && !contains(&wire, secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_roles_may_hold_anything() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    for name in [
        "sp ace",
        "we\"ird",
        "o'neil; DROP ROLE adm; --",
        "Ünï¢ödé 🔑",
        "back\\slash",
        "UPPER",
        "none",
    ] {
        let Ok(target) = try_build(&with(settings(&server), json!({"user": name})), &admin) else {
            panic!("{name}");
        };
        if name == "none" {
            // A word that is reserved for roles.
            let account = Account::new(name, Secret::new("x"));
            let error = target
                .preflight(&account, Some(name), &cx())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            continue;
        }
        let old = role(&server, name);
        let new = renewed(&old);
        target.preflight(&old, Some(name), &cx()).await.unwrap();
        target.apply(&new, &cx()).await.unwrap();
        assert_eq!(verdict(&target, &new).await, Verdict::Accepted, "{name}");
        assert_eq!(verdict(&target, &old).await, Verdict::Refused, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_works_is_not_set_again() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let target = build(
        &with(
            settings(&server),
            json!({"user": "app", "iterations": 5000}),
        ),
        &admin,
    );
    let new = renewed(&role(&server, "app"));
    target.apply(&new, &cx()).await.unwrap();
    let kept = verifier(&server, "app");
    assert!(kept.starts_with("SCRAM-SHA-256$5000:"));
    for _ in 0..3 {
        target.apply(&new, &cx()).await.unwrap();
    }
    assert_eq!(verifier(&server, "app"), kept);
    let error = target
        .apply(&Account::new("app", Secret::new("pässwörd")), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let error = target
        .apply(&Account::new("postgres", Secret::new("other")), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert_eq!(verifier(&server, "app"), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_no_scram_is_misconfigured_and_learns_no_password() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let account = role(&server, "app");
    let relay = Relay::start(address(&server), Lose::Nothing);
    let target = build(
        &with(
            settings(&server),
            with(at_port(relay.port()), json!({"user": "app"})),
        ),
        &admin,
    );
    assert_eq!(verdict(&target, &account).await, Verdict::Accepted);
    for (method, words) in [
        ("trust", "asks for no password"),
        ("password", "asks for the password in clear"),
        ("reject", "whatever its password"),
        ("ident", "whatever its password"),
        ("cert", "whatever its password"),
    ] {
        if method == "cert" {
            set_hba(&server, &["hostssl all all all cert"]);
        } else {
            set_hba(&server, &[&format!("host all all all {method}")]);
        }
        let error = target.probe(&account, &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{method}");
        assert!(error.message().contains(words), "{method}: {error}");
        let error = target.apply(&renewed(&account), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{method}");
    }
    // With a password that is kept as MD5, `md5` asks for that.
    server.sql("SET password_encryption = 'md5'; ALTER ROLE app PASSWORD 'x'");
    set_hba(&server, &["host all all all md5"]);
    let error = target.probe(&account, &cx()).await.unwrap_err();
    assert!(error.message().contains("MD5"), "{error}");
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(!contains(&relay.said(), account.secret.expose()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_changes_its_own_password_also_while_it_acts_as_another() {
    let server = Postgres::start();
    let old = role(&server, "app");
    server.sql("CREATE ROLE own NOLOGIN; GRANT own TO app; ALTER ROLE app SET role = own");
    let alone = with(
        settings(&server),
        json!({"user": "app", "admin": null, "admin_password": null}),
    );
    let nobody = Administrator {
        password: String::new(),
    };
    let target = build(&alone, &nobody);
    let new = renewed(&old);
    let error = target.apply(&new, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    target.preflight(&old, Some("app"), &cx()).await.unwrap();
    target.apply(&new, &cx()).await.unwrap();
    assert_eq!(verdict(&target, &new).await, Verdict::Accepted);
    assert_eq!(verdict(&target, &old).await, Verdict::Refused);
    // And back again, since it knows what works now.
    target.apply(&old, &cx()).await.unwrap();
    assert_eq!(verdict(&target, &old).await, Verdict::Accepted);

    let target = build(&alone, &nobody);
    let error = target
        .preflight(&new, Some("app"), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_denied_before_anything_is_changed() {
    let server = Postgres::start();
    let mut admin = administrator(&server, "");
    let account = role(&server, "app");
    let before = verifier(&server, "app");
    let target = build(&with(settings(&server), json!({"user": "app"})), &admin);
    let preflight = async || target.preflight(&account, Some("app"), &cx()).await;

    let denied = preflight().await.unwrap_err();
    assert_eq!(denied.kind(), Kind::Denied);
    let applied = target.apply(&renewed(&account), &cx()).await.unwrap_err();
    assert_eq!(applied.kind(), Kind::Denied);
    server.sql(denied.hint().unwrap());
    if server.sql("SELECT current_setting('server_version_num')::int >= 160000") == "t" {
        let denied = preflight().await.unwrap_err();
        server.sql(denied.hint().unwrap());
    }
    preflight().await.unwrap();

    server.sql("ALTER ROLE app SUPERUSER");
    assert_eq!(preflight().await.unwrap_err().kind(), Kind::Denied);
    server.sql("ALTER ROLE app NOSUPERUSER VALID UNTIL '2000-01-01'");
    let expired = preflight().await.unwrap_err();
    assert_eq!(expired.kind(), Kind::Misconfigured);
    server.sql(expired.hint().unwrap());
    server.sql("ALTER ROLE app NOLOGIN");
    let barred = preflight().await.unwrap_err();
    assert_eq!(barred.kind(), Kind::Misconfigured);
    server.sql(barred.hint().unwrap());
    preflight().await.unwrap();
    assert_eq!(verifier(&server, "app"), before);

    admin.password = fresh_secret("wrong");
    let target = build(&with(settings(&server), json!({"user": "app"})), &admin);
    let error = target
        .preflight(&account, Some("app"), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    let target = build(&with(settings(&server), json!({"user": "missing"})), &admin);
    let gone = Account::new("missing", Secret::new("x"));
    let error = target
        .preflight(&gone, Some("missing"), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_makes_the_other_can_use_once_the_hint_was_followed() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let (a, b) = (role(&server, "app \"a\""), role(&server, "app_b"));
    let (name_a, name_b) = (quoted(&a.id), quoted(&b.id));
    server.sql(&format!(
        "CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO PUBLIC;
         CREATE ROLE readers; GRANT readers TO {name_a};
         ALTER ROLE {name_a} SET search_path = app, \"$user\", public;
         ALTER ROLE {name_b} IN DATABASE postgres SET application_name = 'it''s';
         ALTER ROLE {name_b} CONNECTION LIMIT 7 NOINHERIT;"
    ));
    sql_as(&server, &b, "CREATE TABLE app.old AS SELECT 'old' AS it").await;
    let target = build(
        &with(settings(&server), json!({"users": [a.id, b.id]})),
        &admin,
    );
    let error = target.preflight(&a, Some(&b.id), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    for words in [
        "owns objects itself",
        "readers",
        "search_path",
        "application_name",
    ] {
        assert!(error.message().contains(words), "{words}: {error}");
    }
    // What is left of a rotation goes on.
    target.preflight(&a, None, &cx()).await.unwrap();

    let hint = error.hint().unwrap();
    assert!(hint.contains("each of `postgres`"), "{hint}");
    let (_, repair) = hint.split_once("run as an administrator: ").unwrap();
    server.sql(repair);
    target.preflight(&a, Some(&b.id), &cx()).await.unwrap();
    target.preflight(&b, Some(&a.id), &cx()).await.unwrap();

    assert_eq!(sql_as(&server, &a, "SELECT it FROM app.old").await, "old");
    sql_as(&server, &b, "CREATE TABLE app.new AS SELECT 'new' AS it").await;
    assert_eq!(sql_as(&server, &a, "SELECT it FROM app.new").await, "new");
    sql_as(&server, &a, "DROP TABLE app.new").await;
    let settings = sql_as(&server, &a, "SHOW application_name").await;
    assert_eq!(settings, "it's");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_take_turns_and_the_old_one_is_disabled_enabled_and_revoked() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let (a, b) = (role(&server, "a"), role(&server, "b"));
    server.sql(
        "CREATE ROLE own NOLOGIN; GRANT own TO a, b;
         ALTER ROLE a SET role = own; ALTER ROLE b SET role = own; ALTER ROLE b NOLOGIN",
    );
    let target = build(
        &with(settings(&server), json!({"users": ["a", "b"]})),
        &admin,
    );
    assert!(target.abilities().disable);
    target.preflight(&a, Some("b"), &cx()).await.unwrap();
    assert_eq!(verdict(&target, &b).await, Verdict::Refused);
    let new = renewed(&b);
    target.apply(&new, &cx()).await.unwrap();
    for account in [&a, &new] {
        assert_eq!(verdict(&target, account).await, Verdict::Accepted);
    }

    let (old_session, _driver) = session(&server, &a).await;
    for _ in 0..2 {
        target.disable("a", &cx()).await.unwrap();
        assert_eq!(verdict(&target, &a).await, Verdict::Refused);
    }
    for _ in 0..2 {
        target.enable("a", &cx()).await.unwrap();
        assert_eq!(verdict(&target, &a).await, Verdict::Accepted);
    }
    target.disable("a", &cx()).await.unwrap();
    for _ in 0..2 {
        target.revoke("a", &cx()).await.unwrap();
    }
    target.enable("a", &cx()).await.unwrap();
    assert_eq!(verdict(&target, &a).await, Verdict::Refused);
    assert_eq!(verifier(&server, "a"), "");
    old_session.simple_query("SELECT 1").await.unwrap();
    // And it is its turn again.
    let again = renewed(&a);
    target.apply(&again, &cx()).await.unwrap();
    assert_eq!(verdict(&target, &again).await, Verdict::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_where_that_is_wanted_and_allowed() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let (a, b) = (role(&server, "a"), role(&server, "b"));
    let ends = with(
        settings(&server),
        json!({"users": ["a", "b"], "end_sessions": true}),
    );
    let target = build(&ends, &admin);
    let denied = target.preflight(&b, None, &cx()).await.unwrap_err();
    assert_eq!(denied.kind(), Kind::Denied);
    server.sql(denied.hint().unwrap());
    target.preflight(&b, None, &cx()).await.unwrap();

    let (_client, ended) = session(&server, &a).await;
    let (other, _driver) = session(&server, &b).await;
    target.disable("a", &cx()).await.unwrap();
    // The task that speaks for a session ends with it.
    ended.await.unwrap();
    other.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_leaves_open_whether_it_is_done() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let account = role(&server, "app");
    let before = verifier(&server, "app");
    let target_at = |port| {
        let one = with(
            settings(&server),
            with(at_port(port), json!({"user": "app"})),
        );
        build(&one, &admin)
    };
    let straight = target_at(server.port());

    let lost = Relay::start(address(&server), Lose::Statement("ALTER ROLE"));
    let new = renewed(&account);
    let error = target_at(lost.port()).apply(&new, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(verifier(&server, "app"), before);

    let unheard = Relay::start(address(&server), Lose::Reply("ALTER ROLE"));
    let error = target_at(unheard.port())
        .apply(&new, &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(verdict(&straight, &new).await, Verdict::Accepted);

    let proxy = Proxy::start(address(&server));
    let target = target_at(proxy.address().port());
    let hurried = || cx().with_timeout(Duration::from_secs(1));
    for behaviour in [
        Behaviour::Refuse,
        Behaviour::Reset(10),
        Behaviour::Truncate(40),
        Behaviour::BlackHole,
    ] {
        proxy.set(behaviour);
        let error = target.probe(&new, &hurried()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{behaviour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_login_from_being_judged_is_no_refusal() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let account = role(&server, "app");
    let of = |url: &str| {
        let url = format!("postgres://127.0.0.1:{}/{url}", server.port());
        build(
            &with(settings(&server), json!({"user": "app", "url": url})),
            &admin,
        )
    };
    let probe = async |target: &Arc<dyn Target>| {
        let probed = target.probe(&account, &cx()).await;
        probed.map_err(|error| error.kind())
    };
    let target = of("postgres");
    assert_eq!(probe(&target).await, Ok(Verdict::Accepted));
    assert_eq!(probe(&of("nowhere")).await, Err(Kind::Misconfigured));
    server.sql("ALTER ROLE app CONNECTION LIMIT 0");
    assert_eq!(probe(&target).await, Err(Kind::Unavailable));
    server.sql("ALTER ROLE app CONNECTION LIMIT -1");
    server.sql("CREATE DATABASE closed");
    server.sql("ALTER DATABASE closed ALLOW_CONNECTIONS false");
    assert_eq!(probe(&of("closed")).await, Err(Kind::Unavailable));
    server.sql("CREATE DATABASE private");
    server.sql("REVOKE CONNECT ON DATABASE private FROM PUBLIC");
    assert_eq!(probe(&of("private")).await, Err(Kind::Denied));
    server.sql("ALTER ROLE app NOLOGIN");
    assert_eq!(probe(&target).await, Ok(Verdict::Refused));
    server.sql("DROP ROLE app");
    assert_eq!(probe(&target).await, Ok(Verdict::Refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_is_asked_and_a_mixture_names_each() {
    let (one, other) = (Postgres::start(), Postgres::start());
    let admin = administrator(&one, "CREATEROLE");
    let account = role(&one, "app");
    let password = account.secret.expose_text().unwrap();
    other.sql(&format!("CREATE ROLE app LOGIN PASSWORD '{password}'"));
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", one.port(), other.port());
    let both = json!({"user": "app", "url": format!("postgres://{hosts}/postgres")});
    let target = build(&with(settings(&one), both), &admin);
    assert_eq!(verdict(&target, &account).await, Verdict::Accepted);
    let new = renewed(&account);
    assert_eq!(verdict(&target, &new).await, Verdict::Refused);
    target.apply(&new, &cx()).await.unwrap();
    let error = target.probe(&new, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let expected = format!(
        "the servers do not agree: `127.0.0.1:{}`: accepted; `127.0.0.1:{}`: refused",
        one.port(),
        other.port()
    );
    assert_eq!(error.message(), expected);
    set_hba(&other, &["host all all all trust"]);
    let error = target.probe(&new, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.message().contains("asks for no password"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_with_a_file_is_asked_like_any_other_and_may_know_the_administrator() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let account = role(&server, "app");
    let directory = server
        .sql("SHOW unix_socket_directories")
        .replace('/', "%2F");
    let url = format!("postgres://{directory}:{}/postgres", server.port());
    let one = json!({"user": "app", "url": url, "admin_password": null});
    let target = build(&with(settings(&server), one), &admin);
    assert_eq!(verdict(&target, &account).await, Verdict::Accepted);
    let error = target
        .preflight(&account, Some("app"), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.hint().unwrap().contains("admin_password"),
        "{error:?}"
    );

    set_hba(
        &server,
        &["local all adm trust", "local all app scram-sha-256"],
    );
    let new = renewed(&account);
    target
        .preflight(&account, Some("app"), &cx())
        .await
        .unwrap();
    target.apply(&new, &cx()).await.unwrap();
    assert_eq!(verdict(&target, &new).await, Verdict::Accepted);
    set_hba(&server, &["local all all trust"]);
    let error = target.probe(&new, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_certificate_counts_and_so_does_what_is_asked_inside() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let account = role(&server, "app");
    let directory = tempfile::tempdir().unwrap();
    let one = |host: &str, ca: bool| {
        let url = format!("postgres://{host}:{}/postgres", server.port());
        let ca = ca.then(|| directory.path().join("ca.pem"));
        build(
            &with(
                settings(&server),
                json!({"user": "app", "url": url, "tls": "verify", "ca": ca}),
            ),
            &admin,
        )
    };
    let authority = certify(&server, directory.path(), "localhost");
    let error = one("localhost", true)
        .probe(&account, &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(
        error.message().contains("no encrypted connection"),
        "{error}"
    );

    set_system(&server, &authority);
    let target = one("localhost", true);
    let new = renewed(&account);
    target
        .preflight(&account, Some("app"), &cx())
        .await
        .unwrap();
    target.apply(&new, &cx()).await.unwrap();
    assert_eq!(verdict(&target, &new).await, Verdict::Accepted);
    assert_eq!(verdict(&target, &account).await, Verdict::Refused);
    for stranger in [one("localhost", false), one("127.0.0.1", true)] {
        let error = stranger.probe(&new, &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("certificate"), "{error}");
    }
    set_hba(&server, &["hostssl all all all trust"]);
    let error = target.probe(&new, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

/// A rotation of what a store holds, without any waiting.
struct Rotated {
    store: Arc<Memory>,
    journal: Arc<Memory>,
    directory: tempfile::TempDir,
    form: Form,
}

impl Rotated {
    fn new(account: &Account, form: Form) -> Self {
        let value = match &form {
            Form::Json { .. } => {
                let password = account.secret.expose_text().unwrap();
                json!({"user": account.id, "password": password}).to_string()
            }
            _ => account.secret.expose_text().unwrap().to_owned(),
        };
        Self {
            store: Arc::new(Memory::new().with("db", value.as_bytes())),
            journal: Arc::new(Memory::new()),
            directory: tempfile::tempdir().unwrap(),
            form,
        }
    }

    /// Rotates once, from beginning to end.
    async fn run(&self, target: &Arc<dyn Target>, strategy: Strategy, accounts: &[&str]) {
        let place: credchain_core::Reference = "db".parse().unwrap();
        let store = Store::new("memory".parse().unwrap(), self.store.clone(), place);
        let journal = Journal::beside(
            self.journal.clone(),
            "state".parse().unwrap(),
            self.directory.path().join("locks"),
        );
        let accounts = accounts.iter().map(|name| (*name).to_owned()).collect();
        let rotation = Rotation::new("db".parse().unwrap(), strategy, vec![store], journal)
            .with_target(target.clone())
            .with_accounts(accounts)
            .with_form(self.form.clone())
            .with_overlap(Duration::ZERO)
            .with_soak(Duration::ZERO);
        let progress = rotation.run(How::Planned, &Quiet, &cx()).await.unwrap();
        assert!(progress.is_complete());
    }

    /// What readers get.
    async fn login(&self, known: &str) -> Account {
        let place = "db".parse().unwrap();
        let value = self.store.get(&place, &cx()).await.unwrap();
        self.form.read(&value, Some(known)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_swap_is_done_by_the_account_itself_although_the_reply_is_lost() {
    let server = Postgres::start();
    let old = role(&server, "app");
    let relay = Relay::start(address(&server), Lose::Reply("ALTER ROLE"));
    let alone = with(
        with(settings(&server), at_port(relay.port())),
        json!({"user": "app", "admin": null, "admin_password": null}),
    );
    let nobody = Administrator {
        password: String::new(),
    };
    let rotated = Rotated::new(&old, Form::Secret);
    for _ in 0..2 {
        let before = rotated.login("app").await;
        let target = build(&alone, &nobody);
        rotated.run(&target, Strategy::Swap, &["app"]).await;
        let after = rotated.login("app").await;
        assert_eq!(verdict(&target, &after).await, Verdict::Accepted);
        assert_eq!(verdict(&target, &before).await, Verdict::Refused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_take_whole_turns() {
    let server = Postgres::start();
    let admin = administrator(&server, "CREATEROLE");
    let (a, _) = (role(&server, "a"), role(&server, "b"));
    server.sql(
        "CREATE ROLE own NOLOGIN; GRANT own TO a, b;
         ALTER ROLE a SET role = own; ALTER ROLE b SET role = own",
    );
    let form = Form::Json {
        account: "user".into(),
        secret: "password".into(),
    };
    let rotated = Rotated::new(&a, form);
    let turns = with(settings(&server), json!({"users": ["a", "b"]}));
    for expected in ["b", "a", "b"] {
        let before = rotated.login("").await;
        let target = build(&turns, &admin);
        rotated.run(&target, Strategy::Alternate, &["a", "b"]).await;
        let after = rotated.login("").await;
        assert_eq!(after.id, expected);
        assert_eq!(verdict(&target, &after).await, Verdict::Accepted);
        assert_eq!(verdict(&target, &before).await, Verdict::Refused);
        assert_eq!(verifier(&server, &before.id), "");
    }
}

/// Gives the server a certificate for a host, and tells the settings that make it use that.
fn certify(
    server: &Postgres,
    directory: &std::path::Path,
    host: &str,
) -> [(&'static str, &'static str); 3] {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    let data = server.sql("SHOW data_directory");
    for (file, pem) in [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        // Written by the server, to which the key has to belong.
        server.sql(&format!(
            "COPY (SELECT regexp_split_to_table('{pem}', '\\n')) TO PROGRAM 'umask 077; cat > {data}/{file}'"
        ));
    }
    [
        ("ssl", "on"),
        ("ssl_cert_file", "server.crt"),
        ("ssl_key_file", "server.key"),
    ]
}
