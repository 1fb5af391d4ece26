//! GitHub workflow files: reading them, and running their steps as a runner on Linux does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use crate::servers::python;
use crate::{Output, Project};

type Variables = BTreeMap<String, String>;

/// A workflow file.
#[derive(Clone, Debug)]
pub struct Workflow(Value);

/// One job of a workflow.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its key in the file.
    pub name: String,
    env: Variables,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a job.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is called, or a number.
    pub name: String,
    /// The script, for steps that are one.
    pub run: Option<String>,
    /// The action, for steps that use one.
    pub uses: Option<String>,
    id: Option<String>,
    shell: Option<String>,
    env: Variables,
}

impl Workflow {
    /// Reads a workflow file.
    pub fn read(path: &Path) -> Self {
        let script =
            "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
        let output = Command::new(python())
            .args(["-c", script])
            .arg(path)
            .output();
        let output = output.expect("the Python of the tests can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} is no YAML:\n{stderr}",
            path.display()
        );
        Self(serde_json::from_slice(&output.stdout).expect("the script prints JSON"))
    }

    /// Its jobs.
    pub fn jobs(&self) -> Vec<Job> {
        let common = variables(&self.0["env"]);
        object(&self.0["jobs"])
            .map(|(name, job)| read_job(name, job, &common))
            .collect()
    }
}

fn read_job(name: &str, job: &Value, common: &Variables) -> Job {
    let mut env = common.clone();
    env.extend(variables(&job["env"]));
    let steps = job["steps"].as_array().into_iter().flatten().enumerate();
    Job {
        name: name.to_owned(),
        env,
        steps: steps.map(read_step).collect(),
    }
}

fn read_step((number, step): (usize, &Value)) -> Step {
    let text = |key: &str| step[key].as_str().map(str::to_owned);
    Step {
        name: text("name").unwrap_or_else(|| format!("step {}", number + 1)),
        run: text("run"),
        uses: text("uses"),
        id: text("id"),
        shell: text("shell"),
        env: variables(&step["env"]),
    }
}

impl Step {
    /// The words that a Linux runner puts before the script's file.
    pub fn shell(&self) -> &'static [&'static str] {
        match self.shell.as_deref() {
            None => &["bash", "-e"],
            Some("bash") => &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
            Some("sh") => &["sh", "-e"],
            Some(other) => panic!(
                "`{}` wants a shell that is not known here: {other}",
                self.name
            ),
        }
    }
}

/// A runner: executes the scripts of a job in a [`Project`], with the platform's secrets and the
/// environment files through which steps talk to the runner.
#[derive(Clone, Debug)]
pub struct Runner {
    project: Project,
    secrets: Variables,
    variables: Variables,
    env: Variables,
    path: Vec<PathBuf>,
    outputs: BTreeMap<String, Variables>,
    /// What the steps asked the runner to hide in its log.
    pub masked: Vec<String>,
}

impl Runner {
    /// A runner whose work folder is the project.
    pub fn new(project: &Project) -> Self {
        Self {
            project: project.clone(),
            secrets: Variables::new(),
            variables: Variables::new(),
            env: Variables::new(),
            path: Vec::new(),
            outputs: BTreeMap::new(),
            masked: Vec::new(),
        }
    }

    /// Stores a secret on the platform; one that is not stored arrives as an empty string.
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// Stores a variable, which is no secret, on the platform.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds a folder of programs that the machine has, such as an installed Python.
    pub fn programs(mut self, dir: &Path) -> Self {
        self.path.push(dir.to_owned());
        self
    }

    /// Executes the scripts of a job up to the first that fails; tells what each one did.
    pub fn run(&mut self, job: &Job) -> Vec<Output> {
        let mut outputs = Vec::new();
        for step in job.steps.iter().filter(|step| step.run.is_some()) {
            outputs.push(self.step(job, step));
            if outputs
                .last()
                .is_some_and(|output| !output.status().success())
            {
                break;
            }
        }
        outputs
    }

