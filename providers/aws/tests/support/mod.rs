//! The emulator with a login, and a server that says what a test wants said.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test binary uses a part of this, and panics as tests do"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use credchain_core::{
    Context, Environment, Error, LinkName, Project, Provider as _, Reference, Secret, SetOptions,
    Settings, Setup, Target, Version,
};
use credchain_provider_aws::Aws;
use credchain_tests::faults::{FakeHttp, Reply as Wire, Request};
use credchain_tests::servers::{self, fresh_secret, python};
use serde_json::{Value, json};

pub(crate) const REGION: &str = "eu-central-1";

/// How many requests one user takes to make.
const MAKING_A_USER: usize = 3;

const MAKE_USERS: &str = r#"
import json
made = {}
for user, actions in users:
    client.create_user(UserName=user)
    statement = {"Effect": "Allow", "Action": actions.split(), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=policy)
    key = client.create_access_key(UserName=user)["AccessKey"]
    made[user] = (key["AccessKeyId"], key["SecretAccessKey"])
print(json.dumps(made))
"#;

/// The AWS emulator, with a login.
#[derive(Debug)]
pub(crate) struct Moto {
    server: servers::Moto,
    pub(crate) secret_key: String,
}

impl Moto {
    pub(crate) fn start() -> Self {
        Self {
            server: servers::Moto::start(),
            secret_key: fresh_secret("key"),
        }
    }

    /// The emulator, which makes `users`, each with the actions that it may ask for and one key,
    /// and takes no other keys from then on. Also these keys, by user: id and secret.
    pub(crate) fn with_users(users: &[(&str, &str)]) -> (Self, BTreeMap<String, (String, String)>) {
        let requests = u32::try_from(users.len() * MAKING_A_USER).expect("few users");
        let moto = Self {
            server: servers::Moto::with_auth_after(requests),
            secret_key: fresh_secret("key"),
        };
        let script = format!("users = {}\n{MAKE_USERS}", json!(users));
        let made = moto.boto3("iam", &script);
        (moto, serde_json::from_str(&made).expect("JSON"))
    }

    pub(crate) fn url(&self) -> String {
        self.server.endpoint()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// A provider that asks this emulator.
    pub(crate) fn aws(&self, table: Value) -> Aws {
        aws(&self.url(), table)
    }

    /// The world with this emulator's login in it.
    pub(crate) fn cx(&self) -> Context {
        cx_with(&self.secret_key)
    }

    /// Runs Python that has a boto3 client `client` for a service.
    pub(crate) fn boto3(&self, service: &str, code: &str) -> String {
        let script = format!(
            "import boto3\nclient = boto3.client('{service}', endpoint_url='{}', region_name='{REGION}', \
             aws_access_key_id='test', aws_secret_access_key='test')\n{code}",
            self.url()
        );
        let output = Command::new(python())
            .args(["-c", &script])
            .output()
            .expect("Python starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).expect("text")
    }
}

/// A provider that asks this address.
pub(crate) fn aws(url: &str, mut table: Value) -> Aws {
    let given = table.as_object_mut().expect("a table");
    for (key, value) in [
        ("endpoint", url),
        ("sts_endpoint", url),
        ("iam_endpoint", url),
        ("region", REGION),
    ] {
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
    cx_as("AKIDTEST", secret_key)
}

/// The world with this key in it.
pub(crate) fn cx_as(id: &str, secret_key: &str) -> Context {
    Context::system().with_env(Environment::fixed([
        ("AWS_ACCESS_KEY_ID", id),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
    ]))
}

/// A target of rotation with these settings.
pub(crate) fn target(aws: &Aws, kind: &str, settings: Value) -> Arc<dyn Target> {
    let rotatable = aws.as_rotatable().expect("there are targets");
    let target = rotatable.target(kind, &Settings::from_json(settings));
    target.expect("right settings")
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
    /// The action, such as `GetSecretValue`; nothing for STS.
    pub(crate) action: String,
    pub(crate) body: Value,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let target = request.header("x-amz-target").unwrap_or_default();
        Self {
            action: target.rsplit('.').next().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
        }
    }
}

/// What it is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
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
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl From<Reply> for Wire {
    fn from(reply: Reply) -> Self {
        Self::Answer(reply.status, reply.headers, reply.body)
    }
}

/// A server whose answers a test makes up, for what no emulator does. It is not AWS.
#[derive(Debug)]
pub(crate) struct Fake(FakeHttp);

impl Fake {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self(FakeHttp::start(move |request| {
            answer(&Asked::of(request)).into()
        }))
    }

    /// Hands everything on to the emulator, so that a test sees what was asked.
    pub(crate) fn before(moto: &Moto) -> Self {
        let upstream = format!("127.0.0.1:{}", moto.port());
        Self(FakeHttp::start(move |request| {
            forward(&upstream, request)
                .expect("the emulator answers")
                .into()
        }))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.requests().iter().map(Asked::of).collect()
    }

    /// The actions that were asked for, in order.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.action).collect()
    }
}

pub(crate) fn forward(upstream: &str, request: &Request) -> std::io::Result<Reply> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in request
        .headers
        .iter()
        .filter(|(name, _)| name != "connection")
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(upstream)?;
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    stream.write_all(&request.body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| std::io::Error::other("an answer without a head"))?;
    let line = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Reply::raw(status.unwrap_or(0), answer.split_off(end + 4)))
}
