//! The emulator, a counter in front of it, and a server that says what a test wants said.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test binary uses a part of this, and panics as tests do"
)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use credchain_core::{
    Context, Environment, Error, LinkName, Project, Provider as _, Reference, Secret, SetOptions,
    Settings, Setup, Version,
};
use credchain_provider_aws::Aws;
use credchain_tests::servers::{fresh_secret, python};
use serde_json::{Value, json};

pub(crate) const REGION: &str = "eu-central-1";

/// The AWS emulator, with a login.
#[derive(Debug)]
pub(crate) struct Moto {
    child: Child,
    pub(crate) url: String,
    pub(crate) secret_key: String,
}

impl Moto {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/moto_server.py");
        let mut child = Command::new(python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("standard output is piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let Some(port) = line.trim().strip_prefix("READY ") else {
            let _ = child.kill();
            panic!("the emulator did not start: {line}");
        };
        Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            secret_key: fresh_secret("key"),
        }
    }

    /// A provider that asks this emulator.
    pub(crate) fn aws(&self, table: Value) -> Aws {
        aws(&self.url, table)
    }

    /// The world with this emulator's login in it.
    pub(crate) fn cx(&self) -> Context {
        cx_with(&self.secret_key)
    }

    /// Runs Python that has a boto3 client `client` for a service.
    pub(crate) fn boto3(&self, service: &str, code: &str) -> String {
        let script = format!(
            "import boto3, sys\nclient = boto3.client('{service}', endpoint_url='{}', region_name='{REGION}', \
             aws_access_key_id='test', aws_secret_access_key='test')\n{code}",
            self.url
        );
        let output = Command::new(python())
            .args(["-c", &script])
            .output()
            .expect("Python starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It ends at the end of its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A provider that asks this address.
pub(crate) fn aws(url: &str, mut table: Value) -> Aws {
    let given = table.as_object_mut().expect("a table");
    for (key, value) in [("endpoint", url), ("sts_endpoint", url), ("region", REGION)] {
        given.entry(key).or_insert_with(|| json!(value));
    }
    Aws::from_setup(&setup(table)).expect("right settings")
}

pub(crate) fn setup(table: Value) -> Setup {
    Setup::new(LinkName::literal("aws"))
        .with_settings(Settings::from_json(table))
        .in_project(Project::new("pipeline", "/project"))
}

pub(crate) fn cx_with(secret_key: &str) -> Context {
    Context::system().with_env(Environment::fixed([
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
    ]))
}

pub(crate) fn cx() -> Context {
    cx_with("test")
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

pub(crate) async fn get(aws: &Aws, text: &str) -> Result<String, Error> {
    let secret = aws.get(&reference(text), &cx()).await?;
    Ok(String::from_utf8_lossy(secret.expose()).into_owned())
}

pub(crate) async fn set(aws: &Aws, text: &str, value: &str) -> Result<Version, Error> {
    let options = SetOptions::default();
    aws.set(&reference(text), &Secret::new(value), &options, &cx())
        .await
}

/// What a request asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The action, such as `GetSecretValue`.
    pub(crate) action: String,
    pub(crate) body: Value,
}

/// What it is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// How many bytes are promised and never sent.
    pub(crate) missing: usize,
}

impl Reply {
    pub(crate) fn ok(body: &Value) -> Self {
        Self::raw(200, body.to_string())
    }

    /// An error as AWS words it; the text is one that must never be shown.
    pub(crate) fn error(code: &str) -> Self {
        let body = json!({"__type": code, "message": "canary in the message"});
        Self::raw(400, body.to_string())
    }

    pub(crate) fn raw(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            missing: 0,
        }
    }

    pub(crate) fn cut_off(mut self) -> Self {
        self.missing = 1000;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server whose answers a test makes up: for what no emulator does.
pub(crate) struct Fake {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        let address = listen(move |stream| {
            let (log, answer) = (log.clone(), answer.clone());
            let _ = converse(&stream, |asked| {
                log.lock().unwrap().push(asked.clone());
                answer(asked)
            });
        });
        Self {
            url: format!("http://{address}"),
            asked,
        }
    }

    /// The actions that were asked for, in order.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.action).collect()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Hands everything on to another server and counts what was asked.
pub(crate) fn counting(upstream: &str) -> Fake {
    let upstream = upstream
        .strip_prefix("http://")
        .expect("an http address")
        .to_owned();
    Fake::start(move |asked| {
        let (status, body) = forward(&upstream, asked).expect("the emulator answers");
        Reply::raw(status, body)
    })
}

fn forward(upstream: &str, asked: &Asked) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(upstream)?;
    let service = if asked.action.contains("Secret") {
        "secretsmanager"
    } else {
        "AmazonSSM"
    };
    let body = asked.body.to_string();
    // The emulator tells service and region from the signature's scope, and checks no signature.
    let scope = if service == "AmazonSSM" {
        "ssm"
    } else {
        service
    };
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {upstream}\r\nx-amz-target: {service}.{}\r\ncontent-type: application/x-amz-json-1.1\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=AKIDTEST/20260101/{REGION}/{scope}/aws4_request, SignedHeaders=host, Signature=0\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        asked.action,
        body.len(),
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    Ok((status, answer[end + 4..].to_vec()))
}

/// Serves each connection on a thread of its own, for as long as the test's process lives.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn converse(stream: &TcpStream, answer: impl Fn(&Asked) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let target = headers.get("x-amz-target").map_or("", String::as_str);
    let form = String::from_utf8_lossy(&body).into_owned();
    let action = target
        .rsplit('.')
        .next()
        .filter(|action| !action.is_empty())
        .map_or(form, str::to_owned);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let reply = answer(&Asked { action, body });
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {} Said\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(
        stream,
        "content-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        reply.body.len() + reply.missing
    )?;
    stream.write_all(&reply.body)
}
