//! How much is found, and how much is told without reason, on a corpus that is made here: every
//! language that people configure in, with names that sound like secrets and values that are and
//! are not.

use std::collections::{BTreeMap, BTreeSet};

use credchain_redact::Rules;
use credchain_scan::Scan;

/// `{n}` is the name as in a file, `{N}` as a variable, `{c}` as in JavaScript; `{v}` is the value.
const QUOTED: &[(&str, &str)] = &[
    ("shell", "export {N}='{v}'"),
    ("shell", "{N}=\"{v}\" ./run.sh"),
    ("dotenv", "{N}=\"{v}\""),
    ("yaml", "  {n}: \"{v}\""),
    ("yaml", "{n}: '{v}'"),
    ("json", "  \"{n}\": \"{v}\","),
    ("json", "{\"{c}\":\"{v}\"}"),
    ("toml", "{n} = \"{v}\""),
    ("python", "{N} = '{v}'"),
    ("python", "client = connect(host, {n}=\"{v}\")"),
    ("python", "os.environ[\"{N}\"] = \"{v}\""),
    ("python", "    \"{n}\": \"{v}\","),
    ("python", "{n}: str = \"{v}\""),
    ("javascript", "const {c} = \"{v}\";"),
    ("javascript", "  {c}: '{v}',"),
    ("javascript", "process.env.{N} = '{v}';"),
    ("dockerfile", "ENV {N}=\"{v}\""),
    ("dockerfile", "ENV {N} \"{v}\""),
];

const BARE: &[(&str, &str)] = &[
    ("shell", "export {N}={v}"),
    ("dotenv", "{N}={v}"),
    ("yaml", "  {n}: {v}"),
    ("ini", "{n} = {v}"),
    ("dockerfile", "ENV {N}={v}"),
    ("dockerfile", "ARG {N}={v}"),
    ("xml", "<{n}>{v}</{n}>"),
];

const NAMES: &[&str] = &[
    "db_password",
    "smtp_passwd",
    "api_key",
    "client_secret",
    "access_token",
    "auth_token",
    "secret_key",
    "encryption_key",
];

/// Values that are no secrets, wherever they stand.
const HARMLESS: &[&str] = &[
    "",
    "changeme",
    "CHANGE_ME",
    "your-api-key-here",
    "<your-token>",
    "${SOME_VARIABLE}",
    "$(cat /run/secrets/it)",
    "{{ some_value }}",
    "%(some_value)s",
    "xxxxxxxxxxxxxxxxxxxx",
    "********",
    "example",
    "null",
    "None",
    "true",
    "secretsmanager:prod/db#password",
    "vault:kv/data/app#token",
    "/run/secrets/db_password",
    "my-app-secrets",
    "test_token",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "REDACTED",
    "op://vault/item/field",
];

/// Lines that hold long random values and no secret.
const LINES: &[&str] = &[
    "checksum = \"{hex64}\"",
    "sha256: {hex64}",
    "\"integrity\": \"sha512-{b64}\",",
    "rev = \"{hex40}\"",
    "commit: {hex40}",
    "password_hash = \"{hex64}\"",
    "uuid = \"{uuid}\"",
    "request_id={uuid}",
    "etag: \"{hex32}\"",
    "FROM node@sha256:{hex64}",
    "image: app@sha256:{hex64}",
    "token_url = \"https://auth.example.com/oauth/token\"",
    "apiKey: process.env.API_KEY",
    "password = os.environ[\"DB_PASSWORD\"]",
    "const token = await getToken(user);",
    "let secret = Secret::new(value);",
    "password: string;",
    "if password == other.password {",
    "aws_access_key_id = AKIA{documented}",
    "def login(user, password=None, token=None):",
    "print(\"Password: \", end=\"\")",
    "secret_name = \"prod-database-credentials\"",
    "tokenizer = load(\"bert-base-uncased\")",
    "max_tokens = 4096",
];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("it is small")
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..length)
            .map(|_| char::from(letters[self.roll(letters.len())]))
            .collect()
    }
}

const HEX: &str = "0123456789abcdef";
const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn value(dice: &mut Dice, kind: usize) -> String {
    match kind {
        0 => dice.text(BASE62, 32) + "7a",
        1 => dice.text(HEX, 40),
        // As a generator of passwords makes them.
        _ => format!(
            "{}{}!{}",
            dice.text(BASE62, 6),
            dice.roll(10),
            dice.text(BASE62, 6)
        ),
    }
}

fn filled(template: &str, name: &str, value: &str) -> String {
    let mut camel = String::new();
    let mut parts = name.split('_');
    camel.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (first, rest) = part.split_at(1);
        camel.push_str(&first.to_uppercase());
        camel.push_str(rest);
    }
    template
        .replace("{n}", name)
        .replace("{N}", &name.to_uppercase())
        .replace("{c}", &camel)
        .replace("{v}", value)
}

/// Which of the lines have a finding.
fn found(lines: &[String]) -> Vec<bool> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let scan = Scan::new(Rules::builtin()).text("file", text);
    let report = scan.run(&|_| {}).expect("there is a text");
    let told: BTreeSet<u64> = report.findings.iter().map(|one| one.line).collect();
    (1..)
        .zip(lines)
        .map(|(number, _)| told.contains(&number))
        .collect()
}

#[test]
fn nineteen_of_twenty_are_found_in_each_language_and_as_many_reports_are_right() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut languages, mut secrets) = (Vec::new(), Vec::new());
    for (language, template) in QUOTED.iter().chain(BARE) {
        for name in NAMES {
            for kind in 0..3 {
                languages.push(*language);
                secrets.push(filled(template, name, &value(&mut dice, kind)));
            }
        }
    }
    let mut counts = BTreeMap::new();
    let mut missed = Vec::new();
    for ((language, line), is_found) in languages.iter().zip(&secrets).zip(found(&secrets)) {
        let (right, all) = counts.entry(*language).or_insert((0, 0));
        *all += 1;
        *right += usize::from(is_found);
        if !is_found {
            missed.push(line);
        }
    }
    let harmless = harmless(&mut dice);
    let told = harmless.iter().zip(found(&harmless));
    let wrong: Vec<_> = told.filter(|(_, is_found)| *is_found).collect();
    for (language, (right, all)) in &counts {
        let enough = 20 * right >= 19 * all;
        assert!(enough, "{language}: {right} of {all}, missed {missed:#?}");
    }
    // There are more harmless lines here than secrets, as there are everywhere.
    assert!(harmless.len() > 2 * secrets.len());
    let right = secrets.len() - missed.len();
    println!(
        "{right} of {} found, {} of {} told wrongly",
        secrets.len(),
        wrong.len(),
        harmless.len()
    );
    let enough = 19 * wrong.len() <= right;
    assert!(enough, "{right} right, {} wrong: {wrong:#?}", wrong.len());
}

fn harmless(dice: &mut Dice) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, template) in QUOTED.iter().chain(BARE) {
        for name in NAMES {
            for value in HARMLESS {
                lines.push(filled(template, name, value));
            }
        }
    }
    for template in LINES {
        for _ in 0..8 {
            let uuid = [8, 4, 4, 4, 12]
                .map(|length| dice.text(HEX, length))
                .join("-");
            let line = template
                .replace("{hex64}", &dice.text(HEX, 64))
                .replace("{hex40}", &dice.text(HEX, 40))
                .replace("{hex32}", &dice.text(HEX, 32))
                .replace("{b64}", &dice.text(BASE62, 86))
                .replace("{uuid}", &uuid)
                .replace("{documented}", "IOSFODNN7EXAMPLE");
            lines.push(line);
        }
    }
    lines
}
