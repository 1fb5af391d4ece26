//! The servers that other tests rely on: real, strict about credentials, and gone afterwards.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use credchain_tests::servers::{HttpApi, OpenBao, Postgres, Smtp, python};
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
