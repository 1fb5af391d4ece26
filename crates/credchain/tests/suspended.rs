//! A service that stood still for longer than its lease goes on with a new one.

#![cfg(all(unix, feature = "vault"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use credchain_tests::servers::{OpenBao, Postgres};

/// The example, which is compiled with the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    folder.join("examples/service")
}

struct Service {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Service {
    fn start(bao: &OpenBao, postgres: &Postgres, directory: &std::path::Path) -> Self {
        let config = format!(
            "[project]\nname = \"demo\"\n[chain]\ndefault = [\"vault\"]\n\
             [providers.vault]\naddress = \"{}\"\nrevoke_on_exit = true\n\
             [credentials.db_user]\nat.vault = \"/database/creds/app#username\"\n\
             [credentials.db_password]\nat.vault = \"/database/creds/app#password\"\n",
            bao.url()
        );
        let file = directory.join("credchain.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(program())
            .env("CREDCHAIN_CONFIG", file)
            .env("VAULT_TOKEN", bao.root_token())
            .env(
                "DATABASE",
                format!("{}:{}", postgres.host(), postgres.port()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            requests: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Who it is at the database.
    fn user(&mut self) -> String {
        self.requests.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended instead of answering");
        line.trim().to_owned()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }

    fn end(mut self) {
        drop(self.requests);
        assert!(self.child.wait().unwrap().success());
    }
}

fn is_there(postgres: &Postgres, user: &str) -> bool {
    let query = format!("select count(*) from pg_roles where rolname = '{user}'");
    postgres.sql(&query) == "1"
}

#[test]
fn a_suspended_service_comes_back_with_a_new_lease_and_leaves_nothing_behind() {
    let (bao, postgres) = (OpenBao::dev(), Postgres::start());
    bao.database(&postgres, "app", "3s", "1h");
    let directory = tempfile::tempdir().unwrap();
    let mut service = Service::start(&bao, &postgres, directory.path());
    let before = service.user();
    assert_eq!(service.user(), before, "the lease lives");
    service.signal("-STOP");
    for _ in 0..1000 {
        if !is_there(&postgres, &before) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_there(&postgres, &before), "its lease has ended");
    service.signal("-CONT");
    let after = service.user();
    assert_ne!(after, before);
    assert!(is_there(&postgres, &after));
    service.end();
    assert!(!is_there(&postgres, &after), "it is revoked at the end");
}
