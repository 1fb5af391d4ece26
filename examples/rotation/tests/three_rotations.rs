//! The job works on while its credential is rotated three times.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use credchain_tests::servers::{Postgres, fresh_secret};
use credchain_tests::{Project, Resolve};

struct World {
    postgres: Postgres,
    project: Project,
}

impl World {
    fn new() -> Self {
        let world = Self {
            postgres: Postgres::start(),
            project: Project::new(),
        };
        world.project.resolve(["init"]).run().success();
        let config = world.project.dir().join("credchain.toml");
        std::fs::remove_file(&config).expect("it was just written");
        world
            .project
            .copy("examples/rotation/credchain.toml", "credchain.toml");
        let first = fresh_secret("first");
        world.postgres.sql(&format!(
            "CREATE ROLE app_owner NOLOGIN; \
             CREATE ROLE app_a LOGIN PASSWORD '{first}' IN ROLE app_owner; \
             CREATE ROLE app_b LOGIN IN ROLE app_owner; \
             ALTER ROLE app_a SET role = 'app_owner'; ALTER ROLE app_b SET role = 'app_owner'; \
             CREATE TABLE work AS SELECT true AS open; GRANT SELECT ON work TO app_owner"
        ));
        let url = format!("postgres://app_a:{first}@{}/postgres", world.address());
        let set = world.resolve(&["set", "db_url"]);
        set.stdin(url).secret(first).run().success();
        world
    }

    fn address(&self) -> String {
        format!("{}:{}", self.postgres.host(), self.postgres.port())
    }

    fn with_settings(&self, run: Resolve) -> Resolve {
        let prefix = "CREDCHAIN_ROTATION__TARGETS__DB_URL__";
        let url = format!("postgres://{}/postgres", self.address());
        run.trusted()
            .env(&format!("{prefix}URL"), url)
            .env(&format!("{prefix}OVERLAP"), "2s")
            .env(&format!("{prefix}SOAK"), "0s")
            .timeout(Duration::from_mins(1))
    }

    fn resolve(&self, args: &[&str]) -> Resolve {
        let run = self.with_settings(self.project.resolve(args));
        run.plain_env("PG_ADMIN", self.postgres.password())
            .secret(self.postgres.password())
    }

    /// How many of the two accounts let somebody in.
    fn valid(&self) -> String {
        self.postgres.sql(
            "SELECT count(*) FROM pg_authid WHERE rolname IN ('app_a', 'app_b') \
             AND rolcanlogin AND rolpassword IS NOT NULL",
        )
    }
}

#[test]
fn the_job_works_on_through_three_rotations() {
    let world = World::new();
    let job = world.project.command(env!("CARGO_BIN_EXE_pooled-pipeline"));
    let mut job = world.with_settings(job).command();
    let mut job = job.stdout(Stdio::piped()).spawn().expect("the job starts");
    let output = job.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(output)
        .lines()
        .map(|line| line.expect("the job's words are text"));
    let mut next = || lines.next().expect("the job goes on");
    assert!(next().starts_with("pool 1 is open"));
    for pool in 2..=4 {
        world
            .resolve(&["rotation", "run", "db_url"])
            .run()
            .success();
        assert!(next().starts_with(&format!("pool {pool} is open")));
        // Until the overlap is over and the old account is out.
        loop {
            world.resolve(&["rotation", "run", "--due"]).run().success();
            let status = world
                .resolve(&["rotation", "status", "--json"])
                .run()
                .success()
                .json();
            if status["rotations"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
        }
        assert_eq!(world.valid(), "1");
    }
    world.postgres.sql("UPDATE work SET open = false");
    let last = next();
    assert!(last.ends_with("pieces of work, 0 failed"), "{last}");
    assert!(job.wait().expect("the job ends").success());
    world.resolve(&["audit", "verify"]).run().success();
    let shown = world
        .resolve(&["audit", "show", "--action", "rotate"])
        .run()
        .success();
    assert_eq!(shown.stdout().matches("rotate.finish").count(), 3);
}
