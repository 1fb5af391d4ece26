//! `resolve rotation`
#![cfg(unix)]

use std::time::Duration;

use credchain_tests::servers::{OpenBao, Postgres, fresh_secret};
use credchain_tests::{Project, Resolve};
use serde_json::Value;

/// A project of the environment and `.env`, with more in its configuration.
fn project(more: &str) -> Project {
    let project = Project::new();
    let text =
        format!("[project]\nname = \"demo\"\n[chain]\ndefault = [\"env\", \"dotenv\"]\n{more}");
    project.write("credchain.toml", text);
    project
}

fn rotation(project: &Project, args: &[&str]) -> Resolve {
    let args: Vec<_> = ["rotation"]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    project.resolve(args)
}

/// Writes more at the end of what `init` wrote.
fn append(project: &Project, more: &str) {
    let mut config = project.read("credchain.toml");
    config.extend_from_slice(more.as_bytes());
    project.write("credchain.toml", config);
}

/// The lines of the table, words only.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().skip(1);
    lines
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .collect()
        })
        .collect()
}

#[test]
fn the_classic_four_rows() {
    let project = project("");
    for (name, created) in [
        ("API Key (prod)", "2026-01-15"),
        ("DB Password", "2026-02-20"),
        ("SMTP Token", "2025-12-01"),
        ("OAuth Secret", "2026-03-01"),
    ] {
        rotation(&project, &["register", name, "--created", created])
            .run()
            .success();
    }
    let status = rotation(&project, &["status", "--now", "2026-04-13"])
        .run()
        .success();
    assert_eq!(
        rows(&status.stdout()),
        [
            ["SMTP Token", "2025-12-01", "2026-03-01", "-43", "EXPIRED"],
            ["API Key (prod)", "2026-01-15", "2026-04-15", "2", "URGENT"],
            ["DB Password", "2026-02-20", "2026-05-21", "38", "OK"],
            ["OAuth Secret", "2026-03-01", "2026-05-30", "47", "OK"],
        ]
    );
    let json = rotation(&project, &["status", "--now", "2026-04-13", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["now"], "2026-04-13T00:00:00Z");
    assert_eq!(json["credentials"][1]["days_left"], 2);
    rotation(&project, &["status", "--now", "2026-04-13", "--prometheus"])
        .run()
        .success()
        .stdout_contains(
            "credchain_credential_status{credential=\"SMTP Token\",status=\"EXPIRED\"} 1\n",
        );
}

#[test]
fn a_check_fails_from_its_level_on() {
    let project = project("");
    rotation(&project, &["register", "key", "--created", "2026-01-01"])
        .run()
        .success();
    // Over on 2026-04-01.
    for (now, codes) in [
        ("2026-03-02", [0, 0, 0, 0]),
        ("2026-03-03", [0, 8, 0, 0]),
        ("2026-03-25", [0, 8, 0, 0]),
        ("2026-03-26", [0, 8, 8, 0]),
        ("2026-04-01", [0, 8, 8, 0]),
        ("2026-04-01T00:00:01Z", [0, 8, 8, 8]),
    ] {
        for (level, code) in ["unknown", "warning", "urgent", "expired"]
            .iter()
            .zip(codes)
        {
            rotation(&project, &["status", "--now", now, "--fail-on", level])
                .run()
                .code(code);
        }
    }
    // The clock says that it is not made yet.
    let early = ["status", "--now", "2025-12-01", "--fail-on", "expired"];
    rotation(&project, &early)
        .run()
        .code(8)
        .stdout_contains("CLOCK_SUSPECT");
}

#[test]
fn an_age_that_nobody_knows_is_never_fine() {
    let project = project("[credentials.api_key]\nrotate = \"90d\"\n");
    project.write(".env", "API_KEY=abc\n");
    let status = rotation(&project, &["status"]).run().success();
    assert_eq!(
        rows(&status.stdout()),
        [["api_key", "-", "-", "-", "UNKNOWN"]]
    );
    rotation(&project, &["status", "--fail-on", "unknown"])
        .run()
        .code(8);
    rotation(&project, &["register", "api_key"]).run().success();
    rotation(&project, &["status", "--fail-on", "warning"])
        .run()
        .success()
        .stdout_contains("OK");
}

#[test]
fn what_the_encrypted_store_was_given_is_as_old_as_that() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    append(
        &project,
        "
[credentials.api_key]
rotate = \"90d\"
",
    );
    project
        .resolve(["generate", "--set", "api_key"])
        .run()
        .success();
    let json = rotation(&project, &["status", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["credentials"][0]["days_left"], 89);
    assert_ne!(json["credentials"][0]["source"], Value::Null);
}

#[test]
fn a_value_that_is_stored_in_a_file_without_dates_is_registered_with_it() {
    let project = project("[credentials.api_key]\nrotate = \"90d\"\n");
    project
        .resolve(["set", "api_key", "--to", "dotenv"])
        .stdin("v")
        .run()
        .success();
    let register = String::from_utf8(project.read("credchain.rotation.toml")).unwrap();
    assert!(register.contains("api_key = { created = "), "{register}");
    rotation(&project, &["status"])
        .run()
        .success()
        .stdout_contains("OK");
}

#[test]
fn policies_are_for_names_and_calendars_for_zones() {
    let project = project(
        "[credentials.api_key]\n[credentials.db_password]\n[credentials.host]\nsecret = false\n\
         [rotation]\ntimezone = \"Europe/Berlin\"\n\
         [rotation.policies.keys]\nmatch = [\"*_key\"]\nevery = \"30d\"\n\
         [rotation.policies.passwords]\nmatch = [\"db_*\"]\nschedule = \"0 3 1 */3 *\"\njitter = \"0s\"\n",
    );
    for name in ["api_key", "db_password"] {
        rotation(&project, &["register", name, "--created", "2026-01-15"])
            .run()
            .success();
    }
    let json = rotation(&project, &["status", "--now", "2026-01-20", "--json"])
        .run()
        .success()
        .json();
    let expires = |name: &str| {
        let all = json["credentials"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["expires"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(expires("api_key"), "2026-02-13T23:00:00Z");
    assert_eq!(expires("db_password"), "2026-04-01T01:00:00Z");
    assert_eq!(json["credentials"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_registered_is_said() {
    let project = project("");
    rotation(&project, &["register", "key", "--created", "2999-01-01"])
        .run()
        .code(6)
        .stderr_contains("future");
    rotation(&project, &["register", "key", "--created", "soon"])
        .run()
        .code(6)
        .stderr_contains("2026-01-15");
    rotation(&project, &["register", "key", "--every", "1000y"])
        .run()
        .code(6);
    rotation(&project, &["register", "a\nb"]).run().code(6);
    rotation(&project, &["register", "key", "--remove"])
        .run()
        .code(2);
    project.write("credchain.rotation.toml", "[default]\nkey = 5\n");
    rotation(&project, &["status"])
        .run()
        .code(6)
        .stderr_contains("credchain.rotation.toml`:2");
}

#[test]
fn mistakes_in_the_tables_are_shown_where_they_are() {
    let project = project(
        "[credentials.db]\nrotate = \"1h\"\n\
         [rotation.targets.db]\ntype = \"command\"\nverify = [\"true\"]\nstores = [\"valut\"]\n\
         [rotation.targets.bd]\ntype = \"key\"\n\
         [rotation.policies.x]\nmatch = [\"*\"]\n",
    );
    rotation(&project, &["status"])
        .run()
        .code(6)
        .stderr_contains("while the value before still overlaps")
        .stderr_contains("there is no link `valut`")
        .stderr_contains("no credential `bd` is declared")
        .stderr_contains("neither `every` nor `schedule`");
}

/// A target of shell scripts: the password that counts is in a file.
fn hooks(project: &Project, apply: &str) {
    let hook = "#!/bin/sh\ncase $1 in\n  verify) [ \"$(cat)\" = \"$(cat account)\" ];;\n  apply) APPLY;;\nesac\n";
    let path = project.write("hook", hook.replace("APPLY", apply));
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it is ours");
    project.resolve(["init"]).run().success();
    let more = "\n[credentials.db]\nrotate = \"90d\"\n[rotation.targets.db]\ntype = \"command\"\n\
                verify = [\"./hook\", \"verify\"]\napply = [\"./hook\", \"apply\"]\ntimeout = \"2s\"\n";
    append(project, more);
    project.resolve(["trust", "--yes"]).run().success();
    project
        .resolve(["set", "db"])
        .stdin("first-value")
        .run()
        .success();
    project.write("account", "first-value");
}

fn current(project: &Project) -> String {
    project.resolve(["get", "db"]).run().success().stdout()
}

#[test]
fn a_program_of_the_users_own_is_told_the_new_value() {
    let project = Project::new();
    hooks(&project, "cat > account");
    rotation(&project, &["run", "db", "--dry-run"])
        .run()
        .success()
        .stderr_contains("nothing was changed");
    assert_eq!(current(&project), "first-value");
    rotation(&project, &["run", "db"])
        .run()
        .success()
        .stderr_contains("the old value is gone");
    let new = current(&project);
    assert_ne!(new, "first-value");
    assert_eq!(String::from_utf8(project.read("account")).unwrap(), new);
    rotation(&project, &["history"])
        .run()
        .success()
        .stdout_contains("db  swap  rotated");
    rotation(&project, &["run", "--due"])
        .run()
        .success()
        .stderr_contains("nothing is due");
}

#[test]
fn a_program_that_does_nothing_or_hangs_or_shouts_the_secret_loses_nothing() {
    for (apply, code) in [
        ("cat >/dev/null", 6),
        ("sleep 60", 5),
        ("cat >&2; exit 3", 6),
        ("exit 75", 5),
        ("kill -9 $$", 5),
    ] {
        let project = Project::new();
        hooks(&project, apply);
        let failed = rotation(&project, &["run", "db"]).run().code(code);
        assert_eq!(current(&project), "first-value", "{apply}");
        let pending = rotation(&project, &["status", "--json"])
            .run()
            .success()
            .json();
        if code == 5 {
            assert_eq!(
                pending["rotations"][0]["state"], "pending_stored",
                "{apply}"
            );
            rotation(&project, &["abort", "db"]).run().success();
        }
        assert_eq!(current(&project), "first-value", "{apply}");
        assert!(!failed.stderr().contains("first-value"));
        rotation(&project, &["history"])
            .run()
            .success()
            .stdout_contains("undone");
    }
}

#[test]
fn a_key_of_our_own_has_one_before_it_until_the_overlap_is_over() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    let more = "\n[credentials.session_key]\n[rotation.targets.session_key]\ntype = \"key\"\n\
                overlap = \"1s\"\nlength = 64\nalphabet = \"hex\"\n";
    append(&project, more);
    project.resolve(["trust", "--yes"]).run().success();
    rotation(&project, &["run", "session_key"])
        .run()
        .code(3)
        .stderr_contains("generate --set session_key");
    project
        .resolve(["generate", "--set", "session_key"])
        .run()
        .success();
    let get = |name: &str| project.resolve(["get", name]).run();
    let first = get("session_key").success().stdout();
    get("session_key@previous").code(3);
    rotation(&project, &["run", "session_key"])
        .run()
        .success()
        .stderr_contains("stays valid until");
    let second = get("session_key").success().stdout();
    assert_eq!(second.len(), 64);
    assert_eq!(get("session_key@previous").success().stdout(), first);
    rotation(&project, &["abort", "session_key"])
        .run()
        .code(1)
        .stderr_contains("only forward");
    // It waits for a second, whoever asks.
    loop {
        rotation(&project, &["run", "--due"]).run().success();
        let status = rotation(&project, &["status", "--json"])
            .run()
            .success()
            .json();
        if status["rotations"].as_array().unwrap().is_empty() {
            break;
        }
    }
    get("session_key@previous").code(3);
    assert_eq!(get("session_key").success().stdout(), second);
}

#[test]
fn a_cloned_repository_rotates_nothing_before_it_is_trusted() {
    let project = project(
        "[credentials.db]\n[rotation.targets.db]\ntype = \"command\"\nverify = [\"true\"]\napply = [\"true\"]\n",
    );
    rotation(&project, &["run", "db"])
        .run()
        .code(7)
        .stderr_contains("resolve trust");
    rotation(&project, &["status"]).run().success();
}

#[test]
fn names_that_lead_nowhere_are_a_mistake_of_usage() {
    let project = project("[credentials.db]\n");
    rotation(&project, &["run", "bd"])
        .run()
        .code(2)
        .stderr_contains("did you mean `db`");
    rotation(&project, &["run"]).run().code(2);
    rotation(&project, &["run", "--due", "db"]).run().code(2);
    rotation(&project, &["run", "db"])
        .run()
        .code(6)
        .stderr_contains("[rotation.targets.db]");
    rotation(&project, &["resume", "db"]).run().code(6);
}

/// Two machines of one team: one store, one database, homes of their own.
struct Team {
    bao: OpenBao,
    postgres: Postgres,
}

impl Team {
    fn machine(&self) -> Project {
        let project = Project::new();
        let server = format!(
            "postgres://{}:{}/postgres",
            self.postgres.host(),
            self.postgres.port()
        );
        let text = format!(
            "[project]\nname = \"team\"\n[chain]\ndefault = [\"vault\"]\n\
             [providers.vault]\naddress = \"{}\"\n[credentials.pg_admin]\nchain = [\"env\"]\n\
             [credentials.db_password]\n[rotation.targets.db_password]\ntype = \"postgres\"\n\
             url = \"{server}\"\nuser = \"app\"\nadmin = \"postgres\"\n\
             admin_password = {{ credential = \"pg_admin\" }}\n",
            self.bao.url()
        );
        project.write("credchain.toml", text);
        project
    }

    fn run(&self, project: &Project, args: &[&str]) -> Resolve {
        let run = project
            .resolve(args)
            .trusted()
            .secret(self.bao.root_token());
        let run = run
            .secret(self.postgres.password())
            .timeout(Duration::from_mins(1));
        run.plain_env("VAULT_TOKEN", self.bao.root_token())
            .plain_env("PG_ADMIN", self.postgres.password())
    }
}

#[test]
fn what_one_machine_began_another_one_finishes() {
    let team = Team {
        bao: OpenBao::dev(),
        postgres: Postgres::start(),
    };
    let first = fresh_secret("first");
    team.postgres
        .sql(&format!("CREATE ROLE app LOGIN PASSWORD '{first}'"));
    let (one, two) = (team.machine(), team.machine());
    team.run(&one, &["set", "db_password"])
        .stdin(&first)
        .run()
        .success();

    // The server holds the change up, so that the program is in the middle of it.
    let held = team.postgres.hold("ALTER ROLE app CONNECTION LIMIT 100");
    let mut program = team
        .run(&one, &["rotation", "run", "db_password"])
        .command()
        .spawn()
        .unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while team.postgres.sql(waiting) == "0" {
        assert!(program.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    program.kill().unwrap();
    program.wait().unwrap();
    let status = team
        .run(&two, &["rotation", "status", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(status["rotations"][0]["state"], "pending_stored");
    drop(held);

    team.run(&two, &["rotation", "resume"])
        .run()
        .success()
        .stderr_contains("the old value is gone");
    let value = team
        .run(&two, &["get", "db_password"])
        .run()
        .success()
        .stdout();
    assert_ne!(value, first);
    // By a login of the server's own program.
    team.run(
        &two,
        &[
            "exec",
            "--no-mask",
            "--only",
            "db_password",
            "--",
            "sh",
            "-c",
            &format!(
                "PGPASSWORD=$DB_PASSWORD psql -h {} -p {} -U app -d postgres -Atc 'SELECT 1'",
                team.postgres.host(),
                team.postgres.port()
            ),
        ],
    )
    .run()
    .success()
    .stdout_is("1\n");
    team.run(&one, &["rotation", "history", "--json"])
        .run()
        .success()
        .stdout_contains("\"completed\": true");
}

#[test]
fn check_warns_of_what_is_due() {
    let project = project("[credentials.api_key]\nrotate = \"90d\"\n");
    project.write(".env", "API_KEY=long-enough-to-be-a-key\n");
    project.resolve(["check", "--strict"]).run().success();
    rotation(
        &project,
        &["register", "api_key", "--created", "2020-01-01"],
    )
    .run()
    .success();
    let due = project.resolve(["check", "--strict"]).run().code(8);
    due.stdout_contains("its rotation is overdue");
}

#[test]
fn what_a_rotation_has_besides_the_current_value_is_masked() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    append(
        &project,
        "\n[credentials.session_key]\n[rotation.targets.session_key]\ntype = \"key\"\n",
    );
    project.resolve(["trust", "--yes"]).run().success();
    project
        .resolve(["generate", "--set", "session_key"])
        .run()
        .success();
    let old = project
        .resolve(["get", "session_key"])
        .run()
        .success()
        .stdout();
    rotation(&project, &["run", "session_key"]).run().success();
    let args = ["exec", "--", "sh", "-c", "echo $OLD $SESSION_KEY"];
    let run = project.resolve(args).plain_env("OLD", &old).secret(&old);
    run.run().success().stdout_is("*** ***\n");
}
