//! What we write is read by the programs that other people use, and the other way round.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{at, rooted, world};
use credchain_core::{Kind, Provider as _, Secret, SetOptions};
use credchain_tests::servers::{OpenBao, python};
use serde_json::{Value, json};

/// Values that quoting, line ends or encodings could spoil.
const VALUES: &[&str] = &[
    "plain",
    "",
    " spaces \n and lines\r\n\n",
    "\"quotes\" 'and' \\backslashes\\ $HOME `id` {{ x }}",
    "ä€😀\u{2028}\u{7f}\u{1}",
];

const HVAC: &str = r#"
import hvac, json, sys
order = json.load(sys.stdin)
kv = hvac.Client(url=order["url"], token=order["token"]).secrets.kv.v2
if "write" in order:
    kv.create_or_update_secret(mount_point="secret", path="demo/hvac", secret=order["write"])
else:
    read = kv.read_secret_version(mount_point="secret", path="demo/default",
                                  raise_on_deleted_version=True)
    json.dump(read["data"]["data"], sys.stdout)
"#;

fn hvac(bao: &OpenBao, mut order: Value) -> Value {
    order["url"] = json!(bao.url());
    order["token"] = json!(bao.root_token());
    let mut child = Command::new(python())
        .args(["-c", HVAC])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(order.to_string().as_bytes())
        .expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "hvac fails");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn bao_kv(bao: &OpenBao, args: &[&str]) -> Vec<u8> {
    let output = Command::new(OpenBao::program())
        .arg("kv")
        .args(args)
        .env("BAO_ADDR", bao.url())
        .env("BAO_TOKEN", bao.root_token())
        .output()
        .expect("the program can be started");
    assert!(output.status.success(), "bao kv {} fails", args[0]);
    output.stdout
}

#[tokio::test]
async fn hvac_and_we_read_each_other() {
    let bao = OpenBao::dev();
    let vault = rooted(&bao, json!({}));
    let cx = world(&[]);
    let fields: serde_json::Map<String, Value> = VALUES
        .iter()
        .enumerate()
        .map(|(n, value)| (format!("f{n}"), json!(value)))
        .collect();
    for (name, value) in &fields {
        let value = Secret::new(value.as_str().unwrap());
        let place = at(&format!("demo/default#{name}"));
        let options = SetOptions::default();
        vault.set(&place, &value, &options, &cx).await.unwrap();
    }
    assert_eq!(hvac(&bao, json!({})), Value::Object(fields.clone()));
    hvac(&bao, json!({ "write": fields }));
    for (name, value) in &fields {
        let place = at(&format!("demo/hvac#{name}"));
        let read = vault.get(&place, &cx).await.unwrap();
        assert_eq!(read.expose(), value.as_str().unwrap().as_bytes());
    }
}

#[tokio::test]
async fn the_bao_program_and_we_read_each_other() {
    let bao = OpenBao::dev();
    let vault = rooted(&bao, json!({}));
    let cx = world(&[]);
    let options = SetOptions::default();
    let ours = at("demo/default#a");
    for value in VALUES {
        vault
            .set(&ours, &Secret::new(*value), &options, &cx)
            .await
            .unwrap();
        let read = bao_kv(
            &bao,
            &["get", "-mount=secret", "-format=json", "demo/default"],
        );
        let read: Value = serde_json::from_slice(&read).unwrap();
        assert_eq!(read["data"]["data"]["a"], json!(value));
        let pair = format!("b={value}");
        bao_kv(&bao, &["patch", "-mount=secret", "demo/default", &pair]);
        let theirs = vault.get(&at("demo/default#b"), &cx).await.unwrap();
        assert_eq!(theirs.expose(), value.as_bytes());
    }
    // Deleted by us, brought back by them with the command that our hint names.
    vault.delete(&ours, &cx).await.unwrap();
    vault.delete(&at("demo/default#b"), &cx).await.unwrap();
    let error = vault.get(&ours, &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let hint = error.hint().unwrap().to_owned();
    let command = hint.split('`').nth(1).unwrap();
    let words: Vec<&str> = command.split(' ').skip(2).collect();
    bao_kv(&bao, &words);
    assert!(vault.get(&at("demo/default#b"), &cx).await.is_ok());
}
