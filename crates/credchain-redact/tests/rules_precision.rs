//! What is no secret is not reported: placeholders, code, hashes, lock files, prose.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a part of it is used here; the helpers of tests are tests"
)]
mod rules_support;

use credchain_redact::rules::Rules;
use rules_support::{Random, sample};

/// What no rule may report; templates, one text each.
const INNOCENT: &[&str] = &[
    // Placeholders.
    "API_KEY=changeme",
    "api_key: your-api-key-here",
    "TOKEN=xxxxxxxxxxxxxxxx",
    "password = '<password>'",
    "SECRET_KEY=replace-me-please",
    "token: EXAMPLE_TOKEN_123456",
    "password: \"********\"",
    "api_key = \"0123456789abcdef\"",
    // Templates and references.
    "API_KEY=${API_KEY}",
    "password: ${DB_PASSWORD:-}",
    "token=$(cat /run/secrets/token)",
    "secret: {{ .Values.secret }}",
    "api_key: ${{ secrets.API_KEY }}",
    "API_KEY=%API_KEY%",
    "password = secretsmanager:prod/db#password",
    "token: op://vault/item/field",
    "DB_PASSWORD=vault:secret/data/app#password",
    "api_key = \"env:API_KEY\"",
    "    password: !Ref DatabasePassword",
    "secret_key = \"arn:aws:secretsmanager:eu-west-1:{digits:12}:secret:db-{base62:6}\"",
    // Code.
    "api_key = os.environ[\"API_KEY\"]",
    "const token = process.env.TOKEN;",
    "password = getpass.getpass()",
    "let token = tokens.next().unwrap();",
    "String password = request.getParameter(\"password\");",
    "token: Option<String>,",
    "def login(username: str, password: str) -> Token:",
    "if token == other_token2 {",
    "self.api_key = api_key",
    "password=password123_field.value",
    "const SECRET_NAME: &str = \"database-credentials\";",
    "var privateKey = LoadPrivateKey(path1)",
    "access_token = response.json()[\"access_token\"]",
    "tokenizer = AutoTokenizer.from_pretrained(\"org/model-7b-v0.1\")",
    "secret_access_key=secret_access_key,",
    "pub fn token(&self) -> &str",
    "assert_eq!(token.kind, TokenKind::Ident2);",
    "type=\"password\" id=\"password1\"",
    // Hashes, identifiers, lock files.
    "commit {hex:40}",
    "sha256 = \"{hex:64}\"",
    "checksum = \"{hex:64}\"",
    "\"integrity\": \"sha512-{b64:86}==\"",
    "image: app@sha256:{hex:64}",
    "id: {uuid}",
    "token_id = \"{uuid}\"",
    "etag: \"{hex:32}\"",
    "md5: {hex:32}",
    "github.com/a/b v1.2.3 h1:{b64:43}=",
    "\"resolved\": \"https://registry.example/a/-/a-1.0.0.tgz#{hex:40}\"",
    "    --hash=sha256:{hex:64} \\",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64:43} user@host",
    "uses: actions/checkout@{hex:40}",
    // Public halves, and certificates.
    "-----BEGIN CERTIFICATE-----\n{b64:64}\n{b64:64}\n-----END CERTIFICATE-----\n",
    "-----BEGIN PUBLIC KEY-----\n{b64:64}\n-----END PUBLIC KEY-----\n",
    "pk_live_{base62:24}",
    "sb_publishable_{base62:31}",
    "age1{lower:58}",
    "phc_{base62:43}",
    // Prose.
    "The password must have at least 12 characters and 1 digit.",
    "Use the Bearer authentication scheme of RFC 6750.",
    "Basic authentication is not supported",
    "Your token: see https://example.org/docs/token1",
    "secret santa: 24th of December",
    "max_tokens: 4096",
    "next_page_token=CAUQAA2",
    "password reset link sent to user42@example.org",
    // URLs.
    "http://localhost:8080/a?b=c@d",
    "https://user@example.org/",
    "postgres://app:$PASSWORD@db/app",
    "git@github.com:owner/repo.git",
    "https://example.org/a:b/c@2.0.0",
    "redis://cache:6379/0",
    // Source maps and other data in base64.
    "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjoz{b64:400}",
    "data:image/png;base64,{b64:400}==",
];

#[test]
fn what_is_no_secret_is_not_reported() {
    let rules = Rules::builtin();
    let mut wrong = Vec::new();
    for template in INNOCENT {
        for seed in 1..6 {
            let sample = sample(template, &mut Random::new(seed));
            for found in rules.find(&sample.text) {
                wrong.push(format!("{} in {template}", found.rule));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lock_files_are_clean() {
    let rules = Rules::builtin();
    let mut random = Random::new(11);
    let mut lock = String::from("version = 4\n\n[[package]]\n");
    for _ in 0..2000 {
        let template = "name = \"token-{lower:6}\"\nversion = \"1.0.0\"\nsource = \"registry+https://example.org/index\"\nchecksum = \"{hex:64}\"\n\n\
            \"node_modules/secret-{lower:5}\": {\"resolved\": \"https://r.example/x.tgz\", \"integrity\": \"sha512-{b64:86}==\"},\n\
            password-{lower:5}==1.2.3 --hash=sha256:{hex:64}\ngolang.org/x/oauth2 v0.{digits:2}.0/go.mod h1:{b64:43}=\n";
        lock.push_str(std::str::from_utf8(&sample(template, &mut random).text).unwrap());
    }
    assert_eq!(rules.find(lock.as_bytes()), []);
}

#[test]
fn the_files_of_this_crate_are_clean() {
    let rules = Rules::builtin();
    for text in [
        include_str!("../data/rules.toml"),
        include_str!("../data/placeholders.toml"),
        include_str!("../src/rules/README.md"),
        include_str!("../src/rules/check.rs"),
        include_str!("../src/rules/value.rs"),
        include_str!("rules_support/mod.rs"),
        include_str!("rules_examples.rs"),
        include_str!("rules_precision.rs"),
    ] {
        let found = rules.find(text.as_bytes());
        let found: Vec<_> = found
            .iter()
            .map(|found| (&found.rule, &text[found.secret.clone()]))
            .collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
