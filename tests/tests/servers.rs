//! The servers that other tests rely on: real, strict about credentials, and gone afterwards.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use credchain_tests::servers::{HttpApi, Moto, OpenBao, Postgres, SecretService, Smtp, python};
use serde_json::{Value, json};

fn http(api: &HttpApi, authorization: &str) -> String {
    let ask = || {
        let address = api.url().trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET /v1/orders HTTP/1.1\r\nauthorization: {authorization}\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().expect("the API answers")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[test]
fn the_api_answers_the_right_key_and_refuses_any_other() {
    let api = HttpApi::start();
    assert!(http(&api, &format!("Bearer {}", api.key())).starts_with("HTTP/1.1 200"));
    assert!(http(&api, "Bearer wrong").starts_with("HTTP/1.1 401"));
    assert_eq!((api.answered(), api.refused()), (1, 1));
}

#[test]
fn postgres_asks_for_the_password_and_is_gone_when_dropped() {
    let postgres = Postgres::start();
    assert_eq!(postgres.sql("select 1 + 1"), "2");
    let wrong = Command::new("psql")
        .args([
            "-XAtqw",
            "-h",
            postgres.host(),
            "-U",
            postgres.user(),
            "-d",
            "postgres",
        ])
        .args(["-p", &postgres.port().to_string(), "-c", "select 1"])
        .env("PGPASSWORD", "wrong")
        .output()
        .unwrap();
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"));
    let port = postgres.port();
    drop(postgres);
    assert!(is_free(port));
}

#[test]
fn the_mail_server_takes_mail_only_after_a_login() {
    let smtp = Smtp::start();
    let send = |password: &str| {
        Command::new(python())
            .arg("-c")
            .arg(
                "import smtplib, sys\n\
                 mail = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n\
                 if sys.argv[2]: mail.login('reports', sys.argv[2])\n\
                 mail.sendmail('a@example.com', 'b@example.com', 'Subject: hello\\n\\nbody')\n",
            )
            .args([&smtp.port().to_string(), password])
            .output()
            .unwrap()
    };
    assert!(!send("").status.success());
    assert!(!send("wrong").status.success());
    assert_eq!(smtp.messages(), [""; 0]);
    assert!(send(smtp.password()).status.success());
    assert_eq!(smtp.messages().len(), 1);
    assert!(smtp.messages()[0].contains("Subject: hello"));
    let port = smtp.port();
    drop(smtp);
    assert!(is_free(port));
}

#[test]
fn openbao_keeps_secrets_and_audits_who_asks() {
    let bao = OpenBao::dev();
    bao.mount_kv("team", 2);
    bao.root("POST", "team/data/app", &json!({"data": {"a": "b"}}));
    let (status, answer) = bao.api("GET", "team/data/app", bao.root_token(), &Value::Null);
    assert_eq!((status, &answer["data"]["data"]["a"]), (200, &json!("b")));
    assert_eq!(
        bao.api("GET", "team/data/app", "wrong", &Value::Null).0,
        403
    );
    assert_eq!(bao.count("team/data/app"), 3);
    let port = bao.port();
    drop(bao);
    assert!(is_free(port));
}

#[test]
fn openbao_with_tls_is_sealed_stopped_and_comes_back() {
    let mut bao = OpenBao::with_tls();
    bao.root("POST", "secret/data/app", &json!({"data": {"a": "b"}}));
    let read = |bao: &OpenBao| bao.api("GET", "secret/data/app", bao.root_token(), &Value::Null);
    bao.seal();
    assert_eq!(read(&bao).0, 503);
    bao.unseal();
    assert_eq!(read(&bao).0, 200);
    bao.restart();
    assert_eq!(read(&bao).0, 503);
    bao.unseal();
    assert_eq!(read(&bao).1["data"]["data"]["a"], "b");
}

#[test]
fn the_secret_service_keeps_secrets_until_it_is_locked() {
    let service = SecretService::start();
    let store = "import keyring; keyring.set_password('etl', 'api_key', 'b')";
    assert!(
        service
            .command(python())
            .args(["-c", store])
            .status()
            .unwrap()
            .success()
    );
    let lookup = || {
        let mut tool = service.command("secret-tool");
        tool.args(["lookup", "service", "etl", "username", "api_key"]);
        String::from_utf8(tool.output().unwrap().stdout).unwrap()
    };
    assert_eq!(lookup(), "b");
    service.lock();
    assert_eq!(lookup(), "");
    service.unlock();
    assert_eq!(lookup(), "b");
}

#[test]
fn the_secret_service_is_gone_when_dropped() {
    let service = SecretService::start();
    let address = service.bus_address();
    let socket = address.strip_prefix("unix:path=").unwrap().to_owned();
    assert!(UnixStream::connect(&socket).is_ok());
    drop(service);
    assert!(!Path::new(&socket).exists());
}

fn secrets_manager(moto: &Moto, action: &str, body: &Value) -> (u16, String) {
    let credential =
        "AWS4-HMAC-SHA256 Credential=nobody/20260101/eu-west-1/secretsmanager/aws4_request";
    let output = Command::new("curl")
        .args(["-sS", "-w", "\n%{http_code}", "--data-binary"])
        .arg(body.to_string())
        .args(["-H", "content-type: application/x-amz-json-1.1"])
        .args(["-H", &format!("x-amz-target: secretsmanager.{action}")])
        .args([
            "-H",
            &format!("authorization: {credential}, SignedHeaders=host, Signature=0"),
        ])
        .arg(moto.endpoint())
        .output()
        .expect("curl can be started");
    let answer = String::from_utf8(output.stdout).expect("JSON is text");
    let (body, status) = answer.rsplit_once('\n').expect("curl tells the status");
    (
        status.parse().expect("a status is a number"),
        body.to_owned(),
    )
}

#[test]
fn the_aws_emulator_keeps_secrets_until_it_is_reset() {
    let moto = Moto::start();
    let secret = json!({"Name": "app", "SecretString": "b", "ClientRequestToken": "0".repeat(32)});
    assert_eq!(secrets_manager(&moto, "CreateSecret", &secret).0, 200);
    let read = || secrets_manager(&moto, "GetSecretValue", &json!({"SecretId": "app"}));
    assert!(read().1.contains("\"SecretString\": \"b\""), "{}", read().1);
    moto.reset();
    assert_eq!(read().0, 404);
    let port = moto.port();
    drop(moto);
    assert!(is_free(port));
}

#[test]
fn the_aws_emulator_can_refuse_unknown_keys() {
    let moto = Moto::with_auth_required();
    assert_eq!(secrets_manager(&moto, "ListSecrets", &json!({})).0, 403);
}
