//! `cargo xtask demo`: the example pipeline with the embedded store, on a machine that has nothing
//! but Rust. No server, no account, nothing outside the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use credchain_tests::servers::HttpApi;

use crate::run::{Failure, Outcome, cargo, output, root, step, target_dir};
use crate::test;

/// The credentials that the pipeline needs and nobody knows yet.
const MADE_UP: [&str; 3] = ["api_key", "db_password", "mail_password"];

/// Builds the command and the pipeline, makes a project, runs the job, and shows what happened.
pub(crate) fn run() -> Outcome {
    eprintln!("Building `resolve` and the pipeline (a minute or two the first time) ...");
    step(&mut cargo(&[
        "build",
        "--quiet",
        "--package=credchain-cli",
        "--package=example-pipeline",
        "--no-default-features",
        "--features=credchain-cli/local",
    ]))?;
    show()
}

/// The demo itself, with the programs that are built.
pub(crate) fn show() -> Outcome {
    let demo = Demo::new()?;

    heading("A new project: `resolve init` makes an identity and an encrypted store");
    step(&mut demo.resolve(&["init"]))?;

    heading("Three credentials that nobody has seen, straight into the store");
    for name in MADE_UP {
        step(&mut demo.resolve(&["generate", "--set", name]))?;
    }

    heading("The pipeline: every credential in one resolution, through one chain");
    // The API has to know its own key. Whoever runs a real one has it already.
    let api = HttpApi::start_with_key(output(&mut demo.resolve(&["get", "api_key"]))?);
    let mut pipeline = demo.command("pipeline");
    pipeline
        .env("API_URL", api.url())
        .env("DB_URL", "file:orders.csv");
    step(pipeline.env("MAIL_URL", "file:report.eml"))?;

    heading("Any other program: `resolve exec` puts them into its environment");
    let count = "echo \"the API key has ${#API_KEY} characters here\"";
    step(&mut demo.resolve(&["exec", "--", "sh", "-c", count]))?;

    heading("Where its credentials came from: `resolve explain`");
    for name in MADE_UP {
        step(&mut demo.resolve(&["explain", name]))?;
    }
    demo.prove(&api)
}

fn heading(words: &str) {
    println!("\n# {words}");
}

struct Demo {
    project: PathBuf,
    home: PathBuf,
}

impl Demo {
    /// An empty project with the example's configuration, and an empty home.
    fn new() -> Outcome<Self> {
        let dir = target_dir().join("demo");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        let demo = Self {
            project: dir.join("project"),
            home: dir.join("home"),
        };
        for dir in [&demo.project, &demo.home] {
            make_private_dir(dir)?;
        }
        // So that nothing above is taken for a part of this project.
        fs::create_dir(demo.project.join(".git"))?;
        let config = "credchain.toml";
        fs::copy(
            root().join("examples/pipeline").join(config),
            demo.project.join(config),
        )?;
        Ok(demo)
    }

    fn resolve(&self, args: &[&str]) -> Command {
        let mut command = self.command("resolve");
        command.args(args);
        command
    }

    fn command(&self, program: &str) -> Command {
        let program = target_dir().join("debug").join(program);
        let mut command = Command::new(program);
        test::without_settings(&mut command)
            .current_dir(&self.project)
            .env("HOME", &self.home)
            .env("CREDCHAIN_CONFIG", self.project.join("credchain.toml"));
        for name in MADE_UP.map(str::to_uppercase) {
            command.env_remove(format!("{name}_FILE")).env_remove(name);
        }
        command
    }

    /// Says what the run has proved, and fails if it has not.
    fn prove(&self, api: &HttpApi) -> Outcome {
        let orders = fs::read_to_string(self.project.join("orders.csv"))?;
        let report = fs::read_to_string(self.project.join("report.eml"))?;
        let store = fs::read(self.project.join("credchain.age"))?;
        let hidden = !store
            .windows(api.key().len())
            .any(|part| part == api.key().as_bytes());
        let rows = orders.lines().count().saturating_sub(1);
        let proved = api.answered() == 1 && api.refused() == 0 && rows == 3 && hidden;
        if !proved || !report.contains("3 orders") {
            return Err(Failure::new("the pipeline did not do its job"));
        }
        heading("Proof");
        println!(
            "the API accepted the key        {} request, 0 refused",
            api.answered()
        );
        println!("rows in orders.csv              {rows}");
        println!("report.eml                      {}", subject(&report));
        println!("the store shows the key         no, it is encrypted");
        println!("\nThe project is still there: {}", display(&self.project));
        Ok(())
    }
}

fn subject(report: &str) -> &str {
    report
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "))
        .unwrap_or_default()
}

fn display(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn make_private_dir(dir: &Path) -> Outcome {
    fs::create_dir_all(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