    /// What the steps have written for the job's summary.
    pub fn summary(&self) -> String {
        fs::read_to_string(self.file("summary")).unwrap_or_default()
    }

    fn step(&mut self, job: &Job, step: &Step) -> Output {
        let script = self.file("script");
        let text = self.expand(step.run.as_deref().unwrap_or_default());
        fs::write(&script, text).expect("the temporary folder is writable");
        let shell = step.shell();
        let mut run = self
            .project
            .command(shell[0])
            .args(&shell[1..])
            .args([&script]);
        run = run
            .plain_env("CI", "true")
            .plain_env("GITHUB_ACTIONS", "true");
        for (name, value) in self
            .env
            .clone()
            .into_iter()
            .chain(job.env.clone())
            .chain(step.env.clone())
        {
            run = run.plain_env(&name, self.expand(&value));
        }
        for secret in self.secrets.values() {
            run = run.secret(secret);
        }
        for name in ["env", "output", "path", "summary"] {
            let file = self.file(name);
            let kept = if name == "summary" {
                self.summary()
            } else {
                String::new()
            };
            fs::write(&file, kept).expect("the temporary folder is writable");
            let variable = if name == "summary" {
                "step_summary"
            } else {
                name
            };
            run = run.plain_env(&format!("GITHUB_{}", variable.to_uppercase()), file);
        }
        run = run.plain_env("GITHUB_WORKSPACE", self.project.dir());
        run = run.path_before(&self.path);
        let output = run.run();
        self.take_over(step, &output);
        output
    }

    /// Reads what the step left for the steps after it.
    fn take_over(&mut self, step: &Step, output: &Output) {
        let read = |name| fs::read_to_string(self.file(name)).expect("the step left its files");
        let (env, outputs, path) = (read("env"), read("output"), read("path"));
        self.env.extend(assignments(&env));
        self.path.splice(0..0, path.lines().map(PathBuf::from));
        if let Some(id) = &step.id {
            self.outputs.insert(id.clone(), assignments(&outputs));
        }
        let stdout = output.stdout();
        let masks = stdout
            .lines()
            .filter_map(|line| line.strip_prefix("::add-mask::"));
        self.masked.extend(masks.map(str::to_owned));
    }

    /// Replaces `${{ … }}`. Only what names a secret, a variable or an output is known.
    fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, after) = after.split_once("}}").expect("an expression is closed");
            expanded.push_str(before);
            expanded.push_str(&self.value(expression.trim()));
            rest = after;
        }
        expanded + rest
    }

    fn value(&self, expression: &str) -> String {
        let words: Vec<&str> = expression.split('.').collect();
        let known = match words.as_slice() {
            ["secrets", name] => self.secrets.get(*name),
            ["vars", name] => self.variables.get(*name),
            ["env", name] => self.env.get(*name),
            ["steps", id, "outputs", name] => self.outputs.get(*id).and_then(|all| all.get(*name)),
            _ => panic!("an expression that is not known here: {expression}"),
        };
        known.cloned().unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.project.tmp().join(format!("github-{name}"))
    }
}

/// `NAME=value` lines, and `NAME<<END` blocks up to the line `END`.
fn assignments(text: &str) -> Variables {
    let mut found = Variables::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((name, end)) = line.split_once("<<") {
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.insert(name.to_owned(), value.join("\n"));
        } else if let Some((name, value)) = line.split_once('=') {
            found.insert(name.to_owned(), value.to_owned());
        } else {
            assert!(
                line.is_empty(),
                "a runner refuses this line of an environment file"
            );
        }
    }
    found
}

fn variables(value: &Value) -> Variables {
    object(value)
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

/// A scalar as YAML's reader leaves it.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use super::assignments;

    #[test]
    fn an_environment_file_has_lines_and_blocks() {
        let found = assignments("A=1=2\nB<<end\nfirst\nsecond\nend\nC=\n");
        let found: Vec<_> = found
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(found, [("A", "1=2"), ("B", "first\nsecond"), ("C", "")]);
    }
}
