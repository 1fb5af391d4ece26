//! Real servers: how far secrets are fetched in few round trips, beside the backends' own clients.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use credchain_tests::faults::{Behaviour, Proxy};
use credchain_tests::servers::{Moto, OpenBao};
use serde_json::json;

use super::Programs;
use super::spawn::{medians, quiet};
use super::table::Row;
use crate::run::Outcome;
use crate::tools;

/// How often each command runs.
const ROUNDS: usize = 15;

const ROUND_TRIP: Duration = Duration::from_millis(20);

/// The rows on Vault and AWS, with every provider linked.
pub(super) fn run(programs: &Programs) -> Outcome<Vec<Row>> {
    let python = tools::python()?.join("python");
    let dir = std::env::temp_dir().join(format!("credchain-bench-far-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let bench = Bench {
        programs,
        dir: &dir,
        python,
    };
    let mut rows = bench.vault_over_tls()?;
    rows.push(bench.vault_in_clear()?);
    rows.extend(bench.vault_clients()?);
    rows.push(bench.aws()?);
    fs::remove_dir_all(&dir)?;
    Ok(rows)
}

struct Bench<'a> {
    programs: &'a Programs,
    dir: &'a Path,
    python: PathBuf,
}

impl Bench<'_> {
    /// `resolve` with a configuration of its own.
    fn resolve(&self, name: &str, config: &str, args: &[&str]) -> Outcome<Command> {
        let file = self.dir.join(format!("{name}.toml"));
        fs::write(&file, config)?;
        let mut command = quiet(&self.programs.resolve, self.dir);
        command.args(args).env("CREDCHAIN_CONFIG", file);
        Ok(command)
    }

    /// Fifty documents against one, each with a login, through a line with a delay.
    fn vault_over_tls(&self) -> Outcome<Vec<Row>> {
        let bao = OpenBao::with_tls();
        bao.policy("bench", "path \"secret/*\" { capabilities = [\"read\"] }");
        let (role, secret) = bao.approle("bench", &json!({"token_policies": "bench"}));
        fill(&bao, 50);
        let proxy = Proxy::start(([127, 0, 0, 1], bao.port()).into());
        proxy.set(Behaviour::Latency(ROUND_TRIP));
        let settings = format!(
            "address = \"https://{}\"\nca = \"{}\"\nkv_version = 2\nauth = {{ method = \"approle\", \
             role_id = \"{role}\", secret_id = {{ credential = \"secret_id\" }} }}\n\
             [credentials.secret_id]\nchain = [\"env\"]\ninject = false\n",
            proxy.address(),
            bao.ca().display()
        );
        let run = |count: usize| -> Outcome<Command> {
            let config = documents(&settings, count);
            let args = ["export", "--format", "json"];
            let mut command = self.resolve(&format!("tls-{count}"), &config, &args)?;
            command.env("SECRET_ID", &secret);
            Ok(command)
        };
        let times = medians(&mut [&mut run(1)?, &mut run(50)?], ROUNDS)?;
        let ratio = times[1].as_secs_f64() / times[0].as_secs_f64();
        let fifty = Row::new(
            "B2",
            "50 secrets of OpenBao over TLS, 20 ms each way and back, against TCP + TLS + login + one read",
            format!("{ratio:.2}× ({})", ms(times[1])),
            "≤ 1.5×",
            ratio <= 1.5,
        );
        let one_document = {
            let mut config = base(&settings);
            for n in 0..50 {
                write_credential(&mut config, n, &format!("fields#f{n}"));
            }
            let mut fields = serde_json::Map::new();
            for n in 0..50 {
                fields.insert(format!("f{n}"), json!("value"));
            }
            bao.root("POST", "secret/data/fields", &json!({ "data": fields }));
            let args = ["export", "--format", "json"];
            let mut command = self.resolve("fields", &config, &args)?;
            command.env("SECRET_ID", &secret);
            command
        };
        let before = bao.count("secret/data/fields");
        medians(&mut [&mut { one_document }], 1)?;
        let reads = bao.count("secret/data/fields") - before;
        let what = "reads for 50 fields of one document";
        let document = Row::new("B2", what, reads.to_string(), "1", reads == 1);
        Ok(vec![fifty, document])
    }

    fn vault_in_clear(&self) -> Outcome<Row> {
        let bao = OpenBao::dev();
        fill(&bao, 50);
        let proxy = Proxy::start(([127, 0, 0, 1], bao.port()).into());
        proxy.set(Behaviour::Latency(ROUND_TRIP));
        let settings = format!("address = \"http://{}\"\nkv_version = 2\n", proxy.address());
        let args = ["export", "--format", "json"];
        let mut fifty = self.resolve("clear", &documents(&settings, 50), &args)?;
        fifty.env("VAULT_TOKEN", bao.root_token());
        let env = "[chain]\ndefault = [\"env\"]\n[credentials.one]\n";
        let mut start = self.resolve("start", env, &args)?;
        start.env("ONE", "value");
        let times = medians(&mut [&mut start, &mut fifty], ROUNDS)?;
        let beyond = times[1].saturating_sub(times[0]);
        Ok(Row::new(
            "B2",
            "the same over plain HTTP with a token, beyond the process's start",
            ms(beyond),
            "≤ 60 ms",
            beyond <= Duration::from_millis(60),
        ))
    }

    /// One secret, cold: the whole process of each client.
    fn vault_clients(&self) -> Outcome<Vec<Row>> {
        let bao = OpenBao::dev();
        fill(&bao, 1);
        let settings = format!("address = \"{}\"\n", bao.url());
        let config = documents(&settings, 1);
        let mut ours = self.resolve("one", &config, &["get", "key_0"])?;
        ours.env("VAULT_TOKEN", bao.root_token());
        let mut theirs = quiet(&OpenBao::program(), self.dir);
        theirs.args(["kv", "get", "-mount=secret", "-field=value", "doc-0"]);
        let mut hvac = self.python(
            "import os, hvac\nclient = hvac.Client()\n\
             print(client.secrets.kv.v2.read_secret_version('doc-0', mount_point='secret', \
             raise_on_deleted_version=True)['data']['data']['value'])",
        );
        for command in [&mut theirs, &mut hvac] {
            for name in ["BAO", "VAULT"] {
                command.env(format!("{name}_ADDR"), bao.url());
                command.env(format!("{name}_TOKEN"), bao.root_token());
            }
        }
        let times = medians(&mut [&mut ours, &mut theirs, &mut hvac], ROUNDS)?;
        let row = |what: &str, other: Duration| {
            let ratio = other.as_secs_f64() / times[0].as_secs_f64();
            let measured = format!("{ratio:.1}× ({} against {})", ms(other), ms(times[0]));
            Row::new("", what, measured, "", true)
        };
        Ok(vec![
            row("`bao kv get` against `resolve get`, cold", times[1]),
            row(
                "Python's `hvac` against `resolve get`, cold, whole process",
                times[2],
            ),
        ])
    }

    fn aws(&self) -> Outcome<Row> {
        let moto = Moto::start();
        let settings = format!(
            "endpoint = \"{}\"\nregion = \"eu-central-1\"\n",
            moto.endpoint()
        );
        let mut config = format!("[chain]\ndefault = [\"aws\"]\n[providers.aws]\n{settings}");
        for n in 0..45 {
            let _ = writeln!(config, "[credentials.key_{n}]\nat.aws = \"bench-{n}\"");
        }
        let client = format!(
            "import boto3\nclient = boto3.client('secretsmanager', endpoint_url='{}', \
             region_name='eu-central-1')\n",
            moto.endpoint()
        );
        let make = "for n in range(45):\n    client.create_secret(Name=f'bench-{n}', SecretString='value')\n";
        let read = "for n in range(45):\n    client.get_secret_value(SecretId=f'bench-{n}')\n";
        let mut written = self.python(&format!("{client}{make}"));
        let mut theirs = self.python(&format!("{client}{read}"));
        let args = ["export", "--format", "json"];
        let mut ours = self.resolve("aws", &config, &args)?;
        for command in [&mut written, &mut theirs, &mut ours] {
            command.env("AWS_ACCESS_KEY_ID", "test");
            command.env("AWS_SECRET_ACCESS_KEY", "test");
        }
        medians(&mut [&mut written], 1)?;
        let times = medians(&mut [&mut ours, &mut theirs], ROUNDS)?;
        let ratio = times[1].as_secs_f64() / times[0].as_secs_f64();
        let measured = format!("{ratio:.1}× ({} against {})", ms(times[1]), ms(times[0]));
        let what = "45 secrets one by one with `boto3` against `resolve export`, whole process";
        Ok(Row::new("", what, measured, "", true))
    }

    fn python(&self, script: &str) -> Command {
        let mut command = quiet(&self.python, self.dir);
        command.args(["-c", script]);
        command
    }
}

fn fill(bao: &OpenBao, count: usize) {
    for n in 0..count {
        let document = json!({"data": {"value": format!("value {n}")}});
        bao.root("POST", &format!("secret/data/doc-{n}"), &document);
    }
}

fn base(settings: &str) -> String {
    format!("[chain]\ndefault = [\"vault\"]\n[providers.vault]\n{settings}")
}

/// A project with so many credentials, each in a document of its own.
fn documents(settings: &str, count: usize) -> String {
    let mut config = base(settings);
    for n in 0..count {
        write_credential(&mut config, n, &format!("doc-{n}#value"));
    }
    config
}

fn write_credential(config: &mut String, n: usize, place: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(config, "[credentials.key_{n}]\nat.vault = \"{place}\"");
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
